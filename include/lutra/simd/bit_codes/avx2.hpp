// lutra: avx2.hpp - streams of codes on avx2, avxvnni and avx512bw, 64 codes at a time (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// As sse4_1, in two 128-bit lines of 16 codes each. The upper half of a product is a shift to the right by 1 to 8
// bits of its own for every 16-bit lane. Look-ups: tables of up to 16 entries fit the byte and
// float permutations; larger ones are left to plain loads (a gather is no faster).
#pragma once

#include <lutra/simd/bit_codes/sse.hpp>

#if !LUTRA_PORTABLE && defined(__AVX2__)

namespace lutra::inline LUTRA_ABI::simd {

[[gnu::always_inline]] inline __m256i line_twice(const void* p) {
  return _mm256_broadcastsi128_si256(load_line(p));
}
// Shuffle and factor that bring every second of 16 codes to the bottom of its 16-bit lane. A code that begins a byte
// is fetched as the upper byte: products shift by at least one bit. The second line of `byte` is for the next 16
// codes, in the same 16 bytes.
template <int Bits> struct lower_constants {
  alignas(32) std::array<std::uint8_t, 32> byte{};
  alignas(16) std::array<std::uint16_t, 8> factor{};
  constexpr lower_constants() {
    for (std::size_t lane = 0; lane < 16; ++lane) {
      const std::size_t bit = 2 * lane * Bits + 8;
      const std::size_t shift = (bit - 1) % 8 + 1;
      const std::size_t first = (bit - shift) / 8;  // counted from the byte before the codes
      byte[2 * lane] = static_cast<std::uint8_t>(first == 0 ? 0x80 : first - 1);
      byte[2 * lane + 1] = static_cast<std::uint8_t>(first);
      factor[lane % 8] = static_cast<std::uint16_t>(1U << (16 - shift));
    }
  }
};
template <int Bits> inline constexpr lower_constants<Bits> lower{};

// 32 consecutive codes that begin at a byte, 16 per line. Reads up to 2 * Bits + 16 bytes.
template <int Bits> [[gnu::always_inline]] inline __m256i unpack_lines(const std::uint8_t* from) {
  const __m256i mask = _mm256_set1_epi8((1 << Bits) - 1);
  if constexpr (Bits == 4) {
    const __m256i x = _mm256_cvtepu8_epi16(load_line(from));
    return _mm256_and_si256(_mm256_or_si256(x, _mm256_slli_epi16(x, 4)), mask);
  } else if constexpr (Bits == 2) {
    const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    const __m256i halves = _mm256_or_si256(x, _mm256_slli_epi32(x, 12));
    return _mm256_and_si256(_mm256_or_si256(halves, _mm256_slli_epi32(halves, 6)), mask);
  } else if constexpr (Bits < 4) {
    const __m256i bytes =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(lower<Bits>.byte.data()));
    const __m256i pairs = _mm256_mulhi_epu16(_mm256_shuffle_epi8(line_twice(from), bytes),
                                             line_twice(lower<Bits>.factor.data()));
    const __m256i both = _mm256_and_si256(pairs, _mm256_set1_epi16((1 << 2 * Bits) - 1));
    return _mm256_and_si256(_mm256_or_si256(both, _mm256_slli_epi16(both, 8 - Bits)), mask);
  } else {
    const __m256i x = _mm256_inserti128_si256(_mm256_castsi128_si256(load_line(from)),
                                              load_line(from + 2 * Bits), 1);
    const __m256i even =
        _mm256_mulhi_epu16(_mm256_shuffle_epi8(x, line_twice(lower<Bits>.byte.data())),
                           line_twice(lower<Bits>.factor.data()));
    const __m256i odd =
        _mm256_mullo_epi16(_mm256_shuffle_epi8(x, line_twice(spread<Bits, true>.byte.data())),
                           line_twice(spread<Bits, true>.factor.data()));
    const __m256i lower_bytes = _mm256_set1_epi16((1 << Bits) - 1);
    const __m256i upper_bytes = _mm256_set1_epi16(static_cast<short>(((1 << Bits) - 1) << 8));
    return _mm256_or_si256(_mm256_and_si256(even, lower_bytes), _mm256_and_si256(odd, upper_bytes));
  }
}
template <int Bits> inline constexpr index_t lines_reach = Bits == 4 ? 16 : 2 * Bits + 16;

constexpr index_t code_step(avx2) { return 64; }
template <int Bits> constexpr index_t unpack_reach(avx2) { return 4 * Bits + lines_reach<Bits>; }
template <int Bits> constexpr index_t pack_reach(avx2) { return 4 * Bits + lines_reach<Bits>; }

template <int Bits>
[[gnu::always_inline]] inline void unpack_step(const std::uint8_t* from, std::uint8_t* to, avx2) {
  auto* const lines = reinterpret_cast<__m256i*>(to);
  if constexpr (Bits == 4) {
    // Quarters 0 2 1 3, so that interleaving within lines gives natural order.
    const __m256i x =
        _mm256_permute4x64_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), 0xD8);
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i even = _mm256_and_si256(x, mask);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(x, 4), mask);
    _mm256_storeu_si256(lines, _mm256_unpacklo_epi8(even, odd));
    _mm256_storeu_si256(lines + 1, _mm256_unpackhi_epi8(even, odd));
  } else {
    const __m256i first = unpack_lines<Bits>(from);
    const __m256i second = unpack_lines<Bits>(from + 4 * Bits);
    _mm256_storeu_si256(lines, first);
    _mm256_storeu_si256(lines + 1, second);
  }
}
// 32 codes.
template <int Bits>
[[gnu::always_inline]] inline void pack_lines(const std::uint8_t* from, std::uint8_t* to) {
  const __m256i codes = _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)),
                                         _mm256_set1_epi8((1 << Bits) - 1));
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_set1_epi16(static_cast<short>(1 | (1 << (8 + Bits)))), codes);
  auto* const line = reinterpret_cast<__m128i*>(to);
  if constexpr (Bits == 4) {
    const __m256i bytes = _mm256_packus_epi16(pairs, pairs);
    _mm_storeu_si128(line, _mm256_castsi256_si128(_mm256_permute4x64_epi64(bytes, 0x08)));
  } else {
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(1 | (1 << (16 + 2 * Bits))));
    __m256i joined = fours;  // whole bytes per 32-bit lane if Bits is even
    if constexpr (Bits % 2 != 0) {
      // The lower four to the top of its half, then both down: they meet.
      const __m256i up = _mm256_sllv_epi32(fours, _mm256_set1_epi64x(32 - 4 * Bits));
      joined = _mm256_srli_epi64(up, 32 - 4 * Bits);
    }
    constexpr int lane = Bits % 2 == 0 ? 4 : 8;
    const __m256i bytes = _mm256_shuffle_epi8(joined, line_twice(collect<Bits, lane>.byte.data()));
    _mm_storeu_si128(line, _mm256_castsi256_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * Bits), _mm256_extracti128_si256(bytes, 1));
  }
}
template <int Bits>
[[gnu::always_inline]] inline void pack_step(const std::uint8_t* from, std::uint8_t* to, avx2) {
  pack_lines<Bits>(from, to);
  pack_lines<Bits>(from + 32, to + 4 * Bits);
}

template <stores S> [[gnu::always_inline]] inline void put(void* p, __m256i v) {
  if constexpr (S == stores::streaming) {
    _mm256_stream_si256(static_cast<__m256i*>(p), v);
  } else {
    _mm256_storeu_si256(static_cast<__m256i*>(p), v);
  }
}

// The 2^Bits entries of Size bytes, repeated to fill Size * 16 bytes.
template <int Size, int Bits> struct repeated_table {
  alignas(64) std::array<std::uint8_t, to_size(Size) * 16> byte{};
  explicit repeated_table(const void* table) {
    constexpr std::size_t own = std::size_t{Size} << Bits;
    for (std::size_t at = 0; at < byte.size(); at += own) std::memcpy(byte.data() + at, table, own);
  }
};

// Floats: the code in the low bits of every 32-bit lane picks one of eight; two tables for 16.
template <int Bits>
requires(Bits <= 4) struct code_lookup<avx2, 4, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 32;
  static constexpr index_t reach = 3 * Bits + 4;
  static constexpr std::uintptr_t alignment = 32;
  static constexpr bool fits(int shift) { return shift + 8 * Bits <= 32; }

  explicit code_lookup(const void* table) {
    const repeated_table<4, Bits> t(table);
    low_ = _mm256_load_ps(reinterpret_cast<const float*>(t.byte.data()));
    high_ = _mm256_load_ps(reinterpret_cast<const float*>(t.byte.data()) + 8);
  }
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int shift, void* to) const {
    const __m256i first =
        _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(Bits));
    const __m256i down = _mm256_add_epi32(first, _mm256_set1_epi32(shift));
    unroll<4>([&](auto v) __attribute__((always_inline)) {
      std::int32_t eight;
      std::memcpy(&eight, from + v * Bits, 4);
      const __m256i word = _mm256_set1_epi32(eight);
      const __m256i code = _mm256_srlv_epi32(word, down);
      __m256 value = _mm256_permutevar8x32_ps(low_, code);
      if constexpr (Bits == 4) {
        // Bit 3 of the code to the sign.
        const __m256i sign = _mm256_sllv_epi32(word, _mm256_sub_epi32(_mm256_set1_epi32(28), down));
        value = _mm256_blendv_ps(value, _mm256_permutevar8x32_ps(high_, code),
                                 _mm256_castsi256_ps(sign));
      }
      put<S>(static_cast<std::uint8_t*>(to) + 32 * v, _mm256_castps_si256(value));
    });
  }

 private:
  __m256 low_, high_;
};

// Bytes, and 16-bit values as two planes of bytes.
template <int Bits>
requires(Bits <= 4) struct code_lookup<avx2, 1, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 32;
  static constexpr index_t reach = lines_reach<Bits>;
  static constexpr std::uintptr_t alignment = 32;
  static constexpr bool fits(int shift) { return shift == 0; }

  explicit code_lookup(const void* table)
      : table_(line_twice(repeated_table<1, Bits>(table).byte.data())) {}
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int, void* to) const {
    put<S>(to, _mm256_shuffle_epi8(table_, unpack_lines<Bits>(from)));
  }

 private:
  __m256i table_;
};
template <int Bits>
requires(Bits <= 4) struct code_lookup<avx2, 2, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 32;
  static constexpr index_t reach = lines_reach<Bits>;
  static constexpr std::uintptr_t alignment = 32;
  static constexpr bool fits(int shift) { return shift == 0; }

  explicit code_lookup(const void* table) {
    const repeated_table<2, Bits> t(table);
    alignas(16) std::array<std::uint8_t, 16> plane[2];
    for (std::size_t i = 0; i < 16; ++i) {
      plane[0][i] = t.byte[2 * i];
      plane[1][i] = t.byte[2 * i + 1];
    }
    low_ = line_twice(plane[0].data());
    high_ = line_twice(plane[1].data());
  }
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int, void* to) const {
    // Quarters 0 2 1 3, so that interleaving within lines gives natural order.
    const __m256i codes = _mm256_permute4x64_epi64(unpack_lines<Bits>(from), 0xD8);
    const __m256i low = _mm256_shuffle_epi8(low_, codes);
    const __m256i high = _mm256_shuffle_epi8(high_, codes);
    put<S>(to, _mm256_unpacklo_epi8(low, high));
    put<S>(static_cast<std::uint8_t*>(to) + 32, _mm256_unpackhi_epi8(low, high));
  }

 private:
  __m256i low_, high_;
};

// More than 16 entries: planes of bytes, 16 entries at a time. The line a code is in gives an index of
// four bits, any other one an index with its top bit set, for which the shuffle gives 0. Above 64 entries of
// four bytes plain loads are no slower.
template <int Size, int Bits>
inline constexpr bool has_line_lookup = Bits > 4 && (Size << Bits) <= (Size == 4 ? 256 : 512);

template <int Size, int Bits>
requires has_line_lookup<Size, Bits>
struct code_lookup<avx2, Size, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 32;
  static constexpr index_t reach = Bits == 8 ? 32 : lines_reach<Bits>;
  static constexpr std::uintptr_t alignment = 32;
  static constexpr bool fits(int shift) { return shift == 0; }

  explicit code_lookup(const void* table) {
    const auto* const bytes = static_cast<const std::uint8_t*>(table);
    for (std::size_t p = 0; p < Size; ++p) {
      for (std::size_t i = 0; i < plane_[p].size(); ++i) plane_[p][i] = bytes[Size * i + p];
    }
  }
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int, void* to) const {
    __m256i codes = eight_bits(from);
    // Quarters 0 2 1 3, or their halves likewise: interleaving within lines then gives natural order.
    if constexpr (Size == 2) codes = _mm256_permute4x64_epi64(codes, 0xD8);
    if constexpr (Size == 4) {
      codes = _mm256_permutevar8x32_epi32(codes, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    }
    __m256i found[to_size(Size)];
    unroll<Size>([&](auto p) __attribute__((always_inline)) { found[p] = _mm256_setzero_si256(); });
    for (int line = 0; line < 1 << (Bits - 4); ++line) {
      const __m256i index =
          _mm256_adds_epu8(_mm256_xor_si256(codes, _mm256_set1_epi8(static_cast<char>(16 * line))),
                           _mm256_set1_epi8(0x70));
      unroll<Size>([&](auto p) __attribute__((always_inline)) {
        const __m256i entries = line_twice(plane_[p].data() + 16 * line);
        found[p] = _mm256_or_si256(found[p], _mm256_shuffle_epi8(entries, index));
      });
    }
    auto* const out = static_cast<std::uint8_t*>(to);
    if constexpr (Size == 1) {
      put<S>(out, found[0]);
    } else {
      const __m256i low = _mm256_unpacklo_epi8(found[0], found[1]);
      const __m256i high = _mm256_unpackhi_epi8(found[0], found[1]);
      if constexpr (Size == 2) {
        put<S>(out, low);
        put<S>(out + 32, high);
      } else {
        const __m256i top_low = _mm256_unpacklo_epi8(found[2], found[3]);
        const __m256i top_high = _mm256_unpackhi_epi8(found[2], found[3]);
        put<S>(out, _mm256_unpacklo_epi16(low, top_low));
        put<S>(out + 32, _mm256_unpackhi_epi16(low, top_low));
        put<S>(out + 64, _mm256_unpacklo_epi16(high, top_high));
        put<S>(out + 96, _mm256_unpackhi_epi16(high, top_high));
      }
    }
  }

 private:
  [[gnu::always_inline]] static __m256i eight_bits(const std::uint8_t* from) {
    if constexpr (Bits == 8) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return unpack_lines < Bits == 8 ? 7 : Bits > (from);
  }

  alignas(16) std::array<std::uint8_t, std::size_t{1} << Bits> plane_[to_size(Size)];
};
template <int Size, int Bits>
struct code_lookup<avxvnni, Size, Bits> : code_lookup<avx2, Size, Bits> {
  using code_lookup<avx2, Size, Bits>::code_lookup;
};
template <int Size, int Bits>
struct code_lookup<avx512bw, Size, Bits> : code_lookup<avx2, Size, Bits> {
  using code_lookup<avx2, Size, Bits>::code_lookup;
};

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
