// lutra: log2.hpp - a binary logarithm with the same bits everywhere (libm's differ).
// SPDX-License-Identifier: Apache-2.0
//
// x = m * 2^k with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh z = 2 (z + z^3/3 + z^5/5 + ...) with
// z = (m - 1) / (m + 1), |z| < 0.172, eleven terms. Error below 4 * 2^-53 relative, or absolute near 1; exact
// for powers of two. Rounded double operations in a fixed order.
#pragma once

#include <bit>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// x is a positive normal number.
constexpr double log2_of(double x) noexcept {
  auto bits = std::bit_cast<std::uint64_t>(x);
  constexpr std::uint64_t fraction = 0xFFFFFFFFFFFFFU;
  int k = static_cast<int>(bits >> 52) - 1023;
  if ((bits & fraction) >= 0x6A09E667F3BCDU) ++k;  // m >= sqrt(2): halve it
  bits -= static_cast<std::uint64_t>(k) << 52;
  const double m = std::bit_cast<double>(bits);
  const double z = (m - 1.0) / (m + 1.0);
  const double square = z * z;
  double series = 0;
  for (int n = 21; n >= 3; n -= 2) series = (series + 1.0 / n) * square;
  constexpr double two_over_log_2 = 2.8853900817779268147;
  return static_cast<double>(k) + (z + z * series) * two_over_log_2;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
