// lutra: gemm.hpp - palette matrix times 8-bit activations, exact int32, optional fused epilogue.
// SPDX-License-Identifier: Apache-2.0
//
//   out[m][r] = sum_k w[r][k] * x[m][k]           x [m, depth] int8 or uint8, out [m, rows]
// With an epilogue the sum goes through requantize (int8, uint8) or dequantize_rows (float) instead of
// being stored. Views may have any strides. m, rows or depth may be 0. out must not overlap x.
#pragma once

#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

template <class X, class Out>
void check_gemm(const lut_matrix& w, const tensor_view<const X>& x, const tensor_view<Out>& out,
                std::string_view where) {
  const std::string at(where);
  if (x.rank() != 2 || x.extent(1) != w.depth()) {
    raise(errc::shape_mismatch, "x does not match the matrix", at, text_of(x.extents()),
          "[m, " + text_of(w.depth()) + "]");
  }
  if (out.rank() != 2 || out.extent(0) != x.extent(0) || out.extent(1) != w.rows()) {
    raise(errc::shape_mismatch, "out does not match x and the matrix", at, text_of(out.extents()),
          text_of(shape{x.extent(0), w.rows()}));
  }
  if (w.depth() > w.template max_depth<X>()) {
    raise(errc::unsupported, "depth beyond exact int32 sums", at, text_of(w.depth()),
          "<= " + text_of(w.template max_depth<X>()));
  }
}

template <class X, class F>
void for_each_sum(const lut_matrix& w, const tensor_view<const X>& x, F&& f) {
  for (index_t m = 0; m < x.extent(0); ++m) {
    for (index_t r = 0; r < w.rows(); ++r) {
      std::int32_t sum = 0;
      for (index_t k = 0; k < w.depth(); ++k) {
        sum += w.decoded()[static_cast<std::size_t>(r * w.depth() + k)] * x(m, k);
      }
      f(m, r, sum);
    }
  }
}

template <class A = simd::native>
void gemm(const lut_matrix& w, tensor_view<const std::int8_t> x, tensor_view<std::int32_t> out,
          A = {}) {
  check_gemm(w, x, out, "gemm");
  for_each_sum(w, x, [&](index_t m, index_t r, std::int32_t sum) { out(m, r) = sum; });
}
template <class A = simd::native>
void gemm(const lut_matrix& w, tensor_view<const std::uint8_t> x, tensor_view<std::int32_t> out,
          A = {}) {
  check_gemm(w, x, out, "gemm");
  for_each_sum(w, x, [&](index_t m, index_t r, std::int32_t sum) { out(m, r) = sum; });
}
template <class A = simd::native>
void gemm(const lut_matrix& w, tensor_view<const std::int8_t> x, const requantize& e,
          tensor_view<std::int8_t> out, A = {}) {
  check_gemm(w, x, out, "gemm");
  check<std::int8_t>(e, w.rows(), "gemm");
  for_each_sum(w, x, [&](index_t m, index_t r, std::int32_t sum) {
    out(m, r) = static_cast<std::int8_t>(finish(e, static_cast<std::size_t>(r), sum));
  });
}
template <class A = simd::native>
void gemm(const lut_matrix& w, tensor_view<const std::int8_t> x, const dequantize_rows& e,
          tensor_view<float> out, A = {}) {
  check_gemm(w, x, out, "gemm");
  check(e, w.rows(), "gemm");
  for_each_sum(w, x, [&](index_t m, index_t r, std::int32_t sum) {
    out(m, r) = finish(e, static_cast<std::size_t>(r), sum);
  });
}

// The same for one vector: x [depth], out [rows].
template <class A = simd::native>
void gemv(const lut_matrix& w, std::span<const std::int8_t> x, std::span<std::int32_t> out,
          A a = {}) {
  gemm(w, tensor_view<const std::int8_t>(x.data(), shape{1, static_cast<index_t>(x.size())}),
       tensor_view<std::int32_t>(out.data(), shape{1, static_cast<index_t>(out.size())}), a);
}

}  // namespace lutra::inline LUTRA_ABI
