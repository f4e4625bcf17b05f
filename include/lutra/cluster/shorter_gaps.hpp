// lutra: shorter_gaps.hpp - a map that brings far apart values nearer without changing what clusterings cost.
// SPDX-License-Identifier: Apache-2.0
//
// A cluster that holds values on both sides of an empty interval of length g costs at least g^2 / 2, if values weigh
// at least 1. Where this is more than an upper bound U of the optimum, no optimal clustering has such a cluster, and the
// cost of all others does not depend on g. So gaps are cut down to 2 sqrt(U), where spanning clusters still cost 2 U:
// optimal clusterings and their cost stay what they are, and sums of squares become small enough for sums in double,
// beside an outlier or between two narrow modes (line_rounding.hpp).
//
// Thread safety: a value type.
#pragma once

#include <algorithm>
#include <cmath>
#include <lutra/cluster/line.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Gaps that are made shorter: values above the middle of one move down. Ascending.
class shorter_gaps {
 public:
  // None.
  shorter_gaps() = default;
  // The gaps between the atoms of a line of whole weights, for clusterings that cost no more than `bound`.
  shorter_gaps(const line& l, double bound) : bound_(bound) {
    if (!l.whole || !(bound > 0)) return;
    const double enough = 2 * std::sqrt(bound) * (1 + 0x1.0p-20);
    double moved = 0;
    for (index_t a = 1; a < l.size(); ++a) {
      const double gap = l.least(a) - l.largest(a - 1);
      if (!(gap > 2 * enough)) continue;
      const double middle = l.origin + (l.largest(a - 1) + gap / 2);
      moved += gap - enough;
      from_.push_back(middle);
      by_.push_back(moved);
    }
  }

  bool empty() const noexcept { return from_.empty(); }
  // Whether a clustering of this cost has no cluster across a gap.
  bool holds(double cost) const noexcept { return empty() || cost < 2 * bound_; }
  // By how much a value moves down.
  double shift(double x) const noexcept {
    const auto at = std::upper_bound(from_.begin(), from_.end(), x) - from_.begin();
    return at == 0 ? 0.0 : by_[static_cast<std::size_t>(at) - 1];
  }
  // The value that was moved to y.
  double restored(double y) const noexcept {
    for (std::size_t g = from_.size(); g-- > 0;) {
      // Where the middle of the gap is now, by what the gaps below it and half of this one have moved.
      const double before = g == 0 ? 0.0 : by_[g - 1];
      if (y > from_[g] - before - (by_[g] - before) / 2) return y + by_[g];
    }
    return y;
  }

 private:
  double bound_ = 0;
  std::vector<double> from_, by_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
