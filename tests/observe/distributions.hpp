// Eight shapes of activations, the same numbers on every machine, and what a range costs on them.
#pragma once

#include <lutra/affine/quantize.hpp>
#include <lutra/core/random.hpp>
#include <lutra/number/log2.hpp>
#include <lutra/observe/range/value_range.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

struct distribution {
  std::string_view name;
  double (*draw)(lutra::random_stream&);
};

LUTRA_STRICT_FP_BEGIN
inline double exponential(lutra::random_stream& r) {
  return -0.6931471805599453 * lutra::log2_of(r.uniform() + 0x1p-60);
}
inline double draw_normal(lutra::random_stream& r) { return r.normal(); }
inline double draw_relu(lutra::random_stream& r) { return std::max(r.normal(), 0.0); }
inline double draw_laplace(lutra::random_stream& r) {
  const double sign = r.uniform() < 0.5 ? -1.0 : 1.0;
  return sign * exponential(r);
}
inline double draw_outliers(lutra::random_stream& r) {
  const double scale = r.uniform() < 0.001 ? 40.0 : 1.0;
  return scale * r.normal();
}
inline double draw_bimodal(lutra::random_stream& r) {
  const double centre = r.uniform() < 0.3 ? -2.0 : 3.0;
  return centre + 0.3 * r.normal();
}
inline double draw_uniform(lutra::random_stream& r) { return 2.5 * r.uniform() - 0.5; }
inline double draw_skewed(lutra::random_stream& r) {
  const double e = exponential(r);
  return e * e - 0.2;
}
inline double draw_shifted(lutra::random_stream& r) { return 5.0 + 0.2 * r.normal(); }
LUTRA_STRICT_FP_END

inline constexpr std::array<distribution, 8> distributions = {
    {{"normal", &draw_normal},
     {"half-normal after relu", &draw_relu},
     {"laplace", &draw_laplace},
     {"heavy tail with outliers", &draw_outliers},
     {"bimodal", &draw_bimodal},
     {"uniform", &draw_uniform},
     {"skewed", &draw_skewed},
     {"far from zero", &draw_shifted}}};

inline std::vector<float> draw(const distribution& d, lutra::index_t n, std::uint64_t seed) {
  lutra::random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = static_cast<float>(d.draw(r));
  return x;
}

// Mean squared error of quantizing x over a range.
inline double mean_squared_error(std::span<const float> x, const lutra::quantization_spec& spec,
                                 const lutra::value_range& range) {
  const lutra::qparams p = lutra::qparams_from_range(spec, {&range.lo, 1}, {&range.hi, 1});
  std::vector<float> y(x.size());
  const lutra::shape extents{static_cast<lutra::index_t>(x.size())};
  lutra::fake_quantize({x.data(), extents}, p, {y.data(), extents});
  std::array<double, 8> sum{};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(y[i]) - static_cast<double>(x[i]);
    sum[i % 8] += d * d;
  }
  double total = 0;
  for (const double s : sum) total += s;
  return total / static_cast<double>(x.size());
}
