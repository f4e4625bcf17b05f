// lutra: interval_dp.hpp - cut a line of weighted atoms into k intervals of least total cost.
// SPDX-License-Identifier: Apache-2.0
//
// The cost of atoms j..i-1 in one cluster is Q - S*S/W with W, S, Q the sums of w, w*x, w*x*x: the
// weighted squared distance to their mean. With D[0][0] = 0 the programme is
//   D[q][i] = min over j of D[q-1][j] + cost(j, i),
// and the best j is monotone in i (the cost satisfies the quadrangle inequality), so a layer is solved
// by divide and conquer on rows, bounded below by the best j of the layer before (Wu 1991; Groenlund
// et al. 2017; Song and Zhong 2020). Ties go to the smallest j: the last interval is as long as
// possible, then the one before it, and so on.
//
// Numeric contract: prefix sums are accumulated with compensation around a central value. Costs are
// formed in double; where cancellation could matter for the result (relative error of the total above
// about 1e-10) the programme is run again with costs in double-double.
// Cost: O(k n log n) time. The table of best j takes 4 bytes per atom and layer up to `table_limit`
// bytes; above that the middle boundary is found first and both halves are solved recursively
// (Hirschberg 1975): twice the time, O(n) memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/cluster/double_double.hpp>
#include <lutra/core/types.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Prefix sums of weighted atoms: entry i covers the atoms before i. Values are relative to `centre`.
class interval_sums {
 public:
  interval_sums(std::span<const double> value, std::span<const double> weight)
      : w_(value.size() + 1), s_(value.size() + 1), q_(value.size() + 1) {
    const double centre = value.empty() ? 0.0 : value[value.size() / 2];
    double_double w, s, q;
    for (std::size_t i = 0; i < value.size(); ++i) {
      // The difference is rounded once, to 2^-53 of itself: as good as the data.
      const double x = value[i] - centre;
      const double_double wx = exact_product(weight[i], x);
      w = w + double_double{weight[i], 0};
      s = s + wx;
      q = q + wx * double_double{x, 0};
      w_[i + 1] = w;
      s_[i + 1] = s;
      q_[i + 1] = q;
    }
  }
  std::size_t size() const noexcept { return w_.size() - 1; }
  double total_square() const noexcept { return q_.back().hi; }

  double cost(std::size_t j, std::size_t i) const noexcept {
    const double s = s_[i].hi - s_[j].hi;
    return std::max(0.0, (q_[i].hi - q_[j].hi) - s * s / (w_[i].hi - w_[j].hi));
  }
  double accurate_cost(std::size_t j, std::size_t i) const noexcept {
    const double_double s = s_[i] - s_[j];
    const double_double c = (q_[i] - q_[j]) - s * s / (w_[i] - w_[j]);
    return std::max(0.0, c.hi);
  }

 private:
  std::vector<double_double> w_, s_, q_;
};

// Solves one range of atoms; private to optimal_intervals.
template <bool Accurate> class interval_solver {
 public:
  interval_solver(const interval_sums& sums, std::size_t table_limit)
      : sums_(sums), table_limit_(table_limit) {}

  // Appends the first atom of each of the `k` intervals of [begin, end). 1 <= k <= end - begin.
  // Returns the total cost.
  double solve(std::size_t begin, std::size_t end, int k, std::vector<index_t>& starts) {
    const std::size_t rows = end - begin + 1;
    const auto layers = static_cast<std::size_t>(k);
    const bool keep_table = k <= 2 || layers * rows * sizeof(std::uint32_t) <= table_limit_;
    start_layers(begin, end);
    if (keep_table) {
      std::vector<std::uint32_t> table(layers * rows);
      for (std::size_t q = 2; q <= layers; ++q) {
        next_layer(q, layers);
        std::copy(best_.begin(), best_.end(),
                  table.begin() + static_cast<std::ptrdiff_t>((q - 1) * rows));
      }
      const double total = current_[rows - 1];
      const std::size_t at = starts.size();
      starts.resize(at + layers);
      std::size_t i = rows - 1;
      for (std::size_t q = layers; q-- > 0;) {
        i = table[q * rows + i];
        starts[at + q] = static_cast<index_t>(begin + i);
      }
      return total;
    }
    const std::size_t half = layers / 2;
    std::vector<std::uint32_t> middle(rows), next(rows);
    for (std::size_t q = 2; q <= layers; ++q) {
      next_layer(q, layers);
      if (q <= half) continue;
      // The boundary after `half` intervals on the best path to row i.
      for (std::size_t i = q; i < rows; ++i) next[i] = q == half + 1 ? best_[i] : middle[best_[i]];
      middle.swap(next);
    }
    const double total = current_[rows - 1];
    const std::size_t cut = begin + middle[rows - 1];
    solve(begin, cut, static_cast<int>(half), starts);
    solve(cut, end, static_cast<int>(layers - half), starts);
    return total;
  }

 private:
  double cost(std::size_t j, std::size_t i) const noexcept {
    if constexpr (Accurate) return sums_.accurate_cost(begin_ + j, begin_ + i);
    return sums_.cost(begin_ + j, begin_ + i);
  }
  void start_layers(std::size_t begin, std::size_t end) {
    begin_ = begin;
    rows_ = end - begin + 1;
    previous_.assign(rows_, 0.0);
    current_.assign(rows_, 0.0);
    best_.assign(rows_, 0);
    for (std::size_t i = 1; i < rows_; ++i) current_[i] = cost(0, i);
  }
  // Layer q from layer q - 1. The last layer needs its last row only.
  void next_layer(std::size_t q, std::size_t layers) {
    previous_.swap(current_);
    lower_.swap(best_);
    best_.assign(rows_, 0);
    lower_.resize(rows_);
    const std::size_t first = q == layers ? rows_ - 1 : q;
    rows(first, rows_ - 1, q - 1, rows_ - 2);
  }
  // Rows lo..hi, whose best j lie in [jlo, jhi].
  void rows(std::size_t lo, std::size_t hi, std::size_t jlo, std::size_t jhi) {
    while (lo <= hi) {
      const std::size_t i = lo + (hi - lo) / 2;
      const std::size_t from = std::max<std::size_t>(jlo, lower_[i]);
      const std::size_t to = std::min(jhi, i - 1);
      double least = std::numeric_limits<double>::infinity();
      std::size_t at = from;
      for (std::size_t j = from; j <= to; ++j) {
        const double d = previous_[j] + cost(j, i);
        if (d < least) {
          least = d;
          at = j;
        }
      }
      current_[i] = least;
      best_[i] = static_cast<std::uint32_t>(at);
      if (i > lo) rows(lo, i - 1, jlo, at);
      lo = i + 1;
      jlo = at;
    }
  }

  const interval_sums& sums_;
  std::size_t table_limit_;
  std::size_t begin_ = 0;
  std::size_t rows_ = 0;
  std::vector<double> previous_, current_;
  std::vector<std::uint32_t> lower_, best_;
};

inline constexpr std::size_t interval_table_limit = std::size_t{256} << 20;

// First atom of each of the k intervals of least cost. 1 <= k <= number of atoms < 2^32.
inline std::vector<index_t> optimal_intervals(std::span<const double> value,
                                              std::span<const double> weight, int k,
                                              std::size_t table_limit = interval_table_limit) {
  std::vector<index_t> starts;
  const interval_sums sums(value, weight);
  interval_solver<false> fast(sums, table_limit);
  const double total = fast.solve(0, sums.size(), k, starts);
  if (sums.total_square() * 0x1.0p-51 <= 1e-10 * total) return starts;
  starts.clear();
  interval_solver<true> accurate(sums, table_limit);
  accurate.solve(0, sums.size(), k, starts);
  return starts;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
