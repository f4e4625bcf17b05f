// lutra: widen.hpp - a register of floats or words from as many integers or bytes.
// SPDX-License-Identifier: Apache-2.0
//
// By one instruction where the level has one: compilers make of a plain loop over a small array a store of bytes and a
// load of the register, which waits for the store.
#pragma once

#include <cstring>
#include <lutra/simd/floats.hpp>

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

// v[i] converted from q[i], an int8, uint8 or int32 that a float holds exactly.
template <class V, class Code>
requires std::is_same_v<V, float> V widen(const Code* q)
noexcept { return static_cast<float>(*q); }
// Words with the bytes of q as they are.
template <class V>
requires std::is_same_v<V, float> V byte_words(const std::uint8_t* q)
noexcept { return std::bit_cast<float>(std::uint32_t{*q}); }

#if !LUTRA_PORTABLE
template <class A> using word_batch = xsimd::batch<std::int32_t, A>;

// One word per code, sign- or zero-extended; reads no more codes than there are lanes.
template <class A, class Code> word_batch<A> extended(const Code* q) noexcept {
  constexpr std::size_t n = word_batch<A>::size;
  constexpr bool is_signed = std::is_signed_v<Code>;
  if constexpr (sizeof(Code) == sizeof(std::int32_t)) {
    return word_batch<A>::load_unaligned(q);
  } else {
#if defined(__SSE2__)
    const auto* from = reinterpret_cast<const __m128i*>(q);
#if defined(__AVX512F__)
    if constexpr (n == 16) {
      const __m128i bytes = _mm_loadu_si128(from);
      return is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
    }
#endif
#if defined(__AVX2__)
    if constexpr (n == 8) {
      const __m128i bytes = _mm_loadl_epi64(from);
      return is_signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
    }
#endif
    if constexpr (n == 4) {  // every word holds its byte four times
      std::int32_t four = 0;
      std::memcpy(&four, from, sizeof four);
      const __m128i bytes = _mm_cvtsi32_si128(four);
      const __m128i pairs = _mm_unpacklo_epi8(bytes, bytes);
      const __m128i words = _mm_unpacklo_epi16(pairs, pairs);
      return is_signed ? _mm_srai_epi32(words, 24) : _mm_srli_epi32(words, 24);
    }
#else
    static_assert(n == 4);
    std::uint32_t four = 0;
    std::memcpy(&four, q, sizeof four);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
    if constexpr (is_signed) {
      return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes))));
    } else {
      return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
    }
#endif
  }
}

template <class V, class Code>
requires is_float_batch<V> V widen(const Code* q)
noexcept { return xsimd::to_float(extended<typename V::arch_type>(q)); }
template <class V>
requires is_float_batch<V> V byte_words(const std::uint8_t* q)
noexcept { return xsimd::bitwise_cast<float>(extended<typename V::arch_type>(q)); }
#endif

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
