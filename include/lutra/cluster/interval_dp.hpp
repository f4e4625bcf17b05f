// lutra: interval_dp.hpp - cut a line of weighted atoms into k intervals of least total cost.
// SPDX-License-Identifier: Apache-2.0
//
// The cost of atoms j..i-1 in one cluster is Q - S*S/W with W, S, Q the sums of w, w*x, w*x*x: the
// weighted squared distance to their mean. With D[0][0] = 0 the programme is
//   D[q][i] = min over j of D[q-1][j] + cost(j, i),
// and the best j is monotone in i (the cost satisfies the quadrangle inequality), so a layer is solved
// by divide and conquer on rows (Wu 1991; Groenlund et al. 2017). The best j of the layer before is a lower bound too
// (Song and Zhong 2020), for exact costs: where they are rounded, each layer would add what both layers before it are
// off by, and nothing could be proven of the result (line_rounding.hpp counts one). So it is not made use of. Ties go
// to the smallest j: the last interval is as long as possible, then the one before it, and so on.
//
// Numeric contract: prefix sums are accumulated with compensation around a central value. Costs are
// formed in double; where cancellation could matter for the result (relative error of the total above
// about 1e-10) the programme is run again with costs in double-double.
// Cost: O(k n log n) time. The table of best j takes 4 bytes per atom and layer up to `table_limit`
// bytes; above that the middle boundary is found first and both halves are solved recursively
// (Hirschberg 1975): twice the time, O(n) memory.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <lutra/cluster/double_double.hpp>
#include <lutra/cluster/lanes.hpp>
#include <lutra/core/types.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Prefix sums of weighted atoms: entry i covers the atoms before i. Values are relative to a central
// one. Sums are accumulated in double-double and kept as S.
template <class S, class A> class interval_sums {
 public:
  interval_sums(std::span<const double> value, std::span<const double> weight)
      : w_(value.size() + 1), s_(value.size() + 1), q_(value.size() + 1) {
    const double centre = value.empty() ? 0.0 : value[value.size() / 2];
    double_double w, s, q;
    for (std::size_t i = 0; i < value.size(); ++i) {
      double_double x{value[i] - centre, 0};
      if constexpr (!std::same_as<S, double>) x = two_sum(value[i], -centre);  // exactly
      const double_double wx = double_double{weight[i], 0} * x;
      w = w + double_double{weight[i], 0};
      s = s + wx;
      q = q + wx * x;
      w_[i + 1] = kept(w);
      s_[i + 1] = kept(s);
      q_[i + 1] = kept(q);
    }
  }
  std::size_t size() const noexcept { return w_.size() - 1; }
  S total_square() const noexcept { return q_.back(); }

  double cost(std::size_t j, std::size_t i) const noexcept {
    return cost_of(w_[i] - w_[j], s_[i] - s_[j], q_[i] - q_[j]);
  }

  // cost(j + l, i) in lane l: eight columns of one row.
  double8<A> cost_of_columns(std::size_t j, std::size_t i) const noexcept {
    if constexpr (std::same_as<S, double>) {
      using lanes = double8<A>;
      return interval_cost<A>(lanes::filled(w_[i]) - lanes::load(w_.data() + j),
                              lanes::filled(s_[i]) - lanes::load(s_.data() + j),
                              lanes::filled(q_[i]) - lanes::load(q_.data() + j));
    } else {
      std::array<double, lanes8> out;
      for (std::size_t l = 0; l < lanes8; ++l) out[l] = cost(j + l, i);
      return double8<A>::load(out.data());
    }
  }
  // cost(j, i + l) in lane l: eight rows of one column.
  double8<A> cost_of_rows(std::size_t j, std::size_t i) const noexcept {
    if constexpr (std::same_as<S, double>) {
      using lanes = double8<A>;
      return interval_cost<A>(lanes::load(w_.data() + i) - lanes::filled(w_[j]),
                              lanes::load(s_.data() + i) - lanes::filled(s_[j]),
                              lanes::load(q_.data() + i) - lanes::filled(q_[j]));
    } else {
      std::array<double, lanes8> out;
      for (std::size_t l = 0; l < lanes8; ++l) out[l] = cost(j, i + l);
      return double8<A>::load(out.data());
    }
  }

 private:
  static double cost_of(S w, S s, S q) noexcept {
    const S c = q - s * s / w;
    if constexpr (std::same_as<S, double>) {
      return c > 0.0 ? c : 0.0;
    } else {
      return std::max(0.0, c.hi);
    }
  }
  static S kept(double_double x) noexcept {
    if constexpr (std::same_as<S, double>) {
      return x.hi;
    } else {
      return x;
    }
  }
  std::vector<S> w_, s_, q_;
};

// Solves one range of atoms; private to optimal_intervals.
template <class S, class A> class interval_solver {
 public:
  interval_solver(const interval_sums<S, A>& sums, std::size_t table_limit)
      : sums_(sums), table_limit_(table_limit) {}

  // Appends the first atom of each of the `k` intervals of [begin, end). 1 <= k <= end - begin.
  // Returns the total cost.
  double solve(std::size_t begin, std::size_t end, int k, std::vector<index_t>& starts) {
    const std::size_t rows = end - begin + 1;
    const auto layers = to_size(k);
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
  void start_layers(std::size_t begin, std::size_t end) {
    begin_ = begin;
    rows_ = end - begin + 1;
    previous_.assign(rows_, 0.0);
    current_.assign(rows_, 0.0);
    best_.assign(rows_, 0);
    for (std::size_t i = 1; i < rows_; ++i) current_[i] = sums_.cost(begin_, begin_ + i);
  }
  // Layer q from layer q - 1. The last layer needs its last row only.
  void next_layer(std::size_t q, std::size_t layers) {
    previous_.swap(current_);
    best_.assign(rows_, 0);
    const std::size_t first = q == layers ? rows_ - 1 : q;
    rows(first, rows_ - 1, q - 1, rows_ - 2);
  }
  // Rows lo..hi, whose best j lie in [jlo, jhi].
  void rows(std::size_t lo, std::size_t hi, std::size_t jlo, std::size_t jhi) {
    while (lo <= hi) {
      if (hi - lo < lanes8) {
        row_block(lo, hi, jlo, jhi);
        return;
      }
      const std::size_t i = lo + (hi - lo) / 2;
      const std::size_t at = one_row(i, jlo, std::min(jhi, i - 1));
      rows(lo, i - 1, jlo, at);
      lo = i + 1;
      jlo = at;
    }
  }

  // The best j of [from, to] for row i, the smallest one on a tie.
  std::size_t one_row(std::size_t i, std::size_t from, std::size_t to) {
    constexpr double steps[lanes8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const double8<A> step = double8<A>::load(steps);
    running_minimum8<A> minimum(from);
    std::size_t j = from;
    for (; j + lanes8 <= to + 1; j += lanes8) {
      minimum.take(
          double8<A>::load(previous_.data() + j) + sums_.cost_of_columns(begin_ + j, begin_ + i),
          double8<A>::filled(static_cast<double>(j)) + step);
    }
    const auto least = minimum.least();
    const auto column = minimum.column();
    double best = least[0];
    double at = column[0];
    const auto take = [&](double value, double where) {
      if (value < best || (value == best && where < at)) {
        best = value;
        at = where;
      }
    };
    for (std::size_t l = 1; l < lanes8; ++l) take(least[l], column[l]);
    for (; j <= to; ++j) {
      take(previous_[j] + sums_.cost(begin_ + j, begin_ + i), static_cast<double>(j));
    }
    current_[i] = best;
    best_[i] = static_cast<std::uint32_t>(at);
    return best_[i];
  }

  // The last few rows of the recursion side by side, one per lane.
  void row_block(std::size_t lo, std::size_t hi, std::size_t jlo, std::size_t jhi) {
    running_minimum8<A> minimum(jlo);
    std::size_t j = jlo;
    if (lo + lanes8 <= rows_) {  // else lanes would reach behind the last row
      for (; j <= jhi && j < lo; ++j) {
        minimum.take(double8<A>::filled(previous_[j]) + sums_.cost_of_rows(begin_ + j, begin_ + lo),
                     double8<A>::filled(static_cast<double>(j)));
      }
    }
    auto least = minimum.least();
    auto column = minimum.column();
    for (; j <= jhi && j < hi; ++j) {
      for (std::size_t i = std::max(lo, j + 1); i <= hi; ++i) {
        const double d = previous_[j] + sums_.cost(begin_ + j, begin_ + i);
        if (!(d < least[i - lo])) continue;
        least[i - lo] = d;
        column[i - lo] = static_cast<double>(j);
      }
    }
    for (std::size_t i = lo; i <= hi; ++i) {
      current_[i] = least[i - lo];
      best_[i] = static_cast<std::uint32_t>(column[i - lo]);
    }
  }

  const interval_sums<S, A>& sums_;
  std::size_t table_limit_;
  std::size_t begin_ = 0;
  std::size_t rows_ = 0;
  std::vector<double> previous_, current_;
  std::vector<std::uint32_t> best_;
};

inline constexpr std::size_t interval_table_limit = std::size_t{4} << 20;

// First atom of each of the k intervals of least cost. 1 <= k <= number of atoms < 2^32. `in_double`: sums in double
// will do, unless the result says otherwise.
template <class A = simd::native>
std::vector<index_t> optimal_intervals(std::span<const double> value,
                                       std::span<const double> weight, int k,
                                       std::size_t table_limit = interval_table_limit,
                                       bool in_double = true) {
  std::vector<index_t> starts;
  if (in_double) {
    const interval_sums<double, A> sums(value, weight);
    interval_solver<double, A> solver(sums, table_limit);
    const double total = solver.solve(0, sums.size(), k, starts);
    if (sums.total_square() * 0x1.0p-51 <= 1e-10 * total) return starts;
  }
  starts.clear();
  const interval_sums<double_double, A> sums(value, weight);
  interval_solver<double_double, A> solver(sums, table_limit);
  solver.solve(0, sums.size(), k, starts);
  return starts;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
