// lutra: eigen.hpp - Eigen's matrices, arrays, vectors, maps, refs and blocks as tensors.
// SPDX-License-Identifier: Apache-2.0
//
// Anything with storage of its own or behind it, of either storage order, is adapted in place:
// matrices are rank 2 (rows, columns), compile-time vectors rank 1. Expressions without storage
// (a + b) are not tensors: evaluate them first. Eigen::half and Eigen::bfloat16 elements are seen as
// lutra::half and lutra::bfloat16, which have the same bits. eigen_tensor.hpp adapts Eigen::Tensor.
#pragma once

#include <Eigen/Core>
#include <array>
#include <concepts>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/tensor/traits.hpp>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

// The element type of ours that has the layout of Eigen's; all others stand for themselves.
template <class T> struct eigen_element { using type = T; };
template <> struct eigen_element<Eigen::half> { using type = half; };
template <> struct eigen_element<Eigen::bfloat16> { using type = bfloat16; };
template <class T> struct eigen_element<const T> {
  using type = const typename eigen_element<T>::type;
};
template <class T> typename eigen_element<T>::type* as_own_element(T* p) noexcept {
  using own = typename eigen_element<T>::type;
  static_assert(sizeof(own) == sizeof(T) && alignof(own) == alignof(T));
  return reinterpret_cast<own*>(p);
}

// clang-format off
template <class D>
concept eigen_dense = std::derived_from<D, Eigen::DenseBase<D>> && (D::Flags & Eigen::DirectAccessBit) != 0;
// clang-format on

// Vectors of newer Eigen versions are contiguous ranges, which traits.hpp adapts already.
template <eigen_dense D>
requires(!contiguous_arithmetic_range<D>) struct tensor_traits<D> {
  static auto view(const D& x) { return make(x.data(), x); }
  static auto view(D& x) { return make(x.data(), x); }

 private:
  template <class T> static auto make(T* data, const D& x) {
    using element = typename eigen_element<T>::type;
    if constexpr (D::IsVectorAtCompileTime) {
      const std::array<index_t, 1> strides = {x.innerStride()};
      return tensor_view<element>(as_own_element(data), {x.size()}, strides);
    } else {
      const std::array<index_t, 2> strides = {x.rowStride(), x.colStride()};
      return tensor_view<element>(as_own_element(data), {x.rows(), x.cols()}, strides);
    }
  }
};
static_assert(writable_tensor<Eigen::MatrixXf>);

}  // namespace lutra::inline LUTRA_ABI
