// lutra: shorter_gaps.hpp - a map that brings far apart values nearer without changing what clusterings cost.
// SPDX-License-Identifier: Apache-2.0
//
// If a cluster of an optimal clustering holds values on both sides of an empty interval of length g, its centroid is at
// least g / 2 away from one of the values beside the interval, and all other centroids are no nearer to that one. So
// the values that lie within g / 4 of it, on its side, are at least g / 4 away from all centroids: with M what they
// weigh, on the side where it is less, the clustering costs at least M g^2 / 16. Where this is more than an upper bound
// U of the optimum, no optimal clustering has such a cluster. The cost of all others does not depend on g, and gaps are
// cut down to a length for which spanning clusters cost 2 U, as a rule. Then
//   optimum of the moved values <= optimum <= cost of any clustering found that does not span a gap (spans()),
// and sums of squares become small enough for sums in double, beside outliers however far or between two narrow modes
// (line_rounding.hpp). A gap stays longer than 2^-40 of where it lies then, so that what is on either side of it can be
// told. The stretch of values around the line's origin stays where it is. Every other one moves as a
// whole, by the distance to its value next to the gap: differences within it are formed first.
//
// Thread safety: a value type.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <lutra/cluster/line_rounding.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// An upper bound of the optimum on a line, whatever lies far away: one cluster of all but up to k - 1 atoms at the
// ends, which are alone. Rounding of the sums is added.
inline double cost_of_rest(const line& l, index_t k) {
  index_t i = 0, j = l.size();
  double least = std::numeric_limits<double>::infinity();
  for (index_t alone = 0; alone < k && i < j; ++alone) {
    least = std::min(least, l.cost(i, j) + cost_rounding(l, i, j));
    if (-l.least(i) > l.largest(j - 1)) {
      ++i;
    } else {
      --j;
    }
  }
  return least;
}

// Gaps that are made shorter, and where the stretches between them go.
class shorter_gaps {
 public:
  // None.
  shorter_gaps() = default;
  // The gaps between the atoms of a line, for clusterings that cost no more than `bound`.
  shorter_gaps(const line& l, double bound) : origin_(l.origin) {
    constexpr double least_bound =
        0x1p-960;  // costs near the end of the range of double are not precise
    if (!(bound > least_bound && bound <= std::numeric_limits<double>::max())) return;
    std::vector<index_t> cuts;
    std::vector<double> length;
    for (index_t a = 1; a < l.size(); ++a) {
      const double gap = l.least(a) - l.largest(a - 1);
      const double most = std::min(l.weight(0, a), l.weight(a, l.size()));
      if (!(gap * gap * most > 128 * bound)) continue;
      const double away = std::max(std::fabs(l.largest(a - 1)), std::fabs(l.least(a)));
      if (!(gap > resolved * away)) continue;
      double enough = gap;  // halved while a cluster across it costs too much
      while (beside(l, a, enough / 8) * (enough * enough) > 128 * bound) enough /= 2;
      if (!(enough > 0x1p-480 && enough < gap)) continue;
      cuts.push_back(a);
      length.push_back(enough);
    }
    if (!cuts.empty()) place(l, cuts, length);
  }

  bool empty() const noexcept { return stretches_.empty(); }
  double origin() const noexcept { return origin_; }
  // Whether a clustering of moved values has a cluster across a gap.
  bool spans(const line& l, std::span<const index_t> starts) const noexcept {
    const double shift = l.origin - origin_;
    const auto stretch_of = [&](double d) {
      return std::upper_bound(new_gap_.begin(), new_gap_.end(), d + shift) - new_gap_.begin();
    };
    for (std::size_t c = 0; c < starts.size(); ++c) {
      const index_t end = c + 1 < starts.size() ? starts[c + 1] : l.size();
      if (stretch_of(l.least(starts[c])) != stretch_of(l.largest(end - 1))) return true;
    }
    return false;
  }
  // What the values of a stretch move by.
  struct translation {
    double origin = 0, from = 0, to = 0;
    bool home = true;
    double operator()(double x) const noexcept {
      return home ? x : origin + (to + ((x - origin) - from));
    }
    // The same of a sum of values of this weight.
    double of_sum(double sum, double weight) const noexcept {
      return home ? sum
                  : origin * weight + (to * weight + ((sum - origin * weight) - from * weight));
    }
  };
  translation at(double x) const noexcept {
    if (empty()) return {};
    const double d = x - origin_;
    const auto s = std::upper_bound(gap_.begin(), gap_.end(), d) - gap_.begin();
    const stretch& found = stretches_[to_size(s)];
    return {origin_, found.from, found.to, found.from == found.to};
  }
  double moved(double x) const noexcept { return at(x)(x); }
  // Where the value is then, relative to the origin.
  double distance(double x) const noexcept {
    const translation t = at(x);
    return t.to + ((x - origin_) - t.from);
  }
  // How far off the distance may be, within its stretch, of a value that is moved: distances from the origin, from the
  // value beside the gap and of the new place were rounded. Not that of the value beside the gap, from which the others
  // are measured, whose own distance is counted with theirs.
  double lost(double x) const noexcept {
    const translation t = at(x);
    return t.home || x - origin_ == t.from ? 0.0 : 0x1p-51 * std::fabs(x - origin_);
  }
  // The value that was moved to y.
  double restored(double y) const noexcept {
    if (empty()) return y;
    const double d = y - origin_;
    const auto s = std::upper_bound(new_gap_.begin(), new_gap_.end(), d) - new_gap_.begin();
    const stretch& found = stretches_[to_size(s)];
    return found.from == found.to ? y : origin_ + (found.from + (d - found.to));
  }

 private:
  static constexpr double resolved = 0x1p-40;  // the shortest gap, as a part of where it lies
  // Relative to the origin: what lay at `from` goes to `to`.
  struct stretch {
    double from = 0, to = 0;
  };

  // What the values weigh that lie within `distance` of the gap before atom a, on the side where it is less, at least.
  static double beside(const line& l, index_t a, double distance) noexcept {
    const std::vector<double>& ends = l.hi.empty() ? l.lo : l.hi;
    const index_t i =
        std::lower_bound(l.lo.begin(), l.lo.begin() + a, l.largest(a - 1) - distance) -
        l.lo.begin();
    const index_t j =
        std::upper_bound(ends.begin() + a, ends.end(), l.least(a) + distance) - ends.begin();
    const auto weight = [&](index_t from, index_t to) {
      const auto sum = [&](index_t at) { return std::fabs(l.w[to_size(at)]); };
      const double rounded = l.whole ? 0.0 : 0x1p-51 * std::max(sum(from), sum(to));
      return l.weight(from, to) * (1 - l.error) - rounded * static_cast<double>(to - from);
    };
    return std::max(0.0, std::min(weight(i, a), weight(a, j)));
  }

  // Stretch s lies before atom cuts[s]; outwards from the one that holds the origin.
  void place(const line& l, const std::vector<index_t>& cuts, const std::vector<double>& length) {
    const std::size_t n = cuts.size();
    for (const index_t a : cuts) {
      gap_.push_back(l.largest(a - 1) + (l.least(a) - l.largest(a - 1)) / 2);
    }
    new_gap_.resize(n);
    stretches_.resize(n + 1);
    const auto home = to_size(std::upper_bound(gap_.begin(), gap_.end(), 0.0) - gap_.begin());
    const auto where = [](const stretch& s, double d) { return s.to + (d - s.from); };
    for (std::size_t s = home; s < n; ++s) {
      const double end = where(stretches_[s], l.largest(cuts[s] - 1));
      const double gap = std::max(length[s], resolved * std::fabs(end));
      new_gap_[s] = end + gap / 2;
      stretches_[s + 1] = {l.least(cuts[s]), end + gap};
    }
    for (std::size_t s = home; s > 0; --s) {
      const double end = where(stretches_[s], l.least(cuts[s - 1]));
      const double gap = std::max(length[s - 1], resolved * std::fabs(end));
      new_gap_[s - 1] = end - gap / 2;
      stretches_[s - 1] = {l.largest(cuts[s - 1] - 1), end - gap};
    }
  }

  double origin_ = 0;
  std::vector<double> gap_,
      new_gap_;  // the middles of the gaps, ascending, before and after; relative
  std::vector<stretch> stretches_;  // one more than gaps, or none
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
