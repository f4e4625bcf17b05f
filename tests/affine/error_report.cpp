#include <lutra/affine/error_report.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "errors.hpp"
#include "levels.hpp"

namespace {

using lutra::dtype;
using lutra::granularity;
using lutra::qformulation;
using lutra::qparams;
using lutra::qscheme;
using lutra::quantization_error;
using lutra::quantization_spec;
using float_view = lutra::tensor_view<const float>;

TEST_CASE("error_report: every figure on four elements, by hand") {
  qparams p;
  p.scale = {1.0F};
  p.zero_point = {0};
  const std::vector<float> x = {0.25F, -3.0F, 200.0F, std::numeric_limits<float>::quiet_NaN()};
  const quantization_error e = lutra::error_of(float_view(x.data(), {4}), p);
  CHECK(e.elements == 3);
  CHECK(e.nonfinite == 1);
  CHECK(e.mse == (0.0625 + 0.0 + 73.0 * 73.0) / 3.0);
  CHECK(e.max_error == 73.0);
  CHECK(e.signal == (0.0625 + 9.0 + 40'000.0) / 3.0);
  CHECK(e.saturation_rate == 1.0 / 3.0);
  CHECK(e.bits_per_element == (4 * 8 + 32 + 8) / 4.0);
  CHECK(e.sqnr_db() == doctest::Approx(10.0 * std::log10(e.signal / e.mse)).epsilon(1e-12));
  CHECK(e.effective_bits() == doctest::Approx((e.sqnr_db() - 1.76) / 6.02).epsilon(1e-12));
}

TEST_CASE("error_report: per channel and block against single elements, the same at every level") {
  lutra::random_stream r(1);
  std::vector<float> x(12 * 40);
  for (float& v : x) v = static_cast<float>(r.normal());
  const lutra::shape extents{12, 40};
  for (const auto d : {lutra::dtype::int4, lutra::dtype::float4_e2m1fn}) {
    for (const granularity& g : {granularity::per_tensor(), granularity::per_channel(0),
                                 granularity::per_channel(1), granularity::per_block(8, 1)}) {
      const auto units = lutra::grid_of(g, extents, "test");
      std::vector<float> lo;
      std::vector<float> hi;
      for (lutra::index_t u = 0; u < units.count(); ++u) {
        lo.push_back(-1.0F - 0.01F * static_cast<float>(u));
        hi.push_back(2.0F);
      }
      const qparams p = lutra::qparams_from_range({.dtype = d, .granularity = g}, lo, hi);
      double sum = 0;
      double largest = 0;
      double saturated = 0;
      units.for_each_run([&](lutra::index_t first, lutra::index_t n, lutra::index_t at) {
        const auto u = lutra::unit_of(p, at);
        for (lutra::index_t i = first; i < first + n; ++i) {
          const float v = x[static_cast<std::size_t>(i)];
          const double error =
              static_cast<double>(lutra::fake_quantize_one(v, u)) - static_cast<double>(v);
          sum += error * error;
          largest = std::max(largest, std::abs(error));
          const float t = lutra::unclamped_one(v, u, lutra::quotient::exact);
          if (t < u.quant_min || t > u.quant_max) saturated += 1;
        }
      });
      const quantization_error e = lutra::error_of(float_view(x.data(), extents), p);
      CHECK(e.mse == doctest::Approx(sum / 480.0).epsilon(1e-12));
      CHECK(e.max_error == largest);
      CHECK(e.saturation_rate == saturated / 480.0);
      for_each_level([&](auto level) {
        const quantization_error same =
            lutra::error_of<decltype(level)>(float_view(x.data(), extents), p);
        CHECK(same.mse == e.mse);
        CHECK(same.signal == e.signal);
      });
    }
  }
}

TEST_CASE("error_report: stored bits follow the type of scales and offsets") {
  const std::vector<float> lo(4, -1.0F);
  const std::vector<float> hi{1.0F, 2.0F, 3.0F, 4.0F};
  const auto bits = [&](quantization_spec spec) {
    spec.granularity = granularity::per_block(32, 0);
    return stored_bits(qparams_from_range(spec, lo, hi), 128, scale_bits_of(spec)) / 128;
  };
  CHECK(bits({.dtype = dtype::float4_e2m1fn}) == 4.25);  // e8m0
  CHECK(bits({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float8_e4m3fn}) == 4.25);
  CHECK(bits({.dtype = dtype::float8_e4m3fn}) == 9.0);
  CHECK(bits({.dtype = dtype::int4, .scale_rules = {.scale_type = dtype::float16}}) ==
        4.5 + 4.0 / 128);
  CHECK(bits({.dtype = dtype::int4, .qscheme = qscheme::asymmetric}) == 4 + 1 + 4.0 / 32);
  CHECK(bits({.dtype = dtype::int4,
              .qscheme = qscheme::asymmetric,
              .qformulation = qformulation::minval}) == 6.0);
}

TEST_CASE("error_report: no error, no signal, no elements, no fit") {
  qparams p;
  p.scale = {0.5F};
  p.zero_point = {0};
  const std::vector<float> exact = {0.5F, -1.0F};
  CHECK(lutra::error_of(float_view(exact.data(), {2}), p).sqnr_db() ==
        std::numeric_limits<double>::infinity());
  const std::vector<float> zeros(3);
  CHECK(lutra::error_of(float_view(zeros.data(), {3}), p).sqnr_db() == 0.0);
  CHECK(lutra::error_of(float_view(nullptr, {0}), p).elements == 0);
  const lutra::quantization_error lost{.mse = std::numeric_limits<double>::infinity(), .signal = 1};
  CHECK(lost.sqnr_db() == -std::numeric_limits<double>::infinity());
  CHECK(lost.effective_bits() == -std::numeric_limits<double>::infinity());
  p.scale = {0.5F, 0.5F};
  p.zero_point = {0, 0};
  p.granularity = granularity::per_channel(0);
  CHECK_ERROR(lutra::error_of(float_view(zeros.data(), {3}), p), shape_mismatch, "2 scales", "3");
}

}  // namespace
