#include <lutra/affine/two_level.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <lutra/core/random.hpp>

#include "errors.hpp"

namespace {

using lutra::dtype;
using lutra::quantization_spec;

constexpr quantization_spec nvfp4{.dtype = dtype::float4_e2m1fn,
                                  .granularity = lutra::granularity::per_block(16, 1),
                                  .scale_dtype = dtype::float8_e4m3fn};

TEST_CASE("two_level: qparams hold the products of codes and tensor scale") {
  lutra::random_stream r(4);
  std::vector<float> lo;
  std::vector<float> hi;
  for (int i = 0; i < 100; ++i) {
    hi.push_back(static_cast<float>(r.uniform() * std::ldexp(1.0, -static_cast<int>(r.below(6)))));
    lo.push_back(-0.5F * hi.back());
  }
  const auto s = lutra::two_level_from_range(nvfp4, lo, hi);
  const float largest = *std::ranges::max_element(hi);
  CHECK(s.tensor_scale == largest / (6.0F * 448.0F));
  CHECK(s.params == lutra::qparams_from_range(nvfp4, lo, hi));
  for (std::size_t i = 0; i < 100; ++i) {
    const float scale = static_cast<float>(s.unit_scale[i]) * s.tensor_scale;
    CHECK(s.params.scale[i] == scale);
    CHECK(scale ==
          doctest::Approx(static_cast<double>(hi[i]) / 6.0).epsilon(0.0626));  // e4m3: half of 1/8
  }
  CHECK(static_cast<float>(
            s.unit_scale[static_cast<std::size_t>(std::ranges::max_element(hi) - hi.begin())]) ==
        448.0F);
  lutra::check(s.params, "test");
}

TEST_CASE("two_level: zero units and tensors, ranges of one sign, other specs") {
  const std::vector<float> zero = {0.0F, -0.0F};
  const auto nothing = lutra::two_level_from_range(nvfp4, zero, zero);
  lutra::check(nothing.params, "test");
  CHECK(nothing.unit_scale[1].bits == 1);
  const std::vector<float> lo = {-6.0F, 0.0F};
  const std::vector<float> hi = {-3.0F, 0.0F};
  const auto s = lutra::two_level_from_range(nvfp4, lo, hi);
  CHECK(s.params.scale[0] == doctest::Approx(1.0).epsilon(1e-6));
  CHECK(s.unit_scale[1].bits == 1);
  CHECK_ERROR(lutra::two_level_from_range({}, zero, zero), invalid_argument, "scale_dtype",
              "float32");
  CHECK_ERROR(lutra::check({.scale_dtype = dtype::float8_e4m3fn}, "test"), invalid_argument,
              "scale_dtype", "absent");
  CHECK_ERROR(
      lutra::check({.dtype = dtype::float8_e5m2, .scale_dtype = dtype::float8_e4m3fn}, "test"),
      invalid_argument, "scale_dtype", "float8_e4m3fn");
}

}  // namespace
