#include <lutra/affine/qparams.hpp>
#include <lutra/affine/range_rule.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>

#include "../errors.hpp"

using namespace lutra;

namespace {

// Every exponent, denormals, values on and beside powers of two, zeros of both signs, and ordinary ones.
std::vector<float> magnitudes(random_stream& random) {
  std::vector<float> m = {0.0F, -0.0F, std::numeric_limits<float>::denorm_min(), 1e-40F};
  for (std::uint32_t e = 0; e < 255; ++e) {
    for (const std::uint32_t significand :
         {0U, 1U, 0x400000U, 0x400001U, 0x5FFFFFU, 0x600000U, 0x6FFFFFU, 0x700000U, 0x7FFFFFU,
          static_cast<std::uint32_t>(random.below(1U << 23))}) {
      m.push_back(std::bit_cast<float>(e << 23 | significand));
    }
  }
  for (int i = 0; i < 500; ++i) m.push_back(static_cast<float>(std::fabs(random.normal())));
  return m;
}

struct ranges {
  std::vector<float> lo, hi;
};
ranges all_ranges(float largest) {
  random_stream random(31);
  ranges r;
  for (const float m : magnitudes(random)) {
    if (m > largest) continue;
    const auto other = static_cast<float>(random.uniform()) * m;
    const float pairs[][2] = {{-m, m},     {-m, 0.0F}, {0.0F, m},    {-0.0F, m}, {-other, m},
                              {-m, other}, {other, m}, {-m, -other}, {m, m}};
    for (const auto& pair : pairs) {
      if (pair[0] > pair[1]) continue;
      r.lo.push_back(pair[0]);
      r.hi.push_back(pair[1]);
    }
  }
  return r;
}

std::vector<quantization_spec> all_specs() {
  std::vector<quantization_spec> specs;
  for (const dtype d : {dtype::int1, dtype::int2, dtype::int3, dtype::int4, dtype::int8,
                        dtype::uint1, dtype::uint4, dtype::uint8}) {
    for (const qscheme scheme :
         {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
      for (const qformulation form : {qformulation::zp, qformulation::minval}) {
        quantization_spec s{.dtype = d, .qscheme = scheme, .qformulation = form};
        specs.push_back(s);
        s.scale_rules.floor = scale_floor::relative;
        specs.push_back(s);
        s.scale_rules = {.scale_type = dtype::bfloat16};
        specs.push_back(s);
        if (scheme == qscheme::asymmetric || d == dtype::int1 || d == dtype::uint1) {
          continue;
        }
        s.scale_rules = {.no_clipping = true};
        specs.push_back(s);
      }
    }
  }
  for (const dtype d : {dtype::float8_e4m3fn, dtype::float8_e5m2, dtype::float4_e2m1fn}) {
    specs.push_back({.dtype = d});
    if (d == dtype::float4_e2m1fn) specs.back().scale_dtype = dtype::float32;
    for (const auto rule : {e8m0_rule::floor, e8m0_rule::ceil, e8m0_rule::even, e8m0_rule::up}) {
      specs.push_back(
          {.dtype = d, .scale_dtype = dtype::float8_e8m0fnu, .scale_rules = {.e8m0 = rule}});
    }
  }
  return specs;
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

// What is wrong with many units at once, against one after the other; empty if nothing is.
std::string difference(const quantization_spec& s, const ranges& r) {
  const qparams p = qparams_from_range(s, r.lo, r.hi);
  range_rule rule(s);
  rule.fit_tensor(r.lo, r.hi);
  const bool integer = is_integer(s.dtype);
  if (p.scale.size() != r.lo.size()) return "count";
  if (p.zero_point.size() != (integer ? r.lo.size() : 0)) return "count of zero points";
  if (p.minval.size() != p.zero_point.size()) return "count of minvals";
  for (std::size_t i = 0; i < r.lo.size(); ++i) {
    const unit_values u = rule(r.lo[i], r.hi[i]);
    const std::string at = range_text(r.lo[i], r.hi[i]);
    if (!same(p.scale[i], u.scale)) return "scale of " + at;
    if (!integer) continue;
    if (p.zero_point[i] != u.zero_point) return "zero point of " + at;
    if (!same(p.minval[i], u.minval)) return "minval of " + at;
  }
  return {};
}

TEST_CASE("range_rule: many units at once get the bits that each gets alone") {
  // Wide enough for everything but what overflows; of relative floors and all of e8m0 to the largest float.
  for (const quantization_spec& s : all_specs()) {
    CAPTURE(name_of(s.dtype));
    CAPTURE(name_of(s.qscheme));
    CHECK(difference(s, all_ranges(0x1p124F)) == "");
    CHECK(difference(s, {}) == "");
  }
  for (const dtype d : {dtype::float8_e4m3fn, dtype::float8_e5m2, dtype::float4_e2m1fn}) {
    CHECK(difference({.dtype = d, .scale_dtype = dtype::float8_e8m0fnu},
                     all_ranges(std::numeric_limits<float>::max())) == "");
  }
}

TEST_CASE("range_rule: fill takes what needs no rounding, and only where no unit is refused") {
  const auto filled = [](const quantization_spec& s, const ranges& r) {
    const std::size_t n = r.lo.size();
    std::vector<float> scale(n), minval(n);
    std::vector<std::int32_t> zero(n);
    return range_rule(s).fill(r.lo, r.hi, s.qformulation, scale.data(), zero.data(), minval.data());
  };
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const quantization_spec& s : all_specs()) {
    const bool plain = s.scale_rules.scale_type == dtype::float32;
    for (const std::size_t n : {std::size_t{1}, std::size_t{17}, std::size_t{1025}}) {
      const ranges good{std::vector<float>(n, -1.0F), std::vector<float>(n, 2.0F)};
      CHECK(filled(s, good) == plain);
      for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
        const float bad[][2] = {{nan, 1.0F},  {-1.0F, nan}, {-infinity, 1.0F},   {-1.0F, infinity},
                                {1.0F, 0.5F}, {nan, nan},   {infinity, infinity}};
        for (const auto& pair : bad) {
          ranges r = good;
          r.lo[at] = pair[0];
          r.hi[at] = pair[1];
          CHECK_FALSE(filled(s, r));
        }
      }
    }
  }
  // Two levels are rounded.
  CHECK_FALSE(filled({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float8_e4m3fn},
                     {{-1.0F}, {1.0F}}));
}

TEST_CASE("range_rule: ranges of safe magnitude have parameters") {
  random_stream random(77);
  std::vector<quantization_spec> specs = all_specs();
  for (const dtype d : {dtype::int1, dtype::uint1, dtype::int2, dtype::uint2}) {
    for (const qscheme scheme : {qscheme::symmetric, qscheme::asymmetric}) {
      for (const qformulation form : {qformulation::zp, qformulation::minval}) {
        for (const dtype type : {dtype::float32, dtype::float16, dtype::bfloat16}) {
          specs.push_back({.dtype = d,
                           .qscheme = scheme,
                           .qformulation = form,
                           .scale_rules = {.scale_type = type}});
        }
      }
    }
  }
  for (const quantization_spec& s : specs) {
    const float most = safe_magnitude(s);
    for (int i = 0; i < 300; ++i) {
      const auto end = [&] {
        const std::uint64_t kind = random.below(6);
        return kind == 0   ? 0.0F
               : kind <= 3 ? most
               : kind == 4 ? std::ldexp(most, -static_cast<int>(random.below(140)))
                           : most * static_cast<float>(random.uniform());
      };
      const float lo = -end(), hi = end(), low = -end(), high = end();
      const std::vector<float> los{lo, low}, his{hi, high};
      const qparams p = qparams_from_range(s, los, his);
      CHECK(p.scale.size() == 2);
    }
  }
  // Four times that is too much for some.
  CHECK_ERROR(qparams_from_range({.dtype = dtype::int1}, std::vector<float>{-0x1p127F},
                                 std::vector<float>{0.0F}),
              non_finite, "2^128");
}

TEST_CASE("range_rule: one bad range among many is named, the first of several") {
  const float largest = std::numeric_limits<float>::max();
  const auto derive = [](const quantization_spec& s, float lo, float hi, bool infinite_levels) {
    std::vector<float> los(100, -1.0F), his(100, 1.0F);
    los[70] = lo, his[70] = hi;
    los[90] = std::numeric_limits<float>::quiet_NaN();
    if (infinite_levels) los[90] = -1.0F;
    return qparams_from_range(s, los, his, {.infinite_levels = infinite_levels});
  };
  CHECK_ERROR(derive({}, 3.0F, 2.0F, false), invalid_argument, "reversed", "3", "2");
  CHECK_ERROR(derive({}, -1.0F, std::numeric_limits<float>::infinity(), false), non_finite,
              "not finite", "inf");
  CHECK_ERROR(derive({.qscheme = qscheme::asymmetric}, -largest, largest, false), non_finite,
              "too wide");
  CHECK_ERROR(derive({}, -largest, largest, false), non_finite, "outermost levels");
  CHECK_ERROR(derive({}, -1.0F, 1.0F, false), non_finite, "nan");
  CHECK(derive({}, -largest, largest, true).scale[70] == largest / 127.5F);
}

}  // namespace
