// lutra: amx.hpp - primitives of the level amx_int8: products of small matrices (contract: tiles.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// Eight registers hold up to 16 rows of up to 64 bytes each, a tile. One instruction adds to 16 x 16 sums the products
// of 16 x 64 by 64 x 16 bytes; all else is as on avx512vnni_vbmi, which this level extends. Assembly instead of
// intrinsics: those of g++ 12 take literal numbers of registers only, and do not tell the compiler that they touch
// memory.
#pragma once

#include <lutra/simd/primitives/avx512.hpp>
#include <lutra/simd/primitives/tiles.hpp>
#include <lutra/simd/unroll.hpp>

#if !LUTRA_PORTABLE && LUTRA_AMX_INT8 && defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && \
    defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

constexpr bool has_tiles(amx_int8) { return true; }

[[gnu::always_inline]] inline void configure_tiles(const tile_shapes& s, amx_int8) {
  __asm__ volatile("ldtilecfg %0" : : "m"(s));
}
[[gnu::always_inline]] inline void release_tiles(amx_int8) { __asm__ volatile("tilerelease"); }
template <int Tile> [[gnu::always_inline]] inline void tile_zero(amx_int8) {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
[[gnu::always_inline]] inline void tile_load(const void* p, index_t stride, amx_int8) {
  __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(p), "r"(stride) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void tile_store(void* p, index_t stride, amx_int8) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(p), "r"(stride) : "memory");
}
template <int Sum, int X, int W> [[gnu::always_inline]] inline void tile_dot(amx_int8) {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(X), "i"(W));
}
template <int Sum, int X, int W> [[gnu::always_inline]] inline void tile_dot_unsigned(amx_int8) {
  __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(X), "i"(W));
}

[[gnu::always_inline]] inline __m512i load_lines(const void* p, index_t stride, index_t lines,
                                                 index_t count, amx_int8) {
  const auto* at = static_cast<const char*>(p);
  const auto line = [ at, stride ](index_t i) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i * stride));
  };
  if (lines == 4 && count == 16) {
    __m512i v = _mm512_castsi128_si512(line(0));
    v = _mm512_inserti32x4(v, line(1), 1);
    v = _mm512_inserti32x4(v, line(2), 2);
    return _mm512_inserti32x4(v, line(3), 3);
  }
  const auto first = static_cast<__mmask16>((1U << count) - 1);
  __m512i v = _mm512_setzero_si512();
  for (index_t i = 0; i < lines; ++i) {
    const __m128i some = _mm_maskz_loadu_epi8(first, at + i * stride);
    v = _mm512_mask_broadcast_i32x4(v, static_cast<__mmask16>(15U << (4 * i)), some);
  }
  return v;
}
// Four times, the first eight vectors are interleaved with the others.
[[gnu::always_inline]] inline void transpose_lines(__m512i (&v)[16], amx_int8) {
  for (int round = 0; round < 4; ++round) {
    __m512i w[16];
    for (int i = 0; i < 8; ++i) {
      w[2 * i] = _mm512_unpacklo_epi8(v[i], v[i + 8]);
      w[2 * i + 1] = _mm512_unpackhi_epi8(v[i], v[i + 8]);
    }
    for (int i = 0; i < 16; ++i) v[i] = w[i];
  }
}
[[gnu::always_inline]] inline void store_bytes_of(void* p, __m512i v, index_t from, index_t count,
                                                  amx_int8) {
  const auto some = _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(count));
  // In integers: byte 0 of v may belong before all memory that p points into.
  const auto first = reinterpret_cast<std::uintptr_t>(p) - static_cast<std::uintptr_t>(from);
  _mm512_mask_storeu_epi8(reinterpret_cast<void*>(first), some << from, v);
}
[[gnu::always_inline]] inline void load_panel_sums(const std::int32_t* sums, index_t stride,
                                                   __m512i (&v)[4][4], amx_int8) {
  const auto line = [&](int column) __attribute__((always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + column * stride));
  };
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    __m512i w[4];  // line j of w[k]: column 16j + 4i + k
    unroll<4>([&](auto k) __attribute__((always_inline)) {
      constexpr int c = 4 * i + k;
      w[k] = _mm512_castsi128_si512(line(c));
      w[k] = _mm512_inserti32x4(w[k], line(16 + c), 1);
      w[k] = _mm512_inserti32x4(w[k], line(32 + c), 2);
      w[k] = _mm512_inserti32x4(w[k], line(48 + c), 3);
    });
    const __m512i low01 = _mm512_unpacklo_epi32(w[0], w[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(w[0], w[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(w[2], w[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(w[2], w[3]);
    v[0][i] = _mm512_unpacklo_epi64(low01, low23);
    v[1][i] = _mm512_unpackhi_epi64(low01, low23);
    v[2][i] = _mm512_unpacklo_epi64(high01, high23);
    v[3][i] = _mm512_unpackhi_epi64(high01, high23);
  });
}
[[gnu::always_inline]] inline __m512i narrow_in_order(const __m512i (&v)[4], const avx512_limits& l,
                                                      amx_int8 a) {
  const __m512i line_by_line =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(line_by_line, narrow(v, l, a));
}

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
#endif
