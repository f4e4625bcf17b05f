// lutra: neon.hpp - primitives of neon64, neon64_dotprod and neon64_i8mm (contract: generic.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// tbl looks up 16 bytes; sdot and smmla multiply signed by signed, so no bias is needed. Without sdot, smull
// gives int16 products: for |w| <= 127 two of them add up within int16 before they are widened.
#pragma once

#include <lutra/simd/primitives/generic.hpp>

#if !LUTRA_PORTABLE && defined(__aarch64__)
#include <arm_neon.h>

namespace lutra::inline LUTRA_ABI::simd {

constexpr bool has_byte_lookup(neon64) { return true; }
constexpr bool has_small_weight_dot(neon64) { return true; }
constexpr bool has_adding_dot(neon64) { return true; }
constexpr int panel_vectors(neon64) { return 8; }
constexpr int vector_registers(neon64) { return 32; }

[[gnu::always_inline]] inline int8x16_t load_bytes(const void* p, neon64) {
  return vld1q_s8(static_cast<const std::int8_t*>(p));
}
[[gnu::always_inline]] inline void store_bytes(void* p, int8x16_t v, neon64) {
  vst1q_s8(static_cast<std::int8_t*>(p), v);
}
[[gnu::always_inline]] inline int8x16_t splat_bytes(int x, neon64) {
  return vdupq_n_s8(static_cast<std::int8_t>(x));
}
[[gnu::always_inline]] inline int32x4_t load_ints(const void* p, neon64) {
  return vreinterpretq_s32_s8(vld1q_s8(static_cast<const std::int8_t*>(p)));
}
[[gnu::always_inline]] inline void store_ints(void* p, int32x4_t v, neon64) {
  vst1q_s8(static_cast<std::int8_t*>(p), vreinterpretq_s8_s32(v));
}
[[gnu::always_inline]] inline float32x4_t load_floats(const float* p, neon64) {
  return vld1q_f32(p);
}
[[gnu::always_inline]] inline void store_floats(float* p, float32x4_t v, neon64) {
  vst1q_f32(p, v);
}

[[gnu::always_inline]] inline int32x4_t splat_ints(std::int32_t x, neon64) {
  return vdupq_n_s32(x);
}
[[gnu::always_inline]] inline int32x4_t add(int32x4_t a, int32x4_t b, neon64) {
  return vaddq_s32(a, b);
}
[[gnu::always_inline]] inline int32x4_t multiply(int32x4_t a, int32x4_t b, neon64) {
  return vmulq_s32(a, b);
}
[[gnu::always_inline]] inline int32x4_t max_ints(int32x4_t a, int32x4_t b, neon64) {
  return vmaxq_s32(a, b);
}

[[gnu::always_inline]] inline int8x16_t lookup_low(int8x16_t table, int8x16_t codes, line_tables,
                                                   neon64) {
  return vqtbl1q_s8(table, vandq_u8(vreinterpretq_u8_s8(codes), vdupq_n_u8(15)));
}
[[gnu::always_inline]] inline int8x16_t lookup_high(int8x16_t table, int8x16_t codes, line_tables,
                                                    neon64) {
  return vqtbl1q_s8(table, vshrq_n_u8(vreinterpretq_u8_s8(codes), 4));
}

template <int Count> [[gnu::always_inline]] inline int8x16_t shift_codes(int8x16_t v, neon64) {
  return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(v), Count));
}
[[gnu::always_inline]] inline int8x16_t choose_bits(int mask, int8x16_t a, int8x16_t b, neon64) {
  return vbslq_s8(vdupq_n_u8(static_cast<std::uint8_t>(mask)), a, b);
}

[[gnu::always_inline]] inline int8x16_t splat_group(const void* four, neon64) {
  std::int32_t group;
  std::memcpy(&group, four, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(group));
}
[[gnu::always_inline]] inline int8x16_t weights(int8x16_t w, any_weight, neon64) { return w; }
[[gnu::always_inline]] inline int8x16_t activations(const std::int8_t* four, any_weight, neon64 a) {
  return splat_group(four, a);
}
[[gnu::always_inline]] inline int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, small_weight,
                                            neon64) {
  const int16x8_t rows01 = vmull_s8(vget_low_s8(w), vget_low_s8(a));
  const int16x8_t rows23 = vmull_high_s8(w, a);
  return vpadalq_s16(sum, vpaddq_s16(rows01, rows23));
}
[[gnu::always_inline]] inline int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, any_weight,
                                            neon64) {
  const int32x4_t rows01 = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
  const int32x4_t rows23 = vpaddlq_s16(vmull_high_s8(w, a));
  return vaddq_s32(sum, vpaddq_s32(rows01, rows23));
}

// Panels hold int16 pairs: four vectors of the positions 0 and 2 of a group, then four of 1 and 3.
[[gnu::always_inline]] inline void store_pairs(std::int8_t* out, int8x16_t a, int8x16_t b, neon64) {
  const int8x16_t low = vzip1q_s8(a, b);
  const int8x16_t high = vzip2q_s8(a, b);
  const auto put = [out](int i, int16x8_t v) { vst1q_s8(out + 16 * i, vreinterpretq_s8_s16(v)); };
  put(0, vmovl_s8(vget_low_s8(low)));
  put(1, vmovl_high_s8(low));
  put(2, vmovl_s8(vget_low_s8(high)));
  put(3, vmovl_high_s8(high));
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, int8x16_t k0, int8x16_t k1,
                                               int8x16_t k2, int8x16_t k3, neon64 a) {
  store_pairs(out, k0, k2, a);
  store_pairs(out + 64, k1, k3, a);
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, int8x16_t w, neon64 a) {
  const int16x8_t pairs = vreinterpretq_s16_s8(w);
  store_bytes(out, vreinterpretq_s8_s16(vshrq_n_s16(vshlq_n_s16(pairs, 8), 8)), a);
  store_bytes(out + 16, vreinterpretq_s8_s16(vshrq_n_s16(pairs, 8)), a);
}
[[gnu::always_inline]] inline int8x16_t panel_weight(const std::uint8_t* lane, neon64 a) {
  return splat_group(lane, a);
}
[[gnu::always_inline]] inline int32x4_t panel_dot(int32x4_t sum, int8x16_t x, int8x16_t w, neon64) {
  const int16x8_t xs = vreinterpretq_s16_s8(x);
  const int16x8_t ws = vreinterpretq_s16_s8(w);
  const int32x4_t columns01 = vmull_s16(vget_low_s16(xs), vget_low_s16(ws));
  return vaddq_s32(sum, vpaddq_s32(columns01, vmull_high_s16(xs, ws)));
}

[[gnu::always_inline]] inline int8x16_t flip_sign(int8x16_t v, neon64) {
  return veorq_s8(v, vdupq_n_s8(-128));
}
[[gnu::always_inline]] inline int32x4_t add_bytes(int32x4_t sum, int8x16_t v, neon64) {
  return vpadalq_s16(sum, vpaddlq_s8(v));
}
[[gnu::always_inline]] inline std::int32_t total(int32x4_t sum, index_t /*count*/, neon64) {
  return vaddvq_s32(sum);
}

[[gnu::always_inline]] inline float32x4_t splat_floats(float x, neon64) { return vdupq_n_f32(x); }
[[gnu::always_inline]] inline float32x4_t add_floats(float32x4_t a, float32x4_t b, neon64) {
  return vaddq_f32(a, b);
}
[[gnu::always_inline]] inline float32x4_t multiply_floats(float32x4_t a, float32x4_t b, neon64) {
  return vmulq_f32(a, b);
}
[[gnu::always_inline]] inline float32x4_t scaled(int32x4_t x, float32x4_t m, neon64) {
  return vmulq_f32(vcvtq_f32_s32(x), m);
}
[[gnu::always_inline]] inline float32x4_t scaled(int32x4_t x, float32x4_t rest, float32x4_t m,
                                                 neon64) {
  return vmulq_f32(vaddq_f32(vcvtq_f32_s32(x), rest), m);
}
[[gnu::always_inline]] inline int32x4_t round(float32x4_t x, float32x4_t hi, neon64) {
  return vcvtnq_s32_f32(vminq_f32(x, hi));
}
struct neon_limits {
  int16x8_t zero_point;
  int8x16_t lo, hi;
};
[[gnu::always_inline]] inline neon_limits limits(int zero_point, int lo, int hi, neon64) {
  return {vdupq_n_s16(static_cast<std::int16_t>(zero_point)),
          vdupq_n_s8(static_cast<std::int8_t>(lo)), vdupq_n_s8(static_cast<std::int8_t>(hi))};
}
[[gnu::always_inline]] inline int8x16_t narrow(const int32x4_t (&v)[4], const neon_limits& l,
                                               neon64) {
  const int16x8_t a = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
  const int16x8_t b = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);
  const int8x16_t bytes =
      vqmovn_high_s16(vqmovn_s16(vqaddq_s16(a, l.zero_point)), vqaddq_s16(b, l.zero_point));
  return vminq_s8(vmaxq_s8(bytes, l.lo), l.hi);
}
[[gnu::always_inline]] inline void store_narrow(std::int8_t* p, int32x4_t v, const neon_limits& l,
                                                neon64 a) {
  const std::int32_t four = vgetq_lane_s32(vreinterpretq_s32_s8(narrow({v, v, v, v}, l, a)), 0);
  std::memcpy(p, &four, 4);
}
[[gnu::always_inline]] inline void store_columns(std::int32_t* p, const int32x4_t (&v)[4],
                                                 neon64 a) {
  for (int i = 0; i < 4; ++i) store_ints(p + 4 * i, v[i], a);
}
[[gnu::always_inline]] inline void store_columns(float* p, const float32x4_t (&v)[4], neon64 a) {
  for (int i = 0; i < 4; ++i) store_floats(p + 4 * i, v[i], a);
}

[[gnu::always_inline]] inline int8x16_t max(int8x16_t a, int8x16_t b, neon64) {
  return vmaxq_s8(a, b);
}
[[gnu::always_inline]] inline int8x16_t splice(int8x16_t a, int8x16_t b, index_t from,
                                               neon64 level) {
  const int8x16_t mask = load_bytes(splice_mask + splice_most - from, level);
  return vbslq_s8(vreinterpretq_u8_s8(mask), b, a);
}
[[gnu::always_inline]] inline int8x16_t even_bytes(int8x16_t a, int8x16_t b, neon64) {
  return vuzp1q_s8(a, b);
}

[[gnu::always_inline]] inline void zip_bytes(const void* a, const void* b, void* out,
                                             neon64 level) {
  // vst2q_s8 is a macro of clang, which braces within would confuse.
  const int8x16x2_t pairs{{load_bytes(a, level), load_bytes(b, level)}};
  vst2q_s8(static_cast<std::int8_t*>(out), pairs);
}
[[gnu::always_inline]] inline int8x16_t odd_bytes(int8x16_t a, int8x16_t b, neon64) {
  return vuzp2q_s8(a, b);
}

#ifdef __ARM_FEATURE_DOTPROD
constexpr bool has_small_weight_dot(neon64_dotprod) { return false; }
constexpr int panel_vectors(neon64_dotprod) { return 4; }
constexpr bool has_windows(neon64_dotprod) { return true; }

[[gnu::always_inline]] inline int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t a, any_weight,
                                            neon64_dotprod) {
  return vdotq_s32(sum, w, a);
}
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, int8x16_t k0, int8x16_t k1,
                                               int8x16_t k2, int8x16_t k3, neon64_dotprod a) {
  const auto low01 = vreinterpretq_s16_s8(vzip1q_s8(k0, k1));
  const auto high01 = vreinterpretq_s16_s8(vzip2q_s8(k0, k1));
  const auto low23 = vreinterpretq_s16_s8(vzip1q_s8(k2, k3));
  const auto high23 = vreinterpretq_s16_s8(vzip2q_s8(k2, k3));
  store_bytes(out, vreinterpretq_s8_s16(vzip1q_s16(low01, low23)), a);
  store_bytes(out + 16, vreinterpretq_s8_s16(vzip2q_s16(low01, low23)), a);
  store_bytes(out + 32, vreinterpretq_s8_s16(vzip1q_s16(high01, high23)), a);
  store_bytes(out + 48, vreinterpretq_s8_s16(vzip2q_s16(high01, high23)), a);
}
[[gnu::always_inline]] inline int8x16_t windows(int8x16_t v, neon64_dotprod) {
  return vqtbl1q_s8(v, vld1q_u8(window_numbers.data()));
}
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, int8x16_t w,
                                                       neon64_dotprod a) {
  store_bytes(out, w, a);
}
[[gnu::always_inline]] inline int32x4_t panel_dot(int32x4_t sum, int8x16_t x, int8x16_t w,
                                                  neon64_dotprod) {
  return vdotq_s32(sum, x, w);
}
#endif

#ifdef __ARM_FEATURE_MATMUL_INT8
constexpr bool has_pair_dot(neon64_i8mm) { return true; }

// Eight positions of the rows 2 * Half and 2 * Half + 1 of a strip, from the groups of the first and the last four.
template <int Half>
[[gnu::always_inline]] inline int8x16_t row_pair(int8x16_t first, int8x16_t last, neon64_i8mm) {
  const int32x4_t a = vreinterpretq_s32_s8(first), b = vreinterpretq_s32_s8(last);
  return vreinterpretq_s8_s32(Half == 0 ? vzip1q_s32(a, b) : vzip2q_s32(a, b));
}
// Eight positions of two columns.
[[gnu::always_inline]] inline int8x16_t column_pair(const std::int8_t* first,
                                                    const std::int8_t* second, neon64_i8mm) {
  return vcombine_s8(vld1_s8(first), vld1_s8(second));
}
// What two columns start with, for both rows.
[[gnu::always_inline]] inline int32x4_t splat_pair(const std::int32_t* two, neon64_i8mm) {
  const int32x2_t start = vld1_s32(two);
  return vcombine_s32(start, start);
}
// sum [row][column] += rows * columns
[[gnu::always_inline]] inline int32x4_t pair_dot(int32x4_t sum, int8x16_t rows, int8x16_t columns,
                                                 neon64_i8mm) {
  return vmmlaq_s32(sum, rows, columns);
}
// Four rows of the first or second column from the sums of both pairs of rows.
template <int Column>
[[gnu::always_inline]] inline int32x4_t column_sums(int32x4_t rows01, int32x4_t rows23,
                                                    neon64_i8mm) {
  return Column == 0 ? vuzp1q_s32(rows01, rows23) : vuzp2q_s32(rows01, rows23);
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd
#endif
