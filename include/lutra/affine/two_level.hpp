// lutra: two_level.hpp - the two levels of NVFP4 scales: a float8_e4m3fn code per unit times a float per tensor.
// SPDX-License-Identifier: Apache-2.0
//
// quantization_spec{.dtype = float4_e2m1fn, .scale_dtype = float8_e4m3fn} has such scales: qparams hold their
// products, which is what every loop wants. This gives the factors, for files that store them, from the ranges of the
// units: observer.range(lo, hi) of observer.units() each, of a fake_quantizer those of its statistics().
#pragma once

#include <lutra/affine/qparams.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

struct two_level_scales {
  float tensor_scale = 0;
  std::vector<float8_e4m3fn> unit_scale;
  qparams params;  // the products
};

// Raises what qparams_from_range raises, invalid_argument for a spec without two-level scales.
inline two_level_scales two_level_from_range(const quantization_spec& spec,
                                             std::span<const float> lo, std::span<const float> hi) {
  if (scale_dtype_of(spec) != dtype::float8_e4m3fn) {
    raise(errc::invalid_argument, "scale_dtype has one level", "two_level_from_range",
          std::string(name_of(scale_dtype_of(spec))), "float8_e4m3fn");
  }
  two_level_scales s;
  s.params = qparams_from_range(spec, lo, hi);
  float largest = 0;
  for (std::size_t i = 0; i < lo.size(); ++i) largest = std::max({largest, -lo[i], hi[i]});
  s.tensor_scale = two_level_tensor_scale(largest);
  for (std::size_t i = 0; i < lo.size(); ++i) {
    s.unit_scale.push_back(two_level_code(std::max({-lo[i], hi[i], 0.0F}), s.tensor_scale));
  }
  return s;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
