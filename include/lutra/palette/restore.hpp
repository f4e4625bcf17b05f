// lutra: restore.hpp - a packed palette back to a dense weight.
// SPDX-License-Identifier: Apache-2.0
//
// value = (table[code] - zero_point) * scale [* row_scale[row]], each product rounded to float.
// Cost: one pass; about as fast as the output can be written is the aim, not the promise.
#pragma once

#include <lutra/palette/pack.hpp>
#include <lutra/tensor/tensor.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The dense values of a palette, row-major.
inline std::vector<float> dense_values(const palette<float>& p) {
  std::vector<float> out(p.codes.size());
  const auto entries = static_cast<std::size_t>(p.entries());
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    const float* table = p.lut.data() + static_cast<std::size_t>(group) * entries;
    const auto begin = static_cast<std::size_t>(first);
    for (std::size_t i = begin; i < begin + static_cast<std::size_t>(length); ++i) {
      out[i] = table[p.codes[i]];
    }
  });
  if (!p.row_scale.empty() && !out.empty()) {
    const std::size_t row = out.size() / p.row_scale.size();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= p.row_scale[i / row];
  }
  return out;
}

// The dense weight of a palette (unpacked form).
inline tensor<float> restore(const palette<float>& p) {
  return tensor<float>(p.weight_shape, dense_values(p));
}

// The dense weight of a packed palette. Raises corrupt_data as check() does.
inline tensor<float> restore(const packed_palette& p) { return restore(unpack(p)); }

// The same into a view of the weight's shape (checked), strided or not.
inline void restore(const packed_palette& p, tensor_view<float> out) {
  if (!(out.extents() == p.weight_shape)) {
    raise(errc::shape_mismatch, "output shape differs from the weight's", "restore",
          text_of(out.extents()), text_of(p.weight_shape));
  }
  const std::vector<float> values = dense_values(unpack(p));
  std::size_t next = 0;
  for_each_element(out, [&](float& x) { x = values[next++]; });
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
