// lutra: minifloat.hpp - exact conversions between float and binary formats of at most 16 bits.
// SPDX-License-Identifier: Apache-2.0
//
// A format has a sign, E exponent bits and M significand bits, bias 2^(E-1) - 1:
//   value = (-1)^s 2^(e - bias) (1 + m / 2^M)   e > 0
//   value = (-1)^s 2^(1 - bias) (m / 2^M)       e = 0 (subnormal)
// Encoding rounds half to even and uses integers only, so flush-to-zero modes, rounding modes and
// compiler flags do not change it. Decoding is exact.
#pragma once

#include <bit>
#include <cstdint>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

template <int E, int M> struct minifloat {
  static constexpr int bias = (1 << (E - 1)) - 1;
  static constexpr std::uint32_t sign_bit = 1U << (E + M);

  // Code of |x| for the float with these magnitude bits (sign clear, at most infinity), rounded half
  // to even; may exceed every finite code of the format. The caller handles NaN and saturation.
  static constexpr std::uint32_t round_magnitude(std::uint32_t magnitude) noexcept {
    constexpr int shift = 23 - M;
    const int exponent = static_cast<int>(magnitude >> 23) - 127;
    if (exponent >= 1 - bias) {
      const std::uint32_t lsb = (magnitude >> shift) & 1U;
      const std::uint32_t rounded = magnitude + ((1U << (shift - 1)) - 1U + lsb);
      return (rounded >> shift) - (static_cast<std::uint32_t>(127 - bias) << M);
    }
    const int drop = shift + (1 - bias) - exponent;  // bits below one unit of the subnormals
    if (drop > 24) return 0;                         // below half a unit
    const std::uint32_t significand = (magnitude & 0x7FFFFFU) | 0x800000U;
    const std::uint32_t lsb = (significand >> drop) & 1U;
    return (significand + ((1U << (drop - 1)) - 1U + lsb)) >> drop;
  }

  // Bits of the float with magnitude `code`, an ordinary finite code without sign.
  static constexpr std::uint32_t magnitude_bits(std::uint32_t code) noexcept {
    const std::uint32_t exponent = code >> M;
    const std::uint32_t significand = code & ((1U << M) - 1U);
    if (exponent != 0) {
      return ((exponent + static_cast<std::uint32_t>(127 - bias)) << 23) |
             (significand << (23 - M));
    }
    if (significand == 0) return 0;
    const int top =
        31 - std::countl_zero(significand);  // its leading one is worth 2^(top - M + 1 - bias)
    const auto biased = static_cast<std::uint32_t>(top - M + 1 - bias + 127);
    return (biased << 23) | ((significand << (23 - top)) & 0x7FFFFFU);
  }
};

}  // namespace lutra::inline LUTRA_ABI
