// lutra: float8.hpp - float8_e4m3fn and float8_e5m2.
// SPDX-License-Identifier: Apache-2.0
//
//   e4m3fn  bias 7, no infinity, NaN = S.1111.111, largest 448, smallest normal 2^-6, subnormal 2^-9
//   e5m2    bias 15, IEEE-like, largest finite 57344, smallest normal 2^-14, subnormal 2^-16
// From float: nearest, ties to even, saturating (infinities too: quantization clamps first); the sign
// of zero is kept; NaN becomes the NaN code 0x7F with its sign. To float: exact. Value types.
#pragma once

#include <lutra/number/minifloat.hpp>

namespace lutra::inline LUTRA_ABI {

// One byte; MaxCode is the code of the largest finite value.
template <int E, int M, std::uint32_t MaxCode> struct basic_float8 {
  std::uint8_t bits = 0;

  constexpr basic_float8() = default;
  constexpr explicit basic_float8(float x) noexcept
      : bits(encode(std::bit_cast<std::uint32_t>(x))) {}
  static constexpr basic_float8 from_bits(std::uint8_t bits) noexcept {
    basic_float8 f;
    f.bits = bits;
    return f;
  }
  constexpr explicit operator float() const noexcept {
    const std::uint32_t code = bits & 0x7FU;
    std::uint32_t magnitude = 0x7FC00000U;
    if (code <= MaxCode) {
      magnitude = minifloat<E, M>::magnitude_bits(code);
    } else if (E == 5 && code == MaxCode + 1) {
      magnitude = 0x7F800000U;
    }
    return std::bit_cast<float>((static_cast<std::uint32_t>(bits & 0x80U) << 24) | magnitude);
  }

 private:
  static constexpr std::uint8_t encode(std::uint32_t f) noexcept {
    const std::uint32_t magnitude = f & 0x7FFFFFFFU;
    std::uint32_t code = 0x7FU;
    if (magnitude <= 0x7F800000U) {
      code = minifloat<E, M>::round_magnitude(magnitude);
      if (code > MaxCode) code = MaxCode;
    }
    return static_cast<std::uint8_t>(((f >> 24) & 0x80U) | code);
  }
};

using float8_e4m3fn = basic_float8<4, 3, 0x7E>;
using float8_e5m2 = basic_float8<5, 2, 0x7B>;
static_assert(sizeof(float8_e4m3fn) == 1);

}  // namespace lutra::inline LUTRA_ABI
