// lutra: scale_rules.hpp - other ways from a range to a scale than the reference's (qparams.hpp).
// SPDX-License-Identifier: Apache-2.0
//
// e8m0 scales of a unit with largest magnitude M = m * 2^k, 1 <= m < 2, for a format with largest value
// f * 2^emax, 1 <= f < 2, and b stored significand bits:
//   floor  2^(k - emax)                          the reference; up to 25 % of the largest values are cut (e2m1)
//   ceil   2^(k - emax), one more unless m = 1
//   even   2^(k - emax), one more if m rounds to 2 in b bits (m >= 2 - 2^-(b+1))
//   up     2^(k - emax), one more if m > f       the least power of two that cuts nothing
// no_clipping: scale = max(-lo / (zp - quant_min), hi / (quant_max - zp)), so neither end saturates.
// relative floor: scales are kept above 2^-23 of the tensor's largest one, not above 2^-23 itself, so that
// tensors of tiny values use their range. scale_type rounds scales as they will be stored; zero points are
// derived from the rounded scale. Rounded f32 operations: the same bits everywhere. O(units).
#pragma once

#include <lutra/affine/qparams.hpp>
#include <lutra/number/float8.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

enum class e8m0_rule : unsigned char { floor, ceil, even, up };
enum class scale_floor : unsigned char { absolute, relative };

// An aggregate; the defaults are the reference's rules.
struct scale_rules {
  e8m0_rule e8m0 = e8m0_rule::floor;
  bool no_clipping = false;  // of symmetric integers
  scale_floor floor = scale_floor::absolute;
  dtype scale_type = dtype::float32;  // or float16, bfloat16; e8m0 scales have their own
};

inline float e8m0_scale(dtype d, float max_abs, e8m0_rule rule) {
  const float by_floor = e8m0_scale(d, max_abs);
  const auto significand = std::bit_cast<std::uint32_t>(max_abs) & 0x007FFFFFU;
  const bool tiny = (std::bit_cast<std::uint32_t>(max_abs) & 0x7F800000U) == 0;
  const int stored = d == dtype::float4_e2m1fn ? 1 : d == dtype::float8_e4m3fn ? 3 : 2;
  bool more = false;
  switch (rule) {
    case e8m0_rule::floor:
      break;
    case e8m0_rule::ceil:
      more = significand != 0;
      break;
    case e8m0_rule::even:
      more = significand + (std::uint32_t{1} << (22 - stored)) >= 0x00800000U;
      break;
    case e8m0_rule::up:
      more = significand > (std::bit_cast<std::uint32_t>(info(d).quant_max) & 0x007FFFFFU);
      break;
  }
  // A floor at the smallest scale already covers what the rules ask for.
  const float largest = by_floor * info(d).quant_max;
  if (tiny || (by_floor == 0x1p-126F && max_abs <= largest)) return by_floor;
  return more ? by_floor * 2.0F : by_floor;
}

inline float rounded_to(float x, dtype type) {
  if (type == dtype::float16) return std::max(static_cast<float>(half(x)), 0x1p-14F);
  if (type == dtype::bfloat16) return std::max(static_cast<float>(bfloat16(x)), 0x1p-126F);
  return x;
}

// Raises what qparams_from_range(spec, lo, hi) does, invalid_argument for a scale type that is not listed or
// no_clipping with one bit, non_finite for a range whose scale its type cannot hold.
inline qparams qparams_from_range(const quantization_spec& spec, std::span<const float> lo,
                                  std::span<const float> hi, const scale_rules& rules) {
  const char* where = "qparams_from_range";
  if (rules.scale_type != dtype::float32 && rules.scale_type != dtype::float16 &&
      rules.scale_type != dtype::bfloat16) {
    raise(errc::invalid_argument, "scale_type is not a type of scales", where,
          std::string(name_of(rules.scale_type)), "float32, float16, bfloat16");
  }
  qparams p = qparams_from_range(spec, lo, hi);  // checks everything
  const bool asymmetric = spec.qscheme == qscheme::asymmetric;
  const bool e8m0 = scale_dtype_of(spec) == dtype::float8_e8m0fnu;
  const bool integer = is_integer(spec.dtype);
  const bool fits_ends = rules.no_clipping && integer && !asymmetric;
  if (fits_ends && bits_of(spec.dtype) == 1) {
    raise(errc::invalid_argument, "no_clipping needs a positive level", where,
          std::string(name_of(spec.dtype)), "2 bits or more");
  }
  float largest_scale = 0;
  for (std::size_t i = 0; i < lo.size(); ++i) {
    const float n = std::min(lo[i], 0.0F);
    const float h = std::max(hi[i], 0.0F);
    const float largest = std::max(-n, h);
    float& scale = p.scale[i];
    if (e8m0) {
      scale = e8m0_scale(spec.dtype, largest, rules.e8m0);
      continue;
    }
    if (fits_ends) {
      const auto zero = static_cast<float>(p.zero_point[i]);
      scale = std::max(-n / (zero - p.quant_min), h / (p.quant_max - zero));
    } else {
      scale = asymmetric ? (h - n) / (p.quant_max - p.quant_min)
                         : largest / ((p.quant_max - p.quant_min) / 2.0F);
    }
    largest_scale = std::max(largest_scale, scale);
  }
  if (e8m0) return p;
  const float least = rules.floor == scale_floor::absolute
                          ? min_scale
                          : std::max(largest_scale * 0x1p-23F, 0x1p-126F);
  for (std::size_t i = 0; i < lo.size(); ++i) {
    p.scale[i] = rounded_to(std::max(p.scale[i], least), rules.scale_type);
    if (!(p.scale[i] - p.scale[i] == 0.0F)) {
      raise(errc::non_finite, "scale does not fit its type", where, range_text(lo[i], hi[i]),
            std::string(name_of(rules.scale_type)));
    }
    if (!integer) continue;
    if (asymmetric) {
      const float zero = p.quant_min - round_half_even(std::min(lo[i], 0.0F) / p.scale[i]);
      p.zero_point[i] =
          static_cast<std::int32_t>(std::min(std::max(zero, p.quant_min), p.quant_max));
    } else if (fits_ends) {
      p.minval[i] = (p.quant_min - static_cast<float>(p.zero_point[i])) * p.scale[i];
    }
  }
  return p;
}

// Two-level scales (NVFP4): a float8_e4m3fn code per unit times one float for the tensor.
struct two_level_scales {
  float tensor_scale = 0;
  std::vector<float8_e4m3fn> unit_scale;
  qparams params;  // the products, for quantize() and the rest
};

// For float4_e2m1fn with plain scales. tensor_scale makes the largest unit's code 448; the code of a unit is
// the nearest to what its largest magnitude needs, at least the smallest positive one.
inline two_level_scales two_level_from_range(quantization_spec spec, std::span<const float> lo,
                                             std::span<const float> hi) {
  if (spec.dtype != dtype::float4_e2m1fn) {
    raise(errc::invalid_argument, "two-level scales are for float4_e2m1fn", "two_level_from_range",
          std::string(name_of(spec.dtype)), "float4_e2m1fn");
  }
  spec.scale_dtype = dtype::float32;
  two_level_scales s;
  s.params = qparams_from_range(spec, lo, hi, scale_rules{.floor = scale_floor::relative});
  float largest = 0;
  for (std::size_t i = 0; i < lo.size(); ++i) {
    largest = std::max({largest, -lo[i], hi[i]});
  }
  s.tensor_scale = std::max(largest / (6.0F * 448.0F), 0x1p-110F);
  for (std::size_t i = 0; i < lo.size(); ++i) {
    const float needed = std::max({-lo[i], hi[i], 0.0F}) / 6.0F + 0.0F;  // never -0
    float8_e4m3fn code(std::min(needed / s.tensor_scale, 448.0F));
    if (code.bits == 0) code.bits = 1;
    s.unit_scale.push_back(code);
    s.params.scale[i] = static_cast<float>(code) * s.tensor_scale;
  }
  return s;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
