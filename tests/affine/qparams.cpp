#include <lutra/affine/qparams.hpp>

#include "../errors.hpp"

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>

using namespace lutra;

namespace {

qparams of(const quantization_spec& s, float lo, float hi) {
  return qparams_from_range(s, {&lo, 1}, {&hi, 1});
}
const std::vector<dtype> integers = {dtype::int1,  dtype::int2,  dtype::int3,  dtype::int4,
                                     dtype::int5,  dtype::int6,  dtype::int7,  dtype::int8,
                                     dtype::uint1, dtype::uint2, dtype::uint3, dtype::uint4,
                                     dtype::uint5, dtype::uint6, dtype::uint7, dtype::uint8};
const std::vector<qscheme> schemes = {qscheme::symmetric, qscheme::symmetric_with_clipping,
                                      qscheme::asymmetric};

// The formulas of the specification in double, then one rounding: quotients and differences of floats are
// exact enough in double for that to be the float result.
double scale_in_double(const quantization_spec& s, double lo, double hi) {
  const quant_bounds b = bounds_of(s);
  const double n = std::min(lo, 0.0);
  const double p = std::max(hi, 0.0);
  const auto width = static_cast<double>(b.max - b.min);
  const double scale = s.qscheme == qscheme::asymmetric
                           ? static_cast<double>(static_cast<float>(p - n)) / width
                           : std::max(-n, p) / (width / 2);
  return std::max(scale, 0x1p-23);
}

}  // namespace

TEST_CASE("qparams: scale, zero point and minval agree with the formulas in double") {
  random_stream random(21);
  for (int i = 0; i < 4000; ++i) {
    const double size = std::ldexp(1.0, static_cast<int>(random.below(60)) - 40);
    float lo = static_cast<float>((random.uniform() * 2 - 1) * size);
    float hi = static_cast<float>((random.uniform() * 2 - 1) * size);
    if (i % 5 == 0) lo = -hi;
    if (lo > hi) std::swap(lo, hi);
    for (const dtype d : integers) {
      for (const qscheme scheme : schemes) {
        const quantization_spec s{.dtype = d, .qscheme = scheme};
        const qparams p = of(s, lo, hi);
        const auto expected = static_cast<float>(
            scale_in_double(s, static_cast<double>(lo), static_cast<double>(hi)));
        const quant_bounds b = bounds_of(s);
        REQUIRE(p.scale[0] == expected);
        REQUIRE((p.quant_min == b.min && p.quant_max == b.max));
        if (scheme == qscheme::asymmetric) {
          const float n = std::min(lo, 0.0F);
          const float zero = b.min - std::nearbyint(n / expected);
          REQUIRE(static_cast<float>(p.zero_point[0]) == std::clamp(zero, b.min, b.max));
          REQUIRE(p.minval[0] == n);
        } else {
          const int unsigned_zero = 1 << (bits_of(d) - 1);
          REQUIRE(p.zero_point[0] == (info(d).is_signed ? 0 : unsigned_zero));
          REQUIRE(p.minval[0] == -std::max(std::fabs(lo), std::fabs(hi)));
        }
      }
    }
  }
}

TEST_CASE("qparams: both formulations share everything but the choice") {
  quantization_spec s{.qscheme = qscheme::asymmetric};
  const qparams zp = of(s, -1, 7);
  s.qformulation = qformulation::minval;
  qparams minval = of(s, -1, 7);
  CHECK(minval.qformulation == qformulation::minval);
  minval.qformulation = qformulation::zp;
  CHECK(minval == zp);
}

TEST_CASE("qparams: zero range and one-sided ranges") {
  for (const dtype d : integers) {
    for (const qscheme scheme : schemes) {
      const qparams p = of({.dtype = d, .qscheme = scheme}, 0, 0);
      CHECK(p.scale[0] == 0x1p-23F);
      CHECK(p.minval[0] == 0.0F);
      if (scheme == qscheme::asymmetric) CHECK(static_cast<float>(p.zero_point[0]) == p.quant_min);
    }
  }
  const quantization_spec s{.qscheme = qscheme::asymmetric};
  CHECK(of(s, 10, 20).scale[0] == 20.0F / 255.0F);
  CHECK(of(s, 10, 20).zero_point[0] == -128);
  CHECK(of(s, -20, -10).zero_point[0] == 127);
  CHECK(of(s, 10, 20).minval[0] == 0.0F);
}

TEST_CASE("qparams: float dtypes have a scale and nothing else") {
  const qparams e4m3 = of({.dtype = dtype::float8_e4m3fn}, -3, 2);
  CHECK(e4m3.scale[0] == 3.0F / 448.0F);
  CHECK(e4m3.zero_point.empty());
  CHECK(e4m3.minval.empty());
  CHECK(of({.dtype = dtype::float8_e5m2}, -3, 3).scale[0] == 3.0F / 57344.0F);
  CHECK(of({.dtype = dtype::float8_e5m2}, 0, 0).scale[0] == 0x1p-23F);
  CHECK(of({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float32}, -3, 3).scale[0] == 0.5F);
}

TEST_CASE("qparams: e8m0 scales are floor powers of two at every exponent") {
  struct format {
    dtype type;
    int largest;
  };
  for (const format f : {format{dtype::float4_e2m1fn, 2}, format{dtype::float8_e4m3fn, 8},
                         format{dtype::float8_e5m2, 15}}) {
    for (int e = -126; e <= 127; ++e) {
      const double expected = std::ldexp(1.0, std::max(e - f.largest, -126));
      for (const float m : {0x1p0F, 0x1.000002p0F, 0x1.8p0F, 0x1.fffffep0F}) {
        const float x = std::ldexp(m, e);
        CHECK(static_cast<double>(e8m0_scale(f.type, x)) == expected);
      }
    }
    CHECK(e8m0_scale(f.type, 0.0F) == 0x1p-126F);
    CHECK(e8m0_scale(f.type, 1e-40F) == 0x1p-126F);
    CHECK(of({.dtype = f.type, .scale_dtype = dtype::float8_e8m0fnu}, -5, 3).scale[0] ==
          static_cast<float>(std::ldexp(1.0, 2 - f.largest)));
  }
  CHECK(of({.dtype = dtype::float4_e2m1fn}, -5, 3).scale[0] == 1.0F);  // e8m0 unless told otherwise
  CHECK_ERROR(e8m0_scale(dtype::int8, 1.0F), invalid_argument, "e8m0", "int8");
}

TEST_CASE("qparams: arithmetic in half precision reproduces the reference's coarse scales") {
  const float lo = -3, hi = 3;
  const auto in = [&](dtype d, qscheme scheme) {
    return qparams_from_range({.qscheme = scheme}, {&lo, 1}, {&hi, 1}, {.arithmetic = d});
  };
  CHECK(std::bit_cast<std::uint32_t>(in(dtype::bfloat16, qscheme::symmetric).scale[0]) ==
        0x3CC10000U);
  const float f16 = in(dtype::float16, qscheme::symmetric).scale[0];
  CHECK(f16 == static_cast<float>(half(3.0F / 127.5F)));
  CHECK(f16 != 3.0F / 127.5F);
  const qparams asymmetric = in(dtype::bfloat16, qscheme::asymmetric);
  CHECK(asymmetric.scale[0] == static_cast<float>(bfloat16(6.0F / 255.0F)));
  // -3 / 0.02356 is -127.34, in bfloat16 -127.5, which rounds to -128.
  CHECK(asymmetric.zero_point[0] == 0);
}

TEST_CASE("qparams: bad ranges and specs are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const float most = std::numeric_limits<float>::max();
  CHECK_ERROR(of({}, nan, 1), non_finite, "range is not finite", "nan");
  CHECK_ERROR(of({}, 0, inf), non_finite, "range is not finite", "inf");
  CHECK_ERROR(of({}, 2, 1), invalid_argument, "reversed", "2..1");
  CHECK_ERROR(of({.qscheme = qscheme::asymmetric}, -most, most), non_finite, "too wide");
  CHECK_ERROR(of({.dtype = dtype::float8_e4m3fn, .qscheme = qscheme::asymmetric}, 0, 1),
              invalid_argument, "symmetric scheme", "asymmetric");
  // -128 * scale is beyond the largest float, and with a minval the distance of the ends.
  CHECK_ERROR(of({}, -most, 0), non_finite, "outermost levels");
  CHECK_ERROR(of({.qformulation = qformulation::minval}, 0, most), non_finite, "outermost levels");
  CHECK(of({.qscheme = qscheme::symmetric_with_clipping}, -most / 2, most / 2).scale[0] > 0.0F);
  CHECK(of({.qscheme = qscheme::asymmetric}, 0, most).scale[0] > 0.0F);
  const std::vector<float> two = {1, 2};
  CHECK_ERROR(qparams_from_range({}, two, {two.data(), 1}), shape_mismatch, "length", "1");
}

TEST_CASE("qparams: check names the field that is wrong") {
  const qparams good = of({}, -1, 1);
  check(good, "test");
  qparams p = good;
  p.scale[0] = 0;
  CHECK_ERROR(check(p, "test"), invalid_argument, "scale", "0");
  p.scale[0] = std::numeric_limits<float>::infinity();
  CHECK_ERROR(check(p, "test"), invalid_argument, "scale", "inf");
  p = good;
  p.zero_point[0] = 128;
  CHECK_ERROR(check(p, "test"), invalid_argument, "zero_point", "128", "-128..127");
  p = good;
  p.zero_point.clear();
  CHECK_ERROR(check(p, "test"), shape_mismatch, "zero_point");
  p = good;
  p.quant_max = 255;
  CHECK_ERROR(check(p, "test"), invalid_argument, "quant_min..quant_max", "-128..255");
  p.quant_max = 126.5F;  // which no code is
  CHECK_ERROR(check(p, "test"), invalid_argument, "quant_min..quant_max", "-128..126.5", "whole");
  p = good;
  p.dtype = dtype::bfloat16;
  CHECK_ERROR(check(p, "test"), invalid_argument, "dtype", "bfloat16");
  p = good;
  p.qformulation = qformulation::minval;
  p.minval[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_ERROR(check(p, "test"), invalid_argument, "minval", "nan");
  p = of({.dtype = dtype::float8_e5m2}, -1, 1);
  p.qformulation = qformulation::minval;
  CHECK_ERROR(check(p, "test"), invalid_argument, "zero-point formulation");
  p.qformulation = qformulation::zp;
  check(p, "test");
  p.zero_point = {5};
  CHECK_ERROR(check(p, "test"), invalid_argument, "neither zero_point nor minval", "1 and 0");
  p.zero_point.clear();
  p.minval = {1.0F, 2.0F};
  CHECK_ERROR(check(p, "test"), invalid_argument, "neither zero_point nor minval", "0 and 2");
}

TEST_CASE("qparams: check tells whether all zero points are alike") {
  for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{700}}) {
    qparams p;
    p.scale.assign(n, 0.5F);
    p.zero_point.assign(n, -7);
    CHECK(check(p, "test").same_zero_points);
    for (const std::size_t i : {std::size_t{0}, n / 2, n - 1}) {
      p.zero_point[i] = 3;
      CHECK(check(p, "test").same_zero_points == (n == 1));
      p.zero_point[i] = 999;
      CHECK_ERROR(check(p, "test"), invalid_argument, "zero_point", "999");
      p.zero_point[i] = -7;
    }
    p.minval.assign(n, 1.0F);
    p.qformulation = qformulation::minval;
    CHECK_FALSE(check(p, "test").same_zero_points);
    p.zero_point.clear();
    p.minval.clear();
    p.qformulation = qformulation::zp;
    p.dtype = dtype::float4_e2m1fn;
    p.quant_min = -6;
    p.quant_max = 6;
    CHECK_FALSE(check(p, "test").same_zero_points);
  }
}
