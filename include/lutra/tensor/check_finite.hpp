// lutra: check_finite.hpp - refuses tensors that hold NaN or infinite values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <lutra/core/error.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/tensor/view.hpp>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// Raises non_finite if any value is NaN or infinite, naming how many and the first position (row-major). One read.
template <std::floating_point T>
void check_finite(const tensor_view<const T>& x, std::string_view where) {
  bool all = true;  // no branch in the loop that as a rule finds nothing
  for_each_element(x, [&](T v) { all &= is_finite(v); });
  if (all) return;
  index_t at = 0, first = -1, count = 0;
  for_each_element(x, [&](T v) {
    if (!is_finite(v) && count++ == 0) first = at;
    ++at;
  });
  raise(errc::non_finite, "NaN or infinite values", std::string(where),
        text_of(count) + " of " + text_of(x.size()) + ", first at position " + text_of(first),
        "finite values");
}

}  // namespace lutra::inline LUTRA_ABI
