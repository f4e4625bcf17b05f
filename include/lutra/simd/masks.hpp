// lutra: masks.hpp - lane by lane decisions on a register of floats, and their bits.
// SPDX-License-Identifier: Apache-2.0
//
// lane_mask<V> is an xsimd batch_bool, or bool for one float. Comparisons with NaN are false.
#pragma once

#include <lutra/simd/floats.hpp>

LUTRA_INTRINSICS_BEGIN

namespace lutra::inline LUTRA_ABI::simd {

inline bool at_least(float a, float b) noexcept { return a >= b; }
inline bool above(float a, float b) noexcept { return a > b; }
inline bool equal(float a, float b) noexcept { return a == b; }
// Neither equal nor NaN.
inline bool differ(float a, float b) noexcept { return (a < b) | (a > b); }
inline float select(bool m, float yes, float no) noexcept { return m ? yes : no; }
// Lane i as bit i.
inline std::uint32_t mask_to_bits(bool m) noexcept { return m ? 1U : 0U; }
// v where the bit is set, else 0.
inline float keep_where(std::uint32_t bits, float v) noexcept {
  return (bits & 1U) != 0 ? v : 0.0F;
}

#if !LUTRA_PORTABLE
template <class A> using lane_mask = xsimd::batch_bool<float, A>;
template <class A> lane_mask<A> at_least(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return a >= b;
}
template <class A> lane_mask<A> above(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return a > b;
}
template <class A> lane_mask<A> equal(const fbatch<A>& a, const fbatch<A>& b) noexcept {
  return a == b;
}
template <class A> lane_mask<A> differ(const fbatch<A>& a, const fbatch<A>& b) noexcept {
#if defined(__AVX512F__)
  if constexpr (fbatch<A>::size == 16) {
    return lane_mask<A>::from_mask(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_OQ));
  }
#endif
#if defined(__AVX__)
  if constexpr (fbatch<A>::size == 8) return lane_mask<A>(_mm256_cmp_ps(a, b, _CMP_NEQ_OQ));
#endif
  return (a < b) | (a > b);
}
template <class A>
fbatch<A> select(const lane_mask<A>& m, const fbatch<A>& yes, const fbatch<A>& no) noexcept {
  return xsimd::select(m, yes, no);
}
template <class A> std::uint32_t mask_to_bits(const lane_mask<A>& m) noexcept {
  return static_cast<std::uint32_t>(m.mask());
}
template <class A> fbatch<A> keep_where(std::uint32_t bits, const fbatch<A>& v) noexcept {
  return xsimd::select(lane_mask<A>::from_mask(bits), v, fbatch<A>(0.0F));
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd

LUTRA_INTRINSICS_END
