// lutra: generic.hpp - what every level provides for streams of 1..7-bit codes, and the portable bodies.
// SPDX-License-Identifier: Apache-2.0
//
// Codes lie back to back, the first in the lowest bits of the first byte; eight of them fill `Bits` bytes.
//   code_step(level)                 codes one step moves, a multiple of 8: step * Bits / 8 bytes of stream
//   unpack_step<Bits>(from, to)      step codes of the stream at `from`, one per byte, to `to`
//   pack_step<Bits>(from, to)        the reverse; bits of a code above Bits are ignored
//   unpack_four_steps, pack_four_steps<Bits>(from, to)
//                                    four at once, where that is faster: they touch just what they move. Packing so
//                                    is faster only if `to` is at the beginning of a cache line
//   unpack_reach, pack_reach<Bits>   bytes a step touches at `from` or `to` (more than it moves: what it
//                                    reads past the end is ignored, what it writes is rubbish)
//   code_lookup<level, Size, Bits>   see portable below: table entries of Size bytes for the next codes
// portable moves eight codes in one 64-bit word. It needs little-endian memory; pack/bit_pack.hpp has
// loops that do not.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/unroll.hpp>

namespace lutra::inline LUTRA_ABI::simd {

inline constexpr bool little_endian = std::endian::native == std::endian::little;

// The lowest `bits` bits of every field of `width` bits.
constexpr std::uint64_t low_bits_of_fields(int bits, int width) noexcept {
  const std::uint64_t one = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  std::uint64_t all = 0;
  for (int at = 0; at < 64; at += width) all |= one << at;
  return all;
}

constexpr index_t code_step(portable) { return 8; }
template <int Bits> constexpr index_t unpack_reach(portable) { return 8; }
template <int Bits> constexpr index_t pack_reach(portable) { return 8; }

// Neighbouring fields of `width` bits that hold `bits` bits each move together, or apart again.
template <int Bits, int Width>
[[gnu::always_inline]] constexpr std::uint64_t join_fields(std::uint64_t x) {
  constexpr std::uint64_t low = low_bits_of_fields(Bits, 2 * Width);
  return (x & low) | (x >> (Width - Bits) & low << Bits);
}
template <int Bits, int Width>
[[gnu::always_inline]] constexpr std::uint64_t part_fields(std::uint64_t x) {
  constexpr std::uint64_t low = low_bits_of_fields(Bits, 2 * Width);
  return (x & low) | (x << (Width - Bits) & low << Width);
}
template <int Bits>
[[gnu::always_inline]] inline void pack_step(const std::uint8_t* from, std::uint8_t* to, portable) {
  std::uint64_t x = 0;
  std::memcpy(&x, from, 8);
  x = join_fields<4 * Bits, 32>(join_fields<2 * Bits, 16>(join_fields<Bits, 8>(x)));
  std::memcpy(to, &x, 8);
}
template <int Bits>
void pack_four_steps(const std::uint8_t* from, std::uint8_t* to, portable) = delete;
template <int Bits>
void unpack_four_steps(const std::uint8_t* from, std::uint8_t* to, portable) = delete;
template <int Bits>
[[gnu::always_inline]] inline void unpack_step(const std::uint8_t* from, std::uint8_t* to,
                                               portable) {
  std::uint64_t x = 0;
  std::memcpy(&x, from, 8);
  x = part_fields<Bits, 8>(part_fields<2 * Bits, 16>(part_fields<4 * Bits, 32>(x)));
  std::memcpy(to, &x, 8);
}

// A table of 2^Bits entries of Size bytes (1, 2 or 4), ready for look-ups. Where `available`:
//   step                   entries one call gives, a multiple of 8
//   reach                  bytes of stream one call may read
//   fits(shift)            codes may begin at bit `shift` (0..7) of the first byte
//   alignment              of the output, for streaming stores
//   look_up<stores>(from, shift, to)   the entries of the codes that begin at bit `shift` of from[0]
template <class Level, int Size, int Bits> struct code_lookup {
  static constexpr bool available = false;
};

}  // namespace lutra::inline LUTRA_ABI::simd
