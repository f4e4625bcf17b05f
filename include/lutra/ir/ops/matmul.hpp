// lutra: matmul.hpp - float matrix product of two computed operands.
// SPDX-License-Identifier: Apache-2.0
//
//   out[..., i, j] = sum over k of a[..., i, k] b[..., k, j]
// Leading axes are equal, or b is a plain matrix. Sums as in ordered_gemm.hpp: the same bits everywhere.
// Memory: one padded matrix of b. Thread-safe.
#pragma once

#include <lutra/ir/ops/call.hpp>
#include <lutra/ir/ops/ordered_gemm.hpp>

namespace lutra::inline LUTRA_ABI::ir {

struct matmul_result {
  shape extents;
  bool plain = false;  // b is one matrix for all
};
inline matmul_result matmul_shape(const shape& a, const shape& b) {
  const int rank = a.rank();
  const bool plain = b.rank() == 2;
  bool fits = rank >= 2 && (plain || b.rank() == rank) && a[rank - 1] == b[b.rank() - 2];
  for (int i = 0; fits && !plain && i < rank - 2; ++i) fits = a[i] == b[i];
  if (!fits) {
    raise(errc::shape_mismatch, "matrices do not fit each other", {}, text_of(b), text_of(a));
  }
  return {a.with(rank - 1, b[b.rank() - 1]), plain};
}

inline tensor<float> matmul(const call& c) {
  expect_operands(c, 2, 2);
  const float_view& a = c.operand(0);
  const float_view& b = c.operand(1);
  const int rank = a.rank();
  const auto [extents, plain] = matmul_shape(a.extents(), b.extents());
  const index_t n = b.extent(b.rank() - 1);
  tensor<float> out(extents);
  if (out.size() == 0) return out;
  gemm_problem p{.m = a.extent(rank - 2), .n = n, .k = a.extent(rank - 1)};
  p.a_stride = p.k;
  p.b_stride = padded_columns(n);
  p.out_stride = n;
  std::vector<float> columns(to_size(p.k * p.b_stride));
  p.b = columns.data();
  for (index_t i = 0; i < out.size() / (p.m * n); ++i) {
    if (i == 0 || !plain) {
      const float* from = b.data() + i * p.k * n;
      for (index_t k = 0; k < p.k; ++k) {
        std::copy_n(from + k * n, n, columns.data() + k * p.b_stride);
      }
    }
    p.a = a.data() + i * p.m * p.k;
    p.out = out.data() + i * p.m * n;
    ordered_gemm(p);
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir
