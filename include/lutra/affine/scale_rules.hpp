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

// By `floor`. Values just below 2^(k+1) may exceed the format's maximum after division and saturate.
inline float e8m0_scale(dtype d, float max_abs) {
  int largest = 0;  // exponent of the format's largest power of two
  if (d == dtype::float4_e2m1fn) {
    largest = 2;
  } else if (d == dtype::float8_e4m3fn) {
    largest = 8;
  } else if (d == dtype::float8_e5m2) {
    largest = 15;
  } else {
    raise(errc::invalid_argument, "dtype takes no e8m0 scale", "e8m0_scale",
          std::string(name_of(d)), "float8_e4m3fn, float8_e5m2, float4_e2m1fn");
  }
  const int exponent = static_cast<int>((std::bit_cast<std::uint32_t>(max_abs) >> 23) & 0xFFU);
  const int biased = std::max(exponent - largest, 1);  // never subnormal
  return std::bit_cast<float>(static_cast<std::uint32_t>(biased) << 23);
}

inline float e8m0_scale(dtype d, float max_abs, e8m0_rule rule) {
  const float by_floor = e8m0_scale(d, max_abs);
  const auto significand = std::bit_cast<std::uint32_t>(max_abs) & 0x007FFFFFU;
  const bool tiny = (std::bit_cast<std::uint32_t>(max_abs) & 0x7F800000U) == 0;
  const int stored = d == dtype::float4_e2m1fn ? 1 : d == dtype::float8_e4m3fn ? 3 : 2;
  bool more = false;
  switch (rule) {
    case e8m0_rule::floor:
      break;
    case e8m0_rule::ceil:
      more = significand != 0;
      break;
    case e8m0_rule::even:
      more = significand + (std::uint32_t{1} << (22 - stored)) >= 0x00800000U;
      break;
    case e8m0_rule::up:
      more = significand > (std::bit_cast<std::uint32_t>(info(d).quant_max) & 0x007FFFFFU);
      break;
  }
  // A floor at the smallest scale already covers what the rules ask for.
  const float largest = by_floor * info(d).quant_max;
  if (tiny || (by_floor == 0x1p-126F && max_abs <= largest)) return by_floor;
  return more ? by_floor * 2.0F : by_floor;
}

// A scale as a type stores it, at least the smallest normal number of that type.
inline float stored_scale(float x, dtype type) noexcept {
  if (type == dtype::float16) return std::max(static_cast<float>(half(x)), 0x1p-14F);
  if (type == dtype::bfloat16) return std::max(static_cast<float>(bfloat16(x)), 0x1p-126F);
  return x;
}

}  // namespace lutra::inline LUTRA_ABI
