// lutra: program_pass.hpp - compatibility: the reference's second, program-level weight quantizer.
// SPDX-License-Identifier: Apache-2.0
//
// The same package holds two quantizers with different arithmetic. Ours is the first (qparams.hpp); this
// one only serves to read or reproduce what the second wrote. It differs in the bounds (both symmetric
// kinds are clipped), in adding 1e-6 to every width and in the zero point. Not offered elsewhere.
#pragma once

#include <lutra/affine/qparams.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// signed symmetric -(2^(n-1) - 1) .. 2^(n-1) - 1, unsigned symmetric 0 .. 2^n - 2, asymmetric all.
constexpr quant_bounds program_pass_bounds(dtype d, qscheme scheme) noexcept {
  const dtype_info i = info(d);
  if (!i.integer || scheme == qscheme::asymmetric) return {i.quant_min, i.quant_max};
  if (i.is_signed) return {-i.quant_max, i.quant_max};
  return {0.0F, i.quant_max - 1.0F};
}

// scale = (hi - lo + 1e-6) / (quant_max - quant_min) with lo = -hi for the symmetric kinds. One entry per
// range. Raises what check(spec) raises, shape_mismatch for spans of different length.
inline qparams program_pass_qparams(const quantization_spec& spec, std::span<const float> lo,
                                    std::span<const float> hi) {
  const char* where = "program_pass_qparams";
  check(spec, where);
  if (lo.size() != hi.size()) {
    raise(errc::shape_mismatch, "lo and hi differ in length", where,
          text_of(static_cast<index_t>(hi.size())), text_of(static_cast<index_t>(lo.size())));
  }
  const quant_bounds q = program_pass_bounds(spec.dtype, spec.qscheme);
  const bool asymmetric = spec.qscheme == qscheme::asymmetric;
  qparams out{spec.dtype, qformulation::zp, q.min, q.max, spec.granularity, {}, {}, {}};
  for (std::size_t i = 0; i < lo.size(); ++i) {
    const float largest = std::max(-std::min(lo[i], 0.0F), std::max(hi[i], 0.0F));
    const float n = asymmetric ? std::min(lo[i], 0.0F) : -largest;
    const float p = asymmetric ? std::max(hi[i], 0.0F) : largest;
    const float width = p - n + 1e-6F;
    out.scale.push_back(width / (q.max - q.min));
    if (!is_integer(spec.dtype)) continue;
    float zero = q.min < 0.0F ? 0.0F : static_cast<float>(static_cast<int>(q.max) / 2);
    if (asymmetric) {
      zero = round_half_even((q.min * p - q.max * n) / width);
      zero = std::min(std::max(zero, q.min), q.max);
    }
    out.zero_point.push_back(static_cast<std::int32_t>(zero));
    out.minval.push_back(n);
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
