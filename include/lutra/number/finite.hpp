// lutra: finite.hpp - whether a number is neither NaN nor infinite, everywhere asked in the same way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

// One subtraction and one comparison, also in vectors: in a loop over many, use the result without a branch. (No
// product here, hence nothing to contract.)
template <std::floating_point T> [[gnu::always_inline]] inline bool is_finite(T x) noexcept {
  return x - x == T(0);
}

}  // namespace lutra::inline LUTRA_ABI
