// lutra: gradient.hpp - straight-through gradient of fake-quantization.
// SPDX-License-Identifier: Apache-2.0
//
//   dL/dx = dL/dy   where quant_min <= t <= quant_max
//   dL/dx = 0       elsewhere, NaN included
// t is the quantized value before clamping (integers: after rounding; floats: before the cast). Nothing
// flows to scale, zero point or minval. The mask is all a backward pass needs to keep.
#pragma once

#include <lutra/affine/quantize.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// inside[i] = 1 where the gradient of element i passes, else 0. Raises what fake_quantize raises.
inline void straight_through_mask(tensor_view<const float> x, const qparams& p,
                                  tensor_view<std::uint8_t> inside) {
  const char* where = "straight_through_mask";
  check_same_extents(x.extents(), inside.extents(), where);
  const block_grid units = units_of(p, x.extents(), where);
  on_dense(x, inside, [&](const float* from, std::uint8_t* to) {
    units.for_each_run([&](index_t first, index_t n, index_t at) {
      const unit_params u = unit_of(p, at);
      for (index_t i = first; i < first + n; ++i) {
        const float t = unclamped_one(from[i], u, quotient::exact);
        to[i] = t >= u.quant_min && t <= u.quant_max ? 1 : 0;
      }
    });
  });
}

// dx = dy where inside, else 0. dx may be dy.
inline void straight_through_gradient(tensor_view<const float> dy,
                                      tensor_view<const std::uint8_t> inside,
                                      tensor_view<float> dx) {
  const char* where = "straight_through_gradient";
  check_same_extents(dy.extents(), inside.extents(), where);
  check_same_extents(dy.extents(), dx.extents(), where);
  const std::vector<std::uint8_t> mask = to_vector<std::uint8_t>(inside);
  on_dense(dy, dx, [&](const float* from, float* to) {
    for (std::size_t i = 0; i < mask.size(); ++i) to[i] = mask[i] != 0 ? from[i] : 0.0F;
  });
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
