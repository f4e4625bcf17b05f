// lutra: bit_pack.hpp - codes of 1..8 bits as one little-endian bit stream.
// SPDX-License-Identifier: Apache-2.0
//
// Code i occupies the bits [i*bits, (i+1)*bits) of the stream, bit b of the stream is bit b%8 of byte
// b/8. n codes take exactly ceil(n*bits/8) bytes; unused top bits of the last byte are 0.
// Eight codes fill `bits` whole bytes: the loops move them through one 64-bit word.
#pragma once

#include <cstdint>
#include <lutra/core/error.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// Bytes of n codes. n >= 0, 1 <= bits <= 8 (checked).
inline index_t packed_bytes(index_t n, int bits) {
  if (bits < 1 || bits > 8) {
    raise(errc::invalid_argument, "bits out of range", "packed_bytes", text_of(bits),
          range_text(1, 8));
  }
  if (n < 0) raise(errc::invalid_argument, "negative count", "packed_bytes", text_of(n), ">= 0");
  return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

// Writes the stream of `codes` to `out`, which has exactly packed_bytes(codes.size(), bits) bytes
// (checked). Bits of a code above `bits` are ignored.
inline void pack_bits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> out) {
  const auto n = static_cast<index_t>(codes.size());
  const index_t bytes = packed_bytes(n, bits);
  if (static_cast<index_t>(out.size()) != bytes) {
    raise(errc::shape_mismatch, "wrong size of the packed stream", "pack_bits",
          text_of(static_cast<index_t>(out.size())) + " bytes", text_of(bytes));
  }
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const std::uint8_t* from = codes.data();
  std::uint8_t* to = out.data();
  const auto put = [&](index_t count, index_t width) {
    std::uint64_t word = 0;
    for (index_t i = 0; i < count; ++i) word |= (from[i] & mask) << (i * bits);
    for (index_t b = 0; b < width; ++b) to[b] = static_cast<std::uint8_t>(word >> (8 * b));
    from += count;
    to += width;
  };
  for (index_t i = 0; i < n / 8; ++i) put(8, bits);
  put(n % 8, bytes - n / 8 * bits);
}

// The reverse. `in` has exactly packed_bytes(codes.size(), bits) bytes (checked).
inline void unpack_bits(std::span<const std::uint8_t> in, int bits, std::span<std::uint8_t> codes) {
  const auto n = static_cast<index_t>(codes.size());
  const index_t bytes = packed_bytes(n, bits);
  if (static_cast<index_t>(in.size()) != bytes) {
    raise(errc::shape_mismatch, "wrong size of the packed stream", "unpack_bits",
          text_of(static_cast<index_t>(in.size())) + " bytes", text_of(bytes));
  }
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const std::uint8_t* from = in.data();
  std::uint8_t* to = codes.data();
  const auto take = [&](index_t count, index_t width) {
    std::uint64_t word = 0;
    for (index_t b = 0; b < width; ++b) word |= std::uint64_t{from[b]} << (8 * b);
    for (index_t i = 0; i < count; ++i) {
      to[i] = static_cast<std::uint8_t>((word >> (i * bits)) & mask);
    }
    from += width;
    to += count;
  };
  for (index_t i = 0; i < n / 8; ++i) take(8, bits);
  take(n % 8, bytes - n / 8 * bits);
}

// True if the unused top bits of the last byte of a stream of n codes are 0.
inline bool padding_is_zero(std::span<const std::uint8_t> in, index_t n, int bits) {
  const index_t used = n % 8 * bits % 8;
  return used == 0 || in.empty() || (in.back() >> used) == 0;
}

}  // namespace lutra::inline LUTRA_ABI
