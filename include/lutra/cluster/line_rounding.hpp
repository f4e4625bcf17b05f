// lutra: line_rounding.hpp - what rounding may do to what is claimed about clusterings of a line.
// SPDX-License-Identifier: Apache-2.0
//
// Let u = 2^-53, W_i, S_i, Q_i the sums a line holds (line.hpp) and R the range of its values. They are rounded, but
// they are the exact sums of another set of atoms, of which atom a has the weight w_a + dw_a and the moment
// s_a + ds_a: every entry is the one before it plus an atom, rounded once, so that
//   |dw_a| <= u |W|,   |ds_a| <= u (|S| + 4 |s_a|)       (W, S the larger of the entries at a and a + 1),
// the 4 for rounding value - origin, the products, and the weight. dw_a is 0 where weights are whole numbers.
//
// The data. For fixed centroids c the cost of the other set is that of the true one plus sum of (dq_a - 2 c ds_a +
// c^2 dw_a). Compare two clusterings, with centroids c and e of the clusters that hold a: what happens to the squares,
// dq, is the same for both, and with f_a = ds_a - x_a dw_a the difference of their costs changes by at most
//   sum of |c - e| |2 f_a - (c - x_a + e - x_a) dw_a| <= sum of d_a (2 |f_a| + d_a |dw_a|),   d_a = |c - x_a| + |e - x_a|.
// If both cost at most K, sum of w_a d_a^2 <= 4 K, and by Cauchy's inequality this is at most
//   2 sqrt(K) sqrt(sum of 4 f_a^2 / w_a) + 4 K max |dw_a| / w_a.
// K is known of the other set; the square root of the true one is larger by no more than half the second root.
// Atoms so light that |dw_a| > t w_a or that the first sum would be made by them are taken out of both; as d_a <=
// 2 R they change the difference by at most 4 R |f_a| + 4 R^2 |dw_a|, twice of which is allowed for. Of t = 2^-30 and
// 2^-20 the better one is taken. Centroids of the other
// set need not be those of the true one: one clustering is taken at its true means, the other at those of the other
// set.
//
// The programme. A value of a row, base - ds * ds / dw with base = D - Q, then + Q, is rounded by at most 8 u Q
// with Q the whole range of the sums of squares, |base| <= Q. Divide and conquer leaves out candidates beyond the best
// one of another row. By the quadrangle inequality, which holds for exact costs, one that is left out is better than
// the one it was left out for by no more than two values of that row are off; and a candidate is left out for one that
// a row nearer by leaves out, and so on, at most log2(rows) times. So a layer is off by at most (2 log2(n) + 4) 8 u Q
// more than the one before it. Prices (priced_line.hpp) work through the rows in pieces and leave out what lies before
// the best candidate of the piece before: the clusters of the best clustering do not overlap, so on its way this
// happens at most as many times more as there are pieces. Counted twice, once for the bound and once for the cost of
// the clustering that was found:
//   (k (2 log2(n) + 4) + pieces) 16 u Q.
//
// A cost alone. The sums of a cluster of n atoms are off by at most (n + 4) u times twice their larger end, as |S| and
// Q grow outwards. With the mean m that follows from them, whatever it is, the true cost is at most Q - 2 m S + m^2 W
// of the true sums: cost_rounding() adds up (n + 8) 4 u (|Q| + 2 |m S| + m^2 |W|), the evaluation included.
//
// IEEE double, rounded up a little. Cost: 3 ns per atom, nothing for up to 16,384 points of whole weights.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <lutra/cluster/line.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// How much more than l.cost(i, j) says the true cost of these points may be, or that of the means of these atoms.
// Infinite where the sums hold no weight.
inline double cost_rounding(const line& l, index_t i, index_t j) noexcept {
  const auto larger = [&](const std::vector<double>& sum) {
    return std::max(std::fabs(sum[to_size(i)]), std::fabs(sum[to_size(j)]));
  };
  const double mean = std::fabs(l.mean(i, j));
  const double sums = larger(l.q) + mean * (2 * larger(l.s) + mean * larger(l.w));
  const double most = 0x1p-51 * static_cast<double>(j - i + 8) * sums;
  return most >= 0 ? most : std::numeric_limits<double>::infinity();
}
// The same of a whole clustering, but no more than what all values in one cluster at the origin would cost.
inline double cost_rounding(const line& l, std::span<const index_t> starts) noexcept {
  double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    sum += cost_rounding(l, starts[c], c + 1 < starts.size() ? starts[c + 1] : l.size());
  }
  return std::min(sum, (l.q.back() - l.q.front()) * (1 + 0x1p-20));
}

// Bounds for one line. Value type.
class line_rounding {
 public:
  line_rounding() = default;
  // `weight`: of the atoms, where those of the line's sums are too coarse. `from_left`: for sums of the same atoms that
  // run from the first to the last instead of from the middle. `one`: what rounding does to 1.
  explicit line_rounding(const line& l, std::span<const double> weight = {}, bool from_left = false,
                         double one = unit) {
    const std::size_t n = l.lo.size();
    if (n == 0) return;
    one_ = one;
    squares_ = l.q.back() - l.q.front();
    links_ = 2 * static_cast<double>(std::bit_width(n)) + 4;
    const double range = l.largest(l.size() - 1) - l.least(0);
    // Of few points that weigh at least 1 a coarser bound will do: |S| grows outwards, and f^2 <= 2 u^2 (S^2 + 16 x^2
    // w^2).
    if (l.whole && l.hi.empty() && n <= few && !from_left && weight.empty()) {
      const double most = std::max(std::fabs(l.s.front()), std::fabs(l.s.back()));
      const double root = 8 * one * one * (static_cast<double>(n) * (most * most) + 16 * squares_);
      data_.fill({.root = root});
      return;
    }
    const double both = from_left ? 2 * one : one;  // both entries are rounded, each by itself
    const double of_weight = l.whole ? 0.0 : both;
    const double first_w = from_left ? l.w[0] : 0.0, first_s = from_left ? l.s[0] : 0.0;
    const double* const lo = l.lo.data();
    const double* const hi = l.hi.empty() ? lo : l.hi.data();
    std::array<in_lanes, limits> found;
    for (std::size_t a = 0; a < n; ++a) {
      const double w = weight.empty() ? l.w[a + 1] - l.w[a] : weight[a];
      const double x = std::max(std::fabs(lo[a]), std::fabs(hi[a]));
      const auto most = [a](const std::vector<double>& sum, double first) {
        return std::max(std::fabs(sum[a] - first), std::fabs(sum[a + 1] - first));
      };
      const double dw = of_weight * most(l.w, first_w);
      const double f = both * most(l.s, first_s) + one * (4 * x * w) + x * dw;
      const double part = dw / w, root = 4 * (f * f) / w;
      const double lost = w > 0 ? 8 * range * (f + range * dw) : infinity;
      for (std::size_t t = 0; t < limits; ++t) {
        const bool heavy = part <= light[t] && root <= light[t] * light[t] * squares_ && w > 0;
        bounds& sum = found[t][a % lanes];
        sum.part = std::max(sum.part, heavy ? part : 0.0);
        sum.root += heavy ? root : 0.0;
        sum.lost += heavy ? 0.0 : lost;
      }
    }
    for (std::size_t t = 0; t < limits; ++t) {
      for (const bounds& b : found[t]) {
        data_[t].part = std::max(data_[t].part, b.part);
        data_[t].root += b.root;
        data_[t].lost += b.lost;
      }
    }
  }

  // How much less than the difference of the costs found for two clusterings into k, of which one is the best found
  // and none costs more than `known`, the true one may be.
  // `pieces`: of a programme by prices.
  double operator()(index_t k, double known, index_t pieces = 0) const noexcept {
    const double comparisons = static_cast<double>(k) * links_ + static_cast<double>(pieces);
    const double programme = comparisons * (16 * one_) * squares_;
    known = std::max(0.0, known) + comparisons * one_ * squares_;  // as it was rounded
    double data = infinity;
    for (const bounds& b : data_) {
      const double root = 2 * std::sqrt(known * b.root) + b.root;
      data = std::min(data, root + 4 * b.part * known + b.lost);
    }
    return (programme + data) * (1 + 0x1.0p-20);
  }

 private:
  static constexpr double unit = 0x1.0p-53;
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr std::size_t few = 16384;
  static constexpr std::size_t limits = 2;
  static constexpr std::array<double, limits> light = {0x1.0p-30, 0x1.0p-20};
  static constexpr std::size_t lanes = 4;
  struct bounds {
    double part = 0, root = 0, lost = 0;
  };
  using in_lanes = std::array<bounds, lanes>;
  double one_ = unit;
  double squares_ = 0;  // range of the sums of squares
  double links_ = 0;
  std::array<bounds, limits> data_;  // by what counts as light
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
