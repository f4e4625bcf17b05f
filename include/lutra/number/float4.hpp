// lutra: float4.hpp - float4_e2m1fn: sixteen values, no infinity, no NaN.
// SPDX-License-Identifier: Apache-2.0
//
// Codes 0..7 are 0, 0.5, 1, 1.5, 2, 3, 4, 6; bit 3 is the sign. Kept one per byte, in the low nibble.
// From float: nearest, ties to even (0.25 -> 0, 2.5 -> 2, 5 -> 4), saturating, sign of zero kept; NaN
// becomes code 0. To float: exact. Value type.
#pragma once

#include <lutra/number/minifloat.hpp>

namespace lutra::inline LUTRA_ABI {

struct float4_e2m1fn {
  std::uint8_t bits = 0;  // in [0, 16)

  constexpr float4_e2m1fn() = default;
  constexpr explicit float4_e2m1fn(float x) noexcept
      : bits(encode(std::bit_cast<std::uint32_t>(x))) {}
  static constexpr float4_e2m1fn from_bits(std::uint8_t bits) noexcept {
    float4_e2m1fn f;
    f.bits = static_cast<std::uint8_t>(bits & 15U);
    return f;
  }
  constexpr explicit operator float() const noexcept {
    return std::bit_cast<float>((static_cast<std::uint32_t>(bits & 8U) << 28) |
                                minifloat<2, 1>::magnitude_bits(bits & 7U));
  }

 private:
  static constexpr std::uint8_t encode(std::uint32_t f) noexcept {
    const std::uint32_t magnitude = f & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U) return 0;
    std::uint32_t code = minifloat<2, 1>::round_magnitude(magnitude);
    if (code > 7U) code = 7U;
    return static_cast<std::uint8_t>(((f >> 28) & 8U) | code);
  }
};

}  // namespace lutra::inline LUTRA_ABI
