// lutra: qparams.hpp - scale, zero point and minval of one tensor, and how a range becomes them.
// SPDX-License-Identifier: Apache-2.0
//
// With n = min(lo, 0), p = max(hi, 0), M = max(-n, p) and the bounds of the scheme:
//   symmetric, symmetric_with_clipping  scale = M / ((quant_max - quant_min) / 2)
//   asymmetric                          scale = (p - n) / (quant_max - quant_min)
//   e8m0 scales                         scale = 2^(floor(log2 M) - log2 of the format's largest power of two)
// The first two are floored at 2^-23, the third at 2^-126. spec.scale_rules changes that:
//   no_clipping     scale = max(n / (quant_min - zp), p / (quant_max - zp)), so neither end saturates
//   relative floor  2^-23 of the tensor's largest scale, so that tensors of tiny values use their range
//   scale_type      rounded to what will be stored, before the zero point is derived; e8m0: scale_rules.hpp
// and float8_e4m3fn scales are products of two levels (two_level.hpp). All steps are rounded f32 operations
// in this order, so the results are the same bits everywhere. O(parameters).
#pragma once

#include <lutra/affine/scale_rules.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/float8.hpp>
#include <lutra/number/rounding.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/tensor/slices.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

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

inline constexpr float min_scale = 0x1p-23F;

// Compatibility: the reference derives parameters in the type of the observed tensor, so those of
// float16 and bfloat16 tensors are coarse. float32 is right for every input type.
struct qparams_options {
  dtype arithmetic = dtype::float32;  // or float16, bfloat16
  bool infinite_levels = false;       // let the outermost levels of very wide ranges overflow
};

// The parameters of one unit; zero_point and minval mean nothing for float dtypes.
struct unit_values {
  float scale = 0;
  std::int32_t zero_point = 0;
  float minval = 0;
};

// Two-level scales of float4: the float for the tensor whose largest magnitude is `largest` (it makes the largest
// unit's code 448), and the code of a unit: the nearest to what it needs, at least the smallest positive one.
inline float two_level_tensor_scale(float largest) noexcept {
  return std::max(largest / (6.0F * 448.0F), 0x1p-110F);
}
inline float8_e4m3fn two_level_code(float max_abs, float tensor_scale) noexcept {
  const float needed = max_abs / 6.0F + 0.0F;  // never -0
  const float8_e4m3fn code(std::min(needed / tensor_scale, 448.0F));
  return code.bits == 0 ? float8_e4m3fn::from_bits(1) : code;
}

// How one range becomes the parameters of its unit, for one spec (which is valid).
class range_rule {
 public:
  explicit range_rule(const quantization_spec& spec, const qparams_options& options = {})
      : bounds_(bounds_of(spec)),
        rules_(spec.scale_rules),
        dtype_(spec.dtype),
        arithmetic_(options.arithmetic),
        scale_dtype_(scale_dtype_of(spec)),
        integer_(is_integer(spec.dtype)),
        asymmetric_(spec.qscheme == qscheme::asymmetric),
        fixed_zero_(
            static_cast<float>(static_cast<int>((bounds_.max + bounds_.min + 1.0F) / 2.0F))),
        least_(rules_.floor == scale_floor::absolute ? min_scale : 0x1p-126F) {}

  // What depends on all units of a tensor: a relative floor, and the upper of two levels. A single unit needs
  // neither.
  void fit_tensor(std::span<const float> lo, std::span<const float> hi) noexcept {
    if (rules_.floor == scale_floor::absolute && scale_dtype_ != dtype::float8_e4m3fn) return;
    float largest = 0;
    float largest_scale = 0;
    for (std::size_t i = 0; i < lo.size(); ++i) {
      const float n = std::min(lo[i], 0.0F);
      const float p = std::max(hi[i], 0.0F);
      largest = std::max({largest, -n, p});
      largest_scale = std::max(largest_scale, plain_scale(n, p));
    }
    if (rules_.floor == scale_floor::relative) least_ = std::max(largest_scale * 0x1p-23F, least_);
    tensor_scale_ = two_level_tensor_scale(largest);
  }

  // Raises non_finite for a NaN or infinite end, a width that overflows or a scale that its type cannot hold,
  // invalid_argument for lo > hi.
  unit_values operator()(float lo, float hi) const {
    const char* where = "qparams_from_range";
    if (!(lo - lo == 0.0F) || !(hi - hi == 0.0F)) {
      raise(errc::non_finite, "range is not finite", where, range_text(lo, hi), "finite");
    }
    if (lo > hi) {
      raise(errc::invalid_argument, "range is reversed", where, range_text(lo, hi), "lo <= hi");
    }
    const float n = rounded(std::min(lo, 0.0F));
    const float p = rounded(std::max(hi, 0.0F));
    const float largest = std::max(-n, p);
    unit_values u;
    if (scale_dtype_ == dtype::float8_e8m0fnu) {
      u.scale = e8m0_scale(dtype_, largest, rules_.e8m0);
    } else if (scale_dtype_ == dtype::float8_e4m3fn && tensor_scale_ > 0.0F) {
      u.scale = static_cast<float>(two_level_code(largest, tensor_scale_)) * tensor_scale_;
    } else {
      u.scale = std::max(plain_scale(n, p), least_);
      if (u.scale - u.scale == 0.0F) u.scale = stored_scale(u.scale, rules_.scale_type);
    }
    if (!(u.scale - u.scale == 0.0F)) {
      raise(errc::non_finite, "range is too wide for its type of scales", where, range_text(lo, hi),
            "hi - lo below 2^128, a scale within " + std::string(name_of(rules_.scale_type)));
    }
    if (!integer_) return u;
    const quant_bounds q = bounds_;
    const float zero =
        asymmetric_ ? rounded(q.min - round_half_even(rounded(n / u.scale))) : fixed_zero_;
    u.zero_point = static_cast<std::int32_t>(std::min(std::max(zero, q.min), q.max));
    u.minval = asymmetric_ ? n : rules_.no_clipping ? (q.min - fixed_zero_) * u.scale : -largest;
    return u;
  }

 private:
  // Before floors; n <= 0 <= p.
  float plain_scale(float n, float p) const noexcept {
    const quant_bounds q = bounds_;
    if (asymmetric_) return rounded(rounded(p - n) / (q.max - q.min));
    if (rules_.no_clipping) {
      return rounded(std::max(n / (q.min - fixed_zero_), p / (q.max - fixed_zero_)));
    }
    return rounded(std::max(-n, p) / ((q.max - q.min) / 2.0F));
  }
  float rounded(float x) const noexcept {  // to the type the arithmetic runs in
    if (arithmetic_ == dtype::bfloat16) return static_cast<float>(bfloat16(x));
    if (arithmetic_ == dtype::float16) return static_cast<float>(half(x));
    return x;
  }
  quant_bounds bounds_;
  scale_rules rules_;
  dtype dtype_, arithmetic_, scale_dtype_;
  bool integer_, asymmetric_;
  float fixed_zero_;  // of the symmetric schemes
  float least_;
  float tensor_scale_ = 0;  // 0: not fitted
};

// Whether all levels of a unit are finite floats: those of a range near the largest float may not be.
inline bool levels_are_finite(const unit_values& u, quant_bounds q, qformulation form) noexcept {
  const auto zero = static_cast<float>(u.zero_point);
  const bool minval = form == qformulation::minval;
  const float first = minval ? u.minval : (q.min - zero) * u.scale;
  const float last = minval ? (q.max - q.min) * u.scale + u.minval : (q.max - zero) * u.scale;
  return (first - first == 0.0F) & (last - last == 0.0F);
}

// One set of parameters per range; lo and hi have the grid's count. Ranges need not contain zero,
// the result does. Raises non_finite for a NaN or infinite end and for a range whose width or levels overflow,
// shape_mismatch for spans of different length, invalid_argument for lo > hi or a bad spec.
inline qparams qparams_from_range(const quantization_spec& spec, std::span<const float> lo,
                                  std::span<const float> hi, const qparams_options& options = {}) {
  const char* where = "qparams_from_range";
  check(spec, where);
  if (lo.size() != hi.size()) {
    raise(errc::shape_mismatch, "lo and hi differ in length", where,
          text_of(static_cast<index_t>(hi.size())), text_of(static_cast<index_t>(lo.size())));
  }
  range_rule rule(spec, options);
  rule.fit_tensor(lo, hi);
  const quant_bounds q = bounds_of(spec);
  qparams out{spec.dtype, spec.qformulation, q.min, q.max, spec.granularity, {}, {}, {}};
  out.scale.reserve(lo.size());
  for (std::size_t i = 0; i < lo.size(); ++i) {
    const unit_values u = rule(lo[i], hi[i]);
    if (!options.infinite_levels && !levels_are_finite(u, q, spec.qformulation)) {
      raise(errc::non_finite, "range is so wide that its outermost levels overflow", where,
            range_text(lo[i], hi[i]), "levels below 2^128");
    }
    out.scale.push_back(u.scale);
    if (!is_integer(spec.dtype)) continue;
    out.zero_point.push_back(u.zero_point);
    out.minval.push_back(u.minval);
  }
  return out;
}

// Whether is(values...) is 1, else 0, anywhere in arrays of n words. Parameters of many blocks come from memory: all
// arrays are read in one pass, a page ahead.
template <class F, class... T> bool any_of_many(index_t n, F&& is, const T*... from) noexcept {
  constexpr index_t line = 16, step = 16 * line;
  int any = 0;
  for (index_t first = 0; first < n; first += step) {
    const index_t end = std::min(first + step, n);
    for (index_t i = first; i < end; i += line) (simd::read_ahead(from + i), ...);
    for (index_t i = first; i < end; ++i) any |= is(from[i]...);
  }
  return any != 0;
}

// Raises invalid_argument or shape_mismatch naming the first thing that makes `p` unusable.
inline void check(const qparams& p, std::string_view where) {
  const std::string at(where);
  const auto bad = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::invalid_argument, what, at, std::move(value), std::move(allowed));
  };
  const dtype_info d = info(p.dtype);
  if (p.dtype >= dtype::float8_e8m0fnu) {
    bad("dtype is not a quantized type", std::string(d.name), "int, fp8, fp4");
  }
  if (!(p.quant_min <= p.quant_max && p.quant_min >= d.quant_min && p.quant_max <= d.quant_max)) {
    bad("quant_min..quant_max outside the dtype", range_text(p.quant_min, p.quant_max),
        range_text(d.quant_min, d.quant_max));
  }
  const bool zp = d.integer && p.qformulation == qformulation::zp;
  const bool minval = d.integer && p.qformulation == qformulation::minval;
  if (!d.integer && p.qformulation != qformulation::zp) {
    bad("float dtypes need the zero-point formulation", "minval", "zp");
  }
  if (!d.integer && !(p.zero_point.empty() && p.minval.empty())) {
    bad("float dtypes have neither zero_point nor minval",
        text_of(p.zero_point.size()) + " and " + text_of(p.minval.size()) + " entries", "none");
  }
  if ((zp && p.zero_point.size() != p.scale.size()) ||
      (minval && p.minval.size() != p.scale.size())) {
    const std::size_t n = zp ? p.zero_point.size() : p.minval.size();
    raise(errc::shape_mismatch,
          zp ? "zero_point and scale differ in length" : "minval and scale differ in length", at,
          text_of(static_cast<index_t>(n)), text_of(static_cast<index_t>(p.scale.size())));
  }
  // Blocks are many: all at once first, one by one only to say what is wrong.
  const auto bad_scale = [](float scale) {
    return (scale > 0.0F ? 0 : 1) | (scale - scale == 0.0F ? 0 : 1);
  };
  const auto bad_integer = [&](float scale, std::int32_t zero) {
    const auto z = static_cast<float>(zero);
    return bad_scale(scale) | (z >= p.quant_min ? 0 : 1) | (z <= p.quant_max ? 0 : 1);
  };
  const auto bad_minval = [&](float scale, float v) {
    return bad_scale(scale) | (v - v == 0.0F ? 0 : 1);
  };
  const float* const scales = p.scale.data();
  const auto count = static_cast<index_t>(p.scale.size());
  const bool wrong = zp       ? any_of_many(count, bad_integer, scales, p.zero_point.data())
                     : minval ? any_of_many(count, bad_minval, scales, p.minval.data())
                              : any_of_many(count, bad_scale, scales);
  if (!wrong) return;
  for (std::size_t i = 0; i < p.scale.size(); ++i) {
    if (!(p.scale[i] > 0.0F && p.scale[i] - p.scale[i] == 0.0F)) {
      bad("scale out of range", text_of(p.scale[i]), "finite and > 0");
    }
    if (zp) {
      const auto z = static_cast<float>(p.zero_point[i]);
      if (!(z >= p.quant_min && z <= p.quant_max)) {
        bad("zero_point out of range", text_of(p.zero_point[i]),
            range_text(p.quant_min, p.quant_max));
      }
    }
    if (minval && !(p.minval[i] - p.minval[i] == 0.0F)) {
      bad("minval out of range", text_of(p.minval[i]), "finite");
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
