// lutra: mse.hpp - selection "mse": the range whose quantization error has the least square.
// SPDX-License-Identifier: Apache-2.0
//
// The values are taken to be spread evenly within each bin. Levels v_0 < v_1 < ... with midpoints m_i between
// v_i-1 and v_i, every value going to the nearest level, have the squared error
//   sum (x - v_last)^2 - sum over i of 2 (v_i - v_i-1) H(m_i),   H(t) = sum over x < t of (t - x)
// so that a prefix table of H gives the error of a whole set of levels in O(levels). The levels are those
// that qparams_from_range derives, so every scheme, width and float format is searched by what it
// really does. All in double with + - * / only: the same range everywhere.
// Within 1 % of the least error as a rule; where it is no smooth function of the range, a narrow dip can be missed.
// 15 to 100 evaluations for symmetric schemes, at most 1000 for asymmetric ones.
#pragma once

#include <array>
#include <cmath>
#include <lutra/affine/element.hpp>
#include <lutra/observe/range/value_range.hpp>
#include <memory>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Distances to the values on one side of a point, in bin widths from the lower edge of bin 0.
class hinge_sums {
 public:
  explicit hinge_sums(const histogram& h)
      : end_(static_cast<double>(h.bins())),
        bin_(std::make_unique_for_overwrite<bin[]>(static_cast<std::size_t>(h.bins()) + 1)) {
    // Twice the centre of a bin is an odd number, so that these sums are exact in double up to 2^53.
    double count = 0;
    double twice = 0;
    double edge = 0;
    bin* at = bin_.get();
    for (const std::uint64_t n : h.counts()) {
      const auto c = static_cast<double>(n);
      *at++ = {count * edge - 0.5 * twice, count, 0.5 * c};
      const double centre = edge + 0.5;
      square_ += c * (centre * centre + 1.0 / 12.0);
      count += c;
      twice += c * (edge + edge + 1.0);
      edge += 1.0;
    }
    sum_ = 0.5 * twice;
    *at = {count * end_ - sum_, count, 0};  // beyond the last
    count_ = count;
  }
  // H(t): sum of t - x over the values x below t. Both ends are ordinary bins.
  double below(double t) const noexcept {
    const place p(t, end_);
    return at(p.edge, p.fraction);
  }
  // Sum of H at n evenly spaced points, at most 256. Four interleaved sums, so that none waits for another.
  double below(double start, double step, index_t n) const noexcept {
    std::array<std::int32_t, 256> edge;
    std::array<double, 256> fraction;
    for (index_t i = 0; i < n; ++i) {
      const place p(start + step * static_cast<double>(i), end_);
      edge[static_cast<std::size_t>(i)] = p.edge;
      fraction[static_cast<std::size_t>(i)] = p.fraction;
    }
    std::array<double, 4> sum{};
    const auto count = static_cast<std::size_t>(n);
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
      sum[0] += at(edge[i], fraction[i]);
      sum[1] += at(edge[i + 1], fraction[i + 1]);
      sum[2] += at(edge[i + 2], fraction[i + 2]);
      sum[3] += at(edge[i + 3], fraction[i + 3]);
    }
    for (; i < count; ++i) sum[0] += at(edge[i], fraction[i]);
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }
  // Sum of (x - v)^2 over all values.
  double square_about(double v) const noexcept { return square_ - v * (2.0 * sum_ - v * count_); }

 private:
  struct bin {
    double hinge;  // H at its lower edge
    double count;  // of the values below
    double half;   // half of its own
  };
  struct place {
    std::int32_t edge;
    double fraction;
    place(double t, double end) noexcept {
      const double positive = t > 0.0 ? t : 0.0;
      edge = static_cast<std::int32_t>(positive < end ? positive : end);
      fraction = positive - static_cast<double>(edge);
    }
  };
  double at(std::int32_t edge, double f) const noexcept {
    const bin& b = bin_[static_cast<std::size_t>(edge)];
    return b.hinge + f * (b.count + f * b.half);
  }
  double end_ = 0;
  double sum_ = 0;
  double square_ = 0;
  double count_ = 0;
  std::unique_ptr<bin[]> bin_;
};

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

// Squared errors of one spec over one histogram.
class squared_error {
 public:
  squared_error(const histogram& h, const quantization_spec& spec)
      : sums_(h),
        levels_(levels_of(spec)),
        rule_(spec),
        integer_(is_integer(spec.dtype)),
        symmetric_(is_symmetric(spec)),
        minval_(integer_ && spec.qformulation == qformulation::minval),
        width_(h.width()),
        first_(static_cast<double>(h.lattice().first)) {}

  std::size_t levels() const noexcept { return levels_.size(); }
  bool symmetric() const noexcept { return symmetric_; }
  // Sum of the squared errors, in squared bin widths, if the range is [lo, hi].
  double operator()(const value_range& r) const {
    const unit_values u = rule_(r.lo, r.hi);
    const double scale = static_cast<double>(u.scale) / width_;
    // Of level v, in bin widths from bin 0: v * scale + offset.
    double offset = -first_;
    if (minval_) {
      offset += static_cast<double>(u.minval) / width_ - levels_[0] * scale;
    } else if (integer_) {
      offset -= static_cast<double>(u.zero_point) * scale;
    }
    double saved = 0;
    if (integer_) {
      saved = sums_.below((levels_[0] + 0.5) * scale + offset, scale,
                          static_cast<index_t>(levels_.size()) - 1);
    } else {
      for (std::size_t i = 1; i < levels_.size(); ++i) {
        const double middle = 0.5 * (levels_[i - 1] + levels_[i]);
        saved += (levels_[i] - levels_[i - 1]) * sums_.below(middle * scale + offset);
      }
    }
    return sums_.square_about(levels_.back() * scale + offset) - 2.0 * scale * saved;
  }

 private:
  hinge_sums sums_;
  std::vector<double> levels_;
  range_rule rule_;
  bool integer_;
  bool symmetric_;
  bool minval_;
  double width_;
  double first_;
};

// Value type without options.
struct mse_range {
  value_range operator()(const histogram& h, const quantization_spec& spec) const {
    const value_range full = full_range(h, spec);
    if (h.finite() == 0 || (full.lo == 0.0F && full.hi == 0.0F)) return full;
    const squared_error error(h, spec);
    const bool lo_free = !spec.float_range.lo && full.lo < 0.0F;
    const bool hi_free = !spec.float_range.hi && full.hi > 0.0F;
    search best(error, full, h.width());
    if (is_symmetric(spec)) {
      const float largest = std::max(-full.lo, full.hi);
      if (lo_free || hi_free) {
        best.along([&](double share) {
          const value_range r =
              within(full, static_cast<float>(share * static_cast<double>(largest)));
          return value_range{lo_free ? r.lo : full.lo, hi_free ? r.hi : full.hi};
        });
      }
      return best.range();
    }
    if (lo_free && hi_free) best.along([&](double s) { return scaled(full, s); });
    for (int round = 0; round < 2; ++round) {
      const value_range at = best.range();
      if (hi_free) best.along([&](double s) { return value_range{at.lo, shrunk(full.hi, s)}; });
      const float hi = best.range().hi;
      if (lo_free) best.along([&](double s) { return value_range{shrunk(full.lo, s), hi}; });
      if (!(lo_free && hi_free)) break;
    }
    if (lo_free && hi_free && is_integer(spec.dtype)) try_zero_points(best, spec);
    return best.range();
  }
  friend bool operator==(const mse_range&, const mse_range&) = default;

 private:
  static float shrunk(float x, double share) noexcept {
    return static_cast<float>(static_cast<double>(x) * share);
  }
  static value_range scaled(const value_range& r, double share) noexcept {
    return {shrunk(r.lo, share), shrunk(r.hi, share)};
  }
  class search;
  // Moving one end alone also moves the zero point, in steps: try its neighbours, each with its own width.
  static void try_zero_points(search& best, const quantization_spec& spec) {
    const quant_bounds q = bounds_of(spec);
    const auto range_at = [&](float zero, double width) {
      const double step = width / static_cast<double>(q.max - q.min);
      return value_range{static_cast<float>(static_cast<double>(q.min - zero) * step),
                         static_cast<float>(static_cast<double>(q.max - zero) * step)};
    };
    for (int round = 0; round < 4; ++round) {
      const value_range start = best.range();
      const double before = best.error();
      const int zero_point = range_rule(spec)(start.lo, start.hi).zero_point;
      const double width = static_cast<double>(start.hi) - static_cast<double>(start.lo);
      for (const int move : {0, -1, 1, -2, 2, -4, 4, -8, 8}) {
        const auto zero = static_cast<float>(zero_point + move);
        if (zero < q.min || zero > q.max) continue;
        for (int i = -8; i <= 8; ++i) best.visit(range_at(zero, width * (1.0 + 0.01 * i)));
      }
      const value_range found = best.range();
      for (int i = -8; i <= 8; ++i) best.visit(scaled(found, 1.0 + 0.001 * i));
      if (!(best.error() < before * (1.0 - 1e-4))) break;
    }
  }

  // The best range so far, over lines of ranges numbered by a share in (0, 1]; the full one is at 1.
  class search {
   public:
    search(const squared_error& error, const value_range& full, double width)
        : error_(error), best_(full), jagged_(error.levels() < 64 || !error.symmetric()) {
      least_share_ = std::max(
          0x1p-12, width / std::max(-static_cast<double>(full.lo), static_cast<double>(full.hi)));
    }
    const value_range& range() const noexcept { return best_; }
    double error() const noexcept { return least_; }

    // A geometric scan, then its minimum as of a parabola. Where the error does not follow one - few levels, a zero
    // point that moves in steps, values with a period near the step - a finer scan around the two best
    // points and around the best of all a last one, dense where jumps are to be expected.
    template <class RangeOf> void along(RangeOf&& range_of) {
      constexpr double ratio = 0.9170040432046712;  // 2^(-1/8)
      constexpr double none = std::numeric_limits<double>::infinity();
      std::array<point, 2> best{point{1, none}, point{1, none}};
      std::array<double, 2> beside{none, none};  // errors one step above and below the best share
      double last = none;
      bool after_best = false;  // the point before was the best so far
      const double hopeless = jagged_ ? 16.0 : 4.0;
      for (double share = 1; share >= least_share_; share *= ratio) {
        const double e = visit(range_of(share));
        if (after_best) beside[1] = e;
        after_best = e < best[0].error;
        if (after_best) {
          best[1] = best[0];
          best[0] = {share, e};
          beside = {last, none};
        } else if (e < best[1].error) {
          best[1] = {share, e};
        } else if (e > hopeless * best[0].error) {
          break;  // clipping alone costs more by now, and ever more
        }
        last = e;
      }
      const auto error_at = [&](double share) { return visit(range_of(std::min(share, 1.0))); };
      if (!jagged_ && smooth_minimum(best[0], beside, ratio, error_at)) return;
      point winner = best[0];
      const auto scan = [&](double centre, double step, int steps) {
        for (int i = -steps; i <= steps; ++i) {
          const double share = std::min(centre * (1.0 + step * i), 1.0);
          const double e = visit(range_of(share));
          if (e < winner.error) winner = {share, e};
        }
      };
      scan(best[0].share, 0.01, 8);
      const double apart = best[1].share / best[0].share;
      if (apart < 0.9 || apart > 1.1) scan(best[1].share, 0.01, 8);
      jagged_ ? scan(winner.share, 0.0005, 20) : scan(winner.share, 0.0005, 8);
    }

    double visit(const value_range& r) {
      const double e = error_(r);
      if (e < least_) {
        least_ = e;
        best_ = r;
      }
      return e;
    }

   private:
    struct point {
      double share, error;
    };
    // Visits the minimum beside the best point of a geometric scan: where the parabola through its neighbours has its
    // own, and around it. False if the errors there are not those of a smooth function.
    template <class ErrorAt>
    static bool smooth_minimum(const point& best, const std::array<double, 2>& beside, double ratio,
                               ErrorAt&& error_at) {
      constexpr double step = 0.008;
      const double slope = 0.5 * (beside[1] - beside[0]);
      const double bend = 0.5 * (beside[1] + beside[0]) - best.error;
      if (!(bend > 0.0 && bend < 4.0 * best.error)) return false;  // false for infinity too
      const double at = -0.5 * slope / bend;  // in steps of the scan, within +-1/2
      const double expected = best.error + 0.5 * at * slope;
      const double centre = best.share * (1.0 - at * (1.0 - ratio));
      bool smooth = true;
      for (int i = -2; i <= 2; ++i) {
        const double e = error_at(centre * (1.0 + step * i));
        smooth = smooth && e >= 0.97 * expected && e <= 1.04 * expected;
      }
      return smooth;
    }
    const squared_error& error_;
    value_range best_;
    double least_ = std::numeric_limits<double>::infinity();
    double least_share_ = 0;
    bool jagged_;
  };
};
static_assert(range_selection<mse_range>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
