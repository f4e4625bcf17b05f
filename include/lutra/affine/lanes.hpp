// lutra: lanes.hpp - quantize and dequantize one register of elements, bit for bit as element.hpp.
// SPDX-License-Identifier: Apache-2.0
//
// Integers. With lo = quant_min - qo and hi = quant_max - qo, clamping x - fo to [lo * scale, hi * scale]
// first is the same as clamping round((x - fo) / scale) to [lo, hi]: the bounds are integers and the
// rounded products divide back to within 2^-23 of them. Then |quotient| < 512, and adding 1.5 * 2^23
// rounds it half to even and turns -0 into +0 as adding qo does.
// Quotient. On a level with a fused multiply-add: q0 = x * r with r = 1 / scale rounded, then
// q = q0 + (x - q0 * scale) * r with both sums fused. Before its last rounding q is within 2.25 * 2^-24 ulp of
// x / scale, so it is the rounded quotient unless a midpoint of two floats lies as near as that.
// tests/affine/lanes.cpp solves for all operands with a midpoint twice as near (some 40 million) and finds
// every one rounded as by division. Every other level divides.
// The functions of one register are always inlined: a call costs more than they do.
// All this needs scales well inside the exponent range (is_regular); other units are left to element.hpp.
#pragma once

#include <lutra/affine/element.hpp>
#include <lutra/simd/masks.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// How a loop computes it.
enum class quotient_method : unsigned char { divide, correct, multiply };

template <class Level> constexpr quotient_method method_of(quotient q) noexcept {
  if (q == quotient::reciprocal) return quotient_method::multiply;
  return simd::has_fma<Level> ? quotient_method::correct : quotient_method::divide;
}

// The five kinds of units a loop is compiled for.
enum class unit_form : unsigned char { zp, minval, e4m3fn, e5m2, e2m1fn };

inline unit_form form_of(const qparams& p) noexcept {
  switch (p.dtype) {
    case dtype::float8_e4m3fn:
      return unit_form::e4m3fn;
    case dtype::float8_e5m2:
      return unit_form::e5m2;
    case dtype::float4_e2m1fn:
      return unit_form::e2m1fn;
    default:
      return p.qformulation == qformulation::zp ? unit_form::zp : unit_form::minval;
  }
}

// What a loop needs of one unit. V is float, or a register with one unit per lane.
template <class V> struct unit_constants {
  V scale, reciprocal;
  V lowest, highest;  // bounds of x - fo beyond which it saturates
  V float_offset, integer_offset;
};

inline unit_constants<float> constants_of(const unit_params& u) noexcept {
  return {u.scale,
          1.0F / u.scale,
          (u.quant_min - u.integer_offset) * u.scale,
          (u.quant_max - u.integer_offset) * u.scale,
          u.float_offset,
          u.integer_offset};
}
template <class V>
[[gnu::always_inline]] inline unit_constants<V> spread(const unit_constants<float>& c) noexcept {
  return {V(c.scale),   V(c.reciprocal),   V(c.lowest),
          V(c.highest), V(c.float_offset), V(c.integer_offset)};
}

// The formulas of this header are exact for this scale.
inline bool is_regular(float scale) noexcept {
  const bool power_of_two = (std::bit_cast<std::uint32_t>(scale) & 0x007FFFFFU) == 0;
  const float least = power_of_two ? 0x1p-126F : 0x1p-60F;
  return (scale >= least) & (scale <= 0x1p60F);  // no branch, for loops over many
}

inline constexpr float round_magic = 0x1.8p23F;

template <quotient_method Method, class V>
[[gnu::always_inline]] inline V divided(const V& x, const unit_constants<V>& c) noexcept {
  if constexpr (Method == quotient_method::divide) {
    return simd::divide(x, c.scale);
  } else {
    const V q = x * c.reciprocal;
    if constexpr (Method == quotient_method::multiply) {
      return q;
    } else {
      return simd::fma(simd::fnma(q, c.scale, x), c.reciprocal, q);
    }
  }
}

template <class V>
[[gnu::always_inline]] inline V saturated(const V& x, const unit_constants<V>& c) noexcept {
  return simd::min(c.highest, simd::max(c.lowest, x));
}

// The value of a format with Significand stored bits and smallest normal 2^MinExponent that is nearest to
// |t|, with the sign of `sign`, which t has too unless it is zero; t is within the format's range. Adding a large power
// of two leaves just the bits the format has. NaN stays NaN. Fused saves a multiplication; that product is exact
// anyway. Where one instruction gives it, the power has the sign of t, which saves the magnitude; only zeros then need
// `sign`.
template <int Significand, int MinExponent, bool Fused = false, class V>
[[gnu::always_inline]] inline V round_to_format(const V& t, const V& sign) noexcept {
  constexpr auto power = [](int e) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23);
  };
  const V bits = V(power(23 - Significand));
  if constexpr (Fused && simd::has_larger_magnitude<V>) {
    const V unit = simd::and_words(simd::larger_magnitude(t, V(power(MinExponent))),
                                   simd::words<V>(0xFF800000U));
    const V sum = simd::fma(unit, bits, t);
    return simd::with_sign_of(simd::fnma(unit, bits, sum), sign);
  }
  const V unit = simd::max(V(power(MinExponent)), simd::binade(t));
  if constexpr (Fused) {
    const V sum = simd::fma(unit, bits, simd::magnitude(t));
    return simd::with_sign_of(simd::fnma(unit, bits, sum), sign);
  } else {
    const V magic = unit * bits;
    return simd::with_sign_of((simd::magnitude(t) + magic) - magic, sign);
  }
}

template <unit_form Form, quotient_method Method, class V>
[[gnu::always_inline]] inline V fake_quantize_lanes(const V& x,
                                                    const unit_constants<V>& c) noexcept {
  if constexpr (Form == unit_form::zp) {
    const V m = (divided<Method>(saturated(x, c), c) + V(round_magic)) - V(round_magic);
    return m * c.scale;
  } else if constexpr (Form == unit_form::minval) {
    const V shifted = saturated(V(x - c.float_offset), c);
    const V m = (divided<Method>(shifted, c) + V(round_magic)) - V(round_magic);
    return m * c.scale + c.float_offset;
  } else {
    const V limited = saturated(x, c);
    const V t = divided<Method>(limited, c);
    constexpr bool fused = Method == quotient_method::correct;
    if constexpr (Form == unit_form::e4m3fn)
      return round_to_format<3, -6, fused>(t, limited) * c.scale;
    if constexpr (Form == unit_form::e5m2)
      return round_to_format<2, -14, fused>(t, limited) * c.scale;
    if constexpr (Form == unit_form::e2m1fn)
      return round_to_format<1, 0, fused>(t, limited) * c.scale;
  }
}

// The code of t, which is `limited` divided, in the low byte of the word; NaN gives NanCode. With r = |t| rounded as
// above to a multiple of
// unit / 2^Significand, the low bits of the sum count those multiples, and every binade above the
// smallest normal adds 2^Significand codes.
template <int Significand, int MinExponent, std::uint32_t Sign, std::uint32_t NanCode, class V>
[[gnu::always_inline]] inline V encode_format(const V& t, const V& limited) noexcept {
  constexpr auto power = [](int e) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23);
  };
  constexpr std::uint32_t below_normal = static_cast<std::uint32_t>(MinExponent + 127)
                                         << Significand;
  constexpr int sign_shift = std::countl_zero(Sign);
  const V unit = simd::max(V(power(MinExponent)), simd::binade(t));
  const V sum = simd::magnitude(t) + unit * V(power(23 - Significand));
  const V binades =
      simd::add_words(simd::shift_words<23 - Significand>(unit), simd::words<V>(0U - below_normal));
  const V sign = simd::and_words(simd::shift_words<sign_shift>(limited), simd::words<V>(Sign));
  const V nan = NanCode == 0 ? simd::words<V>(0) : simd::add_words(sign, simd::words<V>(NanCode));
  return simd::where_nan(limited, nan, simd::add_words(simd::add_words(sum, binades), sign));
}

// A word whose low byte is the stored code. NaN gives the integer of zero (zp), quant_min (minval), the NaN
// code (fp8) or 0 (fp4).
template <unit_form Form, quotient_method Method, class V>
[[gnu::always_inline]] inline V quantize_lanes(const V& x, const unit_constants<V>& c) noexcept {
  if constexpr (Form == unit_form::zp || Form == unit_form::minval) {
    const V shifted = simd::nan_to(Form == unit_form::minval ? V(x - c.float_offset) : x, V(0.0F));
    return (divided<Method>(saturated(shifted, c), c) + V(round_magic)) + c.integer_offset;
  } else {
    const V limited = saturated(x, c);
    const V t = divided<Method>(limited, c);
    if constexpr (Form == unit_form::e4m3fn) return encode_format<3, -6, 0x80, 0x7F>(t, limited);
    if constexpr (Form == unit_form::e5m2) return encode_format<2, -14, 0x80, 0x7F>(t, limited);
    if constexpr (Form == unit_form::e2m1fn) return encode_format<1, 0, 0x08, 0>(t, limited);
  }
}

// The value of a code, whose byte is the word `code`. Its bits in place of a float's with an exponent one too small
// for subnormals, whose leading one is then taken away. No float is ever subnormal: flushing changes nothing.
template <int Significand, int MinExponent, std::uint32_t Sign, class V>
[[gnu::always_inline]] inline V decode_format(const V& code) noexcept {
  constexpr auto power = [](int e) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23);
  };
  constexpr std::uint32_t bias = static_cast<std::uint32_t>(MinExponent + 126) << 23;
  const V least(power(MinExponent));
  const V magnitude = simd::and_words(code, simd::words<V>(Sign - 1));
  const V sign = simd::and_words(simd::shift_words_left<std::countl_zero(Sign)>(code),
                                 simd::words<V>(0x80000000U));
  const V v =
      simd::add_words(simd::shift_words_left<23 - Significand>(magnitude), simd::words<V>(bias));
  V value = simd::select(simd::at_least(v, least), v, V((v + v) - least));
  if constexpr (MinExponent == -6) {  // e4m3fn: the last code is NaN
    value = simd::select(simd::above(v, V(448.0F)), simd::words<V>(0x7FC00000U), value);
  } else if constexpr (MinExponent == -14) {  // e5m2: infinity and NaN
    value = simd::select(simd::at_least(v, V(0x1p16F)), simd::words<V>(0x7F800000U), value);
    value = simd::select(simd::above(v, V(0x1p16F)), simd::words<V>(0x7FC00000U), value);
  }
  return simd::or_words(value, sign);
}

// From the integer as a float, or from the byte of a float format as a word.
template <unit_form Form, class V>
[[gnu::always_inline]] inline V dequantize_lanes(const V& q, const unit_constants<V>& c) noexcept {
  if constexpr (Form == unit_form::minval) {
    return (q - c.integer_offset) * c.scale + c.float_offset;
  } else if constexpr (Form == unit_form::zp) {
    return (q - c.integer_offset) * c.scale;
  } else {
    if constexpr (Form == unit_form::e4m3fn) return decode_format<3, -6, 0x80>(q) * c.scale;
    if constexpr (Form == unit_form::e5m2) return decode_format<2, -14, 0x80>(q) * c.scale;
    if constexpr (Form == unit_form::e2m1fn) return decode_format<1, 0, 0x08>(q) * c.scale;
  }
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
