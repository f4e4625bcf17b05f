// lutra: bit_mask.hpp - one bit per element, least significant bit first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <lutra/core/types.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// Bytes of a mask of n elements; the unused bits of the last one are 0.
constexpr index_t mask_bytes(index_t n) noexcept { return n / 8 + (n % 8 != 0 ? 1 : 0); }

// Appends bits to a mask of mask_bytes() bytes, from its start. Value type.
class bit_writer {
 public:
  explicit bit_writer(std::uint8_t* out) noexcept : out_(out) {}
  // The low `count` bits, count in [0, 32]; higher ones are 0.
  void push(std::uint32_t bits, index_t count) noexcept {
    held_ |= static_cast<std::uint64_t>(bits) << fill_;
    fill_ += count;
    if (fill_ < 32) return;
    for (int i = 0; i < 4; ++i) out_[i] = static_cast<std::uint8_t>(held_ >> (8 * i));
    out_ += 4;
    held_ >>= 32;
    fill_ -= 32;
  }
  void finish() noexcept {
    for (; fill_ > 0; fill_ -= 8, held_ >>= 8) *out_++ = static_cast<std::uint8_t>(held_);
  }

 private:
  std::uint8_t* out_;
  std::uint64_t held_ = 0;
  index_t fill_ = 0;
};

// The `count` bits of elements [at, at + count), count in [0, 16].
inline std::uint32_t bits_at(std::span<const std::uint8_t> mask, index_t at,
                             index_t count) noexcept {
  std::uint32_t bits = 0;
  const auto first = static_cast<std::size_t>(at / 8);
  for (std::size_t i = 0; i < 3 && first + i < mask.size(); ++i) {
    bits |= static_cast<std::uint32_t>(mask[first + i]) << (8 * i);
  }
  return (bits >> (at % 8)) & ((1U << count) - 1U);
}

}  // namespace lutra::inline LUTRA_ABI
