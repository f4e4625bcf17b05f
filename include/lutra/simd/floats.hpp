// lutra: floats.hpp - one register of floats per level: the vocabulary of the elementwise loops.
// SPDX-License-Identifier: Apache-2.0
//
// floats<Level> is an xsimd batch, or plain float for `portable`; + - * are its operators. Division is
// divide(): the operator of xsimd approximates on Arm. Every
// operation here is exact or correctly rounded lane by lane, so a loop written with it gives the same bits at
// every level. min and max return the second operand when either is NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>
#include <type_traits>

#if !LUTRA_PORTABLE && defined(__SSE2__)
#include <immintrin.h>
#elif !LUTRA_PORTABLE && defined(__aarch64__)
#include <arm_neon.h>
#endif

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

#if LUTRA_PORTABLE
template <class Level> struct float_register { using type = float; };
#else
template <class Level> struct float_register { using type = batch<float, Level>; };
template <> struct float_register<portable> { using type = float; };
#if defined(__AVX2__) && defined(__FMA__)
template <> struct float_register<avx2> {
  using type = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
};
template <> struct float_register<avxvnni> : float_register<avx2> {};
#endif
#endif
template <class Level> using floats = typename float_register<Level>::type;

// A fused multiply-add instruction exists. (portable: the compiler may not have one, so no.)
template <class Level>
inline constexpr bool has_fma =
    std::is_base_of_v<avx512bw, Level> || std::is_base_of_v<neon64, Level>
#if defined(__FMA__)
    || std::is_base_of_v<avx2, Level>
#endif
    ;

// The portable bodies: V is float.
template <class V> struct lanes_of { static constexpr index_t value = 1; };
template <class V> inline constexpr index_t lanes = lanes_of<V>::value;

template <class V>
requires std::is_same_v<V, float> V load(const float* p)
noexcept { return *p; }
inline void store(float* p, float v) noexcept { *p = v; }
inline float max(float a, float b) noexcept { return a > b ? a : b; }
inline float min(float a, float b) noexcept { return a < b ? a : b; }
// The smallest and the largest lane; no lane is NaN.
inline float smallest(float v) noexcept { return v; }
inline float largest(float v) noexcept { return v; }
inline float magnitude(float v) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) & 0x7FFFFFFFU);
}
// |m| with the sign of s, for m >= 0 or NaN.
inline float with_sign_of(float m, float s) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(m) |
                              (std::bit_cast<std::uint32_t>(s) & 0x80000000U));
}
// The power of two below |v|; 0 for zero and subnormals, infinity for infinity and NaN.
inline float binade(float v) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(v) & 0x7F800000U);
}
// The larger magnitude of both, with the sign of a; neither is NaN. In one instruction where has_larger_magnitude.
inline float larger_magnitude(float a, float b) noexcept {
  return with_sign_of(max(magnitude(a), magnitude(b)), a);
}
template <class V> inline constexpr bool has_larger_magnitude = false;
inline float divide(float a, float b) noexcept { return a / b; }
inline float nan_to(float v, float replacement) noexcept { return v == v ? v : replacement; }
// Registers as 32-bit words: sum modulo 2^32, bitwise and, or, logical shifts; `a` where v is NaN, else b.
inline float add_words(float a, float b) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) + std::bit_cast<std::uint32_t>(b));
}
inline float and_words(float a, float b) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) & std::bit_cast<std::uint32_t>(b));
}
template <int Count> float shift_words(float a) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) >> Count);
}
template <int Count> float shift_words_left(float a) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) << Count);
}
inline float or_words(float a, float b) noexcept {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) | std::bit_cast<std::uint32_t>(b));
}
inline float where_nan(float v, float a, float b) noexcept { return v == v ? b : a; }
template <class V>
requires std::is_same_v<V, float> V words(std::uint32_t w)
noexcept { return std::bit_cast<float>(w); }
// Words that hold the nearest integers, halves to even; |v| < 2^31.
inline float round_words(float v) noexcept {
  return std::bit_cast<float>(static_cast<std::int32_t>(std::nearbyint(v)));
}
// Rounded once; slow where there is no instruction for it (see has_fma).
inline float fma(float a, float b, float c) noexcept { return std::fma(a, b, c); }
inline float fnma(float a, float b, float c) noexcept { return std::fma(-a, b, c); }  // c - a * b
// out[i] = low byte of the bits of lane i of a, b, c, d in turn.
inline void store_low_bytes(std::uint8_t* out, float a, float b, float c, float d) noexcept {
  out[0] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(a));
  out[1] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(b));
  out[2] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(c));
  out[3] = static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(d));
}
// The same around the caches; out is aligned to what is stored.
inline void stream_low_bytes(std::uint8_t* out, float a, float b, float c, float d) noexcept {
  store_low_bytes(out, a, b, c, d);
}
// Non-temporal store; p is aligned to the register. Needs a stream_fence() before others read.
inline void stream(float* p, float v) noexcept { *p = v; }

#if !LUTRA_PORTABLE
template <class A> using fbatch = xsimd::batch<float, A>;
template <class A> struct lanes_of<fbatch<A>> {
  static constexpr index_t value = static_cast<index_t>(fbatch<A>::size);
};
template <class V> inline constexpr bool is_float_batch = false;
template <class A> inline constexpr bool is_float_batch<fbatch<A>> = true;

template <class V>
requires is_float_batch<V> V load(const float* p)
noexcept { return V::load_unaligned(p); }
template <class A> void store(float* p, const fbatch<A>& v) noexcept { v.store_unaligned(p); }
template <class A> fbatch<A> max(const fbatch<A>& a, const fbatch<A>& b) noexcept {
#if defined(__aarch64__)
  return vbslq_f32(vcgtq_f32(a, b), a, b);  // the instruction orders zeros by their sign
#else
  return xsimd::max(a, b);
#endif
}
template <class A> fbatch<A> min(const fbatch<A>& a, const fbatch<A>& b) noexcept {
#if defined(__aarch64__)
  return vbslq_f32(vcltq_f32(a, b), a, b);
#else
  return xsimd::min(a, b);
#endif
}
template <class A> float smallest(const fbatch<A>& v) noexcept { return xsimd::reduce_min(v); }
template <class A> float largest(const fbatch<A>& v) noexcept { return xsimd::reduce_max(v); }
template <class V>
requires is_float_batch<V> V words(std::uint32_t w)
noexcept { return V(std::bit_cast<float>(w)); }
template <class A> fbatch<A> magnitude(const fbatch<A>& v) noexcept {
  return v & words<fbatch<A>>(0x7FFFFFFFU);
}
template <class A> fbatch<A> with_sign_of(const fbatch<A>& m, const fbatch<A>& s) noexcept {
#if defined(__AVX512F__)
  if constexpr (fbatch<A>::size == 16) {  // in one instruction
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000U));
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(_mm512_castps_si512(m), _mm512_castps_si512(s), sign, 0xF8));
  }
#endif
  return m | (s & words<fbatch<A>>(0x80000000U));
}
template <class A> fbatch<A> binade(const fbatch<A>& v) noexcept {
  return v & words<fbatch<A>>(0x7F800000U);
}
template <class A> fbatch<A> larger_magnitude(const fbatch<A>& a, const fbatch<A>& b) noexcept {
#if defined(__AVX512DQ__)
  // Without optimisation g++ has a macro of that name, which converts a sign.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
  if constexpr (fbatch<A>::size == 16) return _mm512_range_ps(a, b, 0x03);
#pragma GCC diagnostic pop
#endif
  return with_sign_of(xsimd::max(magnitude(a), magnitude(b)), a);
}
#if defined(__AVX512DQ__)
template <class A>
requires(fbatch<A>::size == 16) inline constexpr bool has_larger_magnitude<fbatch<A>> = true;
#endif
template <class A> fbatch<A> divide(const fbatch<A>& a, const fbatch<A>& b) noexcept {
#if defined(__aarch64__)
  if constexpr (sizeof(fbatch<A>) == sizeof(float32x4_t)) return fbatch<A>(vdivq_f32(a, b));
#endif
  return a / b;
}
template <class A> fbatch<A> nan_to(const fbatch<A>& v, const fbatch<A>& replacement) noexcept {
  return xsimd::select(v == v, v, replacement);
}
template <class A> auto as_words(const fbatch<A>& v) noexcept {
  return xsimd::bitwise_cast<std::uint32_t>(v);
}
template <class A> fbatch<A> add_words(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return xsimd::bitwise_cast<float>(as_words(a) + as_words(b));
}
template <class A> fbatch<A> and_words(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return a & b;
}
template <int Count, class A> fbatch<A> shift_words(const fbatch<A>& a) noexcept {
  return xsimd::bitwise_cast<float>(as_words(a) >> Count);
}
template <int Count, class A> fbatch<A> shift_words_left(const fbatch<A>& a) noexcept {
  return xsimd::bitwise_cast<float>(as_words(a) << Count);
}
template <class A> fbatch<A> or_words(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return a | b;
}
template <class A>
fbatch<A> where_nan(const fbatch<A>& v, const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return xsimd::select(v == v, b, a);
}
template <class A> fbatch<A> round_words(const fbatch<A>& v) noexcept {
  return xsimd::bitwise_cast<float>(xsimd::nearbyint_as_int(v));
}
// Rounded once.
template <class A>
fbatch<A> fma(const fbatch<A>& a, const fbatch<A>& b, const fbatch<A>& c) noexcept {
  return xsimd::fma(a, b, c);
}
// c - a * b, rounded once.
template <class A>
fbatch<A> fnma(const fbatch<A>& a, const fbatch<A>& b, const fbatch<A>& c) noexcept {
#if defined(__aarch64__)
  return vfmsq_f32(c, a, b);  // xsimd 13 rounds twice here
#else
  return xsimd::fnma(a, b, c);
#endif
}
// Low bytes of four registers of four words, or of the matching quarters of wider ones.
#if defined(__SSE2__)
inline __m128i low_bytes(__m128 a, __m128 b, __m128 c, __m128 d) noexcept {
  const __m128i byte = _mm_set1_epi32(0xFF);
  const auto low = [&](__m128 v) { return _mm_and_si128(_mm_castps_si128(v), byte); };
  return _mm_packus_epi16(_mm_packs_epi32(low(a), low(b)), _mm_packs_epi32(low(c), low(d)));
}
#endif
#if defined(__AVX2__)
inline __m256i low_bytes(__m256 a, __m256 b, __m256 c, __m256 d) noexcept {
  const __m256i byte = _mm256_set1_epi32(0xFF);
  const auto low = [&](__m256 v) { return _mm256_and_si256(_mm256_castps_si256(v), byte); };
  const __m256i quarters =
      _mm256_packus_epi16(_mm256_packs_epi32(low(a), low(b)), _mm256_packs_epi32(low(c), low(d)));
  return _mm256_permutevar8x32_epi32(quarters, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
#endif
template <class A>
void store_low_bytes(std::uint8_t* out, const fbatch<A>& a, const fbatch<A>& b, const fbatch<A>& c,
                     const fbatch<A>& d) noexcept {
  [[maybe_unused]] constexpr std::size_t n = fbatch<A>::size;
#if defined(__AVX512F__)
  if constexpr (n == 16) {
    auto* to = reinterpret_cast<__m128i*>(out);
    _mm_storeu_si128(to, _mm512_cvtepi32_epi8(_mm512_castps_si512(a)));
    _mm_storeu_si128(to + 1, _mm512_cvtepi32_epi8(_mm512_castps_si512(b)));
    _mm_storeu_si128(to + 2, _mm512_cvtepi32_epi8(_mm512_castps_si512(c)));
    _mm_storeu_si128(to + 3, _mm512_cvtepi32_epi8(_mm512_castps_si512(d)));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (n == 8) {
    return _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                               low_bytes(__m256(a), __m256(b), __m256(c), __m256(d)));
  }
#endif
#if defined(__SSE2__)
  if constexpr (n == 4) {
    return _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                            low_bytes(__m128(a), __m128(b), __m128(c), __m128(d)));
  }
#endif
#if !defined(__SSE2__)
  const auto words = [](const fbatch<A>& v) { return vmovn_u32(vreinterpretq_u32_f32(v)); };
  const uint16x8_t low = vcombine_u16(words(a), words(b));
  const uint16x8_t high = vcombine_u16(words(c), words(d));
  vst1q_u8(out, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
#endif
}
template <class A>
void stream_low_bytes(std::uint8_t* out, const fbatch<A>& a, const fbatch<A>& b, const fbatch<A>& c,
                      const fbatch<A>& d) noexcept {
  [[maybe_unused]] constexpr std::size_t n = fbatch<A>::size;
#if defined(__AVX512F__)
  if constexpr (n == 16) {
    auto* to = reinterpret_cast<__m128i*>(out);
    _mm_stream_si128(to, _mm512_cvtepi32_epi8(_mm512_castps_si512(a)));
    _mm_stream_si128(to + 1, _mm512_cvtepi32_epi8(_mm512_castps_si512(b)));
    _mm_stream_si128(to + 2, _mm512_cvtepi32_epi8(_mm512_castps_si512(c)));
    _mm_stream_si128(to + 3, _mm512_cvtepi32_epi8(_mm512_castps_si512(d)));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (n == 8) {
    return _mm256_stream_si256(reinterpret_cast<__m256i*>(out),
                               low_bytes(__m256(a), __m256(b), __m256(c), __m256(d)));
  }
#endif
#if defined(__SSE2__)
  if constexpr (n == 4) {
    return _mm_stream_si128(reinterpret_cast<__m128i*>(out),
                            low_bytes(__m128(a), __m128(b), __m128(c), __m128(d)));
  }
#endif
  store_low_bytes(out, a, b, c, d);
}
template <class A> void stream(float* p, const fbatch<A>& v) noexcept {
#if defined(__AVX512F__)
  if constexpr (fbatch<A>::size == 16) return _mm512_stream_ps(p, v);
#endif
#if defined(__AVX__)
  if constexpr (fbatch<A>::size == 8) return _mm256_stream_ps(p, v);
#endif
#if defined(__SSE2__)
  if constexpr (fbatch<A>::size == 4) return _mm_stream_ps(p, v);
#endif
  v.store_aligned(p);
}
#endif

inline void stream_fence() noexcept {
#if !LUTRA_PORTABLE && defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
