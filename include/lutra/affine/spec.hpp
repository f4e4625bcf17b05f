// lutra: spec.hpp - quantization_spec: everything that says how one tensor is quantized.
// SPDX-License-Identifier: Apache-2.0
//
// An aggregate with the field names of the reference's configuration, so a config reads the same in
// both. Validated by check(); functions that take a spec call it once.
#pragma once

#include <lutra/affine/granularity.hpp>
#include <lutra/number/dtype.hpp>
#include <lutra/number/finite.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// `lutra::off` turns any spec off: {"*", lutra::off}.
struct off_t {
  template <class Spec>
  requires requires(Spec s) { s.enabled; }
  constexpr operator Spec() const {
    Spec s{};
    s.enabled = false;
    return s;
  }
};
inline constexpr off_t off{};

enum class qscheme : unsigned char { symmetric, symmetric_with_clipping, asymmetric };
enum class qformulation : unsigned char {
  zp,     // x' = (q - zero_point) * scale
  minval  // x' = (q - q_min) * scale + minval
};

constexpr std::string_view name_of(qscheme s) noexcept {
  switch (s) {
    case qscheme::symmetric:
      return "symmetric";
    case qscheme::symmetric_with_clipping:
      return "symmetric_with_clipping";
    case qscheme::asymmetric:
      return "asymmetric";
  }
  return "unknown";
}

// Ends of a range fixed by the user; an absent end is observed.
struct float_range_t {
  std::optional<float> lo{};
  std::optional<float> hi{};
  friend constexpr bool operator==(const float_range_t&, const float_range_t&) = default;
};

// Other ways from a range to a scale than the reference's, which are the defaults (affine/scale_rules.hpp).
enum class e8m0_rule : unsigned char { floor, ceil, even, up };
enum class scale_floor : unsigned char { absolute, relative };
struct scale_rules {
  e8m0_rule e8m0 = e8m0_rule::floor;  // of e8m0 scales
  bool no_clipping = false;           // of symmetric integers: neither end of the range saturates
  scale_floor floor = scale_floor::absolute;
  dtype scale_type =
      dtype::float32;  // or float16, bfloat16: scales are rounded to what will be stored
  friend constexpr bool operator==(const scale_rules&, const scale_rules&) = default;
};

struct quantization_spec {
  lutra::dtype dtype = lutra::dtype::int8;
  lutra::qscheme qscheme = lutra::qscheme::symmetric;
  lutra::qformulation qformulation = lutra::qformulation::zp;
  lutra::granularity granularity{};
  std::string_view qparam_calculator = "default";  // key of an observer; a literal or longer-lived
  double averaging_constant = 0.01;                // of "moving_average", in [2^-126, 1]
  float_range_t float_range{};
  // Absent: float32 (float4: e8m0). float8_e4m3fn, of float4: a code per unit times a float for the tensor (NVFP4).
  std::optional<lutra::dtype> scale_dtype{};
  lutra::scale_rules scale_rules{};
  // May the last block of an axis be short? If not, a tensor that blocks do not divide stays as it is.
  lutra::short_groups short_groups = lutra::short_groups::forbid;
  bool enabled = true;

  friend bool operator==(const quantization_spec&, const quantization_spec&) = default;
};

// Smallest and largest quantized value the scheme uses.
struct quant_bounds {
  float min = 0;
  float max = 0;
};
constexpr quant_bounds bounds_of(const quantization_spec& s) noexcept {
  const dtype_info d = info(s.dtype);
  const bool clip =
      s.qscheme == qscheme::symmetric_with_clipping && d.integer && d.is_signed && d.bits > 1;
  return {clip ? -d.quant_max : d.quant_min, d.quant_max};
}

// Type of the scales: the spec's, else e8m0 for float4 and float32 for the rest.
constexpr dtype scale_dtype_of(const quantization_spec& s) noexcept {
  if (s.scale_dtype) return *s.scale_dtype;
  return s.dtype == dtype::float4_e2m1fn ? dtype::float8_e8m0fnu : dtype::float32;
}

// Raises invalid_argument for a rule that the spec has no use for: it would do nothing, silently.
inline void check_scale_rules(const quantization_spec& s, const std::string& where) {
  const auto bad = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::invalid_argument, what, where, std::move(value), std::move(allowed));
  };
  const scale_rules& r = s.scale_rules;
  const dtype type = r.scale_type;
  if (type != dtype::float32 && type != dtype::float16 && type != dtype::bfloat16) {
    bad("scale_rules.scale_type is not a type of scales", std::string(name_of(type)),
        "float32, float16, bfloat16");
  }
  const dtype scales = scale_dtype_of(s);
  if (type != dtype::float32 && scales != dtype::float32) {
    bad("scale_rules.scale_type is of plain scales", std::string(name_of(type)),
        "float32 with scale_dtype " + std::string(name_of(scales)));
  }
  if (r.e8m0 != e8m0_rule::floor && scales != dtype::float8_e8m0fnu) {
    bad("scale_rules.e8m0 is of e8m0 scales", std::string(name_of(scales)), "float8_e8m0fnu");
  }
  if (r.floor == scale_floor::relative && scales != dtype::float32) {
    bad("scale_rules.floor is of plain scales", std::string(name_of(scales)), "float32");
  }
  if (!r.no_clipping) return;
  if (!is_integer(s.dtype) || s.qscheme == qscheme::asymmetric) {
    bad("scale_rules.no_clipping is of symmetric integers",
        std::string(name_of(s.dtype)) + ", " + std::string(name_of(s.qscheme)),
        "int or uint, symmetric or symmetric_with_clipping");
  }
  if (bits_of(s.dtype) == 1) {
    bad("scale_rules.no_clipping needs a positive level", std::string(name_of(s.dtype)),
        "2 bits or more");
  }
}

// Raises invalid_argument for a number that is none of its enumerators (from a cast, or a damaged file).
inline void check_enumerators(const quantization_spec& s, const std::string& where) {
  const auto at_most = [&](auto value, auto last, const char* field) {
    if (value <= last) return;
    raise(errc::invalid_argument, std::string(field) + " is no enumerator", where,
          text_of(static_cast<int>(value)), range_text(0, static_cast<int>(last)));
  };
  at_most(s.dtype, dtype::float32, "dtype");
  at_most(s.qscheme, qscheme::asymmetric, "qscheme");
  at_most(s.qformulation, qformulation::minval, "qformulation");
  at_most(s.scale_dtype.value_or(dtype::float32), dtype::float32, "scale_dtype");
  at_most(s.scale_rules.e8m0, e8m0_rule::up, "scale_rules.e8m0");
  at_most(s.scale_rules.floor, scale_floor::relative, "scale_rules.floor");
  at_most(s.scale_rules.scale_type, dtype::float32, "scale_rules.scale_type");
  at_most(s.short_groups, short_groups::allow, "short_groups");
}

// Raises invalid_argument naming the first field that contradicts another.
inline void check(const quantization_spec& s, std::string_view where) {
  const std::string at(where);
  check_enumerators(s, at);
  const std::string name(name_of(s.dtype));
  const auto bad = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::invalid_argument, what, at, std::move(value), std::move(allowed));
  };
  if (s.dtype >= dtype::float8_e8m0fnu) bad("dtype is not a quantized type", name, "int, fp8, fp4");
  if (!is_integer(s.dtype)) {
    if (s.qscheme != qscheme::symmetric) {
      bad("float dtypes need the symmetric scheme", std::string(name_of(s.qscheme)), "symmetric");
    }
    if (s.qformulation != qformulation::zp) {
      bad("float dtypes need the zero-point formulation", "minval", "zp");
    }
  }
  if (s.scale_dtype) {
    const std::string scale(name_of(*s.scale_dtype));
    if (is_integer(s.dtype)) bad("scale_dtype must be absent for integers", scale, "absent");
    // The other scales of float4 are an extension; elsewhere plain ones are what an absent scale_dtype means.
    const bool of_float4 =
        *s.scale_dtype == dtype::float32 || *s.scale_dtype == dtype::float8_e4m3fn;
    if (*s.scale_dtype != dtype::float8_e8m0fnu &&
        !(of_float4 && s.dtype == dtype::float4_e2m1fn)) {
      bad("scale_dtype is not supported", scale,
          "absent, float8_e8m0fnu (float4_e2m1fn also: float32, float8_e4m3fn)");
    }
  }
  check_scale_rules(s, at);
  // Of an average kept in float a smaller weight would be 0.
  if (!(s.averaging_constant >= 0x1p-126 && s.averaging_constant <= 1.0)) {
    bad("averaging_constant out of range", text_of(s.averaging_constant), "2^-126 .. 1");
  }
  const auto& [lo, hi] = s.float_range;
  if (lo && (!is_finite(*lo) || *lo > 0.0F))
    bad("float_range.lo out of range", text_of(*lo), "<= 0");
  if (hi && (!is_finite(*hi) || *hi < 0.0F))
    bad("float_range.hi out of range", text_of(*hi), ">= 0");
  if (lo && hi && !(*lo < *hi)) bad("float_range is empty", text_of(*lo), "lo < hi");
}

inline constexpr quantization_spec int8_symmetric{};
inline constexpr quantization_spec int8_symmetric_with_clipping{
    .qscheme = qscheme::symmetric_with_clipping};

}  // namespace lutra::inline LUTRA_ABI
