// lutra: avx512.hpp - streams of codes on avx512vnni_vbmi, 64 codes at a time (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// vpermb brings the bytes that hold the codes of a 64-bit lane into it, vpmultishiftqb cuts eight bits
// from eight places of the lane: two instructions for any width. Byte, word and float permutations ignore
// the index bits above the size of their table, so look-ups need no mask: small tables are repeated.
#pragma once

#include <lutra/simd/bit_codes/avx2.hpp>

#if !LUTRA_PORTABLE && defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && \
    defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

// Where to find code j, for entries of Size bytes in natural order: entry j occupies Size bytes of the
// vector, and the code ends up in the lowest of them.
template <int Bits, int Size> struct cut_constants {
  alignas(64) std::array<std::uint8_t, 64> byte{};   // of the stream, per byte of the lane
  alignas(64) std::array<std::uint8_t, 64> shift{};  // within the lane
  constexpr cut_constants() {
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t bit = i / 8 * (8 / Size) * Bits;  // where the codes of this lane begin
      byte[i] = static_cast<std::uint8_t>(bit / 8 + i % 8);
      shift[i] = static_cast<std::uint8_t>(bit % 8 + i % 8 / Size * Bits);
    }
  }
};
template <int Bits, int Size> inline constexpr cut_constants<Bits, Size> cut{};

[[gnu::always_inline]] inline __m512i load_64(const void* p) { return _mm512_loadu_si512(p); }

// Only so many bytes of a vector as hold anything.
template <int Bytes> [[gnu::always_inline]] inline __m512i load_part(const void* p) {
  if constexpr (Bytes <= 16) {
    return _mm512_castsi128_si512(load_line(p));
  } else if constexpr (Bytes <= 32) {
    return _mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  } else {
    return load_64(p);
  }
}
template <int Bytes> inline constexpr index_t part_bytes = Bytes <= 16 ? 16 : Bytes <= 32 ? 32 : 64;

// 64 codes that begin at bit `shift` of from[0], with rubbish above them. Of eight bits they are what is there.
template <int Bits>
[[gnu::always_inline]] inline __m512i cut_codes(const std::uint8_t* from, __m512i shifts) {
  if constexpr (Bits == 8) return load_64(from);
  const __m512i lanes =
      _mm512_permutexvar_epi8(load_64(cut<Bits, 1>.byte.data()), load_part<8 * Bits + 1>(from));
  return _mm512_multishift_epi64_epi8(shifts, lanes);
}
template <int Bits, int Size> [[gnu::always_inline]] inline __m512i shifts_from(int shift) {
  return _mm512_add_epi8(load_64(cut<Bits, Size>.shift.data()),
                         _mm512_set1_epi8(static_cast<char>(shift)));
}

constexpr index_t code_step(avx512vnni_vbmi) { return 64; }
template <int Bits> constexpr index_t unpack_reach(avx512vnni_vbmi) { return part_bytes<8 * Bits>; }
template <int Bits> constexpr index_t pack_reach(avx512vnni_vbmi) { return part_bytes<8 * Bits>; }

template <int Bits>
[[gnu::always_inline]] inline void unpack_step(const std::uint8_t* from, std::uint8_t* to,
                                               avx512vnni_vbmi) {
  const __m512i lanes =
      _mm512_permutexvar_epi8(load_64(cut<Bits, 1>.byte.data()), load_part<8 * Bits>(from));
  const __m512i codes = _mm512_multishift_epi64_epi8(load_64(cut<Bits, 1>.shift.data()), lanes);
  _mm512_storeu_si512(to, _mm512_and_si512(codes, _mm512_set1_epi8((1 << Bits) - 1)));
}

// Four times 48 bytes are three vectors: loads that lie across two lines, which cost twice as much, are spared where
// the stream is aligned. The last 48 bytes are the upper ones of their vector.
template <int Bits>
requires(Bits == 6)
    [[gnu::always_inline]] inline void unpack_four_steps(const std::uint8_t* from, std::uint8_t* to,
                                                         avx512vnni_vbmi) {
  const __m512i bytes = load_64(cut<Bits, 1>.byte.data());
  const __m512i upper = _mm512_add_epi8(bytes, _mm512_set1_epi8(16));
  const auto put_codes = [to](index_t step, __m512i part, __m512i places)
      __attribute__((always_inline)) {
    const __m512i lanes = _mm512_permutexvar_epi8(places, part);
    const __m512i codes = _mm512_multishift_epi64_epi8(load_64(cut<Bits, 1>.shift.data()), lanes);
    _mm512_storeu_si512(to + 64 * step, _mm512_and_si512(codes, _mm512_set1_epi8((1 << Bits) - 1)));
  };
  const __m512i a = load_64(from), b = load_64(from + 64), c = load_64(from + 128);
  put_codes(0, a, bytes);
  put_codes(1, _mm512_alignr_epi64(b, a, 6), bytes);
  put_codes(2, _mm512_alignr_epi64(c, b, 4), bytes);
  put_codes(3, c, upper);
}

// The bytes of codes in lanes of Lane bytes, back to back.
template <int Bits, int Lane> struct collect_lanes {
  alignas(64) std::array<std::uint8_t, 64> byte{};
  constexpr collect_lanes() {
    constexpr std::size_t used = Bits * Lane / 8;
    for (std::size_t i = 0; i < 8 * Bits; ++i) {
      byte[i] = static_cast<std::uint8_t>(i / used * Lane + i % used);
    }
  }
};
template <int Bits, int Lane> inline constexpr collect_lanes<Bits, Lane> collected{};

// Joins neighbours until a lane holds whole bytes, which are then collected.
template <int Bits> [[gnu::always_inline]] inline __m512i pack_64(const std::uint8_t* from) {
  const __m512i codes = _mm512_and_si512(load_64(from), _mm512_set1_epi8((1 << Bits) - 1));
  const __m512i pairs =
      _mm512_maddubs_epi16(_mm512_set1_epi16(static_cast<short>(1 | (1 << (8 + Bits)))), codes);
  if constexpr (Bits == 4) {
    return _mm512_permutexvar_epi8(load_64(collected<Bits, 2>.byte.data()), pairs);
  }
  const __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 | (1 << (16 + 2 * Bits))));
  if constexpr (Bits % 2 == 0) {
    return _mm512_permutexvar_epi8(load_64(collected<Bits, 4>.byte.data()), fours);
  }
  // The lower four to the top of its half, then both down: they meet. (One shift and a bitwise choice
  // are slower.)
  const __m512i up = _mm512_sllv_epi32(fours, _mm512_set1_epi64(32 - 4 * Bits));
  const __m512i eights = _mm512_srli_epi64(up, 32 - 4 * Bits);
  return _mm512_permutexvar_epi8(load_64(collected<Bits, 8>.byte.data()), eights);
}
template <int Bits>
[[gnu::always_inline]] inline void pack_step(const std::uint8_t* from, std::uint8_t* to,
                                             avx512vnni_vbmi) {
  const __m512i bytes = pack_64<Bits>(from);
  if constexpr (8 * Bits <= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(bytes));
  } else if constexpr (8 * Bits <= 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(bytes));
  } else {
    _mm512_storeu_si512(to, bytes);
  }
}

// Four times 48 bytes as three vectors: stores across two lines cost much more than two.
template <int Step> struct collect_joined {
  alignas(
      64) std::array<std::uint8_t, 64> byte{};  // of step `Step`, where its bytes go in the vectors
  constexpr collect_joined() {
    for (std::size_t i = 0; i < 48; ++i) {
      byte[(48 * Step + i) % 64] = static_cast<std::uint8_t>(i / 3 * 4 + i % 3);
    }
  }
};
template <int Step> inline constexpr collect_joined<Step> joined_from{};

template <int Bits>
requires(Bits == 6)
    [[gnu::always_inline]] inline void pack_four_steps(const std::uint8_t* from, std::uint8_t* to,
                                                       avx512vnni_vbmi) {
  const auto fours = [from](index_t step) __attribute__((always_inline)) {
    const __m512i codes =
        _mm512_and_si512(load_64(from + 64 * step), _mm512_set1_epi8((1 << Bits) - 1));
    const __m512i pairs =
        _mm512_maddubs_epi16(_mm512_set1_epi16(static_cast<short>(1 | (1 << (8 + Bits)))), codes);
    return _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 | (1 << (16 + 2 * Bits))));
  };
  const __m512i place[] = {load_64(joined_from<0>.byte.data()), load_64(joined_from<1>.byte.data()),
                           load_64(joined_from<2>.byte.data()),
                           load_64(joined_from<3>.byte.data())};
  const __m512i b = fours(1), c = fours(2);
  const __m512i first = _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(place[0], fours(0)),
                                                     ~std::uint64_t{0} << 48, place[1], b);
  const __m512i second = _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(place[1], b),
                                                      ~std::uint64_t{0} << 32, place[2], c);
  const __m512i third = _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(place[2], c),
                                                     ~std::uint64_t{0} << 16, place[3], fours(3));
  _mm512_storeu_si512(to, first);
  _mm512_storeu_si512(to + 64, second);
  _mm512_storeu_si512(to + 128, third);
}

template <stores S> [[gnu::always_inline]] inline void put(void* p, __m512i v) {
  if constexpr (S == stores::streaming) {
    _mm512_stream_si512(static_cast<__m512i*>(p), v);
  } else {
    _mm512_storeu_si512(p, v);
  }
}
// Vector `at` of a table repeated as often as fits.
template <int Own> [[gnu::always_inline]] inline __m512i repeated(const void* table, index_t at) {
  const auto* const p = static_cast<const std::uint8_t*>(table);
  if constexpr (Own >= 64) {
    return load_64(p + 64 * at);
  } else {
    alignas(64) std::array<std::uint8_t, 64> byte;
    for (std::size_t i = 0; i < 64; i += Own) std::memcpy(byte.data() + i, p, Own);
    return load_64(byte.data());
  }
}

// Entries of one byte: 64 fit one vector, 128 two; 256 two pairs and a choice by the top bit.
template <int Bits> class byte_table {
 public:
  byte_table() = default;
  explicit byte_table(const void* table) {
    for (index_t i = 0; i < vectors; ++i) part_[i] = repeated<1 << Bits>(table, i);
  }
  [[gnu::always_inline]] __m512i at(__m512i codes) const {
    if constexpr (Bits <= 6) {
      return _mm512_permutexvar_epi8(codes, part_[0]);
    } else if constexpr (Bits == 7) {
      return _mm512_permutex2var_epi8(part_[0], codes, part_[1]);
    } else {
      return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes),
                                    _mm512_permutex2var_epi8(part_[0], codes, part_[1]),
                                    _mm512_permutex2var_epi8(part_[2], codes, part_[3]));
    }
  }

 private:
  static constexpr index_t vectors = Bits <= 6 ? 1 : 1 << (Bits - 6);
  __m512i part_[to_size(vectors)];
};

template <int Bits> struct code_lookup<avx512vnni_vbmi, 1, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 64;
  static constexpr index_t reach = part_bytes<8 * Bits + 1>;
  static constexpr std::uintptr_t alignment = 64;
  static constexpr bool fits(int shift) { return Bits < 8 || shift == 0; }

  explicit code_lookup(const void* table) : table_(table) {}
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int shift, void* to) const {
    put<S>(to, table_.at(cut_codes<Bits>(from, shifts_from<Bits, 1>(shift))));
  }

 private:
  byte_table<Bits> table_;
};

// Entries of two or four bytes. Up to 2 registers of them: one permutation per vector of output.
template <int Size, int Bits> inline constexpr bool has_wide_lookup = (Size << Bits) <= 128;

template <int Size, int Bits>
requires(Size > 1 && has_wide_lookup<Size, Bits>) struct code_lookup<avx512vnni_vbmi, Size, Bits> {
  static constexpr index_t entries = 64 / Size;  // per vector
  static constexpr bool narrow = Bits <= 4;  // 64-bit words hold all codes a vector needs from them
  static constexpr bool available = true;
  static constexpr index_t step = 4 * entries;
  static constexpr index_t part = entries * Bits / 8;  // bytes of stream per vector
  static constexpr index_t reach = 3 * part + (narrow ? (Size == 2 ? part / 2 : 0) + 8 : 64);
  static constexpr std::uintptr_t alignment = 64;
  static constexpr bool fits(int shift) { return !narrow || 16 * Bits + shift <= 64; }

  explicit code_lookup(const void* table)
      : low_(repeated<(Size << Bits)>(table, 0)),
        high_((Size << Bits) > 64 ? repeated<(Size << Bits)>(table, 1) : low_) {}
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int shift, void* to) const {
    const __m512i shifts = narrow ? narrow_shifts(shift) : shifts_from<Bits, Size>(shift);
    unroll<4>([&](auto v) __attribute__((always_inline)) {
      const __m512i codes = _mm512_multishift_epi64_epi8(shifts, lanes(from + v * part));
      put<S>(static_cast<std::uint8_t*>(to) + 64 * v, entries_of(codes));
    });
  }

 private:
  // In every 64-bit lane, the bytes that hold its codes. Loads broadcast for free.
  [[gnu::always_inline]] static __m512i lanes(const std::uint8_t* from) {
    if constexpr (!narrow) {
      return _mm512_permutexvar_epi8(load_64(cut<Bits, Size>.byte.data()), load_64(from));
    } else {
      const __m512i all = _mm512_set1_epi64(word_at(from));
      if constexpr (Size == 4) return all;
      return _mm512_mask_set1_epi64(all, 0xF0, word_at(from + part / 2));
    }
  }
  [[gnu::always_inline]] static long long word_at(const std::uint8_t* p) {
    long long word;
    std::memcpy(&word, p, 8);
    return word;
  }
  // All lanes hold the same word (each half of them, if Size is 2): entry j is 16 codes or fewer away.
  [[gnu::always_inline]] static __m512i narrow_shifts(int shift) {
    alignas(64) static constexpr auto constants = [] {
      std::array<std::uint8_t, 64> s{};
      for (std::size_t i = 0; i < 64; ++i) s[i] = static_cast<std::uint8_t>(i / Size % 16 * Bits);
      return s;
    }();
    return _mm512_add_epi8(load_64(constants.data()), _mm512_set1_epi8(static_cast<char>(shift)));
  }
  [[gnu::always_inline]] __m512i entries_of(__m512i codes) const {
    if constexpr ((Size << Bits) <= 64) {
      return Size == 2 ? _mm512_permutexvar_epi16(codes, low_)
                       : _mm512_permutexvar_epi32(codes, low_);
    } else {
      return Size == 2 ? _mm512_permutex2var_epi16(low_, codes, high_)
                       : _mm512_permutex2var_epi32(low_, codes, high_);
    }
  }

  __m512i low_, high_;
};

// Larger tables: one plane of bytes per byte of an entry, interleaved afterwards.
template <int Size, int Bits>
requires(Size > 1 && !has_wide_lookup<Size, Bits>) struct code_lookup<avx512vnni_vbmi, Size, Bits> {
  static constexpr bool available = true;
  static constexpr index_t step = 64;
  static constexpr index_t reach = part_bytes<8 * Bits + 1>;
  static constexpr std::uintptr_t alignment = 64;
  static constexpr bool fits(int shift) { return Bits < 8 || shift == 0; }

  explicit code_lookup(const void* table) {
    const auto* const bytes = static_cast<const std::uint8_t*>(table);
    alignas(64) std::array<std::uint8_t, std::size_t{1} << Bits> plane;
    unroll<Size>([&](auto p) __attribute__((always_inline)) {
      for (std::size_t i = 0; i < plane.size(); i += 64 / Size) {
        const __m512i entries = load_64(bytes + Size * i);
        if constexpr (Size == 2) {
          _mm256_store_si256(reinterpret_cast<__m256i*>(plane.data() + i),
                             _mm512_cvtepi16_epi8(_mm512_srli_epi16(entries, 8 * p)));
        } else {
          _mm_store_si128(reinterpret_cast<__m128i*>(plane.data() + i),
                          _mm512_cvtepi32_epi8(_mm512_srli_epi32(entries, 8 * p)));
        }
      }
      plane_[p] = byte_table<Bits>(plane.data());
    });
  }
  template <stores S>
  [[gnu::always_inline]] void look_up(const std::uint8_t* from, int shift, void* to) const {
    // Interleaving works within 128-bit lines: the codes are put where natural order comes out.
    const __m512i natural = cut_codes<Bits>(from, shifts_from<Bits, 1>(shift));
    const __m512i codes = _mm512_permutexvar_epi8(load_64(order().data()), natural);
    auto* const out = static_cast<std::uint8_t*>(to);
    const __m512i p0 = plane_[0].at(codes), p1 = plane_[1].at(codes);
    const __m512i low = _mm512_unpacklo_epi8(p0, p1), high = _mm512_unpackhi_epi8(p0, p1);
    if constexpr (Size == 2) {
      put<S>(out, low);
      put<S>(out + 64, high);
    } else {
      const __m512i p2 = plane_[2].at(codes), p3 = plane_[3].at(codes);
      const __m512i top_low = _mm512_unpacklo_epi8(p2, p3);
      const __m512i top_high = _mm512_unpackhi_epi8(p2, p3);
      put<S>(out, _mm512_unpacklo_epi16(low, top_low));
      put<S>(out + 64, _mm512_unpackhi_epi16(low, top_low));
      put<S>(out + 128, _mm512_unpacklo_epi16(high, top_high));
      put<S>(out + 192, _mm512_unpackhi_epi16(high, top_high));
    }
  }

 private:
  // Line L of output vector r holds the codes that byte 16 L + (16 / Size) r begins.
  static const std::array<std::uint8_t, 64>& order() {
    alignas(64) static constexpr auto constants = [] {
      constexpr std::size_t per_line = 16 / Size;
      std::array<std::uint8_t, 64> o{};
      for (std::size_t i = 0; i < 64; ++i) {
        const std::size_t line = i / 16, vector = i % 16 / per_line, at = i % per_line;
        o[i] = static_cast<std::uint8_t>(vector * 4 * per_line + line * per_line + at);
      }
      return o;
    }();
    return constants;
  }

  byte_table<Bits> plane_[to_size(Size)];
};
template <int Size, int Bits>
struct code_lookup<amx_int8, Size, Bits> : code_lookup<avx512vnni_vbmi, Size, Bits> {
  using code_lookup<avx512vnni_vbmi, Size, Bits>::code_lookup;
};

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
#endif
