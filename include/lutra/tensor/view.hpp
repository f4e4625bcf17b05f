// lutra: view.hpp - tensor_view: pointer, extents, strides. Everything below the API sees only this.
// SPDX-License-Identifier: Apache-2.0
//
// Non-owning; copying copies the view. Strides are in elements and may be negative or (for reading)
// zero. Element order is row-major whatever the strides. A view of const elements may be read from
// several threads.
#pragma once

#include <array>
#include <lutra/tensor/shape.hpp>
#include <span>
#include <type_traits>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <class T> class tensor_view {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  constexpr tensor_view() : extents_{0} {}
  // Dense row-major.
  constexpr tensor_view(T* data, const shape& extents)
      : data_(data), extents_(extents), strides_(row_major_strides(extents)) {}
  constexpr tensor_view(T* data, const shape& extents, std::span<const index_t> strides)
      : data_(data), extents_(extents) {
    if (strides.size() != to_size(extents.rank())) {
      raise(errc::shape_mismatch, "one stride per axis is needed", "tensor_view",
            text_of(static_cast<index_t>(strides.size())), text_of(extents.rank()));
    }
    std::ranges::copy(strides, strides_.begin());
  }
  // A mutable view is also a read-only one.
  constexpr operator tensor_view<const T>() const requires(!std::is_const_v<T>) {
    return {data_, extents_, strides()};
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr const shape& extents() const noexcept { return extents_; }
  constexpr int rank() const noexcept { return extents_.rank(); }
  constexpr index_t extent(int axis) const noexcept { return extents_[axis]; }
  constexpr index_t size() const noexcept { return extents_.size(); }
  constexpr bool empty() const noexcept { return size() == 0; }
  constexpr index_t stride(int axis) const noexcept { return strides_[to_size(axis)]; }
  constexpr std::span<const index_t> strides() const noexcept {
    return {strides_.data(), to_size(rank())};
  }

  // True if the elements lie densely in row-major order (extents of 1 may have any stride).
  constexpr bool is_contiguous() const noexcept {
    index_t step = 1;
    for (int i = rank() - 1; i >= 0; --i) {
      if (extent(i) != 1 && stride(i) != step && size() != 0) return false;
      step *= extent(i);
    }
    return true;
  }
  // All elements of a contiguous view.
  constexpr std::span<T> elements() const noexcept { return {data_, to_size(size())}; }
  template <class... I> constexpr T& operator()(I... i) const noexcept {
    index_t offset = 0;
    int axis = 0;
    ((offset += static_cast<index_t>(i) * stride(axis++)), ...);
    return data_[offset];
  }

 private:
  T* data_ = nullptr;
  shape extents_;
  std::array<index_t, max_rank> strides_{};
};

// Calls f(element&) in row-major order, whatever the strides.
template <class T, class F> constexpr void for_each_element(const tensor_view<T>& x, F&& f) {
  if (x.is_contiguous()) {  // a loop that compilers vectorize
    T* const first = x.data();
    for (index_t i = 0; i < x.size(); ++i) f(first[i]);
    return;
  }
  std::array<index_t, max_rank> position{};
  const int last = x.rank() - 1;
  T* row = x.data();
  for (;;) {
    for (index_t i = 0; i < x.extent(last); ++i) f(row[i * x.stride(last)]);
    int axis = last - 1;
    for (; axis >= 0; --axis) {
      auto& p = position[to_size(axis)];
      row += x.stride(axis);
      if (++p < x.extent(axis)) break;
      row -= p * x.stride(axis);
      p = 0;
    }
    if (axis < 0) return;
  }
}

// The elements in row-major order, converted to To. Copies once.
template <class To, class T> std::vector<To> to_vector(const tensor_view<T>& x) {
  std::vector<To> out(to_size(x.size()));
  To* next = out.data();
  for_each_element(x, [&](const T& e) { *next++ = static_cast<To>(e); });
  return out;
}

}  // namespace lutra::inline LUTRA_ABI
