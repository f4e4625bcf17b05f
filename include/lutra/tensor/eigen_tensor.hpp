// lutra: eigen_tensor.hpp - Eigen::Tensor, TensorFixedSize and TensorMap as tensors.
// SPDX-License-Identifier: Apache-2.0
//
// A header of its own since Eigen keeps these types among its unsupported modules and they double
// the compile time. Both layouts are adapted in place; elements as in eigen.hpp.
#pragma once

#include <array>
#include <lutra/tensor/eigen.hpp>
#include <type_traits>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>

namespace lutra::inline LUTRA_ABI {

template <class X> inline constexpr bool is_eigen_tensor = false;
template <class T, int Rank, int Options, class Index>
inline constexpr bool is_eigen_tensor<Eigen::Tensor<T, Rank, Options, Index>> = true;
template <class T, class Sizes, int Options, class Index>
inline constexpr bool is_eigen_tensor<Eigen::TensorFixedSize<T, Sizes, Options, Index>> = true;
template <class X, int Options, template <class> class MakePointer>
inline constexpr bool is_eigen_tensor<Eigen::TensorMap<X, Options, MakePointer>> = true;

template <class X>
requires is_eigen_tensor<X>
struct tensor_traits<X> {
  static auto view(const X& x) { return make(static_cast<const typename X::Scalar*>(x.data()), x); }
  static auto view(X& x) { return make(x.data(), x); }

 private:
  template <class T> static auto make(T* data, const X& x) {
    constexpr auto rank = to_size(X::NumIndices);
    std::array<index_t, rank> extents = extents_of(x, std::make_index_sequence<rank>());
    std::array<index_t, rank> strides{};
    index_t step = 1;
    for (std::size_t i = 0; i < rank; ++i) {
      // Innermost axis first: the last one of row-major tensors, the first one of column-major ones.
      const std::size_t axis = static_cast<int>(X::Layout) == Eigen::RowMajor ? rank - 1 - i : i;
      strides[axis] = step;
      step *= extents[axis];
    }
    return tensor_view<typename eigen_element<T>::type>(
        as_own_element(data), shape(std::span<const index_t>(extents)), strides);
  }
  // Constant positions, since Eigen's types disagree on the signedness of a variable one.
  template <std::size_t... I>
  static std::array<index_t, sizeof...(I)> extents_of(const X& x, std::index_sequence<I...>) {
    return {static_cast<index_t>(x.dimension(I))...};
  }
};

}  // namespace lutra::inline LUTRA_ABI
