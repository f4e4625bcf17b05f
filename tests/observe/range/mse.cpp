#include <lutra/observe/range/mse.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "observe/distributions.hpp"
#include "quick.hpp"

namespace {

using lutra::dtype;
using lutra::histogram;
using lutra::qscheme;
using lutra::quantization_spec;
using lutra::value_range;

histogram binned(std::span<const float> x) {
  histogram h;
  h.add(x.data(), static_cast<lutra::index_t>(x.size()));
  return h;
}

// Least error over 10^4 ranges, evaluated on the elements themselves.
double brute_force(std::span<const float> x, const quantization_spec& spec,
                   const value_range& full) {
  const bool quick = std::getenv("LUTRA_TEST_QUICK") != nullptr;
  double best = mean_squared_error(x, spec, full);
  const float largest = std::max(-full.lo, full.hi);
  if (lutra::is_symmetric(spec) || full.lo == 0.0F || full.hi == 0.0F) {
    const int steps = quick ? 100 : 10'000;
    for (int i = 1; i <= steps; ++i) {
      const float m = largest * static_cast<float>(i) / static_cast<float>(steps);
      best = std::min(best, mean_squared_error(x, spec, lutra::within(full, m)));
    }
    return best;
  }
  const int steps = quick ? 10 : 100;
  for (int i = 1; i <= steps; ++i) {
    for (int j = 1; j <= steps; ++j) {
      const value_range r{full.lo * static_cast<float>(i) / static_cast<float>(steps),
                          full.hi * static_cast<float>(j) / static_cast<float>(steps)};
      best = std::min(best, mean_squared_error(x, spec, r));
    }
  }
  return best;
}

TEST_CASE("mse: within 1 % of the best of 10^4 ranges, on the elements, for 8 distributions") {
  for (const auto& d : distributions) {
    const std::vector<float> x = draw(d, 8000, 21);
    const histogram h = binned(x);
    for (const auto type : {dtype::int8, dtype::int4}) {
      for (const auto scheme :
           {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
        const quantization_spec spec{.dtype = type, .qscheme = scheme};
        CAPTURE(d.name);
        CAPTURE(lutra::name_of(type));
        CAPTURE(lutra::name_of(scheme));
        const double ours = mean_squared_error(x, spec, lutra::mse_range{}(h, spec));
        const double best = brute_force(x, spec, lutra::full_range(h, spec));
        CAPTURE(ours / best);
        CHECK(ours <= 1.01 * best);
      }
    }
  }
}

// The error of few levels has narrow dips where a level meets the values.
TEST_CASE("mse: few levels and values far from zero") {
  for (const auto type : {dtype::int3, dtype::int4, dtype::int5}) {
    for (const auto scheme : {qscheme::symmetric, qscheme::symmetric_with_clipping}) {
      for (const auto form : {lutra::qformulation::zp, lutra::qformulation::minval}) {
        const quantization_spec spec{.dtype = type, .qscheme = scheme, .qformulation = form};
        for (std::uint64_t k = 0; k < (test::quick() ? 3U : 12U); ++k) {
          lutra::random_stream r(k);
          const double sigma = 0.02 + 0.02 * static_cast<double>(k);
          std::vector<float> x(2000);
          for (float& v : x) v = static_cast<float>(1.0 + sigma * r.normal());
          const histogram h = binned(x);
          const value_range full = lutra::full_range(h, spec);
          const double ours = mean_squared_error(x, spec, lutra::mse_range{}(h, spec));
          double best = mean_squared_error(x, spec, full);
          for (int i = 100; i < 400; ++i) {
            const float m = full.hi * static_cast<float>(i) / 400.0F;
            best = std::min(best, mean_squared_error(x, spec, lutra::within(full, m)));
          }
          CAPTURE(lutra::name_of(type));
          CAPTURE(lutra::name_of(scheme));
          CAPTURE(sigma);
          CAPTURE(ours / best);
          CHECK(ours <= 1.01 * best);
        }
      }
    }
  }
}

TEST_CASE("mse: float formats and power-of-two scales are searched by what they do") {
  for (const auto& d : distributions) {
    const std::vector<float> x = draw(d, 2000, 22);
    const histogram h = binned(x);
    for (const quantization_spec& spec :
         {quantization_spec{.dtype = dtype::float8_e4m3fn},
          quantization_spec{.dtype = dtype::float8_e5m2},
          quantization_spec{.dtype = dtype::float4_e2m1fn},
          quantization_spec{.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float8_e4m3fn},
          quantization_spec{.dtype = dtype::float4_e2m1fn,
          .scale_rules = {.e8m0 = lutra::e8m0_rule::even}},
          quantization_spec{.scale_rules = {.no_clipping = true}},
          quantization_spec{.dtype = dtype::int4, .scale_rules = {.no_clipping = true}}}) {
      CAPTURE(d.name);
      CAPTURE(lutra::name_of(spec.dtype));
      const double ours = mean_squared_error(x, spec, lutra::mse_range{}(h, spec));
      const value_range full = lutra::full_range(h, spec);
      const float largest = std::max(-full.lo, full.hi);
      double best = mean_squared_error(x, spec, full);
      for (int i = 1; i < 200; ++i) {
        const value_range r = lutra::within(full, largest * static_cast<float>(i) / 200.0F);
        best = std::min(best, mean_squared_error(x, spec, r));
      }
      CAPTURE(ours / best);
      CHECK(ours <= 1.05 * best);
    }
  }
}

TEST_CASE("mse: values that lie on a lattice of 8 bits keep their own range") {
  std::vector<float> x = draw(distributions[0], 20'000, 31);
  float largest = 0;
  for (const float v : x) largest = std::max(largest, std::abs(v));
  const value_range range{-largest, largest};
  const lutra::qparams p = lutra::qparams_from_range({}, {&range.lo, 1}, {&range.hi, 1});
  lutra::fake_quantize(lutra::tensor_view<const float>(x.data(), {20'000}), p,
                       lutra::tensor_view<float>(x.data(), {20'000}));
  const histogram h = binned(x);
  const value_range found = lutra::mse_range{}(h, {});
  const double smooth = mean_squared_error(x, {}, {0.7F * range.lo, 0.7F * range.hi});
  CHECK(mean_squared_error(x, {}, found) < 0.2 * smooth);
}

TEST_CASE("mse: values that lie on a lattice of their own, as integers after a scale do") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    std::vector<float> x = draw(distributions[seed == 3 ? 2 : 0], 1500, seed);
    for (float& v : x) v = std::round(4.0F * v) / 4.0F;
    const histogram h = binned(x);
    for (const auto type : {dtype::int6, dtype::int8}) {
      const quantization_spec spec{.dtype = type};
      const double ours = mean_squared_error(x, spec, lutra::mse_range{}(h, spec));
      CHECK(ours <= 1.01 * brute_force(x, spec, lutra::full_range(h, spec)));
    }
  }
}

TEST_CASE("mse: only the shares of the counts matter, however large they are") {
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    histogram h = binned(draw(distributions[2], 50'000, 32));
    const value_range once = lutra::mse_range{}(h, {.qscheme = scheme});
    for (int i = 0; i < 44; ++i) {
      const histogram same = h;
      h.merge(same);
    }
    CHECK(lutra::mse_range{}(h, {.qscheme = scheme}) == once);
  }
}

TEST_CASE("mse: no range beyond the largest float or scale is tried") {
  const float most = std::numeric_limits<float>::max();
  const std::vector<float> x = {-1e30F, most, 3.3e38F, 3.39e38F, most, -1e20F};
  for (const auto type : {dtype::int8, dtype::uint4, dtype::int2}) {
    const quantization_spec s{.dtype = type, .qscheme = qscheme::asymmetric};
    const value_range r = lutra::mse_range{}(binned(x), s);
    CHECK(r.lo <= 0.0F);
    CHECK(r.hi <= most);
    CHECK(lutra::range_rule(s)(r.lo, r.hi).scale > 0.0F);
  }
  std::vector<float> y = draw(distributions[0], 500, 4);
  for (float& v : y) v = std::min(std::max(v, -1.0F), 1.0F) * 8.3e6F;
  const quantization_spec s{.qscheme = qscheme::asymmetric,
                            .scale_rules = {.scale_type = dtype::float16}};
  CHECK(lutra::range_rule(s)(-8.3e6F, 8.3e6F).scale < 65504.0F);
  const value_range r = lutra::mse_range{}(binned(y), s);
  CHECK(lutra::range_rule(s)(r.lo, r.hi).scale < 65504.0F);
}

TEST_CASE("mse: constants, zeros, nothing, pinned ends") {
  CHECK(lutra::mse_range{}(histogram{}, {}) == value_range{0, 0});
  const std::vector<float> zeros(10, 0.0F);
  CHECK(lutra::mse_range{}(binned(zeros), {}) == value_range{0, 0});
  const std::vector<float> threes(10, 3.0F);
  const quantization_spec a{.qscheme = qscheme::asymmetric};
  CHECK(mean_squared_error(threes, a, lutra::mse_range{}(binned(threes), a)) <= 1e-10);
  const std::vector<float> x = draw(distributions[3], 1000, 1);
  const quantization_spec pinned{
      .dtype = dtype::int4, .qscheme = qscheme::asymmetric, .float_range = {.lo = -1.0F}};
  const value_range r = lutra::mse_range{}(binned(x), pinned);
  CHECK(r.lo == -1.0F);
  CHECK(r.hi <= std::max(binned(x).max(), 0.0F));
}

}  // namespace
