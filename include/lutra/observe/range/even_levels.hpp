// lutra: even_levels.hpp - squared error of evenly spaced levels over a histogram, mostly in closed form.
// SPDX-License-Identifier: Apache-2.0
//
// Levels k * step for low <= k <= high, every value going to the nearest, the values spread evenly within each
// bin. A value beyond the outer levels has the square of its distance to them. Inside, with u the distance to the
// nearest level in steps, the integral of u^2 over x is x / 12 plus the periodic g(u) = u^3 / 3 - u / 12; so
//   error = clipped + inside * step^2 / 12 + step^3 * sum over edges of (count before - count after) g(u at edge)
// The last sum is what makes the error jagged. Where the counts are those of many values of a smooth distribution
// it nearly cancels: for edges anywhere between levels its mean square is (sum of squared differences) / 7560, and
// if that is small, and the part itself small at 33 steps within 8 % of the best (a density with a period is smooth
// but does not cancel), the best step is found without it. `clipped` only grows as the step shrinks, which ends the
// search. All with + - * / only, in one order: the same step everywhere. Lengths are in bin widths.
#pragma once

#include <lutra/observe/histogram.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// What lies outside of a depth that only grows, counted from one end of a histogram.
class histogram_tail {
 public:
  // `outermost` is the bin at that end, `inwards` the step to the next of `bins` bins.
  histogram_tail(const std::uint64_t* outermost, index_t inwards, index_t bins) noexcept
      : next_(outermost), inwards_(inwards), left_(bins) {}

  struct outside {
    double count = 0;
    double square = 0;  // sum of (distance to the level)^2
  };
  // Of the values beyond `depth`, to a level half a step further in.
  outside beyond(double depth, double step) noexcept {
    if (!(depth > 0.0)) return {};
    for (; left_ > 0 && depth >= edge_ + 1.0; --left_, next_ += inwards_) {
      const double c = count_of(*next_);
      square_ += 2.0 * sum_ + count_ + c * (1.0 / 3.0);
      sum_ += count_ + 0.5 * c;
      count_ += c;
      edge_ += 1.0;
    }
    const double f = depth - edge_;
    const double c = left_ > 0 ? count_of(*next_) : 0.0;
    const double count = count_ + f * c;
    const double sum = sum_ + f * (count_ + 0.5 * f * c);
    const double square = square_ + f * (2.0 * sum_ + f * (count_ + f * c * (1.0 / 3.0)));
    return {count, square + step * (sum + 0.25 * step * count)};
  }

 private:
  static double count_of(
      std::uint64_t c) noexcept {  // below 2^63, where the signed conversion is fast
    return static_cast<double>(static_cast<std::int64_t>(c));
  }
  const std::uint64_t* next_;
  index_t inwards_;
  index_t left_;
  double edge_ = 0;  // depth of the bins passed; their moments about it
  double count_ = 0;
  double sum_ = 0;
  double square_ = 0;
};

// const members may be shared. Cost of best_step: three reads of the bins, and up to 38 sums over their edges.
class even_levels {
 public:
  // h is not empty and outlives this; low <= 0 <= high.
  even_levels(const histogram& h, double low, double high)
      : counts_(h.counts()),
        low_end_(low - 0.5),
        high_end_(high + 0.5),
        first_(static_cast<double>(h.lattice().first)),
        used_(lattice_index(h.max(), h.lattice().exponent) - h.lattice().first + 1),
        total_(static_cast<double>(h.finite())),
        difference_(static_cast<std::size_t>(used_ + 1 + chunk)) {
    const std::uint64_t* const c = counts_.data();
    float* const d = difference_.data();
    const auto exact = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
    d[0] = -static_cast<float>(exact(c[0]));
    for (index_t b = 1; b < used_; ++b) d[b] = static_cast<float>(exact(c[b - 1] - c[b]));
    d[used_] = static_cast<float>(exact(c[used_ - 1]));
    double sum[8] = {};
    for (index_t b = 0; b <= used_; b += 8) {
      for (index_t l = 0; l < 8; ++l) {
        const auto wide = static_cast<double>(d[b + l]);
        sum[l] += wide * wide;
      }
    }
    roughness_ = total(sum);
  }

  // Sum of the squared errors.
  double error(double step) const noexcept {
    tails t = both_tails();
    return error(step, t);
  }

  // The step with the least error among those up to `largest`; absent if the closed form does not tell.
  std::optional<double> best_step(double largest) const noexcept {
    const found smooth = best_smooth(largest);
    const double cube = smooth.step * (smooth.step * smooth.step);
    // The jagged part is expected to be within 1/400 of the error.
    if (cube * cube * roughness_ * (160000.0 / 7560.0) > smooth.error * smooth.error) return {};
    tails t = smooth.before;
    double best = smooth.step;
    double least = std::numeric_limits<double>::infinity();
    if (meets_a_period(smooth.step, largest)) return {};
    for (const double factor : {1.006, 1.003, 1.0, 0.997, 0.994}) {
      const double step = std::min(smooth.step * factor, largest);
      const double e = error(step, t);
      if (e < least) {
        least = e;
        best = step;
      }
    }
    return best;
  }

 private:
  static constexpr index_t chunk = 64;

  // Both ends; the steps that they are asked for only shrink.
  struct tails {
    histogram_tail upper, lower;
  };
  struct parts {
    double error, clipped;
  };
  struct found {
    double step, error;
    tails before;  // where a step at least 1 % larger, or the largest, left them
  };
  tails both_tails() const noexcept {
    const std::uint64_t* const c = counts_.data();
    return {{c + used_ - 1, -1, used_}, {c, 1, used_}};
  }
  parts smooth_error(tails& t, double step) const noexcept {
    const auto up = t.upper.beyond(first_ + static_cast<double>(used_) - high_end_ * step, step);
    const auto down = t.lower.beyond(low_end_ * step - first_, step);
    const double clipped = up.square + down.square;
    const double inside = total_ - (up.count + down.count);
    return {clipped + inside * (step * step) * (1.0 / 12.0), clipped};
  }
  double error(double step, tails& t) const noexcept {
    return smooth_error(t, step).error + jagged_error(step);
  }
  // Of the sum over edges, times step^3.
  double jagged_error(double step) const noexcept {
    const index_t from = edge_at(low_end_ * step);
    return step * (step * step) * periodic(step, from, edge_at(high_end_ * step));
  }
  // Whether the jagged part exceeds 1 % of the error near a step: the density has a period there, and the best
  // step may be where the levels meet it.
  bool meets_a_period(double near, double largest) const noexcept {
    tails t = both_tails();
    for (int i = 16; i >= -16; --i) {
      double step = near * (1.0 + 0.005 * i);
      if (i < 16 && step > largest) continue;
      step = std::min(step, largest);
      if (std::fabs(jagged_error(step)) > smooth_error(t, step).error * 0.01) return true;
    }
    return false;
  }
  found best_smooth(double largest) const noexcept {
    constexpr double ratio = 0.9576032806985737;  // 2^(-1/16)
    constexpr double fine = 0.99;
    tails t = both_tails();
    found best{largest, smooth_error(t, largest).error, t};
    double start = largest;  // the step of best.before
    tails previous = t;
    for (double step = largest * ratio; step > largest * 0x1p-12; step *= ratio) {
      const parts p = smooth_error(t, step);
      if (p.error < best.error) {
        start = step / ratio;
        best = {step, p.error, previous};
      }
      previous = t;
      if (p.clipped >= best.error) break;  // and ever more so
    }
    const double end = best.step * ratio;
    t = best.before;
    for (double step = start * fine; step > end; step *= fine) {
      const double e = smooth_error(t, step).error;
      if (e < best.error) {
        best.step = step;
        best.error = e;
      }
    }
    return best;
  }
  // First edge at or above a place, among those of the bins in use and one past them.
  index_t edge_at(double place) const noexcept {
    const double at = place - first_;
    if (!(at > 0.0)) return 0;
    if (at > static_cast<double>(used_)) return used_ + 1;
    const auto floor = static_cast<index_t>(at);
    return static_cast<double>(floor) < at ? floor + 1 : floor;
  }
  // Sum of difference * g over the edges of [from, to): a correction, so float will do while edges are below
  // 2^24 (of data further from zero bits are lost); they are at most 129 steps from 0.
  double periodic(double step, index_t from, index_t to) const noexcept {
    constexpr float magic = 0x1.8p23F;
    const auto inverse = static_cast<float>(1.0 / step);
    double sum[8] = {};
    for (index_t at = from; at < to; at += chunk) {
      const float* const d = difference_.data() + at;
      const auto start = static_cast<float>(first_ + static_cast<double>(at));
      float term[chunk];
      for (index_t i = 0; i < chunk; ++i) {
        const float y = (start + static_cast<float>(static_cast<std::int32_t>(i))) * inverse;
        const float u = y - ((y + magic) - magic);
        term[i] = d[i] * (u * (u * u * (1.0F / 3.0F) - 1.0F / 12.0F));
      }
      for (index_t i = to - at; i < chunk; ++i) term[i] = 0.0F;
      float some[16] = {};
      for (index_t i = 0; i < chunk; i += 16) {
        for (index_t l = 0; l < 16; ++l) some[l] += term[i + l];
      }
      for (index_t l = 0; l < 8; ++l) sum[l] += static_cast<double>(some[l] + some[l + 8]);
    }
    return total(sum);
  }
  static double total(const double (&s)[8]) noexcept {
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  }

  std::span<const std::uint64_t> counts_;
  double low_end_, high_end_;  // where the outer levels begin to clip, in steps
  double first_;               // lower edge of bin 0
  index_t used_;               // bins
  double total_;
  std::vector<float> difference_;  // of the counts before and after every edge
  double roughness_ = 0;           // sum of its squares
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
