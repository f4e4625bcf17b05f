// lutra: log2.hpp - a binary logarithm with the same bits everywhere (libm's differ).
// SPDX-License-Identifier: Apache-2.0
//
// x = m * 2^k with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh z = 2 (z + z^3/3 + z^5/5 + ...) with
// z = (m - 1) / (m + 1), |z| < 0.172, eleven terms. Error below 4 * 2^-53 relative, or absolute near 1; exact
// for powers of two. Rounded double operations in a fixed order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>
#include <utility>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// x is a positive normal number.
constexpr double log2_of(double x) noexcept {
  auto bits = std::bit_cast<std::uint64_t>(x);
  constexpr std::uint64_t fraction = 0xFFFFFFFFFFFFFU;
  std::int64_t k = static_cast<std::int64_t>(bits >> 52) - 1023;
  k += (bits & fraction) >= 0x6A09E667F3BCDU ? 1 : 0;  // m >= sqrt(2): halve it
  bits -= static_cast<std::uint64_t>(k) << 52;
  const double m = std::bit_cast<double>(bits);
  const double z = (m - 1.0) / (m + 1.0);
  const double square = z * z;
  double series =
      0;  // without a loop, so that compilers turn one over several logarithms into vector code
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((series = (series + 1.0 / (21 - 2 * I)) * square), ...);
  }
  (std::make_integer_sequence<int, 10>{});
  constexpr double two_over_log_2 = 2.8853900817779268147;
  return static_cast<double>(k) + (z + z * series) * two_over_log_2;
}

// The same of n numbers, several at once where the compiler can.
[[gnu::flatten]] inline void log2_of(const double* x, double* out, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = log2_of(x[i]);
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
