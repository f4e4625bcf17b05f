// check_output_memory<T>(extents, call): call(view) refuses to write T out of alignment or to one address twice, and
// takes elements in any other order. An extent that is not 1 is needed.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <lutra/tensor/tensor.hpp>

#include "errors.hpp"

namespace test {

// A view that begins one byte after an aligned address.
template <class T> class misaligned {
 public:
  explicit misaligned(const lutra::shape& s)
      : extents_(s), buffer_(static_cast<std::size_t>(s.size() + 1)) {}
  lutra::tensor_view<T> view() {
    return {reinterpret_cast<T*>(reinterpret_cast<std::byte*>(buffer_.data()) + 1), extents_};
  }
  bool is_zero() const {
    return std::ranges::all_of(buffer_, [](T x) { return x == T{}; });
  }

 private:
  lutra::shape extents_;
  std::vector<T> buffer_;
};

template <class T, class F> void check_output_memory(const lutra::shape& s, F&& call) {
  using namespace lutra;
  if constexpr (alignof(T) > 1) {
    misaligned<T> out(s);
    const std::string alignment = "alignment " + text_of(static_cast<index_t>(alignof(T)));
    CHECK_ERROR(call(out.view()), invalid_argument, std::string("out is not aligned"),
                std::string("remainder 1 "), alignment);
    CHECK(out.is_zero());
  }
  std::vector<T> memory(static_cast<std::size_t>(s.size()));
  const auto dense = row_major_strides(s);
  int outermost = 0;
  while (s[outermost] == 1) ++outermost;
  for (int axis = outermost; axis < s.rank(); ++axis) {
    if (s[axis] == 1) continue;
    std::vector<index_t> strides(dense.begin(), dense.begin() + s.rank());
    index_t& stride = strides[static_cast<std::size_t>(axis)];
    stride = 0;
    CHECK_ERROR(call(tensor_view<T>(memory.data(), s, strides)), invalid_argument,
                "out overlaps itself", "strides [");
    if (axis > outermost) continue;
    stride = s.product(axis + 1, s.rank()) - 1;  // the last element is the next one's first
    CHECK_ERROR(call(tensor_view<T>(memory.data(), s, strides)), invalid_argument,
                "out overlaps itself");
  }
  CHECK(std::ranges::all_of(memory, [](T x) { return x == T{}; }));
  std::vector<index_t> columns_first(static_cast<std::size_t>(s.rank()), 1), backward;
  for (int axis = 0; axis < s.rank(); ++axis) {
    columns_first[static_cast<std::size_t>(axis)] = s.product(0, axis);
    backward.push_back(-dense[static_cast<std::size_t>(axis)]);
  }
  call(tensor_view<T>(memory.data(), s, columns_first));
  call(tensor_view<T>(memory.data() + s.size() - 1, s, backward));
}

}  // namespace test
