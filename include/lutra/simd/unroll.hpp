// lutra: unroll.hpp - loops whose trip count is a constant, written out before the optimiser runs.
// SPDX-License-Identifier: Apache-2.0
//
// Accumulators of a kernel live in registers only if every index into them is a constant; compilers
// unroll late or not at all at -O2. unroll<N>(f) calls f with the constants 0..N-1. The lambda should
// be always_inline too: it is called N times, which alone may make a compiler keep it as a function.
#pragma once

#include <lutra/core/config.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI::simd {

template <class F, int... I>
[[gnu::always_inline]] constexpr void unroll_list(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}
template <int N, class F> [[gnu::always_inline]] constexpr void unroll(F&& f) {
  unroll_list(f, std::make_integer_sequence<int, N>{});
}

}  // namespace lutra::inline LUTRA_ABI::simd
