// lutra: priced_blocks.hpp - many clusters of many atoms with a proven gap, by prices on a grid.
// SPDX-License-Identifier: Apache-2.0
//
// The grid cuts the atoms into blocks of about equal spread. Prices find the best clustering of whole blocks
// (priced_line.hpp), which costs no more than an optimal one of the values and the slack of the blocks
// (certified_1d.hpp, (1)): a lower bound. Its clusters, moved to the atoms they want, are the upper bound. What
// the layers of the certified programme would tell besides, where boundaries lie, is not asked for.
//
// Numeric contract: as certified_1d.hpp.
// Cost: about 50 ns per block, 256 blocks per cluster as a rule.
#pragma once

#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/priced_line.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// k clusters of the atoms whose gap is at most max_gap, without windows; nothing if that cannot be proven so.
// 1 < k < l.size().
template <class Level = simd::native>
std::optional<certified_clusters> priced_blocks(const line& l, index_t k, double max_gap) {
  constexpr int steps = 8;
  constexpr double most_blocks = 1024;  // per cluster
  std::vector<index_t> from(static_cast<std::size_t>(k + 1)), to(from.size(), l.size());
  to.front() = 0;
  from.back() = l.size();
  certified_clusters best;
  best.starts = equal_shares(l, k);
  double cost = polish(l, best.starts, steps);
  window_grid grid;
  window_slack slack;
  priced_line<Level> prices;
  bool finest = false;
  for (double blocks = 256; !finest && blocks <= most_blocks; blocks *= 4) {
    ++best.levels;
    finest = grid.make(l, from, to, blocks * static_cast<double>(k));
    if (static_cast<index_t>(grid.size()) <= k + 1) continue;
    const auto sums = [&](const double* sum) { return std::span(sum, grid.size()); };
    std::vector<index_t> starts =
        prices(sums(grid.w()), sums(grid.s()), sums(grid.q()), k, cost).starts;
    if (starts.empty()) return {};
    for (index_t& s : starts) s = grid.positions()[static_cast<std::size_t>(s)];
    const double cost_of_blocks = total_cost(l, starts);
    if (const double polished = polish(l, starts, steps); polished < cost) {
      cost = polished;
      best.starts = std::move(starts);
    }
    best.inertia = l.blurred_up(cost + l.within);
    const double floor = cost_of_blocks - slack.anywhere(l, grid, k, best.inertia) - l.rounding();
    best.excess = std::max(0.0, cost - floor);
    if (best.inertia <= (1 + max_gap) * l.blurred_down(floor)) return best;
  }
  return {};
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
