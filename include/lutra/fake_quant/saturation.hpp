// lutra: saturation.hpp - quantized values together with whether, and where, they saturate.
// SPDX-License-Identifier: Apache-2.0
//
// The quotient and the rounding of affine/lanes.hpp, but with the unclamped level kept: backward needs to
// know on which side of the bounds an element lies. quantized_one is the specification, for any
// scale; the functions of registers give the same for regular ones (affine/lanes.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <lutra/affine/lanes.hpp>
#include <lutra/simd/masks.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

template <unit_form Form>
inline constexpr bool is_integer_form = Form == unit_form::zp || Form == unit_form::minval;

// What a unit's values saturate at. Level: rounded quotient of integer forms, the quotient itself of float forms.
template <class V> struct saturation_bounds {
  V lo, hi;  // of levels: quant_min - qo and quant_max - qo
  // Of x - fo, a little beyond: far enough to tell which side, near enough for the exact quotient.
  V nearest_below, nearest_above;
};
template <unit_form Form, class V>
[[gnu::always_inline]] inline saturation_bounds<V> saturation_bounds_of(
    const unit_params& u) noexcept {
  const unit_constants<float> c = constants_of(u);
  const float margin = is_integer_form<Form>
                           ? 2.0F * c.scale
                           : std::max(std::abs(c.lowest), std::abs(c.highest)) + c.scale;
  return {V(u.quant_min - u.integer_offset), V(u.quant_max - u.integer_offset),
          V(c.lowest - margin), V(c.highest + margin)};
}

// The steps of quantizing a register, each from the one before: quotient (beyond the bounds anything on the right side
// of them), level, level within the bounds, and that rounded: the quantized value less qo. One register each and no
// struct of them, which g++ would write to memory.
template <unit_form Form, quotient_method Method, class V>
[[gnu::always_inline]] inline V quotient_of(const V& x, const unit_constants<V>& c,
                                            const saturation_bounds<V>& b) noexcept {
  const V shifted = Form == unit_form::minval ? V(x - c.float_offset) : x;
  return divided<Method>(simd::min(b.nearest_above, simd::max(b.nearest_below, shifted)), c);
}
template <unit_form Form, class V>
[[gnu::always_inline]] inline V level_of(const V& quotient) noexcept {
  return is_integer_form<Form> ? V((quotient + V(round_magic)) - V(round_magic)) : quotient;
}
// Equal to `level` where it lies inside: nowhere for NaN.
template <class V>
[[gnu::always_inline]] inline V limited_to(const V& level, const saturation_bounds<V>& b) noexcept {
  return simd::min(b.hi, simd::max(b.lo, level));
}
// Float zeros get their sign from `sign`: a quotient may have lost it.
template <unit_form Form, class V>
[[gnu::always_inline]] inline V rounded_of(const V& limited, const V& sign) noexcept {
  if constexpr (is_integer_form<Form>) return limited;
  if constexpr (Form == unit_form::e4m3fn) return round_to_format<3, -6>(limited, sign);
  if constexpr (Form == unit_form::e5m2) return round_to_format<2, -14>(limited, sign);
  if constexpr (Form == unit_form::e2m1fn) return round_to_format<1, 0>(limited, sign);
}

// One element, any scale.
struct quantized_element {
  float value = 0;      // y
  float slope = 0;      // dy/dscale
  bool inside = false;  // neither for NaN
  bool beyond = false;
};
inline quantized_element quantized_one(float x, const unit_params& u, quotient method) noexcept {
  const float t = unclamped_one(x, u, method);
  quantized_element e;
  e.value = fake_quantize_one(x, u, method);
  e.inside = t >= u.quant_min && t <= u.quant_max;
  e.beyond = t < u.quant_min || t > u.quant_max;
  if (e.beyond) {
    e.slope = (t < u.quant_min ? u.quant_min : u.quant_max) - u.integer_offset;
  } else if (e.inside) {
    e.slope = u.integer ? t - u.integer_offset - divided_one(x - u.float_offset, u.scale, method)
                        : cast_to_float_dtype(t, u.dtype) - t;
  }
  return e;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
