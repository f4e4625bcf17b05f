// lutra: linear.hpp - float linear layer: out[..., r] = sum over k of x[..., k] w[r][k] + bias[r].
// SPDX-License-Identifier: Apache-2.0
//
// Sums as in ordered_gemm.hpp (k ascending, bias last): the same bits everywhere. The weight is kept
// transposed and padded, made once per interpreter when it is constant. Thread-safe.
#pragma once

#include <lutra/ir/ops/call.hpp>
#include <lutra/ir/ops/ordered_gemm.hpp>

namespace lutra::inline LUTRA_ABI::ir {

// [rows, depth] -> [depth, padded_columns(rows)], zeros in the padding.
inline std::vector<float> transposed_weight(const float_view& w) {
  const index_t rows = w.extent(0);
  const index_t depth = w.extent(1);
  const index_t stride = padded_columns(rows);
  std::vector<float> out(to_size(depth * stride));
  for (index_t r = 0; r < rows; ++r) {
    const float* row = w.data() + r * depth;
    for (index_t k = 0; k < depth; ++k) out[to_size(k * stride + r)] = row[k];
  }
  return out;
}
inline std::vector<float> prepare_linear(const node&, const float_view& w) {
  return w.rank() == 2 ? transposed_weight(w) : std::vector<float>{};
}

inline tensor<float> linear(const call& c) {
  expect_operands(c, 2, 3);
  const float_view& x = c.operand(0);
  const float_view& w = c.operand(1);
  expect_rank(c, 1, 2);
  if (x.rank() < 1 || x.extent(x.rank() - 1) != w.extent(1)) {
    bad_shape("weight does not fit the input's last axis", "weight " + text_of(w.extents()),
              "input " + text_of(x.extents()));
  }
  const index_t rows = w.extent(0);
  if (c.has(2)) expect_channels(c, 2, rows);
  tensor<float> out(x.extents().with(x.rank() - 1, rows));
  if (out.size() == 0) return out;
  const std::vector<float> made = c.prepared.empty() ? transposed_weight(w) : std::vector<float>{};
  std::vector<float> bias(to_size(c.has(2) ? padded_columns(rows) : 0));
  if (c.has(2)) std::copy_n(c.operand(2).data(), rows, bias.data());
  gemm_problem p{.m = out.size() / rows, .n = rows, .k = w.extent(1)};
  p.a = x.data();
  p.a_stride = p.k;
  p.b = c.prepared.empty() ? made.data() : c.prepared.data();
  p.b_stride = padded_columns(rows);
  p.out = out.data();
  p.out_stride = rows;
  p.column_bias = c.has(2) ? bias.data() : nullptr;
  ordered_gemm(p);
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir
