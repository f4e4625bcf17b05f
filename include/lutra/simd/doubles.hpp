// lutra: doubles.hpp - sums of floats in double, one per lane of a register of floats.
// SPDX-License-Identifier: Apache-2.0
//
// double_sums<V> accumulates registers of V = floats<Level>. Widening is exact and so is the product
// of two floats in double; only the additions round, the same way at every level. masked_sums<V> has two sums per lane.
#pragma once

#include <lutra/simd/masks.hpp>

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

// The portable body: one lane.
template <class V> class double_sums {
 public:
  void add(V x) noexcept { sum_ += static_cast<double>(x); }
  void add_product(V x, V y) noexcept { sum_ += static_cast<double>(x) * static_cast<double>(y); }
  void store(double* out) const noexcept { *out = sum_; }

 private:
  static_assert(std::is_same_v<V, float>);
  double sum_ = 0;
};

#if !LUTRA_PORTABLE && defined(__SSE2__)
#if defined(__AVX512F__) && defined(__AVX512DQ__)
template <class A>
requires(fbatch<A>::size == 16) class double_sums<fbatch<A>> {
 public:
  void add(const fbatch<A>& x) noexcept {
    low_ = _mm512_add_pd(low_, low(x));
    high_ = _mm512_add_pd(high_, high(x));
  }
  void add_product(const fbatch<A>& x, const fbatch<A>& y) noexcept {
    low_ = _mm512_fmadd_pd(low(x), low(y), low_);
    high_ = _mm512_fmadd_pd(high(x), high(y), high_);
  }
  void store(double* out) const noexcept {
    _mm512_storeu_pd(out, low_);
    _mm512_storeu_pd(out + 8, high_);
  }

 private:
  static __m512d low(__m512 x) noexcept { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
  static __m512d high(__m512 x) noexcept { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
  __m512d low_ = _mm512_setzero_pd();
  __m512d high_ = _mm512_setzero_pd();
};
#endif
#if defined(__AVX__)
template <class A>
requires(fbatch<A>::size == 8) class double_sums<fbatch<A>> {
 public:
  void add(const fbatch<A>& x) noexcept {
    low_ = _mm256_add_pd(low_, low(x));
    high_ = _mm256_add_pd(high_, high(x));
  }
  void add_product(const fbatch<A>& x, const fbatch<A>& y) noexcept {
    low_ = _mm256_add_pd(low_, _mm256_mul_pd(low(x), low(y)));
    high_ = _mm256_add_pd(high_, _mm256_mul_pd(high(x), high(y)));
  }
  void store(double* out) const noexcept {
    _mm256_storeu_pd(out, low_);
    _mm256_storeu_pd(out + 4, high_);
  }

 private:
  static __m256d low(__m256 x) noexcept { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
  static __m256d high(__m256 x) noexcept { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
  __m256d low_ = _mm256_setzero_pd();
  __m256d high_ = _mm256_setzero_pd();
};
#endif
template <class A>
requires(fbatch<A>::size == 4) class double_sums<fbatch<A>> {
 public:
  void add(const fbatch<A>& x) noexcept {
    low_ = _mm_add_pd(low_, low(x));
    high_ = _mm_add_pd(high_, high(x));
  }
  void add_product(const fbatch<A>& x, const fbatch<A>& y) noexcept {
    low_ = _mm_add_pd(low_, _mm_mul_pd(low(x), low(y)));
    high_ = _mm_add_pd(high_, _mm_mul_pd(high(x), high(y)));
  }
  void store(double* out) const noexcept {
    _mm_storeu_pd(out, low_);
    _mm_storeu_pd(out + 2, high_);
  }

 private:
  static __m128d low(__m128 x) noexcept { return _mm_cvtps_pd(x); }
  static __m128d high(__m128 x) noexcept { return _mm_cvtps_pd(_mm_movehl_ps(x, x)); }
  __m128d low_ = _mm_setzero_pd();
  __m128d high_ = _mm_setzero_pd();
};
#elif !LUTRA_PORTABLE
template <class A> class double_sums<fbatch<A>> {
 public:
  void add(const fbatch<A>& x) noexcept {
    low_ = vaddq_f64(low_, low(x));
    high_ = vaddq_f64(high_, high(x));
  }
  void add_product(const fbatch<A>& x, const fbatch<A>& y) noexcept {
    low_ = vaddq_f64(low_, vmulq_f64(low(x), low(y)));
    high_ = vaddq_f64(high_, vmulq_f64(high(x), high(y)));
  }
  void store(double* out) const noexcept {
    vst1q_f64(out, low_);
    vst1q_f64(out + 2, high_);
  }

 private:
  static float64x2_t low(float32x4_t x) noexcept { return vcvt_f64_f32(vget_low_f32(x)); }
  static float64x2_t high(float32x4_t x) noexcept { return vcvt_high_f64_f32(x); }
  float64x2_t low_ = vdupq_n_f64(0.0);
  float64x2_t high_ = vdupq_n_f64(0.0);
};
#endif

// The sum of x * y, and that of x where a mask is set, for x in memory.
template <class V> class masked_sums {
 public:
  template <class Mask> void add(const float* x, const V& y, const Mask& where) noexcept {
    const V loaded = load<V>(x);
    products_.add_product(loaded, y);
    chosen_.add(select(where, loaded, V(0.0F)));
  }
  void store(double* products, double* chosen) const noexcept {
    products_.store(products);
    chosen_.store(chosen);
  }

 private:
  double_sums<V> products_, chosen_;
};
#if !LUTRA_PORTABLE && defined(__AVX512F__) && defined(__AVX512DQ__)
// Two of the ten operations that all need the same execution port are spared by widening from memory, two by adding
// under a mask.
template <class A>
requires(fbatch<A>::size == 16) class masked_sums<fbatch<A>> {
 public:
  void add(const float* x, const fbatch<A>& y, const lane_mask<A>& where) noexcept {
    const __m512d low = _mm512_cvtps_pd(_mm256_loadu_ps(x));
    const __m512d high = _mm512_cvtps_pd(_mm256_loadu_ps(x + 8));
    const __m512 other = y;
    const auto bits = static_cast<unsigned>(where.mask());
    low_ = _mm512_fmadd_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(other)), low_);
    high_ = _mm512_fmadd_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(other, 1)), high_);
    chosen_low_ =
        _mm512_mask_add_pd(chosen_low_, static_cast<__mmask8>(bits & 0xFFU), chosen_low_, low);
    chosen_high_ =
        _mm512_mask_add_pd(chosen_high_, static_cast<__mmask8>(bits >> 8U), chosen_high_, high);
  }
  void store(double* products, double* chosen) const noexcept {
    _mm512_storeu_pd(products, low_);
    _mm512_storeu_pd(products + 8, high_);
    _mm512_storeu_pd(chosen, chosen_low_);
    _mm512_storeu_pd(chosen + 8, chosen_high_);
  }

 private:
  __m512d low_ = _mm512_setzero_pd(), high_ = _mm512_setzero_pd();
  __m512d chosen_low_ = _mm512_setzero_pd(), chosen_high_ = _mm512_setzero_pd();
};
#endif

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
