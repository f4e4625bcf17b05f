// lutra: lattice.hpp - floor(x * 2^-e) as integers, one register at a time.
// SPDX-License-Identifier: Apache-2.0
//
// floor is the truncated quotient i, less one where x < i * 2^e. That product is exact for
// |i| < 2^24, so the index is right even where x * 2^-e underflows, at every level. Subnormal x count as zeros,
// whether the thread flushes them or not.
#pragma once

#include <lutra/simd/floats.hpp>

namespace lutra::inline LUTRA_ABI::simd {

// width = 2^e and scale = 2^-e are normal floats, |x| * scale < 2^24.
struct lattice {
  float scale = 1;
  float width = 1;
  std::int32_t origin = 0;  // subtracted from every index
};

inline void store_lattice_index(std::int32_t* out, float x, const lattice& l) noexcept {
  const auto i = static_cast<std::int32_t>(x * l.scale);
  const bool above = (x < static_cast<float>(i) * l.width) & (x <= -0x1p-126F);
  *out = i - (above ? 1 : 0) - l.origin;
}

#if !LUTRA_PORTABLE
template <class A>
void store_lattice_index(std::int32_t* out, const fbatch<A>& x, const lattice& l) noexcept {
  using ints = xsimd::batch<std::int32_t, A>;
  const ints i = xsimd::to_int(x * fbatch<A>(l.scale));
  const auto above = (x < xsimd::to_float(i) * fbatch<A>(l.width)) & (x <= fbatch<A>(-0x1p-126F));
  const ints floor = xsimd::select(xsimd::batch_bool_cast<std::int32_t>(above), i - ints(1), i);
  (floor - ints(l.origin)).store_unaligned(out);
}
#endif

}  // namespace lutra::inline LUTRA_ABI::simd
