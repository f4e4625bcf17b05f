// lutra: element.hpp - quantize and dequantize one element: the specification of the fast loops.
// SPDX-License-Identifier: Apache-2.0
//
// Literal transcription of the formulas in quantize.hpp; the vector loops must give the same bits and
// are tested against these functions.
#pragma once

#include <algorithm>
#include <lutra/affine/qparams.hpp>
#include <lutra/number/float4.hpp>
#include <lutra/number/float8.hpp>
#include <lutra/number/rounding.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// The parameters of one unit (elements that share a scale).
struct unit_params {
  lutra::dtype dtype = lutra::dtype::int8;
  bool integer = true;
  float scale = 1;
  float integer_offset = 0;  // qo
  float float_offset = 0;    // fo
  float quant_min = 0;
  float quant_max = 0;
};

inline unit_params unit_of(const qparams& p, index_t parameter) {
  const auto i = to_size(parameter);
  unit_params u{p.dtype, is_integer(p.dtype), p.scale[i], 0, 0, p.quant_min, p.quant_max};
  if (!u.integer) return u;
  if (p.qformulation == qformulation::zp) {
    u.integer_offset = static_cast<float>(p.zero_point[i]);
  } else {
    u.integer_offset = p.quant_min;
    u.float_offset = p.minval[i];
  }
  return u;
}

// Clamps, keeping NaN.
constexpr float clamp_keeping_nan(float x, float lo, float hi) noexcept {
  const float a = x < lo ? lo : x;
  return a > hi ? hi : a;
}

enum class quotient : unsigned char {
  exact,      // x / scale, rounded once
  reciprocal  // x * (1 / scale), rounded twice: the order of torch and FBGEMM
};

inline float divided_one(float x, float scale, quotient q) noexcept {
  return q == quotient::exact ? x / scale : x * (1.0F / scale);
}

// Before clamping: the value whose position relative to quant_min..quant_max decides saturation.
inline float unclamped_one(float x, const unit_params& u, quotient q) noexcept {
  if (!u.integer) return divided_one(x, u.scale, q);
  return round_half_even(divided_one(x - u.float_offset, u.scale, q)) + u.integer_offset;
}

// Clamped to quant_min..quant_max. An element of a float dtype beyond a bound of zero is that zero, with its sign, also
// where the quotient underflows to one of its own.
inline float clamped_one(float x, const unit_params& u, quotient q) noexcept {
  const float t = clamp_keeping_nan(unclamped_one(x, u, q), u.quant_min, u.quant_max);
  if (u.integer || t != 0.0F) return t;
  if (x < 0.0F && u.quant_min == 0.0F) return u.quant_min;
  return x > 0.0F && u.quant_max == 0.0F ? u.quant_max : t;
}

// Nearest value of a float dtype to t, as float; NaN stays NaN.
inline float cast_to_float_dtype(float t, lutra::dtype d) noexcept {
  if (!(t == t)) return t;
  if (d == dtype::float8_e4m3fn) return static_cast<float>(float8_e4m3fn(t));
  if (d == dtype::float8_e5m2) return static_cast<float>(float8_e5m2(t));
  return static_cast<float>(float4_e2m1fn(t));
}

// Quantized value as stored: the integer, or the code byte of a float dtype.
inline int encode_one(float x, const unit_params& u, quotient method = quotient::exact) noexcept {
  const float q = clamped_one(x, u, method);
  if (u.integer) return static_cast<int>(q == q ? q : u.integer_offset);
  if (u.dtype == dtype::float8_e4m3fn) return float8_e4m3fn(q).bits;
  if (u.dtype == dtype::float8_e5m2) return float8_e5m2(q).bits;
  return float4_e2m1fn(q).bits;
}

inline float decode_one(int code, const unit_params& u) noexcept {
  if (u.integer) {
    return (static_cast<float>(code) - u.integer_offset) * u.scale + u.float_offset;
  }
  const auto bits = static_cast<std::uint8_t>(code);
  if (u.dtype == dtype::float8_e4m3fn) {
    return static_cast<float>(float8_e4m3fn::from_bits(bits)) * u.scale;
  }
  if (u.dtype == dtype::float8_e5m2) {
    return static_cast<float>(float8_e5m2::from_bits(bits)) * u.scale;
  }
  return static_cast<float>(float4_e2m1fn::from_bits(bits)) * u.scale;
}

inline float fake_quantize_one(float x, const unit_params& u,
                               quotient method = quotient::exact) noexcept {
  const float q = clamped_one(x, u, method);
  if (!u.integer) return cast_to_float_dtype(q, u.dtype) * u.scale;
  return (q - u.integer_offset) * u.scale + u.float_offset;
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
