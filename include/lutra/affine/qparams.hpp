// lutra: qparams.hpp - scale, zero point and minval of one tensor, and how a range becomes them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/tensor/slices.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Everything needed to quantize or dequantize a tensor. One entry per parameter of the block grid,
// row-major (tensor/slices.hpp); a per-tensor qparams has one entry and fits tensors of any shape.
//   zp      x' = (q - zero_point) * scale
//   minval  x' = (q - quant_min) * scale + minval
struct qparams {
  lutra::dtype dtype = lutra::dtype::int8;
  lutra::qformulation qformulation = lutra::qformulation::zp;
  float quant_min = -128;  // smallest and largest quantized value used
  float quant_max = 127;
  lutra::granularity granularity{};      // how the grid follows from a tensor's shape
  std::vector<float> scale;              // > 0
  std::vector<std::int32_t> zero_point;  // empty for float dtypes
  std::vector<float> minval;             // empty for float dtypes

  friend bool operator==(const qparams&, const qparams&) = default;
};

}  // namespace lutra::inline LUTRA_ABI
