// lutra: priced_proof.hpp - a lower bound for clusterings of points, from a price, that rounding hardly touches.
// SPDX-License-Identifier: Apache-2.0
//
// For every price p per cluster, no clustering into k clusters costs less than D[n] - k p with
//   D[i] = min over j < i of D[j] + cost(j, i) + p,
// and one that is optimal at its price costs just that (priced_line.hpp). Costs from prefix sums are off by parts of
// the sum of all squares, which for many clusters is 10^5 times what they cost together. Here every cost is summed up
// for itself, from its last point to its first, so that it is off by a part of itself:
//   mean m += (y - m) r,   cost += r W (y - m)^2,   W += w,   with r = w / (W + w), y = x - x_last <= m <= 0.
// Let u = 2^-53, t be the number of points, Y their range. m moves one way only, so it is off by at most (2 t + 5) u Y,
// and y - m by E u Y with E = 2 t + 8. As Y^2 w_least / 2 <= cost, and the r W of a cost add up to at most W, these
// move
// sqrt(cost) by a part E u sqrt(2 W / w_least) of itself, and the factors by (t + 4) u: the cost that is found is the
// true one times a number between 1 - e and 1 + e,
//   e = 2.5 ((t + 4) + (2 t + 8) sqrt(2 W / w_least)) u.
//
// Where to stop. Once D[j'] + cost(j', i) >= D[i] no j < j' is any better: cost(j, i) >= cost(j, j') + cost(j', i), and
// D[j'] <= D[j] + cost(j, j') + p. With a margin of 2^-50 D[i] this holds of what is computed too: by induction
//   D[i] <= (D[j] + (1 + e) cost(j, i) + p) (1 + 2 u)   for every j < i, those that were left out among them.
// So k clusters cost at least (D[n] (1 - 2.1 k u) - k p) / (1 + e).
//
// IEEE double, eight rows side by side on every level: the same bits. Cost: about 2 ns per pair (j, i) that is looked
// at, three times the length of a cluster for every i. Memory: 24 bytes per point and 64 KiB.
// Thread safety: one thread's scratch.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <lutra/cluster/line.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

class priced_proof {
 public:
  // No clustering of these points, strictly ascending, into k clusters costs less; -infinity if that needs clusters of
  // more than 1024 points, or weights are too far apart. Weights > 0, price >= 0.
  double operator()(std::span<const double> value, std::span<const double> weight, double price,
                    index_t k) {
    const std::size_t n = value.size();
    load(value, weight);
    least_[0] = 0;
    std::size_t longest = 0;
    double heaviest = 0;
    for (std::size_t first = 0; first < n; first += rows) {
      const std::size_t last = std::min(n, first + rows);
      begin_rows(first);
      for (std::size_t e = first; e < last; ++e) {
        // Clusters that end with point e: all of them, or until no longer one is any better.
        const double* const before = least_.data() + e;
        double best = infinity;
        for (std::size_t t = 0; t <= e; ++t) {
          if (t == steps_) {
            if (t == most_steps) return -infinity;
            more_steps(first, std::min(most_steps, e + 1));
          }
          const double with = *(before - t) + cost_[t * rows + (e - first)];
          if (with >= (best + price) * (1 + 0x1p-50)) break;
          best = std::min(best, with);
        }
        least_[e + 1] = best + price;
      }
      longest = std::max(longest, steps_);
      for (const double w : weight_) heaviest = std::max(heaviest, w);
    }
    const double lightest = *std::min_element(weight.begin(), weight.end());
    const auto t = static_cast<double>(longest);
    const double root = std::sqrt(2 * (heaviest / lightest));
    const double part = 2.5 * ((t + 4) + (2 * t + 8) * root) * 0x1p-53;
    if (!(part < 0x1p-10)) return -infinity;
    const auto clusters = static_cast<double>(k);
    constexpr double vanished = 0x1p-1060;  // of squares
    const double most = least_[n] * (1 - 0x1p-51 * (clusters + 8));
    const double paid = clusters * price * (1 + 0x1p-52);
    return std::max(0.0, most - paid) * (1 - 1.01 * part) - static_cast<double>(n) * vanished;
  }

 private:
  static constexpr std::size_t rows = 8;
  static constexpr std::size_t most_steps = 1024;
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  using lanes = std::array<double, rows>;

  // Eight points of weight 0 before the first one, and after the last.
  void load(std::span<const double> value, std::span<const double> weight) {
    const std::size_t n = value.size();
    x_.assign(n + 2 * rows, value.front());
    w_.assign(n + 2 * rows, 0.0);
    std::copy(value.begin(), value.end(), x_.begin() + rows);
    std::copy(weight.begin(), weight.end(), w_.begin() + rows);
    renew(least_, n + 1);
  }
  // Clusters of the points first + lane alone.
  void begin_rows(std::size_t first) {
    std::copy_n(x_.begin() + static_cast<std::ptrdiff_t>(first + rows), rows, last_.begin());
    std::copy_n(w_.begin() + static_cast<std::ptrdiff_t>(first + rows), rows, weight_.begin());
    mean_.fill(0);
    sum_.fill(0);
    steps_ = 1;
    if (cost_.size() < rows) cost_.resize(rows);
    std::copy(sum_.begin(), sum_.end(), cost_.begin());
  }
  // A few more points in all clusters. Those of rows beyond the last point have no meaning.
  void more_steps(std::size_t first, std::size_t most) {
    const std::size_t end = std::min(steps_ + 8, most);
    if (cost_.size() < end * rows) cost_.resize(std::min(2 * end, most_steps) * rows);
    lanes weight = weight_, mean = mean_, sum = sum_;
    const lanes last = last_;
    for (std::size_t t = steps_; t < end; ++t) {
      const double* const x = x_.data() + (first + rows - t);
      const double* const w = w_.data() + (first + rows - t);
      double* const cost = cost_.data() + t * rows;
      for (std::size_t l = 0; l < rows; ++l) {
        const double all = weight[l] + w[l];
        const double part = w[l] / all;
        const double d = (x[l] - last[l]) - mean[l];
        sum[l] += (part * weight[l]) * (d * d);
        mean[l] += d * part;
        weight[l] = all;
        cost[l] = sum[l];
      }
    }
    weight_ = weight;
    mean_ = mean;
    sum_ = sum;
    steps_ = end;
  }

  std::vector<double> x_, w_;  // from `rows` on
  std::vector<double> least_;  // D
  std::vector<double> cost_;   // of the cluster of t + 1 points in lane l: at 8 t + l
  lanes last_{}, weight_{}, mean_{}, sum_{};
  std::size_t steps_ = 0;  // points in every cluster so far, at most
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
