// lutra: traits.hpp - customization point 1: how the library sees your tensor type.
// SPDX-License-Identifier: Apache-2.0
//
//   template <>
//   struct lutra::tensor_traits<acme::blob> {
//     static lutra::tensor_view<const float> view(const acme::blob& b);
//     static lutra::tensor_view<float> view(acme::blob& b);        // only if it can be written
//   };
//   static_assert(lutra::writable_tensor<acme::blob>);             // next line: errors show up here
//
// `view` is called once per public function, never per element. Specialise before the first use of
// the type with lutra. Light: includes neither Eigen nor xsimd.
#pragma once

#include <concepts>
#include <cstdint>
#include <lutra/tensor/view.hpp>
#include <ranges>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

// Undefined on purpose: a type without a specialisation is not a tensor.
template <class T> struct tensor_traits;

template <class V> inline constexpr bool is_tensor_view = false;
template <class T> inline constexpr bool is_tensor_view<tensor_view<T>> = true;

// clang-format off
template <class T>
concept readable_tensor = requires(const std::remove_cvref_t<T>& x) {
  tensor_traits<std::remove_cvref_t<T>>::view(x);                 // pointer, extents, strides; O(1)
  requires is_tensor_view<decltype(tensor_traits<std::remove_cvref_t<T>>::view(x))>;
};

template <class T>
concept writable_tensor = readable_tensor<T> && requires(std::remove_cvref_t<T>& x) {
  requires !std::is_const_v<typename decltype(tensor_traits<std::remove_cvref_t<T>>::view(x))::element_type>;
};
// clang-format on

// lutra::view(x): the view of any adapted tensor. Algorithms call this, never the traits by hand.
struct view_function {
  template <readable_tensor T> constexpr auto operator()(const T& x) const {
    return tensor_traits<T>::view(x);
  }
  template <readable_tensor T> constexpr auto operator()(T& x) const {
    return tensor_traits<std::remove_cv_t<T>>::view(x);
  }
};
inline constexpr view_function view{};

template <readable_tensor T>
using element_t =
    typename decltype(view(std::declval<const std::remove_cvref_t<T>&>()))::value_type;

// A view is a tensor.
template <class T> struct tensor_traits<tensor_view<T>> {
  static constexpr tensor_view<T> view(const tensor_view<T>& x) { return x; }
};

// Contiguous ranges of arithmetic values (std::vector, std::array, std::span) are 1-D tensors.
template <class R>
concept contiguous_arithmetic_range = std::ranges::contiguous_range<R> &&
    std::ranges::sized_range<R> && std::is_arithmetic_v<std::ranges::range_value_t<R>>;
template <contiguous_arithmetic_range R> struct tensor_traits<R> {
  static constexpr auto view(const R& x) { return make(std::ranges::data(x), x); }
  static constexpr auto view(R& x) { return make(std::ranges::data(x), x); }

 private:
  template <class T> static constexpr tensor_view<T> make(T* data, const R& x) {
    return {data, shape{static_cast<index_t>(std::ranges::size(x))}};
  }
};

}  // namespace lutra::inline LUTRA_ABI
