// lutra: rounding.hpp - round half to even, the only rounding of the library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>

namespace lutra::inline LUTRA_ABI {

// The integral float nearest to x, ties to even; the sign of zero, NaN and infinities are kept.
// Adding 2^23 pushes the fraction out of the significand, so no libm call and no SSE4.1 is needed. (No
// product here, hence nothing to contract.)
constexpr float round_half_even(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float a = std::bit_cast<float>(bits & 0x7FFFFFFFU);
  if (!(a < 0x1p23F)) return x;
  const float r = (a + 0x1p23F) - 0x1p23F;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(r) | (bits & 0x80000000U));
}

}  // namespace lutra::inline LUTRA_ABI
