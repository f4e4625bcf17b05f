// lutra: bit_pack.hpp - codes of 1..8 bits as one little-endian bit stream.
// SPDX-License-Identifier: Apache-2.0
//
// Code i occupies the bits [i*bits, (i+1)*bits) of the stream, bit b of the stream is bit b%8 of byte
// b/8. n codes take exactly ceil(n*bits/8) bytes; unused top bits of the last byte are 0.
// Eight codes fill `bits` whole bytes: the plain loops move them through one 64-bit word, and define the
// result; every level moves 8 to 64 codes per step (simd/bit_codes) and leaves the last few to the plain
// loops. Nothing outside the spans is touched. Cost: about that of copying the unpacked codes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <lutra/core/error.hpp>
#include <lutra/simd/bit_codes.hpp>
#include <span>
#include <type_traits>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Calls f with `bits` as a constant; 1 <= bits <= 8.
template <class F> void with_bits(int bits, F&& f) {
  [&]<int... B>(std::integer_sequence<int, B...>) {
    ((bits == B + 1 ? f(std::integral_constant<int, B + 1>{}) : void()), ...);
  }
  (std::make_integer_sequence<int, 8>{});
}

// Bytes of n codes. n >= 0, 1 <= bits <= 8 (checked).
inline index_t packed_bytes(index_t n, int bits) {
  if (bits < 1 || bits > 8) {
    raise(errc::invalid_argument, "bits out of range", "packed_bytes", text_of(bits),
          range_text(1, 8));
  }
  if (n < 0) raise(errc::invalid_argument, "negative count", "packed_bytes", text_of(n), ">= 0");
  return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

// n codes into packed_bytes(n, bits) bytes, from the definition; no checks.
inline void pack_plainly(const std::uint8_t* from, index_t n, int bits, std::uint8_t* to) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const auto put = [&](index_t count, index_t width) {
    std::uint64_t word = 0;
    for (index_t i = 0; i < count; ++i) word |= (from[i] & mask) << (i * bits);
    for (index_t b = 0; b < width; ++b) to[b] = static_cast<std::uint8_t>(word >> (8 * b));
    from += count;
    to += width;
  };
  for (index_t i = 0; i < n / 8; ++i) put(8, bits);
  put(n % 8, (n % 8 * bits + 7) / 8);
}
// The reverse.
inline void unpack_plainly(const std::uint8_t* from, index_t n, int bits,
                           std::uint8_t* to) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
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
  take(n % 8, (n % 8 * bits + 7) / 8);
}

// How many steps of `step` codes fit n codes, when each touches `reach` of the `bytes` of the stream and
// moves `moved` of them.
constexpr index_t steps_within(index_t n, index_t step, index_t bytes, index_t reach,
                               index_t moved) noexcept {
  const index_t by_stream = bytes < reach ? 0 : (bytes - reach) / moved + 1;
  return std::min(n / step, by_stream);
}

// How far ahead of the stores lines of the output are asked for, in bytes.
inline constexpr index_t write_ahead = 512;

// Steps of the level, then those of eight codes; returns the codes done.
template <class Level, int Bits>
index_t pack_in_steps(const std::uint8_t* from, index_t n, std::uint8_t* to,
                      index_t bytes) noexcept {
  constexpr index_t step = simd::code_step(Level{});
  constexpr index_t moved = step * Bits / 8;
  const index_t steps = steps_within(n, step, bytes, simd::pack_reach<Bits>(Level{}), moved);
  index_t i = 0;
  if constexpr (requires { simd::pack_four_steps<Bits>(from, to, Level{}); }) {
    const auto past_line = [&] { return reinterpret_cast<std::uintptr_t>(to + i * moved) % 64; };
    while (i < steps && i < 4 && past_line() != 0) {
      simd::pack_step<Bits>(from + i * step, to + i * moved, Level{});
      ++i;
    }
    for (; past_line() == 0 && i + 4 <= steps; i += 4) {
      for (index_t line = 0; line < 4 * moved; line += 64) {
        simd::prefetch_for_write(to + i * moved + line, write_ahead);
      }
      simd::pack_four_steps<Bits>(from + i * step, to + i * moved, Level{});
    }
  }
  for (; i < steps; ++i) {
    if constexpr (step >= 64) simd::prefetch_for_write(to + i * moved, write_ahead);
    simd::pack_step<Bits>(from + i * step, to + i * moved, Level{});
  }
  const index_t done = steps * step;
  if constexpr (std::is_same_v<Level, simd::portable>) return done;
  return done + pack_in_steps<simd::portable, Bits>(from + done, n - done, to + steps * moved,
                                                    bytes - steps * moved);
}
template <class Level, int Bits>
index_t unpack_in_steps(const std::uint8_t* from, index_t n, std::uint8_t* to,
                        index_t bytes) noexcept {
  constexpr index_t step = simd::code_step(Level{});
  constexpr index_t moved = step * Bits / 8;
  const index_t steps = steps_within(n, step, bytes, simd::unpack_reach<Bits>(Level{}), moved);
  index_t i = 0;
  if constexpr (requires { simd::unpack_four_steps<Bits>(from, to, Level{}); }) {
    for (; i + 4 <= steps; i += 4) {
      simd::unroll<4>([&](auto u) __attribute__((always_inline)) {
        simd::prefetch_for_write(to + (i + u) * step, write_ahead);
      });
      simd::unpack_four_steps<Bits>(from + i * moved, to + i * step, Level{});
    }
  }
  for (; i < steps; ++i) {
    if constexpr (step >= 64) simd::prefetch_for_write(to + i * step, write_ahead);
    simd::unpack_step<Bits>(from + i * moved, to + i * step, Level{});
  }
  const index_t done = steps * step;
  if constexpr (std::is_same_v<Level, simd::portable>) return done;
  return done + unpack_in_steps<simd::portable, Bits>(from + steps * moved, n - done, to + done,
                                                      bytes - steps * moved);
}

inline void check_stream_bytes(index_t bytes, index_t wanted, const char* where) {
  if (bytes == wanted) return;
  raise(errc::shape_mismatch, "wrong size of the packed stream", where, text_of(bytes) + " bytes",
        text_of(wanted));
}

// Writes the stream of `codes` to `out`, which has exactly packed_bytes(codes.size(), bits) bytes
// (checked). Bits of a code above `bits` are ignored.
template <class Level = simd::native>
void pack_bits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> out) {
  const auto n = static_cast<index_t>(codes.size());
  const index_t bytes = packed_bytes(n, bits);
  check_stream_bytes(static_cast<index_t>(out.size()), bytes, "pack_bits");
  if (n == 0) return;
  if (bits == 8) {
    std::memcpy(out.data(), codes.data(), codes.size());
    return;
  }
  index_t done = 0;
  if constexpr (simd::little_endian) {
    with_bits(bits, [&](auto b) {
      if constexpr (b() < 8) done = pack_in_steps<Level, b()>(codes.data(), n, out.data(), bytes);
    });
  }
  pack_plainly(codes.data() + done, n - done, bits, out.data() + done / 8 * bits);
}

// The reverse. `in` has exactly packed_bytes(codes.size(), bits) bytes (checked).
template <class Level = simd::native>
void unpack_bits(std::span<const std::uint8_t> in, int bits, std::span<std::uint8_t> codes) {
  const auto n = static_cast<index_t>(codes.size());
  const index_t bytes = packed_bytes(n, bits);
  check_stream_bytes(static_cast<index_t>(in.size()), bytes, "unpack_bits");
  if (n == 0) return;
  if (bits == 8) {
    std::memcpy(codes.data(), in.data(), codes.size());
    return;
  }
  index_t done = 0;
  if constexpr (simd::little_endian) {
    with_bits(bits, [&](auto b) {
      if constexpr (b() < 8) done = unpack_in_steps<Level, b()>(in.data(), n, codes.data(), bytes);
    });
  }
  unpack_plainly(in.data() + done / 8 * bits, n - done, bits, codes.data() + done);
}

// True if the unused top bits of the last byte of a stream of n codes are 0.
inline bool padding_is_zero(std::span<const std::uint8_t> in, index_t n, int bits) {
  const index_t used = n % 8 * bits % 8;
  return used == 0 || in.empty() || (in.back() >> used) == 0;
}

}  // namespace lutra::inline LUTRA_ABI
