// lutra: squared_error.hpp - the squared quantization error of a histogram, as a function of the range.
// SPDX-License-Identifier: Apache-2.0
//
// Levels v_0 < v_1 < ... with midpoints m_i between v_i-1 and v_i, every value going to the nearest level,
// have the squared error
//   sum (x - v_last)^2 - sum over i of 2 (v_i - v_i-1) H(m_i),   H(t) = sum over x < t of (t - x)
// so that a prefix table of H gives the error of a whole set of levels in O(levels). The levels are those
// that qparams_from_range derives, so every scheme, width and float format is measured by what it
// really does. All in double with + - * / only: the same everywhere.
#pragma once

#include <cmath>
#include <lutra/affine/element.hpp>
#include <lutra/observe/range/hinge_sums.hpp>
#include <lutra/observe/range/value_range.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// The levels of one dtype in ascending order, divided by the scale; integers before the zero point.
inline std::vector<double> levels_of(const quantization_spec& spec) {
  std::vector<double> levels;
  if (is_integer(spec.dtype)) {
    const quant_bounds q = bounds_of(spec);
    for (float v = q.min; v <= q.max; ++v) levels.push_back(static_cast<double>(v));
    return levels;
  }
  const quant_bounds q = bounds_of(spec);
  const unit_params one{spec.dtype, false, 1, 0, 0, q.min, q.max};
  const int sign = 1 << (bits_of(spec.dtype) - 1);
  for (int code = sign - 1; code > 0; --code) {
    const float v = decode_one(code, one);
    if (v <= q.max) levels.push_back(-static_cast<double>(v));  // false for NaN and infinity
  }
  levels.push_back(0.0);
  for (std::size_t i = levels.size() - 1; i-- > 0;) levels.push_back(-levels[i]);
  return levels;
}

// Squared errors of one spec over one histogram, in squared bin widths. Immutable.
class squared_error {
 public:
  squared_error(const histogram& h, const quantization_spec& spec)
      : sums_(h),
        rule_(spec),
        integer_(is_integer(spec.dtype)),
        minval_(integer_ && spec.qformulation == qformulation::minval),
        width_(h.width()),
        first_(static_cast<double>(h.lattice().first)) {
    near_zero_ = sums_.count_below(1.0 - first_) - sums_.count_below(-1.0 - first_);
    if (integer_) {
      const quant_bounds q = bounds_of(spec);
      least_ = static_cast<double>(q.min);
      count_ = static_cast<index_t>(q.max - q.min) + 1;
    } else {
      levels_ = levels_of(spec);
      count_ = static_cast<index_t>(levels_.size());
    }
  }

  // Many even levels: where values are spread smoothly, estimate() is close.
  bool even() const noexcept { return integer_ && count_ >= 64; }
  // Few levels: the error has narrow dips, and is quickly found.
  bool few() const noexcept { return count_ < 64; }

  // The error if the range is [lo, hi]. O(levels).
  double operator()(const value_range& r) const {
    if (integer_) {
      const grid g = grid_of(r);
      const double saved = sums_.below(g.first + 0.5 * g.step, g.step, count_ - 1);
      return sums_.square_about(g.last) - 2.0 * g.step * saved;
    }
    const double scale = static_cast<double>(rule_(r.lo, r.hi).scale) / width_;
    double saved = 0;
    for (std::size_t i = 1; i < levels_.size(); ++i) {
      const double middle = 0.5 * (levels_[i - 1] + levels_[i]);
      saved += (levels_[i] - levels_[i - 1]) * sums_.below(middle * scale - first_);
    }
    return sums_.square_about(levels_.back() * scale - first_) - 2.0 * scale * saved;
  }
  // What it would be if distances to the nearest level were spread evenly: step^2 / 12 for each value
  // between the outer levels. But those of the two bins at 0 are known, which is a level except with
  // minval: after a relu half of the values may lie there. For integers. O(1).
  double estimate(const value_range& r) const {
    const grid g = grid_of(r);
    const double inside = sums_.count_below(g.last) - sums_.count_below(g.first);
    const double clipped =
        sums_.square_below(g.first) + sums_.square_about(g.last) - sums_.square_below(g.last);
    const double even = g.step * g.step / 12.0;
    const double at_zero = g.step > 2.0 && !minval_ ? even - 1.0 / 3.0 : 0.0;
    return clipped + even * inside - at_zero * near_zero_;
  }

 private:
  struct grid {
    double first, last, step;  // outer levels and their distance, in bin widths from bin 0
  };
  grid grid_of(const value_range& r) const {
    const unit_values u = rule_(r.lo, r.hi);
    const double step = static_cast<double>(u.scale) / width_;
    const double first = minval_ ? static_cast<double>(u.minval) / width_
                                 : (least_ - static_cast<double>(u.zero_point)) * step;
    return {first - first_, first - first_ + static_cast<double>(count_ - 1) * step, step};
  }

  hinge_sums sums_;
  std::vector<double> levels_;  // of float formats
  double least_ = 0;            // of integers
  index_t count_ = 0;
  range_rule rule_;
  bool integer_;
  bool minval_;
  double width_;
  double first_;
  double near_zero_;  // number of values in the two bins at 0
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
