// lutra: bin_lattice.hpp - where the bins of a histogram lie: on absolute multiples of a power of two.
// SPDX-License-Identifier: Apache-2.0
//
// Both exponent and first bin follow from the smallest and the largest element alone. One register at a time:
// simd/lattice.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Where bin 0 lies: [first * 2^exponent, (first + 1) * 2^exponent).
struct bin_lattice {
  int exponent = 0;
  std::int64_t first = 0;
  friend bool operator==(const bin_lattice&, const bin_lattice&) = default;
};

inline double power_of_two(int exponent) noexcept {  // in [-1022, 1023]
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}
// By its bits: what comparisons and sums say depends on the modes of the thread.
inline float without_subnormals(float x) noexcept {
  return (std::bit_cast<std::uint32_t>(x) & 0x7F800000U) == 0 ? 0.0F : x;
}
// x is not subnormal.
inline std::int64_t lattice_index(float x, int exponent) noexcept {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(x) * power_of_two(-exponent)));
}

// min <= max, finite.
inline bin_lattice lattice_of(float min, float max, index_t bins) noexcept {
  const float largest = std::max(-min, max);
  const auto biased = static_cast<int>((std::bit_cast<std::uint32_t>(largest) >> 23) & 0xFFU);
  int e = std::max(biased - 127 - 23, -126);
  while (lattice_index(max, e) - lattice_index(min, e) >= bins) ++e;
  return {e, lattice_index(min, e)};
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
