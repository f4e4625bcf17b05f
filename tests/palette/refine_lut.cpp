#include <lutra/core/random.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/refine_lut.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "cluster/samples.hpp"
#include "errors.hpp"
#include "levels.hpp"

namespace {

using lutra::dtype;
using lutra::index_t;
using lutra::qscheme;
using lutra::quantization_spec;

const std::vector<quantization_spec>& specs() {
  static const std::vector<quantization_spec> all = {
      {},
      lutra::int8_symmetric_with_clipping,
      {.qscheme = qscheme::asymmetric},
      {.dtype = dtype::uint8},
      {.dtype = dtype::uint8, .qscheme = qscheme::asymmetric},
      {.dtype = dtype::float8_e4m3fn},
      {.dtype = dtype::float8_e5m2},
      {.dtype = dtype::float8_e4m3fn, .scale_dtype = dtype::float8_e8m0fnu}};
  return all;
}

double error_of(const std::vector<float>& x, std::vector<float> table) {
  std::sort(table.begin(), table.end());
  double sum = 0;
  for (const float v : x) {
    double least = std::numeric_limits<double>::infinity();
    for (const float t : table) {
      least = std::min(least, std::fabs(static_cast<double>(v) - static_cast<double>(t)));
    }
    sum += least * least;
  }
  return sum;
}
std::vector<float> values_of(const lutra::quantized_lut& q) {
  std::vector<float> values;
  for (const std::uint8_t c : q.codes) values.push_back(lutra::lut_value(q.scale, c));
  return values;
}

struct refined {
  lutra::quantized_lut rounded, best;
};
refined refine(const std::vector<float>& x, int entries, const quantization_spec& spec) {
  const lutra::exact_1d_result fit = lutra::exact_1d(x, {}, entries);
  const std::vector<float> table(fit.centroids.begin(), fit.centroids.end());
  const auto atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
  const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
  refined r{lutra::quantize_lut(table, spec), {}};
  r.best = lutra::lut_refiner(l, table, static_cast<std::size_t>(entries), spec)(r.rounded);
  return r;
}

TEST_CASE("refine_lut: never worse than rounding the table, for every type and distribution") {
  for (const auto& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, 1500);
    for (const auto& spec : specs()) {
      for (const int entries : {4, 16}) {
        CAPTURE(name);
        CAPTURE(name_of(spec.dtype));
        const refined r = refine(x, entries, spec);
        const std::vector<float> best = values_of(r.best);
        CHECK(error_of(x, best) <= error_of(x, values_of(r.rounded)) * (1 + 1e-9));
        CHECK(best.size() <= static_cast<std::size_t>(entries));
        CHECK(std::is_sorted(best.begin(), best.end(), std::less_equal<>()));  // distinct
        CHECK(std::isnormal(r.best.scale.scale));
        if (!r.rounded.scale.zero_point) CHECK(std::abs(r.best.scale.zero_point) <= 255);
      }
    }
  }
}

TEST_CASE("refine_lut: as good as a dense scan of scales with the exact choice at each") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const std::vector<float> x = samples::draw(seed % 2 == 0 ? "student3" : "normal", 400, seed);
    const auto atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
    const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
    lutra::restricted_solver solver(l);
    const double widest = std::max(-atoms.value.front(), atoms.value.back()) / 127;
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 1200; ++i) {
      const double scale = widest * (1.1 - i * (0.8 / 1200));
      solver.set_uniform(-127 * scale, scale, 255);
      best = std::min(best, solver.solve(8).cost);
    }
    const refined r = refine(x, 8, lutra::int8_symmetric_with_clipping);
    CHECK(error_of(x, values_of(r.best)) <= best * 1.0005);
  }
}

TEST_CASE("refine_lut: multiplying by a power of two changes the scale only") {
  std::vector<float> x = samples::draw("student3", 600);
  for (const auto& spec : specs()) {
    const refined a = refine(x, 16, spec);
    std::vector<float> y = x;
    for (float& v : y) v = std::ldexp(v, 7);
    const refined b = refine(y, 16, spec);
    CHECK(a.best.codes == b.best.codes);
    CHECK(std::ldexp(a.best.scale.scale, 7) == b.best.scale.scale);
    CHECK(a.best.scale.zero_point == b.best.scale.zero_point);
  }
}

TEST_CASE("refine_lut: a fixed range keeps its scale, power-of-two scales stay powers of two") {
  const std::vector<float> x = samples::draw("normal", 500);
  const quantization_spec fixed{.qscheme = qscheme::asymmetric, .float_range = {-0.05F, 0.1F}};
  const refined f = refine(x, 16, fixed);
  CHECK(f.best.scale.scale == f.rounded.scale.scale);
  CHECK(f.best.scale.zero_point == f.rounded.scale.zero_point);
  CHECK(error_of(x, values_of(f.best)) < error_of(x, values_of(f.rounded)));
  int exponent = 0;
  CHECK(std::frexp(refine(x, 16, specs().back()).best.scale.scale, &exponent) == 0.5F);
}

// The figures of the specification's headroom probes; N(0, 0.02), 256 x 256.
std::vector<float> probe(bool outliers) {
  std::vector<float> x = samples::draw("normal", 65536);
  for (std::size_t i = 0; outliers && i < 8; ++i) x[i * 8000 + 17] = 3.0F;
  return x;
}
double mse(const std::vector<float>& x, int bits, const quantization_spec& spec, bool refine_lut) {
  const auto p = lutra::palettize(lutra::tensor_view<const float>(x.data(), {256, 256}),
                                  {.n_bits = bits, .lut_qspec = spec, .refine_lut = refine_lut});
  const auto dense = lutra::restore(lutra::pack(p));
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(dense.elements()[i]);
    sum += d * d;
  }
  CHECK(p.error[0] == doctest::Approx(sum).epsilon(1e-9));
  return sum / 65536;
}

TEST_CASE("refine_lut: eight bits and an int8 table") {
  const std::vector<float> x = probe(false);
  CHECK(mse(x, 8, {}, true) <= 3.8e-8);
  CHECK(mse(x, 8, {}, false) > 5e-8);
  CHECK(mse(x, 4, {}, true) <= mse(x, 4, {}, false));
}

TEST_CASE("refine_lut: eight large values") {
  const std::vector<float> x = probe(true);
  CHECK(mse(x, 4, {}, true) <= 4.5e-5);
  CHECK(mse(x, 4, {.qscheme = qscheme::asymmetric}, true) <= 1.21e-5);  // dense scan: 1.203e-5
}

TEST_CASE("refine_lut: every kind of group keeps the promises") {
  const std::vector<float> x = samples::draw("laplace", 60 * 50);
  std::vector<float> importance(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    importance[i] = 1.0F + static_cast<float>(i % 7);
  }
  const lutra::tensor_view<const float> w(x.data(), {60, 50});
  const auto half = lutra::tensor<lutra::half>::copy_of(w);
  const auto wide = lutra::tensor<double>::copy_of(w);
  for (const bool scaled : {false, true}) {
    for (const bool weighted : {false, true}) {
      lutra::palettization_spec spec{.n_bits = 3,
                                     .lut_qspec = lutra::int8_symmetric_with_clipping,
                                     .granularity = lutra::granularity::per_grouped_channel(20, 0),
                                     .enable_per_channel_scale = scaled};
      lutra::palettize_options options;
      if (weighted) options.importance = {importance.data(), {60, 50}};
      const auto plain = lutra::palettize(w, spec, options);
      spec.refine_lut = true;
      const auto check = [&](const lutra::palette<float>& p) {
        for (std::size_t g = 0; g < 3; ++g) {
          CHECK(p.error[g] <= plain.error[g] * (1 + 1e-6));
          CHECK(p.inertia[g] <= p.error[g]);
          CHECK(p.inertia[g] == doctest::Approx(plain.inertia[g]).epsilon(1e-2));
          CHECK(std::is_sorted(p.lut.begin() + static_cast<std::ptrdiff_t>(8 * g),
                               p.lut.begin() + static_cast<std::ptrdiff_t>(8 * g + 8)));
        }
        CHECK(lutra::unpack(lutra::pack(p)).lut == p.lut);
      };
      check(lutra::palettize(w, spec, options));
      check(lutra::palettize(wide, spec, options));
      const auto of_half = lutra::palettize(half, spec, options);
      CHECK(of_half.error[0] <= plain.error[0] * 1.01);
    }
  }
}

TEST_CASE("refine_lut: large groups, and values a line cannot hold exactly") {
  for (const char* name : {"normal", "outlier 1e3", "two values", "constant"}) {
    const std::vector<float> x = samples::draw(name, 140000);
    const lutra::tensor_view<const float> w(x.data(), {140000});
    const auto rounded = lutra::palettize(w, {.lut_qspec = lutra::int8_symmetric});
    const auto best = lutra::palettize(w, {.lut_qspec = lutra::int8_symmetric, .refine_lut = true});
    CHECK(best.error[0] <= rounded.error[0]);
    const auto of_half = lutra::palettize(lutra::tensor<lutra::half>::copy_of(w),
                                          {.lut_qspec = lutra::int8_symmetric, .refine_lut = true});
    CHECK(of_half.error[0] <= rounded.error[0] * 1.01 + 1e-6 * static_cast<double>(x.size()));
  }
}

TEST_CASE("refine_lut: nothing to refine in zeros; reference_fast is refined, too") {
  const lutra::palettization_spec spec{
      .n_bits = 2, .lut_qspec = lutra::int8_symmetric, .refine_lut = true};
  const auto zero = lutra::palettize(lutra::tensor<float>({5}), spec);
  CHECK(zero.lut == std::vector<float>(4, 0.0F));
  CHECK(zero.error[0] == 0.0);
  const std::vector<float> x = samples::draw("normal", 500);
  const lutra::tensor_view<const float> w(x.data(), {500});
  const auto fast = lutra::palettize(w, {.lut_qspec = lutra::int8_symmetric, .refine_lut = true},
                                     {.mode = lutra::palettize_mode::reference_fast});
  CHECK(fast.error[0] <= lutra::palettize(w, {.lut_qspec = lutra::int8_symmetric},
                                          {.mode = lutra::palettize_mode::reference_fast})
                             .error[0]);
}

TEST_CASE("refine_lut: needs a quantized table") {
  CHECK_ERROR(lutra::palettize(lutra::tensor<float>({5}), {.refine_lut = true}), invalid_argument,
              "refine_lut", "lut_qspec");
}

TEST_CASE("refine_lut: the same bits at every level") {
  const std::vector<float> x = samples::draw("student3", 900);
  const lutra::tensor_view<const float> w(x.data(), {3, 300});
  const lutra::palettization_spec spec{.lut_qspec = {.qscheme = qscheme::asymmetric},
                                       .granularity = lutra::granularity::per_grouped_channel(1, 0),
                                       .refine_lut = true};
  const auto want = lutra::palettize<lutra::tensor_view<const float>, lutra::serial_executor,
                                     lutra::simd::portable>(w, spec, {}, lutra::serial_executor{});
  for_each_level([&](auto level) {
    const auto got =
        lutra::palettize<lutra::tensor_view<const float>, lutra::serial_executor, decltype(level)>(
            w, spec, {}, lutra::serial_executor{});
    CHECK(got.lut_codes == want.lut_codes);
    CHECK(got.scale == want.scale);
    CHECK(got.codes == want.codes);
    CHECK(got.error == want.error);
  });
}

}  // namespace
