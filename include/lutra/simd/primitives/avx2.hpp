// lutra: avx2.hpp - primitives of the levels avx2 and avxvnni (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// avx2 is sse4_1 at twice the width. avxvnni multiplies unsigned by signed bytes (vpdpbusd, the
// wrapping form): weights are stored with 128 added, which dot's contract accounts for.
#pragma once

#include <bit>
#include <lutra/simd/primitives/sse.hpp>

#if !LUTRA_PORTABLE && defined(__AVX2__)

namespace lutra::inline LUTRA_ABI::simd {

constexpr index_t vector_bytes(avx2) { return 32; }

[[gnu::always_inline]] inline __m256i load_bytes(const void* p, avx2) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
[[gnu::always_inline]] inline void store_bytes(void* p, __m256i v, avx2) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}
[[gnu::always_inline]] inline __m256i splat_bytes(int x, avx2) {
  return _mm256_set1_epi8(static_cast<char>(x));
}
[[gnu::always_inline]] inline __m256i load_ints(const void* p, avx2 a) { return load_bytes(p, a); }
[[gnu::always_inline]] inline void store_ints(void* p, __m256i v, avx2 a) { store_bytes(p, v, a); }
[[gnu::always_inline]] inline __m256 load_floats(const float* p, avx2) {
  return _mm256_loadu_ps(p);
}
[[gnu::always_inline]] inline void store_floats(float* p, __m256 v, avx2) {
  _mm256_storeu_ps(p, v);
}

[[gnu::always_inline]] inline __m256i splat_ints(std::int32_t x, avx2) {
  return _mm256_set1_epi32(x);
}
[[gnu::always_inline]] inline __m256i add(__m256i a, __m256i b, avx2) {
  return _mm256_add_epi32(a, b);
}
[[gnu::always_inline]] inline __m256i multiply(__m256i a, __m256i b, avx2) {
  return _mm256_mullo_epi32(a, b);
}
[[gnu::always_inline]] inline __m256i max_ints(__m256i a, __m256i b, avx2) {
  return _mm256_max_epi32(a, b);
}

[[gnu::always_inline]] inline __m256i lookup_low(__m256i table, __m256i codes, line_tables, avx2) {
  return _mm256_shuffle_epi8(table, _mm256_and_si256(codes, _mm256_set1_epi8(15)));
}
[[gnu::always_inline]] inline __m256i lookup_high(__m256i table, __m256i codes, line_tables, avx2) {
  const __m256i high = _mm256_srli_epi16(codes, 4);
  return _mm256_shuffle_epi8(table, _mm256_and_si256(high, _mm256_set1_epi8(15)));
}

template <int Count> [[gnu::always_inline]] inline __m256i shift_codes(__m256i v, avx2) {
  return _mm256_srli_epi16(v, Count);
}
[[gnu::always_inline]] inline __m256i choose_bits(int mask, __m256i a, __m256i b, avx2) {
  const __m256i m = _mm256_set1_epi8(static_cast<char>(mask));
  return _mm256_or_si256(_mm256_and_si256(m, a), _mm256_andnot_si256(m, b));
}

struct avx_pairs {
  __m256i even, odd;
};
[[gnu::always_inline]] inline avx_pairs widen(__m256i v, avx2) {
  return {_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
}
[[gnu::always_inline]] inline __m256i splat_group(const void* four, avx2) {
  std::int32_t group;
  std::memcpy(&group, four, 4);
  return _mm256_set1_epi32(group);
}
struct avx_signed {
  __m256i magnitude, sign;  // as sse_signed
};
[[gnu::always_inline]] inline __m256i negative_part(__m256i v, avx2) {
  return _mm256_min_epi8(v, _mm256_setzero_si256());
}
[[gnu::always_inline]] inline void store_split(std::int8_t* out, __m256i v, avx2 a) {
  const __m256i magnitude = _mm256_abs_epi8(v);
  const __m256i sign = _mm256_cmpgt_epi8(_mm256_setzero_si256(), v);
  const __m256i low = _mm256_unpacklo_epi32(magnitude, sign);
  const __m256i high = _mm256_unpackhi_epi32(magnitude, sign);
  store_bytes(out, _mm256_permute2x128_si256(low, high, 0x20), a);
  store_bytes(out + 32, _mm256_permute2x128_si256(low, high, 0x31), a);
}
[[gnu::always_inline]] inline __m256i weights(__m256i w, any_weight, avx2) { return w; }
[[gnu::always_inline]] inline avx_signed activations(const std::int8_t* group, any_weight, avx2 a) {
  return {splat_group(group, a), splat_group(group + 4, a)};
}
[[gnu::always_inline]] inline __m256i dot(__m256i sum, __m256i w, avx_signed a, any_weight, avx2) {
  const __m256i pairs = _mm256_maddubs_epi16(a.magnitude, _mm256_xor_si256(w, a.sign));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

[[gnu::always_inline]] inline void store_pairs(std::int8_t* out, __m256i a, __m256i b, avx2) {
  const __m256i low = _mm256_unpacklo_epi8(a, b);
  const __m256i high = _mm256_unpackhi_epi8(a, b);
  const auto put = [out](int i, __m256i twice) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * i), _mm256_srai_epi16(twice, 8));
  };
  put(0, _mm256_unpacklo_epi8(low, low));
  put(1, _mm256_unpackhi_epi8(low, low));
  put(2, _mm256_unpacklo_epi8(high, high));
  put(3, _mm256_unpackhi_epi8(high, high));
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, __m256i k0, __m256i k1, __m256i k2,
                                               __m256i k3, avx2 a) {
  store_pairs(out, k0, k2, a);
  store_pairs(out + 128, k1, k3, a);
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, __m256i w, avx2 a) {
  const avx_pairs pairs = widen(w, a);
  store_bytes(out, pairs.even, a);
  store_bytes(out + 32, pairs.odd, a);
}
[[gnu::always_inline]] inline __m256i panel_weight(const std::uint8_t* lane, avx2 a) {
  return splat_group(lane, a);
}
[[gnu::always_inline]] inline __m256i panel_dot(__m256i sum, __m256i x, __m256i w, avx2) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}

[[gnu::always_inline]] inline __m256i flip_sign(__m256i v, avx2) {
  return _mm256_xor_si256(v, _mm256_set1_epi8(-128));
}
[[gnu::always_inline]] inline __m256i add_bytes(__m256i sum, __m256i v, avx2 a) {
  return _mm256_add_epi32(sum, _mm256_sad_epu8(flip_sign(v, a), _mm256_setzero_si256()));
}
[[gnu::always_inline]] inline std::int32_t total(__m256i sum, index_t count, avx2) {
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  return total(half, 2 * count, sse2{});
}

[[gnu::always_inline]] inline __m256 splat_floats(float x, avx2) { return _mm256_set1_ps(x); }
[[gnu::always_inline]] inline __m256 add_floats(__m256 a, __m256 b, avx2) {
  return _mm256_add_ps(a, b);
}
[[gnu::always_inline]] inline __m256 multiply_floats(__m256 a, __m256 b, avx2) {
  return _mm256_mul_ps(a, b);
}
[[gnu::always_inline]] inline __m256 scaled(__m256i x, __m256 m, avx2) {
  return _mm256_mul_ps(_mm256_cvtepi32_ps(x), m);
}
[[gnu::always_inline]] inline __m256 scaled(__m256i x, __m256 rest, __m256 m, avx2) {
  return _mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(x), rest), m);
}
[[gnu::always_inline]] inline __m256i round(__m256 x, __m256 hi, avx2) {
  return _mm256_cvtps_epi32(_mm256_min_ps(x, hi));
}
struct avx_limits {
  __m256i zero_point, lo, hi;  // int16, int8, int8
};
[[gnu::always_inline]] inline avx_limits limits(int zero_point, int lo, int hi, avx2) {
  return {_mm256_set1_epi16(static_cast<short>(zero_point)),
          _mm256_set1_epi8(static_cast<char>(lo)), _mm256_set1_epi8(static_cast<char>(hi))};
}
[[gnu::always_inline]] inline __m256i narrow(const __m256i (&v)[4], const avx_limits& l, avx2) {
  const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(v[0], v[1]), l.zero_point);
  const __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(v[2], v[3]), l.zero_point);
  return _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(a, b), l.lo), l.hi);
}
[[gnu::always_inline]] inline void store_narrow(std::int8_t* p, __m256i v, const avx_limits& l,
                                                avx2 a) {
  const __m256i bytes = narrow({v, v, v, v}, l, a);
  const std::int32_t halves[2] = {_mm256_extract_epi32(bytes, 0), _mm256_extract_epi32(bytes, 4)};
  std::memcpy(p, halves, 8);
}
// Panel order: vector i holds the columns 4i..4i+3 in line 0 and 16+4i..19+4i in line 1.
[[gnu::always_inline]] inline void store_columns(std::int32_t* p, const __m256i (&v)[4], avx2 a) {
  store_ints(p, _mm256_permute2x128_si256(v[0], v[1], 0x20), a);
  store_ints(p + 8, _mm256_permute2x128_si256(v[2], v[3], 0x20), a);
  store_ints(p + 16, _mm256_permute2x128_si256(v[0], v[1], 0x31), a);
  store_ints(p + 24, _mm256_permute2x128_si256(v[2], v[3], 0x31), a);
}
[[gnu::always_inline]] inline void store_columns(float* p, const __m256 (&v)[4], avx2 a) {
  store_floats(p, _mm256_permute2f128_ps(v[0], v[1], 0x20), a);
  store_floats(p + 8, _mm256_permute2f128_ps(v[2], v[3], 0x20), a);
  store_floats(p + 16, _mm256_permute2f128_ps(v[0], v[1], 0x31), a);
  store_floats(p + 24, _mm256_permute2f128_ps(v[2], v[3], 0x31), a);
}

[[gnu::always_inline]] inline __m256i max(__m256i a, __m256i b, avx2) {
  return _mm256_max_epi8(a, b);
}
[[gnu::always_inline]] inline __m256i splice(__m256i a, __m256i b, index_t from, avx2 level) {
  return _mm256_blendv_epi8(a, b, load_bytes(splice_mask + splice_most - from, level));
}
[[gnu::always_inline]] inline __m256i even_bytes(__m256i a, __m256i b, avx2) {
  const __m256i low = _mm256_set1_epi16(0xff);
  const __m256i lines = _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
  return _mm256_permute4x64_epi64(lines, 0xd8);
}

[[gnu::always_inline]] inline __m256i odd_bytes(__m256i a, __m256i b, avx2) {
  const __m256i lines = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
  return _mm256_permute4x64_epi64(lines, 0xd8);
}

#ifdef __AVXVNNI__
constexpr bool splits_activations(avxvnni) { return false; }
constexpr bool has_adding_dot(avxvnni) { return true; }
constexpr int weight_bias(avxvnni) { return 128; }
constexpr int panel_bias(avxvnni) { return 128; }
constexpr int panel_vectors(avxvnni) { return 4; }
constexpr bool has_windows(avxvnni) { return true; }

typedef std::int32_t avxvnni_sum __attribute__((vector_size(32)));
[[gnu::always_inline]] inline avxvnni_sum as_sum(__m256i v, avxvnni) {
  return std::bit_cast<avxvnni_sum>(v);
}
[[gnu::always_inline]] inline __m256i as_ints(avxvnni_sum v, avxvnni) {
  return std::bit_cast<__m256i>(v);
}

[[gnu::always_inline]] inline __m256i activations(const std::int8_t* four, any_weight, avxvnni a) {
  return splat_group(four, a);
}
[[gnu::always_inline]] inline __m256i dot(__m256i sum, __m256i w, __m256i a, any_weight, avxvnni) {
  return _mm256_dpbusd_avx_epi32(sum, w, a);
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, __m256i k0, __m256i k1, __m256i k2,
                                               __m256i k3, avxvnni a) {
  const __m256i b0 = flip_sign(k0, a), b1 = flip_sign(k1, a);
  const __m256i b2 = flip_sign(k2, a), b3 = flip_sign(k3, a);
  const __m256i low01 = _mm256_unpacklo_epi8(b0, b1), high01 = _mm256_unpackhi_epi8(b0, b1);
  const __m256i low23 = _mm256_unpacklo_epi8(b2, b3), high23 = _mm256_unpackhi_epi8(b2, b3);
  store_bytes(out, _mm256_unpacklo_epi16(low01, low23), a);
  store_bytes(out + 32, _mm256_unpackhi_epi16(low01, low23), a);
  store_bytes(out + 64, _mm256_unpacklo_epi16(high01, high23), a);
  store_bytes(out + 96, _mm256_unpackhi_epi16(high01, high23), a);
}
[[gnu::always_inline]] inline __m256i windows(__m256i v, avxvnni) {
  const auto* numbers = reinterpret_cast<const __m128i*>(window_numbers.data());
  return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(_mm_loadu_si128(numbers)));
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, __m256i w, avxvnni a) {
  store_bytes(out, flip_sign(w, a), a);
}
[[gnu::always_inline]] inline __m256i panel_dot(__m256i sum, __m256i x, __m256i w, avxvnni) {
  return _mm256_dpbusd_avx_epi32(sum, x, w);
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
