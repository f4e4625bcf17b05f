// lutra: saturation.hpp - quantized values together with whether, and where, they saturate.
// SPDX-License-Identifier: Apache-2.0
//
// The quotient and the rounding of affine/lanes.hpp, but with the unclamped level kept: backward needs to
// know on which side of the bounds an element lies. quantized_one is the specification, for any
// scale; quantized() gives the same for regular ones (affine/lanes.hpp).
#pragma once

#include <lutra/affine/lanes.hpp>
#include <lutra/simd/masks.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// A register of elements, quantized: what both directions need.
template <class V> struct quantized_lanes {
  V quotient;  // q; beyond the bounds anything on the right side of them
  V level;     // what the bounds apply to, likewise: m for integers, q for floats
  V limited;   // level within the bounds
  V rounded;   // m of limited: the quantized value less qo
};

template <unit_form Form>
inline constexpr bool is_integer_form = Form == unit_form::zp || Form == unit_form::minval;

// quant_min - qo and quant_max - qo.
template <class V> struct level_bounds { V lo, hi; };
inline level_bounds<float> level_bounds_of(const unit_params& u) noexcept {
  return {u.quant_min - u.integer_offset, u.quant_max - u.integer_offset};
}

template <unit_form Form, quotient_method Method, class V>
[[gnu::always_inline]] inline quantized_lanes<V> quantized(const V& x, const unit_constants<V>& c,
                                                           const level_bounds<V>& b) noexcept {
  // Clamped two levels beyond the bounds: far enough to tell, near enough for the exact quotient.
  const V margin = is_integer_form<Form> ? V(2.0F) * c.scale : c.highest;
  const V shifted = Form == unit_form::minval ? V(x - c.float_offset) : x;
  const V near = simd::min(V(c.highest + margin), simd::max(V(c.lowest - margin), shifted));
  const V q = divided<Method>(near, c);
  if constexpr (is_integer_form<Form>) {
    const V m = (q + V(round_magic)) - V(round_magic);
    const V limited = simd::min(b.hi, simd::max(b.lo, m));
    return {q, m, limited, limited};
  } else {
    const V t = simd::min(b.hi, simd::max(b.lo, q));
    if constexpr (Form == unit_form::e4m3fn) return {q, q, t, round_to_format<3, -6>(t, x)};
    if constexpr (Form == unit_form::e5m2) return {q, q, t, round_to_format<2, -14>(t, x)};
    if constexpr (Form == unit_form::e2m1fn) return {q, q, t, round_to_format<1, 0>(t, x)};
  }
}
template <class V>
[[gnu::always_inline]] inline auto is_inside(const quantized_lanes<V>& l) noexcept {
  return simd::equal(l.level, l.limited);  // false for NaN
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
