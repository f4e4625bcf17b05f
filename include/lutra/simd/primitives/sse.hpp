// lutra: sse.hpp - primitives of the levels sse2 and sse4_1 (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// sse2 has no byte look-up: weights are kept decoded there, and widened to int16 for pmaddwd.
// sse4_1 (with SSSE3) looks up with pshufb and multiplies with pmaddubsw, which takes |a| and, where a is negative,
// ~w = -w - 1 instead of w: a * w = |a| * ~w + |a|, and what is missing depends on the activations alone. No pair of
// products leaves int16: |a| = 128 meets ~w only, at the least 2 * 128 * -128; other |a| are at most 127. The sign
// goes to the weight because that of a = -128 has no int8 value, and not by psignb because -w has none for w = -128.
#pragma once

#include <lutra/simd/primitives/generic.hpp>

#if !LUTRA_PORTABLE && defined(__SSE2__)
#include <immintrin.h>

namespace lutra::inline LUTRA_ABI::simd {

constexpr int panel_vectors(sse2) { return 8; }

[[gnu::always_inline]] inline __m128i load_bytes(const void* p, sse2) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
[[gnu::always_inline]] inline void store_bytes(void* p, __m128i v, sse2) {
  _mm_storeu_si128(static_cast<__m128i*>(p), v);
}
[[gnu::always_inline]] inline __m128i splat_bytes(int x, sse2) {
  return _mm_set1_epi8(static_cast<char>(x));
}
[[gnu::always_inline]] inline __m128i load_ints(const void* p, sse2 a) { return load_bytes(p, a); }
[[gnu::always_inline]] inline void store_ints(void* p, __m128i v, sse2 a) { store_bytes(p, v, a); }
[[gnu::always_inline]] inline __m128 load_floats(const float* p, sse2) { return _mm_loadu_ps(p); }
[[gnu::always_inline]] inline void store_floats(float* p, __m128 v, sse2) { _mm_storeu_ps(p, v); }

[[gnu::always_inline]] inline __m128i splat_ints(std::int32_t x, sse2) { return _mm_set1_epi32(x); }
[[gnu::always_inline]] inline __m128i add(__m128i a, __m128i b, sse2) {
  return _mm_add_epi32(a, b);
}
[[gnu::always_inline]] inline __m128i multiply(__m128i a, __m128i b, sse2) {
  const __m128i even = _mm_mul_epu32(a, b);
  const __m128i odd = _mm_mul_epu32(_mm_srli_si128(a, 4), _mm_srli_si128(b, 4));
  return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
}
[[gnu::always_inline]] inline __m128i max_ints(__m128i a, __m128i b, sse2) {
  const __m128i larger = _mm_cmpgt_epi32(a, b);
  return _mm_or_si128(_mm_and_si128(larger, a), _mm_andnot_si128(larger, b));
}

// Bytes 0, 2 and 1, 3 of every group as int16.
struct sse_pairs {
  __m128i even, odd;
};
[[gnu::always_inline]] inline sse_pairs widen(__m128i v, sse2) {
  return {_mm_srai_epi16(_mm_slli_epi16(v, 8), 8), _mm_srai_epi16(v, 8)};
}
[[gnu::always_inline]] inline __m128i splat_group(const void* four, sse2) {
  std::int32_t group;
  std::memcpy(&group, four, 4);
  return _mm_set1_epi32(group);
}
[[gnu::always_inline]] inline sse_pairs weights(__m128i w, any_weight, sse2 a) {
  return widen(w, a);
}
[[gnu::always_inline]] inline sse_pairs activations(const std::int8_t* four, any_weight, sse2 a) {
  return widen(splat_group(four, a), a);
}
[[gnu::always_inline]] inline __m128i dot(__m128i sum, sse_pairs w, sse_pairs a, any_weight, sse2) {
  return _mm_add_epi32(_mm_add_epi32(sum, _mm_madd_epi16(w.even, a.even)),
                       _mm_madd_epi16(w.odd, a.odd));
}

// Panels hold int16 pairs: four vectors of the positions 0 and 2 of a group, then four of 1 and 3.
[[gnu::always_inline]] inline void store_pairs(std::int8_t* out, __m128i a, __m128i b, sse2) {
  const __m128i low = _mm_unpacklo_epi8(a, b);
  const __m128i high = _mm_unpackhi_epi8(a, b);
  const auto put = [out](int i, __m128i twice) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * i), _mm_srai_epi16(twice, 8));
  };
  put(0, _mm_unpacklo_epi8(low, low));
  put(1, _mm_unpackhi_epi8(low, low));
  put(2, _mm_unpacklo_epi8(high, high));
  put(3, _mm_unpackhi_epi8(high, high));
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, __m128i k0, __m128i k1, __m128i k2,
                                               __m128i k3, sse2 a) {
  store_pairs(out, k0, k2, a);
  store_pairs(out + 64, k1, k3, a);
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, __m128i w, sse2 a) {
  const sse_pairs pairs = widen(w, a);
  store_bytes(out, pairs.even, a);
  store_bytes(out + 16, pairs.odd, a);
}
[[gnu::always_inline]] inline __m128i panel_weight(const std::uint8_t* lane, sse2 a) {
  return splat_group(lane, a);
}
[[gnu::always_inline]] inline __m128i panel_dot(__m128i sum, __m128i x, __m128i w, sse2) {
  return _mm_add_epi32(sum, _mm_madd_epi16(x, w));
}

[[gnu::always_inline]] inline __m128i flip_sign(__m128i v, sse2) {
  return _mm_xor_si128(v, _mm_set1_epi8(-128));
}
[[gnu::always_inline]] inline __m128i add_bytes(__m128i sum, __m128i v, sse2 a) {
  return _mm_add_epi32(sum, _mm_sad_epu8(flip_sign(v, a), _mm_setzero_si128()));
}
[[gnu::always_inline]] inline std::int32_t total(__m128i sum, index_t count, sse2) {
  const __m128i both = _mm_add_epi32(sum, _mm_srli_si128(sum, 8));
  return _mm_cvtsi128_si32(both) - static_cast<std::int32_t>(128 * 16 * count);
}

[[gnu::always_inline]] inline __m128 splat_floats(float x, sse2) { return _mm_set1_ps(x); }
[[gnu::always_inline]] inline __m128 add_floats(__m128 a, __m128 b, sse2) {
  return _mm_add_ps(a, b);
}
[[gnu::always_inline]] inline __m128 multiply_floats(__m128 a, __m128 b, sse2) {
  return _mm_mul_ps(a, b);
}
[[gnu::always_inline]] inline __m128 scaled(__m128i x, __m128 m, sse2) {
  return _mm_mul_ps(_mm_cvtepi32_ps(x), m);
}
[[gnu::always_inline]] inline __m128 scaled(__m128i x, __m128 rest, __m128 m, sse2) {
  return _mm_mul_ps(_mm_add_ps(_mm_cvtepi32_ps(x), rest), m);
}
// Below -2^31 the conversion gives -2^31, as wanted.
[[gnu::always_inline]] inline __m128i round(__m128 x, __m128 hi, sse2) {
  return _mm_cvtps_epi32(_mm_min_ps(x, hi));
}
struct sse_limits {
  __m128i zero_point, lo, hi;  // int16
};
[[gnu::always_inline]] inline sse_limits limits(int zero_point, int lo, int hi, sse2) {
  const auto splat = [](int x) { return _mm_set1_epi16(static_cast<short>(x)); };
  return {splat(zero_point), splat(lo), splat(hi)};
}
[[gnu::always_inline]] inline __m128i bounded(__m128i shorts, const sse_limits& l) {
  return _mm_min_epi16(_mm_max_epi16(_mm_adds_epi16(shorts, l.zero_point), l.lo), l.hi);
}
[[gnu::always_inline]] inline void store_narrow(std::int8_t* p, __m128i v, const sse_limits& l,
                                                sse2) {
  const __m128i shorts = bounded(_mm_packs_epi32(v, v), l);
  const std::int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(shorts, shorts));
  std::memcpy(p, &four, 4);
}
[[gnu::always_inline]] inline __m128i narrow(const __m128i (&v)[4], const sse_limits& l, sse2) {
  return _mm_packs_epi16(bounded(_mm_packs_epi32(v[0], v[1]), l),
                         bounded(_mm_packs_epi32(v[2], v[3]), l));
}
[[gnu::always_inline]] inline void store_columns(std::int32_t* p, const __m128i (&v)[4], sse2 a) {
  for (int i = 0; i < 4; ++i) store_ints(p + 4 * i, v[i], a);
}
[[gnu::always_inline]] inline void store_columns(float* p, const __m128 (&v)[4], sse2 a) {
  for (int i = 0; i < 4; ++i) store_floats(p + 4 * i, v[i], a);
}

[[gnu::always_inline]] inline __m128i max(__m128i x, __m128i y, sse2 a) {
  return flip_sign(_mm_max_epu8(flip_sign(x, a), flip_sign(y, a)), a);
}
[[gnu::always_inline]] inline __m128i splice(__m128i a, __m128i b, index_t from, sse2 level) {
  const __m128i mask = load_bytes(splice_mask + splice_most - from, level);
  return _mm_or_si128(_mm_and_si128(mask, b), _mm_andnot_si128(mask, a));
}
[[gnu::always_inline]] inline __m128i even_bytes(__m128i a, __m128i b, sse2) {
  const __m128i low = _mm_set1_epi16(0xff);
  return _mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low));
}

[[gnu::always_inline]] inline void zip_bytes(const void* a, const void* b, void* out, sse2 level) {
  const __m128i x = load_bytes(a, level), y = load_bytes(b, level);
  store_bytes(out, _mm_unpacklo_epi8(x, y), level);
  store_bytes(static_cast<std::int8_t*>(out) + 16, _mm_unpackhi_epi8(x, y), level);
}
[[gnu::always_inline]] inline __m128i odd_bytes(__m128i a, __m128i b, sse2) {
  return _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8));
}

#if defined(__SSE4_1__) && defined(__SSSE3__)
constexpr bool has_byte_lookup(sse4_1) { return true; }
constexpr bool splits_activations(sse4_1) { return true; }

[[gnu::always_inline]] inline __m128i multiply(__m128i a, __m128i b, sse4_1) {
  return _mm_mullo_epi32(a, b);
}
[[gnu::always_inline]] inline __m128i max_ints(__m128i a, __m128i b, sse4_1) {
  return _mm_max_epi32(a, b);
}
[[gnu::always_inline]] inline __m128i max(__m128i a, __m128i b, sse4_1) {
  return _mm_max_epi8(a, b);
}
// table[code] for the codes in the low / high halves of the bytes.
[[gnu::always_inline]] inline __m128i lookup_low(__m128i table, __m128i codes, line_tables,
                                                 sse4_1) {
  return _mm_shuffle_epi8(table, _mm_and_si128(codes, _mm_set1_epi8(15)));
}
[[gnu::always_inline]] inline __m128i lookup_high(__m128i table, __m128i codes, line_tables,
                                                  sse4_1) {
  return _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(codes, 4), _mm_set1_epi8(15)));
}
// Bytes shifted right; what comes in at the top is anything.
template <int Count> [[gnu::always_inline]] inline __m128i shift_codes(__m128i v, sse4_1) {
  return _mm_srli_epi16(v, Count);
}
// The bits of a where the byte `mask` has ones, those of b elsewhere.
[[gnu::always_inline]] inline __m128i choose_bits(int mask, __m128i a, __m128i b, sse4_1) {
  const __m128i m = _mm_set1_epi8(static_cast<char>(mask));
  return _mm_or_si128(_mm_and_si128(m, a), _mm_andnot_si128(m, b));
}
struct sse_signed {
  __m128i magnitude, sign;  // sign: bytes 0 or -1
};
[[gnu::always_inline]] inline __m128i negative_part(__m128i v, sse4_1) {
  return _mm_min_epi8(v, _mm_setzero_si128());
}
// Groups of four magnitudes, each with its four signs behind it.
[[gnu::always_inline]] inline void store_split(std::int8_t* out, __m128i v, sse4_1 a) {
  const __m128i magnitude = _mm_abs_epi8(v), sign = _mm_cmpgt_epi8(_mm_setzero_si128(), v);
  store_bytes(out, _mm_unpacklo_epi32(magnitude, sign), a);
  store_bytes(out + 16, _mm_unpackhi_epi32(magnitude, sign), a);
}
[[gnu::always_inline]] inline __m128i weights(__m128i w, any_weight, sse4_1) { return w; }
[[gnu::always_inline]] inline sse_signed activations(const std::int8_t* group, any_weight,
                                                     sse4_1 a) {
  return {splat_group(group, a), splat_group(group + 4, a)};
}
[[gnu::always_inline]] inline __m128i dot(__m128i sum, __m128i w, sse_signed a, any_weight,
                                          sse4_1) {
  const __m128i pairs = _mm_maddubs_epi16(a.magnitude, _mm_xor_si128(w, a.sign));
  return _mm_add_epi32(sum, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
