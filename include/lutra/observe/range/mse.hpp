// lutra: mse.hpp - selection "mse": the range whose quantization error has the least square.
// SPDX-License-Identifier: Apache-2.0
//
// squared_error.hpp gives the error of a range, exactly for values spread evenly within each bin, and for 64
// levels or more an estimate in O(1). The estimate is searched first; where the errors around its
// minimum and of the full range are not what it says - few values, values that lie on a lattice already -
// the errors themselves are. All in double with + - * / only: the same range everywhere.
// Within 1 % of the least error as a rule; where it is no smooth function of the range (values that lie on a lattice
// already), a narrow dip can be missed: up to 10 % were seen for int8 with minval, and for whole numbers within +-80.
// Six evaluations of the error where the estimate holds, 80 where it is uneven, else hundreds (an outlier takes the
// most); for asymmetric schemes that, per end and round, and 700 more.
#pragma once

#include <array>
#include <lutra/observe/range/squared_error.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Value type without options.
struct mse_range {
  value_range operator()(const histogram& h, const quantization_spec& spec) const {
    const value_range full = full_range(h, spec);
    if (h.finite() == 0 || (full.lo == 0.0F && full.hi == 0.0F)) return full;
    const squared_error error(h, spec);
    const ends of{full, !spec.float_range.lo && full.lo < 0.0F,
                  !spec.float_range.hi && full.hi > 0.0F};
    if (error.even()) {
      const auto estimate = [&](const value_range& r) { return error.estimate(r); };
      search guess(estimate, false, full, h.width());
      find(guess, spec, of);
      const auto confirmed = confirm(error, guess.range(), of);
      if (confirmed) return *confirmed;
    }
    search best(error, true, full, h.width(), error.few() || is_symmetric(spec));
    find(best, spec, of);
    return best.range();
  }
  friend bool operator==(const mse_range&, const mse_range&) = default;

 private:
  template <class Error> class search;
  struct ends {
    value_range full;
    bool lo_free, hi_free;
  };
  static float shrunk(float x, double share) noexcept {
    return static_cast<float>(static_cast<double>(x) * share);
  }
  static value_range scaled(const value_range& r, double share) noexcept {
    return {shrunk(r.lo, share), shrunk(r.hi, share)};
  }
  template <class Error>
  static void find(search<Error>& best, const quantization_spec& spec, const ends& of) {
    const value_range& full = of.full;
    if (is_symmetric(spec)) {
      const float largest = std::max(-full.lo, full.hi);
      if (of.lo_free || of.hi_free) {
        best.along([&](double share) {
          const value_range r =
              within(full, static_cast<float>(share * static_cast<double>(largest)));
          return value_range{of.lo_free ? r.lo : full.lo, of.hi_free ? r.hi : full.hi};
        });
      }
      return;
    }
    const bool both = of.lo_free && of.hi_free;
    if (both) best.along([&](double s) { return scaled(full, s); });
    for (int round = 0; round < 2; ++round) {
      const value_range at = best.range();
      if (of.hi_free) best.along([&](double s) { return value_range{at.lo, shrunk(full.hi, s)}; });
      const float hi = best.range().hi;
      if (of.lo_free) best.along([&](double s) { return value_range{shrunk(full.lo, s), hi}; });
      if (!both) break;
    }
    if (both && is_integer(spec.dtype)) try_zero_points(best, spec);
  }
  // The best of the found range and its neighbours, if their errors are the estimated ones, and that of the
  // full range is not less. Few values make the error uneven: then more neighbours are tried.
  static std::optional<value_range> confirm(const squared_error& error, const value_range& found,
                                            const ends& of) {
    value_range best = found;
    double least = std::numeric_limits<double>::infinity();
    double best_share = 1;
    const auto ratio_at = [&](double share) {
      const value_range r{of.lo_free ? std::max(shrunk(found.lo, share), of.full.lo) : found.lo,
                          of.hi_free ? std::min(shrunk(found.hi, share), of.full.hi) : found.hi};
      const double e = error(r);
      if (e < least) {
        least = e;
        best = r;
        best_share = share;
      }
      return e / error.estimate(r);
    };
    double low = ratio_at(1);
    double high = low;
    for (const double share : {0.995, 1.005, 0.99, 1.01}) {
      const double ratio = ratio_at(share);
      low = std::min(low, ratio);
      high = std::max(high, ratio);
    }
    if (!(low >= 0.97 && high <= 1.04)) return {};
    if (error(of.full) < 0.97 * error.estimate(of.full)) return {};
    if (high > 1.004 * low) {
      for (int i = -32; i <= 32; ++i) ratio_at(1.0 + 0.001 * i);
      const double centre = best_share;
      for (int i = -4; i <= 4; ++i) ratio_at(centre * (1.0 + 0.0002 * i));
    }
    return best;
  }
  // Moving one end alone also moves the zero point, in steps: try its neighbours, each with its own width.
  template <class Error>
  static void try_zero_points(search<Error>& best, const quantization_spec& spec) {
    const quant_bounds q = bounds_of(spec);
    const double levels = static_cast<double>(q.max - q.min);
    // Wider ranges would have no scale.
    const double most =
        std::min(0x1.fffp127,
                 levels * 0.999 * static_cast<double>(info(spec.scale_rules.scale_type).quant_max));
    const auto visit = [&](double lo, double hi) {
      if (hi - lo <= most) best.visit({static_cast<float>(lo), static_cast<float>(hi)});
    };
    for (int round = 0; round < 4; ++round) {
      const value_range start = best.range();
      const double before = best.error();
      const int zero_point = range_rule(spec)(start.lo, start.hi).zero_point;
      const double width = static_cast<double>(start.hi) - static_cast<double>(start.lo);
      for (const int move : {0, -1, 1, -2, 2, -4, 4, -8, 8}) {
        const auto zero = static_cast<float>(zero_point + move);
        if (zero < q.min || zero > q.max) continue;
        for (int i = -8; i <= 8; ++i) {
          const double step = width * (1.0 + 0.01 * i) / levels;
          visit(static_cast<double>(q.min - zero) * step, static_cast<double>(q.max - zero) * step);
        }
      }
      const value_range found = best.range();
      for (int i = -8; i <= 8; ++i) {
        const double share = 1.0 + 0.001 * i;
        visit(static_cast<double>(found.lo) * share, static_cast<double>(found.hi) * share);
      }
      if (!(best.error() < before * (1.0 - 1e-4))) break;
    }
  }

  // The best range so far, over lines of ranges numbered by a share in (0, 1]; the full one is at 1.
  template <class Error> class search {
   public:
    search(const Error& error, bool jagged, const value_range& full, double width,
           bool dense = false)
        : error_(error), best_(full), jagged_(jagged), dense_(dense) {
      least_share_ = std::max(
          0x1p-12, width / std::max(-static_cast<double>(full.lo), static_cast<double>(full.hi)));
    }
    const value_range& range() const noexcept { return best_; }
    double error() const noexcept { return least_; }

    // A geometric scan, then its minimum as of a parabola. Where the error does not follow one - few levels, a zero
    // point that moves in steps, values with a period near the step - a finer scan around the two best
    // points and around the best of all a last one, dense where jumps are to be expected.
    template <class RangeOf> void along(RangeOf&& range_of) {
      const double ratio = dense_ ? 0.9892280131939755 : 0.9170040432046712;  // 2^(-1/64), 2^(-1/8)
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
      if (!dense_) {
        scan(best[0].share, 0.01, 8);
        const double apart = best[1].share / best[0].share;
        if (apart < 0.9 || apart > 1.1) scan(best[1].share, 0.01, 8);
      }
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
    const Error& error_;
    value_range best_;
    double least_ = std::numeric_limits<double>::infinity();
    double least_share_ = 0;
    bool jagged_;
    bool dense_;  // steps of 1 % from the start
  };
};
static_assert(range_selection<mse_range>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
