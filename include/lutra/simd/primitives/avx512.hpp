// lutra: avx512.hpp - primitives of the levels avx512bw and avx512vnni_vbmi (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// vpermb reads six bits of every index byte, so a 64-byte table that holds the 16 entries four times
// needs no masking: look-up and shift alone expand the codes. vpdpbusd multiplies unsigned by signed
// bytes: weights are stored with 128 added. Never the saturating form: partial sums may pass 2^31.
#pragma once

#include <bit>
#include <lutra/simd/primitives/avx2.hpp>

#if !LUTRA_PORTABLE && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

constexpr index_t vector_bytes(avx512bw) { return 64; }
constexpr int vector_registers(avx512bw) { return 32; }

[[gnu::always_inline]] inline __m512i load_bytes(const void* p, avx512bw) {
  return _mm512_loadu_si512(p);
}
// v, which the compiler will not read from memory once more where it is used.
[[gnu::always_inline]] inline __m512i in_register(__m512i v, avx512bw) {
  __asm__("" : "+v"(v));
  return v;
}
[[gnu::always_inline]] inline void store_bytes(void* p, __m512i v, avx512bw) {
  _mm512_storeu_si512(p, v);
}
[[gnu::always_inline]] inline __m512i splat_bytes(int x, avx512bw) {
  return _mm512_set1_epi8(static_cast<char>(x));
}
[[gnu::always_inline]] inline __m512i load_ints(const void* p, avx512bw) {
  return _mm512_loadu_si512(p);
}
[[gnu::always_inline]] inline void store_ints(void* p, __m512i v, avx512bw) {
  _mm512_storeu_si512(p, v);
}
[[gnu::always_inline]] inline __m512 load_floats(const float* p, avx512bw) {
  return _mm512_loadu_ps(p);
}
[[gnu::always_inline]] inline void store_floats(float* p, __m512 v, avx512bw) {
  _mm512_storeu_ps(p, v);
}

[[gnu::always_inline]] inline __m512i splat_ints(std::int32_t x, avx512bw) {
  return _mm512_set1_epi32(x);
}
[[gnu::always_inline]] inline __m512i add(__m512i a, __m512i b, avx512bw) {
  return _mm512_add_epi32(a, b);
}
[[gnu::always_inline]] inline __m512i multiply(__m512i a, __m512i b, avx512bw) {
  return _mm512_mullo_epi32(a, b);
}
[[gnu::always_inline]] inline __m512i max_ints(__m512i a, __m512i b, avx512bw) {
  return _mm512_max_epi32(a, b);
}

[[gnu::always_inline]] inline __m512i lookup_low(__m512i table, __m512i codes, line_tables,
                                                 avx512bw) {
  return _mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
}
[[gnu::always_inline]] inline __m512i lookup_high(__m512i table, __m512i codes, line_tables,
                                                  avx512bw) {
  const __m512i high = _mm512_srli_epi16(codes, 4);
  return _mm512_shuffle_epi8(table, _mm512_and_si512(high, _mm512_set1_epi8(15)));
}

template <int Count> [[gnu::always_inline]] inline __m512i shift_codes(__m512i v, avx512bw) {
  return _mm512_srli_epi16(v, Count);
}
[[gnu::always_inline]] inline __m512i choose_bits(int mask, __m512i a, __m512i b, avx512bw) {
  // The result replaces the first operand: not the mask, which is needed again.
  return _mm512_ternarylogic_epi64(a, b, _mm512_set1_epi8(static_cast<char>(mask)), 0xE4);
}

struct avx512_pairs {
  __m512i even, odd;
};
[[gnu::always_inline]] inline avx512_pairs widen(__m512i v, avx512bw) {
  return {_mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8), _mm512_srai_epi16(v, 8)};
}
[[gnu::always_inline]] inline __m512i splat_group(const void* four, avx512bw) {
  std::int32_t group;
  std::memcpy(&group, four, 4);
  return _mm512_set1_epi32(group);
}
struct avx512_signed {
  __m512i magnitude, sign;  // as sse_signed
};
[[gnu::always_inline]] inline __m512i negative_part(__m512i v, avx512bw) {
  return _mm512_min_epi8(v, _mm512_setzero_si512());
}
[[gnu::always_inline]] inline void store_split(std::int8_t* out, __m512i v, avx512bw) {
  store_split(out, _mm512_castsi512_si256(v), avx2{});
  store_split(out + 64, _mm512_extracti64x4_epi64(v, 1), avx2{});
}
[[gnu::always_inline]] inline __m512i weights(__m512i w, any_weight, avx512bw) { return w; }
[[gnu::always_inline]] inline avx512_signed activations(const std::int8_t* group, any_weight,
                                                        avx512bw a) {
  return {splat_group(group, a), splat_group(group + 4, a)};
}
[[gnu::always_inline]] inline __m512i dot(__m512i sum, __m512i w, avx512_signed a, any_weight,
                                          avx512bw) {
  const __m512i pairs = _mm512_maddubs_epi16(a.magnitude, _mm512_xor_si512(w, a.sign));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

[[gnu::always_inline]] inline void store_pairs(std::int8_t* out, __m512i a, __m512i b, avx512bw) {
  const __m512i low = _mm512_unpacklo_epi8(a, b);
  const __m512i high = _mm512_unpackhi_epi8(a, b);
  const auto put = [out](int i, __m512i twice) {
    _mm512_storeu_si512(out + 64 * i, _mm512_srai_epi16(twice, 8));
  };
  put(0, _mm512_unpacklo_epi8(low, low));
  put(1, _mm512_unpackhi_epi8(low, low));
  put(2, _mm512_unpacklo_epi8(high, high));
  put(3, _mm512_unpackhi_epi8(high, high));
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, __m512i k0, __m512i k1, __m512i k2,
                                               __m512i k3, avx512bw a) {
  store_pairs(out, k0, k2, a);
  store_pairs(out + 256, k1, k3, a);
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, __m512i w, avx512bw a) {
  const avx512_pairs pairs = widen(w, a);
  store_bytes(out, pairs.even, a);
  store_bytes(out + 64, pairs.odd, a);
}
[[gnu::always_inline]] inline __m512i panel_weight(const std::uint8_t* lane, avx512bw a) {
  return splat_group(lane, a);
}
[[gnu::always_inline]] inline __m512i panel_dot(__m512i sum, __m512i x, __m512i w, avx512bw) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w));
}

[[gnu::always_inline]] inline __m512i flip_sign(__m512i v, avx512bw) {
  return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
}
[[gnu::always_inline]] inline __m512i add_bytes(__m512i sum, __m512i v, avx512bw a) {
  return _mm512_add_epi32(sum, _mm512_sad_epu8(flip_sign(v, a), _mm512_setzero_si512()));
}
[[gnu::always_inline]] inline std::int32_t total(__m512i sum, index_t count, avx512bw) {
  const __m256i half =
      _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
  return total(half, 2 * count, avx2{});
}

[[gnu::always_inline]] inline __m512 splat_floats(float x, avx512bw) { return _mm512_set1_ps(x); }
[[gnu::always_inline]] inline __m512 add_floats(__m512 a, __m512 b, avx512bw) {
  return _mm512_add_ps(a, b);
}
[[gnu::always_inline]] inline __m512 multiply_floats(__m512 a, __m512 b, avx512bw) {
  return _mm512_mul_ps(a, b);
}
[[gnu::always_inline]] inline __m512 scaled(__m512i x, __m512 m, avx512bw) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(x), m);
}
[[gnu::always_inline]] inline __m512 scaled(__m512i x, __m512 rest, __m512 m, avx512bw) {
  return _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(x), rest), m);
}
[[gnu::always_inline]] inline __m512i round(__m512 x, __m512 hi, avx512bw) {
  return _mm512_cvtps_epi32(_mm512_min_ps(x, hi));
}
struct avx512_limits {
  __m512i zero_point, lo, hi;  // int16, int8, int8
};
[[gnu::always_inline]] inline avx512_limits limits(int zero_point, int lo, int hi, avx512bw) {
  return {_mm512_set1_epi16(static_cast<short>(zero_point)),
          _mm512_set1_epi8(static_cast<char>(lo)), _mm512_set1_epi8(static_cast<char>(hi))};
}
[[gnu::always_inline]] inline __m512i narrow(const __m512i (&v)[4], const avx512_limits& l,
                                             avx512bw) {
  const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), l.zero_point);
  const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), l.zero_point);
  return _mm512_min_epi8(_mm512_max_epi8(_mm512_packs_epi16(a, b), l.lo), l.hi);
}
[[gnu::always_inline]] inline void store_narrow(std::int8_t* p, __m512i v, const avx512_limits& l,
                                                avx512bw) {
  const __m256i shorts =
      _mm256_adds_epi16(_mm512_cvtsepi32_epi16(v), _mm512_castsi512_si256(l.zero_point));
  const __m128i bytes = _mm256_cvtsepi16_epi8(shorts);
  const __m128i bound =
      _mm_min_epi8(_mm_max_epi8(bytes, _mm512_castsi512_si128(l.lo)), _mm512_castsi512_si128(l.hi));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bound);
}
// Panel order: line j of vector i holds the columns 16j + 4i .. 16j + 4i + 3: a 4 x 4 transposition.
[[gnu::always_inline]] inline void store_columns(std::int32_t* p, const __m512i (&v)[4],
                                                 avx512bw a) {
  const __m512i low01 = _mm512_shuffle_i32x4(v[0], v[1], 0x44);
  const __m512i low23 = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
  const __m512i high01 = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
  const __m512i high23 = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
  store_ints(p, _mm512_shuffle_i32x4(low01, low23, 0x88), a);
  store_ints(p + 16, _mm512_shuffle_i32x4(low01, low23, 0xdd), a);
  store_ints(p + 32, _mm512_shuffle_i32x4(high01, high23, 0x88), a);
  store_ints(p + 48, _mm512_shuffle_i32x4(high01, high23, 0xdd), a);
}
[[gnu::always_inline]] inline void store_columns(float* p, const __m512 (&v)[4], avx512bw a) {
  const __m512i bits[4] = {_mm512_castps_si512(v[0]), _mm512_castps_si512(v[1]),
                           _mm512_castps_si512(v[2]), _mm512_castps_si512(v[3])};
  store_columns(reinterpret_cast<std::int32_t*>(p), bits, a);
}

[[gnu::always_inline]] inline __m512i max(__m512i a, __m512i b, avx512bw) {
  return _mm512_max_epi8(a, b);
}
[[gnu::always_inline]] inline __m512i splice(__m512i a, __m512i b, index_t from, avx512bw) {
  return _mm512_mask_mov_epi8(a, ~std::uint64_t{0} << from, b);
}
[[gnu::always_inline]] inline __m512i even_bytes(__m512i a, __m512i b, avx512bw) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                            _mm512_cvtepi16_epi8(b), 1);
}

[[gnu::always_inline]] inline __m512i odd_bytes(__m512i a, __m512i b, avx512bw level) {
  return even_bytes(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8), level);
}

#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
// Numbers of the even and the odd bytes of two vectors, for vpermt2b.
template <std::size_t First>
inline constexpr auto every_other = [] {
  std::array<std::uint8_t, 64> n{};
  for (std::size_t i = 0; i < n.size(); ++i) n[i] = static_cast<std::uint8_t>(2 * i + First);
  return n;
}();

constexpr bool has_long_lookup(avx512vnni_vbmi) { return true; }
constexpr bool splits_activations(avx512vnni_vbmi) { return false; }
constexpr bool has_adding_dot(avx512vnni_vbmi) { return true; }
// Intel: vpdpbusd on the ports 0 and 5, vpermb on 5, shifts on 0.
constexpr bool lookups_delay_dots(avx512vnni_vbmi) { return true; }
constexpr int weight_bias(avx512vnni_vbmi) { return 128; }
constexpr int panel_bias(avx512vnni_vbmi) { return 128; }
constexpr int panel_vectors(avx512vnni_vbmi) { return 4; }
constexpr bool has_windows(avx512vnni_vbmi) { return true; }

typedef std::int32_t avx512_sum __attribute__((vector_size(64)));
[[gnu::always_inline]] inline avx512_sum as_sum(__m512i v, avx512vnni_vbmi) {
  return std::bit_cast<avx512_sum>(v);
}
[[gnu::always_inline]] inline __m512i as_ints(avx512_sum v, avx512vnni_vbmi) {
  return std::bit_cast<__m512i>(v);
}

[[gnu::always_inline]] inline __m512i lookup_low(__m512i table, __m512i codes, one_table,
                                                 avx512vnni_vbmi) {
  return _mm512_permutexvar_epi8(codes, table);
}
[[gnu::always_inline]] inline __m512i lookup_high(__m512i table, __m512i codes, one_table,
                                                  avx512vnni_vbmi) {
  return _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
}
[[gnu::always_inline]] inline __m512i activations(const std::int8_t* four, any_weight,
                                                  avx512vnni_vbmi a) {
  return splat_group(four, a);
}
[[gnu::always_inline]] inline __m512i dot(__m512i sum, __m512i w, __m512i a, any_weight,
                                          avx512vnni_vbmi) {
  return _mm512_dpbusd_epi32(sum, w, a);
}
[[gnu::always_inline]] inline __m512i even_bytes(__m512i a, __m512i b, avx512vnni_vbmi level) {
  return _mm512_permutex2var_epi8(a, load_bytes(every_other<0>.data(), level), b);
}
[[gnu::always_inline]] inline __m512i odd_bytes(__m512i a, __m512i b, avx512vnni_vbmi level) {
  return _mm512_permutex2var_epi8(a, load_bytes(every_other<1>.data(), level), b);
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, __m512i k0, __m512i k1, __m512i k2,
                                               __m512i k3, avx512vnni_vbmi a) {
  const __m512i b0 = flip_sign(k0, a), b1 = flip_sign(k1, a);
  const __m512i b2 = flip_sign(k2, a), b3 = flip_sign(k3, a);
  const __m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
  const __m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);
  store_bytes(out, _mm512_unpacklo_epi16(low01, low23), a);
  store_bytes(out + 64, _mm512_unpackhi_epi16(low01, low23), a);
  store_bytes(out + 128, _mm512_unpacklo_epi16(high01, high23), a);
  store_bytes(out + 192, _mm512_unpackhi_epi16(high01, high23), a);
}
[[gnu::always_inline]] inline __m512i windows(__m512i v, avx512vnni_vbmi) {
  const auto* numbers = reinterpret_cast<const __m128i*>(window_numbers.data());
  return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_loadu_si128(numbers)));
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, __m512i w,
                                                       avx512vnni_vbmi a) {
  store_bytes(out, flip_sign(w, a), a);
}
[[gnu::always_inline]] inline __m512i panel_dot(__m512i sum, __m512i x, __m512i w,
                                                avx512vnni_vbmi) {
  return _mm512_dpbusd_epi32(sum, x, w);
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
#endif
