// lutra: sse.hpp - streams of codes on sse4_1, 16 codes at a time (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// Unpacking: a byte shuffle brings the two bytes that hold a code into a 16-bit lane, a multiplication by
// a power of two moves the code to the upper byte (there is no variable shift of 16-bit lanes). Even codes
// are then shifted down, odd ones stay. Packing: maddubs and madd shift and add neighbours.
#pragma once

#include <array>
#include <lutra/simd/bit_codes/generic.hpp>

#if !LUTRA_PORTABLE && defined(__SSE4_1__) && defined(__SSSE3__)
#include <immintrin.h>

namespace lutra::inline LUTRA_ABI::simd {

// Shuffles and factors for the 16 codes of one 128-bit lane; Odd: codes 1, 3, 5, ...
template <int Bits, bool Odd> struct spread_constants {
  alignas(16) std::array<std::uint8_t, 16> byte{};
  alignas(16) std::array<std::uint16_t, 8> factor{};
  constexpr spread_constants() {
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const std::size_t bit = (2 * lane + (Odd ? 1 : 0)) * Bits;
      byte[2 * lane] = static_cast<std::uint8_t>(bit / 8);
      byte[2 * lane + 1] = static_cast<std::uint8_t>(bit / 8 + 1);
      factor[lane] = static_cast<std::uint16_t>(1U << (8 - bit % 8));
    }
  }
};
template <int Bits, bool Odd> inline constexpr spread_constants<Bits, Odd> spread{};

// The bytes of codes in lanes of Lane bytes, back to back.
template <int Bits, int Lane> struct collect_constants {
  alignas(16) std::array<std::uint8_t, 16> byte{};
  constexpr collect_constants() {
    constexpr std::size_t used = Bits * Lane / 8;
    for (std::size_t i = 0; i < 16; ++i) {
      byte[i] =
          static_cast<std::uint8_t>(i < 2 * Bits ? i / used * Lane + i % used : std::size_t{0x80});
    }
  }
};
template <int Bits, int Lane> inline constexpr collect_constants<Bits, Lane> collect{};

[[gnu::always_inline]] inline __m128i load_line(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

constexpr index_t code_step(sse4_1) { return 16; }
template <int Bits> constexpr index_t unpack_reach(sse4_1) { return 16; }
template <int Bits> constexpr index_t pack_reach(sse4_1) { return 16; }

template <int Bits>
[[gnu::always_inline]] inline void unpack_step(const std::uint8_t* from, std::uint8_t* to, sse4_1) {
  const __m128i x = load_line(from);
  const __m128i even =
      _mm_mullo_epi16(_mm_shuffle_epi8(x, load_line(spread<Bits, false>.byte.data())),
                      load_line(spread<Bits, false>.factor.data()));
  const __m128i odd =
      _mm_mullo_epi16(_mm_shuffle_epi8(x, load_line(spread<Bits, true>.byte.data())),
                      load_line(spread<Bits, true>.factor.data()));
  const __m128i both = _mm_or_si128(_mm_srli_epi16(even, 8),
                                    _mm_and_si128(odd, _mm_set1_epi16(static_cast<short>(0xFF00))));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_and_si128(both, _mm_set1_epi8((1 << Bits) - 1)));
}
template <int Bits>
[[gnu::always_inline]] inline void pack_step(const std::uint8_t* from, std::uint8_t* to, sse4_1) {
  const __m128i codes = _mm_and_si128(load_line(from), _mm_set1_epi8((1 << Bits) - 1));
  // Factors are the unsigned operand: 2^7 is one.
  const __m128i pairs =
      _mm_maddubs_epi16(_mm_set1_epi16(static_cast<short>(1 | (1 << (8 + Bits)))), codes);
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 | (1 << (16 + 2 * Bits))));
  if constexpr (Bits % 2 == 0) {
    return _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                            _mm_shuffle_epi8(fours, load_line(collect<Bits, 4>.byte.data())));
  }
  const __m128i low = _mm_and_si128(fours, _mm_set1_epi64x((1LL << 4 * Bits) - 1));
  const __m128i high = _mm_slli_epi64(_mm_srli_epi64(fours, 32), 4 * Bits);
  const __m128i eights = _mm_or_si128(low, high);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_shuffle_epi8(eights, load_line(collect<Bits, 8>.byte.data())));
}

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
