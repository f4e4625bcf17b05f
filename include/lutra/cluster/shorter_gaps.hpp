// lutra: shorter_gaps.hpp - a map that brings far apart values nearer without changing what clusterings cost.
// SPDX-License-Identifier: Apache-2.0
//
// A cluster that holds values on both sides of an empty interval of length g costs at least g^2 / 2, if values weigh
// at least 1. Where this is more than an upper bound U of the optimum, no optimal clustering has such a cluster, and the
// cost of all others does not depend on g. So gaps are cut down to 2 sqrt(U), where spanning clusters still cost 2 U:
// optimal clusterings and their cost stay what they are, and sums of squares become small enough for sums in double,
// beside an outlier or between two narrow modes (line_rounding.hpp). The values around the line's origin stay where
// they are. Not where the outlier is so far that moving it would round away where it lies.
//
// Thread safety: a value type.
#pragma once

#include <algorithm>
#include <cmath>
#include <lutra/cluster/line.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Gaps that are made shorter: values above the origin's side of one move down, those below move up. Ascending.
class shorter_gaps {
 public:
  // None.
  shorter_gaps() = default;
  // The gaps between the atoms of a line of whole weights, for clusterings that cost no more than `bound`.
  shorter_gaps(const line& l, double bound) : bound_(bound) {
    if (!l.whole || !(bound > 0)) return;
    const double enough = 2 * std::sqrt(bound) * (1 + 0x1.0p-20);
    constexpr double too_far = 0x1p24;
    double moved = 0;
    for (index_t a = 1; a < l.size(); ++a) {
      const double gap = l.least(a) - l.largest(a - 1);
      if (!(gap > 2 * enough)) continue;
      if (gap > too_far * enough) {
        *this = shorter_gaps();
        return;
      }
      const double middle = l.origin + (l.largest(a - 1) + gap / 2);
      moved += gap - enough;
      from_.push_back(middle);
      by_.push_back(moved);
    }
    home_ = shift(l.origin);
  }

  bool empty() const noexcept { return from_.empty(); }
  // Whether a clustering of this cost has no cluster across a gap.
  bool holds(double cost) const noexcept { return empty() || cost < 2 * bound_; }
  // By how much a value moves down, or up if negative.
  double shift(double x) const noexcept {
    const auto at = std::upper_bound(from_.begin(), from_.end(), x) - from_.begin();
    return (at == 0 ? 0.0 : by_[static_cast<std::size_t>(at) - 1]) - home_;
  }
  // The value that was moved to y.
  double restored(double y) const noexcept {
    for (std::size_t g = from_.size(); g-- > 0;) {
      // Where the middle of the gap is now, by what the gaps below it and half of this one have moved.
      const double before = g == 0 ? 0.0 : by_[g - 1];
      if (y > from_[g] - before - (by_[g] - before) / 2 + home_) return y + (by_[g] - home_);
    }
    return y - home_;
  }

 private:
  double bound_ = 0;
  double home_ = 0;  // by how much the values around the origin would move down
  std::vector<double> from_, by_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
