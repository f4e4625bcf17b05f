// lutra: overlap.hpp - whether two views may share memory: what functions with inputs and outputs check.
// SPDX-License-Identifier: Apache-2.0
//
// Compares the ranges of bytes that the views span, and sees that rows of one matrix may lie between rows of another.
// Views that interleave in any other way count as overlapping. O(rank).
#pragma once

#include <cstdint>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

// Addresses of the first byte and past the last; both 0 for a view without elements.
struct byte_range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};
template <class T> byte_range byte_range_of(const tensor_view<T>& x) noexcept {
  if (x.empty()) return {};
  index_t lowest = 0, highest = 0;
  for (int i = 0; i < x.rank(); ++i) {
    const index_t last = (x.extent(i) - 1) * x.stride(i);
    (last < 0 ? lowest : highest) += last;
  }
  const auto at = reinterpret_cast<std::uintptr_t>(x.data());
  constexpr auto size = static_cast<index_t>(sizeof(T));
  return {at + static_cast<std::uintptr_t>(lowest * size),
          at + static_cast<std::uintptr_t>((highest + 1) * size)};
}

template <class T, class U>
bool may_overlap(const tensor_view<T>& a, const tensor_view<U>& b) noexcept {
  const byte_range x = byte_range_of(a), y = byte_range_of(b);
  if (x.end <= y.begin || y.end <= x.begin) return false;
  if (a.rank() != 2 || b.rank() != 2 || a.stride(1) != 1 || b.stride(1) != 1) return true;
  constexpr auto size_a = static_cast<index_t>(sizeof(T)), size_b = static_cast<index_t>(sizeof(U));
  const index_t period = a.stride(0) * size_a;
  if (period <= 0 || b.stride(0) * size_b != period) return true;
  // Where a row of b begins after one of a begins.
  const index_t between = static_cast<index_t>(y.begin) - static_cast<index_t>(x.begin);
  const index_t after = (between % period + period) % period;
  return after < a.extent(1) * size_a || after + b.extent(1) * size_b > period;
}

}  // namespace lutra::inline LUTRA_ABI
