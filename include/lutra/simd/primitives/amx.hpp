// lutra: amx.hpp - primitives of the level amx_int8: products of small matrices (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// Eight registers hold up to 16 rows of up to 64 bytes each, a tile. One instruction adds to 16 x 16 sums the products
// of 16 x 64 by 64 x 16 bytes; all else is as on avx512vnni_vbmi, which this level extends. Assembly instead of
// intrinsics: those of g++ 12 take literal numbers of registers only, and do not tell the compiler that they touch
// memory.
#pragma once

#include <lutra/simd/primitives/avx512.hpp>

#if !LUTRA_PORTABLE && LUTRA_AMX_INT8 && defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && \
    defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

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

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
