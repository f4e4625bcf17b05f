// lutra: scale_rules.hpp - what spec.scale_rules means: scales by other rules than the reference's.
// SPDX-License-Identifier: Apache-2.0
//
// e8m0 scales of a unit with largest magnitude M = m * 2^k, 1 <= m < 2, for a format with largest value
// f * 2^emax, 1 <= f < 2, and b stored significand bits:
//   floor  2^(k - emax)                          the reference; up to 25 % of the largest values are cut (e2m1)
//   ceil   2^(k - emax), one more unless m = 1
//   even   2^(k - emax), one more if m rounds to 2 in b bits (m >= 2 - 2^-(b+1))
//   up     2^(k - emax), one more if m > f       the least power of two that cuts nothing
// Exponent bits only, no logarithm; never below 2^-126.
#pragma once

#include <algorithm>
#include <bit>
#include <lutra/affine/spec.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>

namespace lutra::inline LUTRA_ABI {

// What a format and a rule come to. Adding `round_up` to the bits of a magnitude carries into its exponent just where
// the rule takes one more.
struct e8m0_exponents {
  int largest = 0;  // exponent of the format's largest power of two
  std::uint32_t round_up = 0;
};
inline e8m0_exponents e8m0_exponents_of(dtype d, e8m0_rule rule) {
  e8m0_exponents e;
  int stored = 0;  // significand bits
  if (d == dtype::float4_e2m1fn) {
    e.largest = 2, stored = 1;
  } else if (d == dtype::float8_e4m3fn) {
    e.largest = 8, stored = 3;
  } else if (d == dtype::float8_e5m2) {
    e.largest = 15, stored = 2;
  } else {
    raise(errc::invalid_argument, "dtype takes no e8m0 scale", "e8m0_scale",
          std::string(name_of(d)), "float8_e4m3fn, float8_e5m2, float4_e2m1fn");
  }
  switch (rule) {
    case e8m0_rule::floor:
      break;
    case e8m0_rule::ceil:
      e.round_up = 0x007FFFFFU;
      break;
    case e8m0_rule::even:
      e.round_up = std::uint32_t{1} << (22 - stored);
      break;
    case e8m0_rule::up:
      e.round_up = 0x007FFFFFU - (std::bit_cast<std::uint32_t>(info(d).quant_max) & 0x007FFFFFU);
      break;
  }
  return e;
}
// `max_abs` is finite. By `floor`, values just below 2^(k+1) may exceed the format's maximum after division
// and saturate. Subnormal magnitudes end at the smallest scale by any rule.
inline float e8m0_scale(const e8m0_exponents& e, float max_abs) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(max_abs) & 0x7FFFFFFFU;
  const int exponent = static_cast<int>((bits + e.round_up) >> 23) - e.largest;
  return std::bit_cast<float>(static_cast<std::uint32_t>(std::max(exponent, 1)) << 23);
}
inline float e8m0_scale(dtype d, float max_abs, e8m0_rule rule = e8m0_rule::floor) {
  return e8m0_scale(e8m0_exponents_of(d, rule), max_abs);
}

// A scale as a type stores it, never zero: at least the smallest float16, 2^-24, which is below the absolute floor of
// scales, and the smallest normal bfloat16.
inline float stored_scale(float x, dtype type) noexcept {
  if (type == dtype::float16) return std::max(static_cast<float>(half(x)), 0x1p-24F);
  if (type == dtype::bfloat16) return std::max(static_cast<float>(bfloat16(x)), 0x1p-126F);
  return x;
}

}  // namespace lutra::inline LUTRA_ABI
