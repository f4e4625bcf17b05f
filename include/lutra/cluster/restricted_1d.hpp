// lutra: restricted_1d.hpp - the best k of given levels for values on a line.
// SPDX-License-Identifier: Apache-2.0
//
// k-means whose centroids must be among the levels v_0 < ... < v_(N-1): which of them, so that the
// weighted squared distance of all values to the nearest chosen level is least? A value belongs to a up to
// the midpoint of neighbouring chosen levels a < b, and to b above it. With W, S, Q the prefix sums at
// the position p of that midpoint, the total cost is
//   Q(all) + end terms + sum over neighbours of (v_b - v_a) * (2 S_p - (v_a + v_b) W_p),
// a shortest path with k nodes. Its edges satisfy the quadrangle inequality (they differ from the cost of the
// values between a and b by terms in a alone and in b alone), so a layer of the dynamic programme has
// monotone argmins and is solved by divide and conquer. Equally spaced levels have only 2N - 1
// midpoints, and an edge is one multiplication.
//
// Numeric contract: IEEE double; ties go to the smallest level, values halfway to the lower one. Whole
// atoms are assigned by their mean.
// Cost: O(k N log N) after 2N searches (N is at most 256 for 8-bit tables); 2 k N bytes.
// Thread safety: one thread's scratch; the line must outlive it.
#pragma once

#include <cstdint>
#include <limits>
#include <lutra/cluster/line.hpp>
#include <utility>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct restricted_choice {
  std::vector<std::size_t> levels;  // indices of the chosen levels, ascending
  double cost = 0;                  // on the line; line::within left out
};

class restricted_solver {
 public:
  explicit restricted_solver(const line& l) : line_(l) {}

  // Levels are absolute, not relative to the line's origin.
  void set_uniform(double first, double step, std::size_t count) {
    step_ = step;
    level_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      level_[i] = (first + static_cast<double>(i) * step) - line_.origin;
    }
    midpoint_.clear();
  }
  void set_levels(std::span<const double> levels) {  // ascending
    step_ = 0;
    level_.assign(levels.begin(), levels.end());
    for (double& v : level_) v -= line_.origin;
    midpoint_.clear();
  }
  std::size_t size() const noexcept { return level_.size(); }

  // The least cost with at most k levels.
  restricted_choice solve(std::size_t k) {
    const std::size_t n = level_.size();
    k = std::min(k, n);
    find_midpoints();
    current_.resize(n);
    choice_.assign(k * n, 0);
    const double all = line_.q.back() - line_.q.front();
    for (std::size_t b = 0; b < n; ++b) current_[b] = -end_term(b, 0);
    restricted_choice r;
    r.cost = std::numeric_limits<double>::infinity();
    std::size_t layer = 0;
    std::size_t last = 0;
    for (std::size_t q = 0; q < k; ++q) {
      if (q > 0) {
        previous_ = current_;
        rows(q, q, n, q - 1, n - 2);
      }
      for (std::size_t b = q; b < n; ++b) {
        const double total = all + (current_[b] + end_term(b, line_.size()));
        if (!(total < r.cost)) continue;
        r.cost = total;
        layer = q;
        last = b;
      }
    }
    r.cost = std::max(0.0, r.cost);
    r.levels.resize(layer + 1);
    for (std::size_t q = layer + 1; q-- > 0;) {
      r.levels[q] = last;
      last = choice_[q * n + last];
    }
    return r;
  }

  // The cost of given levels, ascending, at least one.
  double cost(std::span<const std::size_t> levels) const {
    double sum = end_term(levels.back(), line_.size()) - end_term(levels.front(), 0);
    for (std::size_t i = 1; i < levels.size(); ++i) sum += edge(levels[i - 1], levels[i]);
    return std::max(0.0, (line_.q.back() - line_.q.front()) + sum);
  }

  // Moves every level to the one nearest to the mean of its values, while that lowers the cost.
  void descend(restricted_choice& r, int steps) const {
    std::vector<std::size_t> next;
    for (int step = 0; step < steps; ++step) {
      next.clear();
      index_t begin = 0;
      for (std::size_t i = 0; i < r.levels.size(); ++i) {
        const std::size_t at = r.levels[i];
        const index_t end = i + 1 < r.levels.size()
                                ? position((level_[at] + level_[r.levels[i + 1]]) * 0.5)
                                : line_.size();
        const std::size_t to = end > begin ? nearest(line_.mean(begin, end)) : at;
        if (next.empty() || next.back() < to) next.push_back(to);
        begin = end;
      }
      const double lower = cost(next);
      if (!(lower < r.cost)) return;
      r.cost = lower;
      r.levels.swap(next);
    }
  }
  // The level nearest to an absolute value.
  std::size_t nearest_to(double x) const noexcept { return nearest(x - line_.origin); }

 private:
  static std::size_t u(index_t i) noexcept { return to_size(i); }

  std::size_t nearest(double x) const noexcept {
    const auto above = std::upper_bound(level_.begin(), level_.end(), x);
    if (above == level_.begin()) return 0;
    const auto i = to_size(above - level_.begin());
    if (i == level_.size() || x - level_[i - 1] <= level_[i] - x) return i - 1;
    return i;
  }
  // The first position whose atom has a mean above x.
  index_t position(double x) const noexcept {
    if (line_.hi.empty()) {
      return std::upper_bound(line_.lo.begin(), line_.lo.end(), x) - line_.lo.begin();
    }
    index_t from = 0;
    index_t to = line_.size();
    while (from < to) {
      const index_t m = from + (to - from) / 2;
      const bool right = line_.centre(m) > x;
      to = right ? m : to;
      from = right ? from : m + 1;
    }
    return from;
  }
  // Cost of the values left of position p at level b, without their squares.
  double end_term(std::size_t b, index_t p) const noexcept {
    const double v = level_[b];
    return v * (v * line_.w[u(p)] - 2 * line_.s[u(p)]);
  }
  // The sums at the midpoint of two levels whose indices add up to i.
  double at_midpoint(double twice) const noexcept {
    const index_t p = position(twice * 0.5);
    return 2 * line_.s[u(p)] - twice * line_.w[u(p)];
  }
  void find_midpoints() {
    if (step_ == 0 || !midpoint_.empty()) return;
    for (std::size_t i = 0; i + 1 < 2 * level_.size(); ++i) {
      midpoint_.push_back(at_midpoint(level_[i / 2] + level_[i - i / 2]));
    }
  }
  double edge(std::size_t a, std::size_t b) const noexcept {
    const double between =
        midpoint_.empty() ? at_midpoint(level_[a] + level_[b]) : midpoint_[a + b];
    return (level_[b] - level_[a]) * between;
  }
  // Layer q for the levels [b0, b1), whose best predecessors lie in [a0, a1].
  void rows(std::size_t q, std::size_t b0, std::size_t b1, std::size_t a0, std::size_t a1) {
    while (b0 < b1) {
      const std::size_t b = b0 + (b1 - b0) / 2;
      double least = std::numeric_limits<double>::infinity();
      std::size_t best = a0;
      for (std::size_t a = a0; a <= std::min(a1, b - 1); ++a) {
        const double total = previous_[a] + edge(a, b);
        if (!(total < least)) continue;
        least = total;
        best = a;
      }
      current_[b] = least;
      choice_[q * level_.size() + b] = static_cast<std::uint16_t>(best);
      rows(q, b0, b, a0, best);
      b0 = b + 1;
      a0 = best;
    }
  }

  const line& line_;
  double step_ = 0;  // 0: levels are not equally spaced
  std::vector<double> level_;
  std::vector<double> midpoint_;  // by the sum of two indices; equally spaced levels only
  std::vector<double> previous_, current_;
  std::vector<std::uint16_t> choice_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
