// lutra: window_slack.hpp - how much clusterings of whole blocks can miss.
// SPDX-License-Identifier: Apache-2.0
//
// The slack of the proof in certified_1d.hpp, whose names are used here: sum over boundaries of D_l M_a.
// IEEE double, rounded up a little.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <lutra/cluster/window_grid.hpp>
#include <numeric>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// What the bounds of the slack need to know of a block: M_a, 2 r_a M_a, M_a^2 / n_a.
struct block_spread {
  double deviation = 0, own = 0, square = 0;
};

// Of the atoms [i, j).
inline block_spread spread_of_block(const line& l, index_t i, index_t j) noexcept {
  const double lo = l.least(i);
  const double hi = l.largest(j - 1);
  const double weight = l.weight(i, j);
  const double mean = l.mean(i, j);
  const double inside = (mean - lo) * (hi - mean);
  // A bucket that holds one value is a point, wherever the value lies.
  const bool spread_out = hi > lo && (j > i + 1 || weight > l.alone);
  if (!spread_out) return {};
  // The moment of the block may be off by the rounding of as many entries as it has atoms (line_rounding.hpp).
  const auto sum = [&](const std::vector<double>& v) {
    return std::max(std::fabs(v[to_size(i)]), std::fabs(v[to_size(j)]));
  };
  const double rounded =
      sum(l.s) + (l.whole ? 0.0 : std::max(std::fabs(lo), std::fabs(hi)) * sum(l.w));
  const double deviation = 2 * weight * std::max(0.0, inside) / (hi - lo) +
                           0x1.0p-51 * static_cast<double>(j - i + 9) * rounded;
  return {deviation, 2 * (hi - lo) * deviation, deviation * deviation / weight};
}

// The sum of the `count` largest of many numbers.
class sum_of_largest {
 public:
  explicit sum_of_largest(std::size_t count) : count_(count) { heap_.reserve(count); }
  void add(double x) {
    if (heap_.size() < count_) {
      heap_.push_back(x);
    } else if (count_ > 0 && x > heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      heap_.back() = x;
    } else {
      return;
    }
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  double sum() {  // in ascending order, however the heap is arranged
    std::sort(heap_.begin(), heap_.end());
    return std::accumulate(heap_.begin(), heap_.end(), 0.0);
  }

 private:
  std::size_t count_;
  std::vector<double> heap_;
};

// The slack of (1) while boundaries may lie anywhere on a grid, 1 < k: by the range of the data, or by Cauchy over the
// k - 1 blocks that could pay most.
inline double slack_anywhere(const line& l, std::span<const std::uint32_t> grid, index_t k,
                             double known) {
  double deviation = 0;
  sum_of_largest own(to_size(k - 1)), square(to_size(k - 1));
  for (std::size_t i = 0; i + 1 < grid.size(); ++i) {
    const block_spread b = spread_of_block(l, grid[i], grid[i + 1]);
    deviation = std::max(deviation, b.deviation);
    own.add(b.own);
    square.add(b.square);
  }
  const double by_range = (l.largest(l.size() - 1) - l.least(0)) * deviation;
  const double by_cost = own.sum() + 2 * std::sqrt(known * square.sum());
  return std::min(by_range, by_cost) * (1 + 0x1.0p-30);
}

// What the mean of the original values of atoms i..j-1 may differ from that of the line: their sums are rounded
// (line_rounding.hpp), values moved and weights off.
inline double mean_error(const line& l, index_t i, index_t j) noexcept {
  const auto larger = [&](const std::vector<double>& sum) {
    return std::max(std::fabs(sum[to_size(i)]), std::fabs(sum[to_size(j)]));
  };
  const double lo = l.least(i), hi = l.largest(j - 1), weight = l.weight(i, j);
  const double rounded =
      larger(l.s) + (l.whole ? 0.0 : std::max(std::fabs(lo), std::fabs(hi)) * larger(l.w));
  return 0x1.0p-51 * static_cast<double>(j - i + 9) * rounded / weight +
         l.blur / std::sqrt(weight) + 2 * l.error * (hi - lo);
}

// The distance between the centroids left and right of a boundary, at most, by the windows of the boundary before, of
// this one and of the next one. With its ends the mean of a cluster moves the same way, so that it lies between the
// means from left end to left end and from right end to right end of the windows, where these hold anything.
inline double reach(const line& l, std::span<const index_t> from, std::span<const index_t> to) {
  double most = l.largest(std::max<index_t>(to[2], 1) - 1);
  double least = l.least(std::min(from[0], l.size() - 1));
  if (to[1] < to[2]) most = std::min(most, l.mean(to[1], to[2]) + mean_error(l, to[1], to[2]));
  if (from[0] < from[1]) {
    least = std::max(least, l.mean(from[0], from[1]) - mean_error(l, from[0], from[1]));
  }
  return std::max(0.0, most - least);
}

// One thread's scratch.
class window_slack {
 public:
  // The slack of (1) at this level: the least that the three bounds of D allow.
  double operator()(const line& l, const window_grid& grid, std::span<const index_t> from,
                    std::span<const index_t> to, double known) {
    for (auto* a : {&deviation_, &own_, &square_}) renew(*a, grid.size());
    struct boundary {
      double deviation = 0, own = 0, square = 0, reach = 0;
    };
    std::vector<boundary> all;
    double squares = 0;
    hidden_ = 0;
    index_t measured = 0;
    for (index_t q = 1; q + 1 < std::ssize(from); ++q) {
      measured = std::max(measured, grid.first(q));
      measure(l, grid.positions(), size(measured), size(grid.last(q)));
      measured = std::max(measured, grid.last(q));
      boundary b;
      for (index_t i = grid.first(q); i < grid.last(q); ++i) {
        b.deviation = std::max(b.deviation, deviation_[size(i)]);
        b.own = std::max(b.own, own_[size(i)]);
        b.square = std::max(b.square, square_[size(i)]);
      }
      if (b.deviation == 0) continue;
      hidden_ = std::max(hidden_, b.own / 4);  // n (m - lo)(hi - m) = r M / 2
      b.reach = reach(l, from.subspan(size(q - 1), 3), to.subspan(size(q - 1), 3));
      squares += b.square;
      all.push_back(b);
    }
    // Boundaries whose reach is the better bound pay by it; the others share the cost (Cauchy).
    const double per_square = squares > 0 ? 2 * std::sqrt(known / squares) : 0;
    double by_reach = 0;
    double own = 0;
    squares = 0;
    for (const boundary& b : all) {
      if (b.reach * b.deviation < b.own + per_square * b.square) {
        by_reach += b.reach * b.deviation;
      } else {
        own += b.own;
        squares += b.square;
      }
    }
    const double slack = by_reach + own + 2 * std::sqrt(known * squares);
    // Or: the D share the range of the data, and the dearest boundaries take what they can.
    std::sort(all.begin(), all.end(),
              [](const boundary& a, const boundary& b) { return a.deviation > b.deviation; });
    double range = l.largest(l.size() - 1) - l.least(0);
    double by_range = 0;
    for (const boundary& b : all) {
      const double distance = std::min(range, b.reach);
      by_range += distance * b.deviation;
      range -= distance;
      if (range <= 0) break;
    }
    return std::min(slack, by_range) * (1 + 0x1.0p-30);
  }
  // Then: what lies within the atoms of one block of a window, at most.
  double hidden() const noexcept { return hidden_ * (1 + 0x1.0p-30); }

 private:
  static std::size_t size(index_t i) noexcept { return to_size(i); }
  // Of the blocks [b, end).
  void measure(const line& l, std::span<const std::uint32_t> grid, std::size_t b, std::size_t end) {
    for (; b < end; ++b) {
      const block_spread found = spread_of_block(l, grid[b], grid[b + 1]);
      deviation_[b] = found.deviation;
      own_[b] = found.own;
      square_[b] = found.square;
    }
  }

  double hidden_ = 0;
  std::vector<double> deviation_, own_, square_;  // by block: M_a, 2 r_a M_a, M_a^2 / n_a
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
