// lutra: qparams.hpp - scale, zero point and minval of one tensor, and those that its units' ranges become.
// SPDX-License-Identifier: Apache-2.0
//
// range_rule.hpp has the formulas. O(parameters).
#pragma once

#include <lutra/affine/range_rule.hpp>
#include <lutra/number/finite.hpp>
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

// Whether all levels of a unit are finite floats: those of a range near the largest float may not be.
inline bool levels_are_finite(const unit_values& u, quant_bounds q, qformulation form) noexcept {
  const auto zero = static_cast<float>(u.zero_point);
  const bool minval = form == qformulation::minval;
  const float first = minval ? u.minval : (q.min - zero) * u.scale;
  const float last = minval ? (q.max - q.min) * u.scale + u.minval : (q.max - zero) * u.scale;
  return is_finite(first) && is_finite(last);
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
  const std::size_t offsets = is_integer(spec.dtype) ? lo.size() : 0;
  out.scale.resize(lo.size());
  out.zero_point.resize(offsets);
  out.minval.resize(offsets);
  if (rule.fill(lo, hi, spec.qformulation, out.scale.data(), out.zero_point.data(),
                out.minval.data())) {
    return out;
  }
  for (std::size_t i = 0; i < lo.size(); ++i) {
    const unit_values u = rule(lo[i], hi[i]);
    if (!options.infinite_levels && !levels_are_finite(u, q, spec.qformulation)) {
      raise(errc::non_finite, "range is so wide that its outermost levels overflow", where,
            range_text(lo[i], hi[i]), "levels below 2^128");
    }
    out.scale[i] = u.scale;
    if (offsets == 0) continue;
    out.zero_point[i] = u.zero_point;
    out.minval[i] = u.minval;
  }
  return out;
}

// The bits that is(values...) gives anywhere in arrays of n words. Parameters of many blocks come from memory: all
// arrays are read in one pass, a page ahead.
template <class F, class... T> int any_of_many(index_t n, F&& is, const T*... from) noexcept {
  constexpr index_t line = 16, step = 16 * line;
  int any = 0;
  for (index_t first = 0; first < n; first += step) {
    const index_t end = std::min(first + step, n);
    for (index_t i = first; i < end; i += line) (simd::read_ahead(from + i), ...);
    for (index_t i = first; i < end; ++i) any |= is(from[i]...);
  }
  return any;
}

// Parameters that are usable, and what was seen by the way. Refers to them.
struct checked_qparams {
  const qparams& params;
  bool same_zero_points;  // there are some, all alike: a loop over many blocks need not read them
};
// Raises invalid_argument or shape_mismatch naming the first thing that makes `p` unusable.
inline checked_qparams check(const qparams& p, std::string_view where) {
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
  if (d.integer && !(p.quant_min == round_half_even(p.quant_min) &&
                     p.quant_max == round_half_even(p.quant_max))) {
    bad("quant_min..quant_max are no codes", range_text(p.quant_min, p.quant_max), "whole numbers");
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
    return (scale > 0.0F ? 0 : 1) | (is_finite(scale) ? 0 : 1);
  };
  constexpr int differs = 2;
  const std::int32_t first = p.zero_point.empty() ? 0 : p.zero_point.front();
  const auto bad_integer = [&](float scale, std::int32_t zero) {
    const auto z = static_cast<float>(zero);
    return bad_scale(scale) | (z >= p.quant_min ? 0 : 1) | (z <= p.quant_max ? 0 : 1) |
           (zero == first ? 0 : differs);
  };
  const auto bad_minval = [&](float scale, float v) {
    return bad_scale(scale) | (is_finite(v) ? 0 : 1);
  };
  const float* const scales = p.scale.data();
  const auto count = static_cast<index_t>(p.scale.size());
  const int seen = zp       ? any_of_many(count, bad_integer, scales, p.zero_point.data())
                   : minval ? any_of_many(count, bad_minval, scales, p.minval.data())
                            : any_of_many(count, bad_scale, scales);
  if ((seen & ~differs) == 0) return {p, zp && (seen & differs) == 0};
  for (std::size_t i = 0; i < p.scale.size(); ++i) {
    if (!(p.scale[i] > 0.0F && is_finite(p.scale[i]))) {
      bad("scale out of range", text_of(p.scale[i]), "finite and > 0");
    }
    if (zp) {
      const auto z = static_cast<float>(p.zero_point[i]);
      if (!(z >= p.quant_min && z <= p.quant_max)) {
        bad("zero_point out of range", text_of(p.zero_point[i]),
            range_text(p.quant_min, p.quant_max));
      }
    }
    if (minval && !is_finite(p.minval[i])) {
      bad("minval out of range", text_of(p.minval[i]), "finite");
    }
  }
  return {p, false};  // not reached
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
