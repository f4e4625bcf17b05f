// lutra: bit_mask.hpp - one bit per element, least significant bit first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <lutra/core/types.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// Bytes of a mask of n elements; the unused bits of the last one are 0.
constexpr index_t mask_bytes(index_t n) noexcept { return n / 8 + (n % 8 != 0 ? 1 : 0); }

// Appends bits to a mask of mask_bytes() bytes, from its start. Value type.
class bit_writer {
 public:
  explicit bit_writer(std::uint8_t* out) noexcept : out_(out) {}
  // The low `count` bits, count in [0, 64]; higher ones are 0.
  void push(std::uint64_t bits, index_t count) noexcept {
    held_ |= bits << fill_;
    if (fill_ + count < 64) {
      fill_ += count;
      return;
    }
    std::array<std::uint8_t, 8> bytes{};  // one store: the compiler sees through it
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(held_ >> (8 * i));
    std::memcpy(out_, bytes.data(), 8);
    out_ += 8;
    held_ = fill_ == 0 ? 0 : bits >> (64 - fill_);
    fill_ += count - 64;
  }
  void finish() noexcept {
    for (; fill_ > 0; fill_ -= 8, held_ >>= 8) *out_++ = static_cast<std::uint8_t>(held_);
  }

 private:
  std::uint8_t* out_;
  std::uint64_t held_ = 0;
  index_t fill_ = 0;  // below 64
};

// The bit of element i.
inline bool bit_at(std::span<const std::uint8_t> mask, index_t i) noexcept {
  return ((mask[to_size(i / 8)] >> (i % 8)) & 1U) != 0;
}

// The bits of elements [i, i + 64), all of which the mask has.
inline std::uint64_t word_at(std::span<const std::uint8_t> mask, index_t i) noexcept {
  const std::uint8_t* from = mask.data() + i / 8;
  std::array<std::uint8_t, 8> bytes{};
  std::memcpy(bytes.data(), from, 8);
  std::uint64_t word = 0;
  for (std::size_t k = 0; k < 8; ++k) word |= std::uint64_t{bytes[k]} << (8 * k);
  const index_t shift = i % 8;
  return shift == 0 ? word : word >> shift | std::uint64_t{from[8]} << (64 - shift);
}

}  // namespace lutra::inline LUTRA_ABI
