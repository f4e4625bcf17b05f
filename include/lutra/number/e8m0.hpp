// lutra: e8m0.hpp - float8_e8m0fnu: a power of two in one byte, for scales.
// SPDX-License-Identifier: Apache-2.0
//
// Value 2^(bits - 127); 255 is NaN. There is no zero, no sign, no infinity. To float: exact (2^-127 is
// a subnormal float). From float: the nearest power of two, 1.5 * 2^e going to the even exponent code;
// 0 becomes 2^-127, values above 1.5 * 2^127 saturate, negative and non-finite values become NaN.
// Value type.
#pragma once

#include <bit>
#include <cstdint>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

struct float8_e8m0fnu {
  std::uint8_t bits = 0;

  constexpr float8_e8m0fnu() = default;
  constexpr explicit float8_e8m0fnu(float x) noexcept
      : bits(encode(std::bit_cast<std::uint32_t>(x))) {}
  static constexpr float8_e8m0fnu from_bits(std::uint8_t bits) noexcept {
    float8_e8m0fnu f;
    f.bits = bits;
    return f;
  }
  constexpr explicit operator float() const noexcept {
    if (bits == 255) return std::bit_cast<float>(0x7FC00000U);
    return std::bit_cast<float>(bits == 0 ? 0x00400000U : static_cast<std::uint32_t>(bits) << 23);
  }

 private:
  static constexpr std::uint8_t encode(std::uint32_t f) noexcept {
    if (f == 0x80000000U) return 0;  // -0
    if (f >= 0x7F800000U) return 255;
    const std::uint32_t exponent = f >> 23;
    const std::uint32_t fraction = f & 0x7FFFFFU;
    if (exponent == 0)
      return fraction > 0x600000U ? 1 : 0;  // units of 2^-127: 0.75 * 2^-126 is the tie
    const bool up = fraction > 0x400000U || (fraction == 0x400000U && (exponent & 1U) != 0);
    const std::uint32_t code = exponent + (up ? 1U : 0U);
    return static_cast<std::uint8_t>(code > 254U ? 254U : code);
  }
};

}  // namespace lutra::inline LUTRA_ABI
