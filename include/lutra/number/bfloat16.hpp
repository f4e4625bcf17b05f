// lutra: bfloat16.hpp - bfloat16: the upper half of a float.
// SPDX-License-Identifier: Apache-2.0
//
// From float: nearest, ties to even, subnormals included; overflow becomes infinity; NaN stays NaN
// (quiet). To float: exact. Value type.
#pragma once

#include <bit>
#include <cstdint>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

// may_alias: tensor/eigen.hpp looks at Eigen::bfloat16 objects through this type.
struct [[gnu::may_alias]] bfloat16 {
  std::uint16_t bits = 0;

  constexpr bfloat16() = default;
  constexpr explicit bfloat16(float x) noexcept : bits(encode(std::bit_cast<std::uint32_t>(x))) {}
  static constexpr bfloat16 from_bits(std::uint16_t bits) noexcept {
    bfloat16 b;
    b.bits = bits;
    return b;
  }
  constexpr explicit operator float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

 private:
  static constexpr std::uint16_t encode(std::uint32_t f) noexcept {
    if ((f & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((f >> 16) | 0x40U);
    return static_cast<std::uint16_t>((f + 0x7FFFU + ((f >> 16) & 1U)) >> 16);
  }
};
static_assert(sizeof(bfloat16) == 2);

}  // namespace lutra::inline LUTRA_ABI
