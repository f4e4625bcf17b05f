// lutra: lut_quantize.hpp - one float table to 8-bit codes with its own scale and zero point.
// SPDX-License-Identifier: Apache-2.0
//
// Range: lo = min(0, min table), hi = max(0, max table), or the ends float_range fixes.
//   int8, uint8 symmetric     scale = max(-lo, hi) / 127.5 (clipping, int8: / 127), zero point 0 / 128
//   int8, uint8 asymmetric    scale = (hi - lo) / 255, zero point = clamp(quant_min - round(lo/scale))
//   code = clamp(round(x / scale) + zero_point), value = (code - zero_point) * scale
// Rounding is half to even; everything is rounded to float step by step (numeric contract of
// spec/quantization.md), so the bits are the same everywhere. The scale is at least 2^-23.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <lutra/affine/spec.hpp>
#include <lutra/core/strict_fp.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// How the codes of one 8-bit table are read.
struct lut_scale {
  dtype lut_dtype = dtype::int8;
  float scale = 1.0F;
  std::int32_t zero_point = 0;
};

// The value a code of a table stands for.
inline float lut_value(const lut_scale& s, std::uint8_t code) noexcept {
  const int q = s.lut_dtype == dtype::int8 ? static_cast<std::int8_t>(code) : code;
  return static_cast<float>(q - s.zero_point) * s.scale;
}

// The code of the value nearest to x under the rule above.
inline std::uint8_t lut_code(const lut_scale& s, const quant_bounds& bounds, float x) noexcept {
  const float q = std::nearbyint(x / s.scale) + static_cast<float>(s.zero_point);
  return static_cast<std::uint8_t>(static_cast<int>(std::clamp(q, bounds.min, bounds.max)));
}

// Scale and zero point of a table.
inline lut_scale scale_of_table(std::span<const float> table, const quantization_spec& spec) {
  if (!is_integer(spec.dtype)) {
    raise(errc::unsupported, "float8 tables are not in this version", "quantize_lut",
          std::string(name_of(spec.dtype)), "int8, uint8");
  }
  constexpr float least_scale = 0x1p-23F;
  float lo = 0.0F;
  float hi = 0.0F;
  for (const float x : table) {
    lo = std::min(lo, x);
    hi = std::max(hi, x);
  }
  lo = spec.float_range.lo.value_or(lo);
  hi = spec.float_range.hi.value_or(hi);
  const quant_bounds bounds = bounds_of(spec);
  lut_scale s{.lut_dtype = spec.dtype};
  if (spec.qscheme == qscheme::asymmetric) {
    s.scale = std::max((hi - lo) / (bounds.max - bounds.min), least_scale);
    const float zero = bounds.min - std::nearbyint(lo / s.scale);
    s.zero_point = static_cast<std::int32_t>(std::clamp(zero, bounds.min, bounds.max));
  } else {
    s.scale = std::max(std::max(-lo, hi) / ((bounds.max - bounds.min) / 2.0F), least_scale);
    s.zero_point = spec.dtype == dtype::uint8 ? 128 : 0;
  }
  return s;
}

struct quantized_lut {
  lut_scale scale;
  std::vector<std::uint8_t> codes;
};

// Quantizes one table. `spec` has passed check(palettization_spec).
inline quantized_lut quantize_lut(std::span<const float> table, const quantization_spec& spec) {
  quantized_lut q{scale_of_table(table, spec), {}};
  const quant_bounds bounds = bounds_of(spec);
  for (const float x : table) q.codes.push_back(lut_code(q.scale, bounds, x));
  return q;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
