// lutra: window_programme.hpp - the best clustering whose boundaries lie in given windows, in double-double.
// SPDX-License-Identifier: Apache-2.0
//
// The layered programme of interval_dp.hpp on the positions of the windows that a solve in double leaves
// (certified_1d.hpp): as they hold the boundaries of every optimal clustering, the best one within them is optimal,
// but for what rounding to 100 bits and adding up k costs in double may do. Ties go to the smallest position.
// Cost: 40 ns per atom for the sums, and as much per position of a window and halving of it.
#pragma once

#include <algorithm>
#include <bit>
#include <limits>
#include <lutra/cluster/interval_dp.hpp>
#include <span>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Boundary q = 1..k-1 lies between positions windows[q - 1], both ascending with q. Private to optimal_starts.
template <class A> class window_programme {
 public:
  using sums = interval_sums<double_double, A>;
  using window = std::pair<index_t, index_t>;

  window_programme(const sums& of, std::span<const window> windows) : sums_(of) {
    const auto n = static_cast<index_t>(of.size());
    rows_.emplace_back(0, 0);
    rows_.insert(rows_.end(), windows.begin(), windows.end());
    rows_.emplace_back(n, n);
  }
  // How many costs it takes, about.
  static double work(std::span<const window> windows) noexcept {
    double all = 0;
    for (const auto& [from, to] : windows) {
      const auto positions = static_cast<std::uint64_t>(to - from + 1);
      const auto halvings = static_cast<double>(std::bit_width(positions));
      all += static_cast<double>(positions) * (2 + halvings);
    }
    return all;
  }

  // First atom of each cluster; empty if no clustering has its boundaries in the windows.
  std::vector<index_t> operator()() {
    const std::size_t k = rows_.size() - 1;
    std::vector<std::vector<std::uint32_t>> choice(k + 1);
    previous_ = {0.0};
    for (std::size_t q = 1; q <= k; ++q) {
      const auto [from, to] = rows_[q];
      current_.assign(to_size(to - from + 1), infinity);
      choice[q].resize(current_.size());
      layer(q, from, to + 1, rows_[q - 1].first, rows_[q - 1].second, choice[q]);
      previous_.swap(current_);
    }
    std::vector<index_t> starts;
    if (!(previous_[0] < infinity)) return starts;
    starts.resize(k);
    index_t at = rows_[k].first;
    for (std::size_t q = k; q >= 1; --q) {
      at = choice[q][to_size(at - rows_[q].first)];
      starts[q - 1] = at;
    }
    return starts;
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  // Rows [r0, r1) of a layer, over boundaries c0..c1 of the layer before: the middle row first.
  void layer(std::size_t q, index_t r0, index_t r1, index_t c0, index_t c1,
             std::vector<std::uint32_t>& choice) {
    while (r0 < r1) {
      const index_t r = r0 + (r1 - r0) / 2;
      double least = infinity;
      index_t best = c0;
      for (index_t c = c0; c <= std::min(c1, r - 1); ++c) {
        const double before = previous_[to_size(c - rows_[q - 1].first)];
        if (!(before < least)) continue;
        const double cost = before + sums_.cost(to_size(c), to_size(r));
        if (cost < least) {
          least = cost;
          best = c;
        }
      }
      const auto row = to_size(r - rows_[q].first);
      current_[row] = least;
      choice[row] = static_cast<std::uint32_t>(best);
      layer(q, r0, r, c0, best, choice);
      r0 = r + 1;
      c0 = best;
    }
  }

  const sums& sums_;
  std::vector<window> rows_;  // of the layers 0..k
  std::vector<double> previous_, current_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
