// lutra: range_rule.hpp - how the range of a unit becomes its scale, zero point and minval.
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

#include <algorithm>
#include <lutra/affine/scale_rules.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/number/float8.hpp>
#include <lutra/number/rounding.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

inline constexpr float min_scale = 0x1p-23F;

// Compatibility: the reference derives parameters in the type of the observed tensor, so those of
// float16 and bfloat16 tensors are coarse. float32 is right for every input type.
struct qparams_options {
  dtype arithmetic = dtype::float32;  // or float16, bfloat16
  bool infinite_levels = false;       // let the outermost levels of very wide ranges overflow
};

// A range has parameters, whatever else the spec says, if neither end has a larger magnitude: a scale is at most twice
// that and levels at most four times.
constexpr float safe_magnitude(const quantization_spec& spec) noexcept {
  return spec.scale_rules.scale_type == dtype::float16 ? 0x1p14F : 0x1p125F;
}

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
        arithmetic_(options.arithmetic),
        scale_dtype_(scale_dtype_of(spec)),
        integer_(is_integer(spec.dtype)),
        asymmetric_(spec.qscheme == qscheme::asymmetric),
        fixed_zero_(
            static_cast<float>(static_cast<int>((bounds_.max + bounds_.min + 1.0F) / 2.0F))),
        least_(rules_.floor == scale_floor::absolute ? min_scale : 0x1p-126F) {
    if (scale_dtype_ == dtype::float8_e8m0fnu) e8m0_ = e8m0_exponents_of(spec.dtype, rules_.e8m0);
  }

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
    if (!is_finite(lo) || !is_finite(hi)) {
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
      u.scale = e8m0_scale(e8m0_, largest);
    } else if (scale_dtype_ == dtype::float8_e4m3fn && tensor_scale_ > 0.0F) {
      u.scale = static_cast<float>(two_level_code(largest, tensor_scale_)) * tensor_scale_;
    } else {
      u.scale = std::max(plain_scale(n, p), least_);
      if (is_finite(u.scale)) u.scale = stored_scale(u.scale, rules_.scale_type);
    }
    if (!is_finite(u.scale)) {
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

  // The same for many units at once: their scales, and of integers zero points and minvals (else null). Without
  // branches, so that compilers work on several at a time. False, and what was written is of no use, where parameters
  // are rounded to another type, where operator() raises for one of the ranges, and where one of a unit's
  // outermost levels overflows.
  bool fill(std::span<const float> lo, std::span<const float> hi, qformulation form, float* scale,
            std::int32_t* zero_point, float* minval) const noexcept {
    const bool plain = scale_dtype_ == dtype::float32 && rules_.scale_type == dtype::float32;
    if (arithmetic_ != dtype::float32 || !(plain || scale_dtype_ == dtype::float8_e8m0fnu)) {
      return false;
    }
    constexpr std::size_t together = 1024;  // stay in an L1 cache from one step to the next
    for (std::size_t i = 0; i < lo.size(); i += together) {
      const std::size_t n = std::min(together, lo.size() - i);
      int wrong = scales(lo.data() + i, hi.data() + i, n, scale + i);
      if (wrong != 0) return false;  // NaN has no zero point
      if (integer_) {
        wrong |= offsets(lo.data() + i, hi.data() + i, n, scale + i, zero_point + i, minval + i);
      }
      const bool shifted = integer_ && form == qformulation::minval;
      wrong |= shifted    ? levels(n, scale + i, minval + i)
               : integer_ ? levels(n, scale + i, zero_point + i)
                          : levels(n, scale + i);
      if (wrong != 0) return false;
    }
    return true;
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
  // The steps of fill(); each returns whether it does not hold for some unit.
  static int differs(float x) noexcept { return is_finite(x) ? 0 : 1; }  // from a finite number
  template <class F>
  static int each_scale(const float* lo, const float* hi, std::size_t n, float* scale,
                        F&& of) noexcept {
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const float s = of(std::min(lo[i], 0.0F), std::max(hi[i], 0.0F));
      wrong |= differs(lo[i]) | differs(hi[i]) | (lo[i] <= hi[i] ? 0 : 1) | differs(s);
      scale[i] = s;
    }
    return wrong;
  }
  int scales(const float* lo, const float* hi, std::size_t n, float* scale) const noexcept {
    const float least = least_;
    if (scale_dtype_ == dtype::float8_e8m0fnu) {
      return each_scale(lo, hi, n, scale, [e = e8m0_](float below, float above) {
        return e8m0_scale(e, std::max(-below, above));
      });
    }
    if (asymmetric_) {
      return each_scale(lo, hi, n, scale,
                        [=, width = bounds_.max - bounds_.min](float below, float above) {
                          return std::max((above - below) / width, least);
                        });
    }
    if (rules_.no_clipping) {
      const float lowest = bounds_.min - fixed_zero_, highest = bounds_.max - fixed_zero_;
      return each_scale(lo, hi, n, scale, [=](float below, float above) {
        return std::max(std::max(below / lowest, above / highest), least);
      });
    }
    return each_scale(lo, hi, n, scale,
                      [=, half = (bounds_.max - bounds_.min) / 2.0F](float below, float above) {
                        return std::max(std::max(-below, above) / half, least);
                      });
  }
  int offsets(const float* lo, const float* hi, std::size_t n, const float* scale,
              std::int32_t* zero_point, float* minval) const noexcept {
    const quant_bounds q = bounds_;
    int wrong = 0;
    if (asymmetric_) {
      constexpr float round_to_integer = 0x1.8p23F;  // adding it does, below 2^22
      for (std::size_t i = 0; i < n; ++i) {
        const float below = std::min(lo[i], 0.0F);
        const float level = below / scale[i];
        wrong |= level > -0x1p22F ? 0 : 1;
        const float zero = q.min - ((level + round_to_integer) - round_to_integer);
        zero_point[i] = static_cast<std::int32_t>(std::min(std::max(zero, q.min), q.max));
        minval[i] = below;
      }
      return wrong;
    }
    std::fill_n(zero_point, n,
                static_cast<std::int32_t>(std::min(std::max(fixed_zero_, q.min), q.max)));
    if (rules_.no_clipping) {
      for (std::size_t i = 0; i < n; ++i) minval[i] = (q.min - fixed_zero_) * scale[i];
    } else {
      for (std::size_t i = 0; i < n; ++i) {
        minval[i] = -std::max(-std::min(lo[i], 0.0F), std::max(hi[i], 0.0F));
      }
    }
    return wrong;
  }
  int levels(std::size_t n, const float* scale) const noexcept {
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
      wrong |= differs(bounds_.min * scale[i]) | differs(bounds_.max * scale[i]);
    }
    return wrong;
  }
  int levels(std::size_t n, const float* scale, const std::int32_t* zero_point) const noexcept {
    const quant_bounds q = bounds_;
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto zero = static_cast<float>(zero_point[i]);
      wrong |= differs((q.min - zero) * scale[i]) | differs((q.max - zero) * scale[i]);
    }
    return wrong;
  }
  int levels(std::size_t n, const float* scale, const float* minval) const noexcept {
    const float width = bounds_.max - bounds_.min;
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
      wrong |= differs(minval[i]) | differs(width * scale[i] + minval[i]);
    }
    return wrong;
  }

  float rounded(float x) const noexcept {  // to the type the arithmetic runs in
    if (arithmetic_ == dtype::bfloat16) return static_cast<float>(bfloat16(x));
    if (arithmetic_ == dtype::float16) return static_cast<float>(half(x));
    return x;
  }
  quant_bounds bounds_;
  scale_rules rules_;
  dtype arithmetic_, scale_dtype_;
  bool integer_, asymmetric_;
  float fixed_zero_;  // of the symmetric schemes
  e8m0_exponents e8m0_;
  float least_;
  float tensor_scale_ = 0;  // 0: not fitted
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
