// lutra: embedding.hpp - rows of a table by their number.
// SPDX-License-Identifier: Apache-2.0
//
// Operands: weight [rows, width], indices [...]; the result is [..., width]. The interpreter holds every
// value as float, so indices are whole numbers below 2^24, given exactly. Thread-safe.
#pragma once

#include <lutra/ir/ops/call.hpp>

namespace lutra::inline LUTRA_ABI::ir {

// Element i of the indices as a row. Raises invalid_argument unless it is one.
inline index_t row_of(const float_view& indices, index_t i, index_t rows) {
  const float x = indices.data()[i];
  if (!(x >= 0.0F && x < static_cast<float>(rows)) ||
      x != static_cast<float>(static_cast<index_t>(x))) {
    raise(errc::invalid_argument, "index of an embedding out of range", {},
          text_of(x) + " at position " + text_of(i), range_text<index_t>(0, rows - 1));
  }
  return static_cast<index_t>(x);
}
inline shape embedded_shape(const shape& indices, index_t width) {
  std::vector<index_t> extents(indices.begin(), indices.end());
  extents.push_back(width);
  return shape(std::span<const index_t>(extents));
}

inline tensor<float> embedding(const call& c) {
  expect_operands(c, 2, 2);
  expect_rank(c, 0, 2);
  const float_view& table = c.operand(0);
  const float_view& indices = c.operand(1);
  const index_t rows = table.extent(0);
  const index_t width = table.extent(1);
  tensor<float> out(embedded_shape(indices.extents(), width));
  for (index_t i = 0; i < indices.size(); ++i) {
    std::copy_n(table.data() + row_of(indices, i, rows) * width, width, out.data() + i * width);
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir
