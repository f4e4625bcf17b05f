// lutra: each_lane.hpp - the lanes of a register, one after the other, each in all lanes of another.
// SPDX-License-Identifier: Apache-2.0
//
// From the register itself where the level can choose a lane at run time. Elsewhere from memory, which a loop that
// writes around the caches should not read: a load waits for older stores to the same place of another page.
#pragma once

#include <lutra/simd/floats.hpp>

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

template <class V> class each_lane {
 public:
  explicit each_lane(const V& v) noexcept { store(values_, v); }
  // 0 <= i < lanes<V>.
  V at(index_t i) const noexcept { return V(values_[i]); }

 private:
  float values_[to_size(lanes<V>)];
};

#if !LUTRA_PORTABLE && defined(__AVX2__)
template <class A>
requires(fbatch<A>::size >= 8) class each_lane<fbatch<A>> {
 public:
  explicit each_lane(const fbatch<A>& v) noexcept : values_(v) {}
  fbatch<A> at(index_t i) const noexcept {
    const int lane = static_cast<int>(i);
    if constexpr (fbatch<A>::size == 8) {
      return _mm256_permutevar8x32_ps(values_, _mm256_set1_epi32(lane));
    }
#if defined(__AVX512F__)
    if constexpr (fbatch<A>::size == 16) {
      return _mm512_permutexvar_ps(_mm512_set1_epi32(lane), values_);
    }
#endif
  }

 private:
  fbatch<A> values_;
};
#endif

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
