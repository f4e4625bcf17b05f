// lutra: overlap.hpp - the memory of views: what functions with inputs and outputs check.
// SPDX-License-Identifier: Apache-2.0
//
// may_overlap() compares the ranges of bytes that the views span, and sees that rows of one matrix may lie between rows
// of another. Views that interleave in any other way count as overlapping. O(rank).
#pragma once

#include <array>
#include <cstdint>
#include <lutra/tensor/view.hpp>
#include <string>

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

// How far the elements lie past addresses that fit their type: 0 where they fit, or where there are none.
template <class T> index_t misalignment_of(const tensor_view<T>& x) noexcept {
  return x.empty() ? 0
                   : static_cast<index_t>(reinterpret_cast<std::uintptr_t>(x.data()) % alignof(T));
}

// Whether no two elements share an address, as far as can be told axis by axis: from the smallest stride to the
// largest, each must step over all that those before it span. False for some views that interleave in other ways.
template <class T> bool has_separate_elements(const tensor_view<T>& x) noexcept {
  struct axis {
    std::uint64_t step, last;
  };
  // Ascending by step. Inserted one by one: g++ 12 sees std::sort go beyond the end of so short an array.
  std::array<axis, max_rank> axes{};
  std::size_t count = 0;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.extent(i) < 2) continue;
    const auto stride = static_cast<std::uint64_t>(x.stride(i));
    const std::uint64_t step = x.stride(i) < 0 ? 0 - stride : stride;
    std::size_t at = count++;
    for (; at > 0 && axes[at - 1].step > step; --at) axes[at] = axes[at - 1];
    axes[at] = {step, static_cast<std::uint64_t>(x.extent(i) - 1)};
  }
  if (x.empty()) return true;
  std::uint64_t span = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (axes[i].step <= span) return false;
    span += axes[i].step * axes[i].last;
  }
  return true;
}

// Raises invalid_argument if the memory of out is also that of `in`, an input called `what`.
template <class In, class Out>
void check_apart(const tensor_view<In>& in, const tensor_view<Out>& out, std::string_view what,
                 std::string_view where) {
  if (!may_overlap(in, out)) return;
  const byte_range x = byte_range_of(in), y = byte_range_of(out);
  const auto bytes = [&](const byte_range& r) {
    return range_text(static_cast<index_t>(r.begin - x.begin),
                      static_cast<index_t>(r.end - x.begin) - 1);
  };
  const std::string name(what);
  raise(errc::invalid_argument, "out overlaps " + name, std::string(where),
        "bytes " + bytes(y) + " from where " + name + " begins", "outside of " + bytes(x));
}
template <class T, class Out>
void check_apart(const std::vector<T>& vector, const tensor_view<Out>& out, std::string_view what,
                 std::string_view where) {
  const shape all{static_cast<index_t>(vector.size())};
  check_apart(tensor_view<const T>(vector.data(), all), out, what, where);
}

// Raises invalid_argument unless x and out have memory where they have elements, aligned for their types, and each
// element of out lies where neither another one nor x does.
template <class X, class Out>
void check_memory(const tensor_view<X>& x, const tensor_view<Out>& out, std::string_view where) {
  const std::string at(where);
  const auto check_address = [&](const auto& v, const std::string& name, std::size_t alignment) {
    if (v.data() == nullptr && !v.empty()) {
      raise(errc::invalid_argument, name + " has no memory", at, "a null pointer",
            "the address of " + text_of(v.size()) + " elements");
    }
    const index_t rest = misalignment_of(v);
    if (rest == 0) return;
    raise(errc::invalid_argument, name + " is not aligned for its type", at,
          "remainder " + text_of(rest) + " of the address",
          "alignment " + text_of(static_cast<index_t>(alignment)));
  };
  check_address(x, "x", alignof(X));
  check_address(out, "out", alignof(Out));
  if (!has_separate_elements(out)) {
    raise(errc::invalid_argument, "out overlaps itself", at,
          "strides " + text_of(out.strides()) + " of " + text_of(out.extents()),
          "strides beyond the span of smaller ones");
  }
  check_apart(x, out, "x", where);
}

}  // namespace lutra::inline LUTRA_ABI
