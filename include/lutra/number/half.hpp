// lutra: half.hpp - half: IEEE binary16 as two bytes.
// SPDX-License-Identifier: Apache-2.0
//
// From float: nearest, ties to even; magnitudes of 65520 and above become infinity; NaN stays NaN
// (quiet, upper payload bits kept). To float: exact. Value type.
#pragma once

#include <lutra/number/minifloat.hpp>

namespace lutra::inline LUTRA_ABI {

// may_alias: tensor/eigen.hpp looks at Eigen::half objects through this type.
struct [[gnu::may_alias]] half {
  std::uint16_t bits = 0;

  constexpr half() = default;
  constexpr explicit half(float x) noexcept : bits(encode(std::bit_cast<std::uint32_t>(x))) {}
  static constexpr half from_bits(std::uint16_t bits) noexcept {
    half h;
    h.bits = bits;
    return h;
  }
  constexpr explicit operator float() const noexcept {
    const std::uint32_t code = bits & 0x7FFFU;
    const std::uint32_t magnitude = code >= 0x7C00U ? 0x7F800000U | ((code & 0x3FFU) << 13)
                                                    : minifloat<5, 10>::magnitude_bits(code);
    return std::bit_cast<float>((static_cast<std::uint32_t>(bits & 0x8000U) << 16) | magnitude);
  }

 private:
  static constexpr std::uint16_t encode(std::uint32_t f) noexcept {
    const std::uint32_t magnitude = f & 0x7FFFFFFFU;
    std::uint32_t code = 0;
    if (magnitude > 0x7F800000U) {
      code = 0x7E00U | ((magnitude >> 13) & 0x3FFU);
    } else {
      code = minifloat<5, 10>::round_magnitude(magnitude);
      if (code > 0x7C00U) code = 0x7C00U;
    }
    return static_cast<std::uint16_t>(((f >> 16) & 0x8000U) | code);
  }
};
static_assert(sizeof(half) == 2);

}  // namespace lutra::inline LUTRA_ABI
