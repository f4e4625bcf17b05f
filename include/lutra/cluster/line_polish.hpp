// lutra: line_polish.hpp - Lloyd steps on the atoms of a line.
// SPDX-License-Identifier: Apache-2.0
//
// IEEE double; an atom lies right of a midpoint if its mean does. O(k log n) per step.
#pragma once

#include <lutra/cluster/line.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// First atoms of k clusters of equal spread, none empty. 1 <= k <= l.size().
inline std::vector<index_t> equal_shares(const line& l, index_t k) {
  std::vector<index_t> starts(to_size(k));
  for (index_t c = 1; c < k; ++c) {
    const double target = l.spread.back() * static_cast<double>(c) / static_cast<double>(k);
    const index_t at =
        std::lower_bound(l.spread.begin(), l.spread.end(), target) - l.spread.begin();
    const index_t least = starts[to_size(c) - 1] + 1;
    starts[to_size(c)] = std::clamp(at, least, l.size() - (k - c));
  }
  return starts;
}

inline double total_cost(const line& l, std::span<const index_t> starts) {
  double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    sum += l.cost(starts[c], c + 1 < starts.size() ? starts[c + 1] : l.size());
  }
  return sum;
}

// Lloyd steps on whole atoms while they lower the cost; returns the cost. Clusters stay non-empty.
inline double polish(const line& l, std::vector<index_t>& starts, int steps) {
  const auto k = static_cast<index_t>(starts.size());
  const auto at = [&](const std::vector<index_t>& b, index_t c) {
    return c < k ? b[to_size(c)] : l.size();
  };
  double best = total_cost(l, starts);
  std::vector<index_t> next(starts.size());
  for (int step = 0; step < steps; ++step) {
    double left = l.mean(0, at(starts, 1));
    for (index_t c = 1; c < k; ++c) {
      const double right = l.mean(at(starts, c), at(starts, c + 1));
      const double mid = left + (right - left) * 0.5;
      left = right;
      // First atom whose mean lies right of the midpoint, no empty cluster on either side.
      index_t a = next[to_size(c) - 1] + 1;
      index_t b = std::max(a, std::min(at(starts, c + 1) - 1, l.size() - (k - c)));
      while (a < b) {
        const index_t m = a + (b - a) / 2;
        if (l.centre(m) > mid) {
          b = m;
        } else {
          a = m + 1;
        }
      }
      next[to_size(c)] = a;
    }
    const double cost = total_cost(l, next);
    if (next == starts || !(cost < best)) break;
    best = cost;
    starts.swap(next);
  }
  return best;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
