// lutra: priced_blocks.hpp - many clusters of many atoms with a proven gap, by prices on a grid.
// SPDX-License-Identifier: Apache-2.0
//
// The grid cuts the atoms into blocks of about equal spread. Prices find the best clustering of whole blocks
// (priced_line.hpp), which costs no more than an optimal one of the values and the slack of the blocks
// (certified_1d.hpp, (1)): a lower bound. Its clusters, moved to the atoms they want, are the upper bound. Where
// prices find no clustering of the right size, those of nearby sizes say where its boundaries are, and the layered
// programme looks there; where they do not say even this, the price itself is the lower bound. What the layers
// would tell besides, where boundaries of the values lie, is not asked for.
//
// Numeric contract: as certified_1d.hpp.
// Cost: about 50 ns per block, 256 blocks per cluster as a rule. Memory: 90 bytes per block.
#pragma once

#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/priced_line.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The blocks of a grid as atoms known by their means.
inline line line_of_blocks(const window_grid& grid) {
  line l;
  const std::size_t n = grid.size() - 1;
  const auto copy = [&](const double* sum) { return std::vector<double>(sum, sum + n + 1); };
  l.w = copy(grid.w());
  l.s = copy(grid.s());
  l.q = copy(grid.q());
  l.lo.resize(n);
  for (std::size_t i = 0; i < n; ++i) l.lo[i] = (l.s[i + 1] - l.s[i]) / (l.w[i + 1] - l.w[i]);
  l.spread.resize(n + 1);
  for (std::size_t i = 0; i + 1 < n; ++i) l.spread[i + 1] = l.spread[i] + 1;
  l.spread[n] = l.spread[n - 1];
  return l;
}

// The least cost of k clusters of whole blocks, in grid indices; `starts` stays empty where only a lower bound of it
// is found. `cost`: of some good clustering.
template <class Level>
priced_clusters cluster_blocks(const window_grid& grid, index_t k, double cost) {
  priced_line<Level> prices;
  priced_clusters found =
      prices({grid.w(), grid.s(), grid.q(), std::ssize(grid.positions())}, k, cost);
  if (!found.starts.empty() || found.windows.empty()) return found;
  prices = {};
  const line blocks = line_of_blocks(grid);
  certified_clusters narrow =
      certified_1d<Level>(blocks, k, {.windows = found.windows, .narrow = true});
  found.floor = std::max(found.floor, narrow.inertia - narrow.excess);
  found.starts = std::move(narrow.starts);
  return found;
}

// k clusters of the atoms and what is proven of them, as a rule a gap of at most max_gap; without windows. Nothing
// if `may_give_up` and the atoms themselves are too large for such a proof. 1 < k < l.size().
template <class Level = simd::native>
std::optional<certified_clusters> priced_blocks(const line& l, index_t k, double max_gap,
                                                bool may_give_up = false) {
  constexpr int steps = 8;
  constexpr double most_blocks = 1024;  // per cluster
  std::vector<index_t> from(to_size(k + 1)), to(from.size(), l.size());
  to.front() = 0;
  from.back() = l.size();
  certified_clusters best;
  best.starts = equal_shares(l, k);
  double cost = polish(l, best.starts, steps);
  double floor = 0;
  const line_rounding errors(l);
  window_grid grid;
  bool finest = false;
  // Cost of the best clustering known, with what rounding may have hidden.
  const auto at_most = [&] {
    return l.blurred_up(cost + cost_rounding(l, best.starts) + l.within);
  };
  for (double blocks = 256; !finest && blocks <= most_blocks; blocks *= 4) {
    ++best.levels;
    finest = grid.make(l, from, to, blocks * static_cast<double>(k));
    best.inertia = l.blurred_up(cost + l.within);
    best.excess = std::max(0.0, cost - floor);
    if (static_cast<index_t>(grid.size()) <= k + 1) continue;
    // Blocks that leave too much open are not worth a look, if there are others.
    const double open = slack_anywhere(l, grid.positions(), k, at_most());
    if (open > max_gap * best.inertia && !finest && 4 * blocks <= most_blocks) continue;
    if (open > max_gap * best.inertia && may_give_up) return {};
    priced_clusters found = cluster_blocks<Level>(grid, k, cost);
    for (index_t& s : found.starts) s = grid.positions()[to_size(s)];
    if (!found.starts.empty()) {
      if (const double polished = polish(l, found.starts, steps); polished < cost) {
        cost = polished;
        best.starts = std::move(found.starts);
      }
    }
    best.inertia = l.blurred_up(cost + l.within);
    const double slack = slack_anywhere(l, grid.positions(), k, at_most());
    // Five times: windows of prices may leave out what is better by four times as much.
    const double rounded = 5 * errors(k, best.inertia + slack, found.pieces);
    floor = std::max(floor, found.floor - slack - rounded);
    best.excess = std::max(0.0, cost - floor);
    if (best.inertia <= (1 + max_gap) * l.blurred_down(floor)) break;
  }
  return best;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
