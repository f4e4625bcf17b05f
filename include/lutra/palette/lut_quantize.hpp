// lutra: lut_quantize.hpp - one float table to 8-bit codes with a scale and zero point of its own.
// SPDX-License-Identifier: Apache-2.0
//
// The table is quantized as a tensor with one scale (affine/qparams.hpp, affine/element.hpp) over the
// range [min(0, smallest entry), max(0, largest entry)], or the ends float_range fixes:
//   int8, uint8 symmetric  scale = max|.| / 127.5    int8 symmetric_with_clipping  max|.| / 127
//   asymmetric             scale = (hi - lo) / 255   float8  max|.| / 448 or 57344, or a power of two
// All steps are rounded float operations, half to even: the same bits everywhere. Never fails on
// finite tables of a range below 2^128.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/affine/element.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// How the codes of one 8-bit table are read.
struct lut_scale {
  dtype lut_dtype = dtype::int8;
  float scale = 1.0F;
  std::int32_t zero_point = 0;  // of integer tables
};

// The value a code of a table stands for: (code - zero_point) * scale, rounded to float once.
inline float lut_value(const lut_scale& s, std::uint8_t code) noexcept {
  if (s.lut_dtype == dtype::float8_e4m3fn) {
    return static_cast<float>(float8_e4m3fn::from_bits(code)) * s.scale;
  }
  if (s.lut_dtype == dtype::float8_e5m2) {
    return static_cast<float>(float8_e5m2::from_bits(code)) * s.scale;
  }
  const int q = s.lut_dtype == dtype::int8 ? static_cast<std::int8_t>(code) : code;
  return static_cast<float>(q - s.zero_point) * s.scale;
}

struct quantized_lut {
  lut_scale scale;
  std::vector<std::uint8_t> codes;  // bytes of int8, uint8 or float8
};

// Quantizes one non-empty table. `spec` has passed check(palettization_spec).
inline quantized_lut quantize_lut(std::span<const float> table, const quantization_spec& spec) {
  float lo = 0.0F;
  float hi = 0.0F;
  for (const float x : table) {
    lo = std::min(lo, x);
    hi = std::max(hi, x);
  }
  lo = spec.float_range.lo.value_or(lo);
  hi = spec.float_range.hi.value_or(hi);
  const qparams p = qparams_from_range(spec, {&lo, 1}, {&hi, 1}, {.infinite_levels = true});
  unit_params unit = unit_of(p, 0);
  // Near the end of the range of float the outermost level would be infinite.
  const float outermost = std::max(std::fabs(unit.quant_min - unit.integer_offset),
                                   std::fabs(unit.quant_max - unit.integer_offset));
  if (std::isinf(outermost * unit.scale)) {
    unit.scale = std::nextafter(std::numeric_limits<float>::max() / outermost, 0.0F);
  }
  quantized_lut q;
  q.scale = {spec.dtype, unit.scale, unit.integer ? p.zero_point[0] : 0};
  for (const float x : table) q.codes.push_back(static_cast<std::uint8_t>(encode_one(x, unit)));
  return q;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
