// lutra: priced_line.hpp - an optimal clustering of some thousand points, found by a price per cluster.
// SPDX-License-Identifier: Apache-2.0
//
// With a price p per cluster instead of a number of clusters the dynamic programme has one layer,
//   D[i] = min over j < i of D[j] + cost(j, i) + p,
// and a clustering of least cost and price that happens to have k clusters is an optimal one into k: the others
// into k pay as much for their number. With every cluster more the least cost falls by no more than with the one
// before, so some price gives k unless it falls by just as much; that price is found by trying.
//
// The best j of a row is monotone in i, and neither D nor costs fall with i. So when j' is the best of an earlier
// row, row i wants no j before j', and none with D[j] >= D[j'] + cost(j', i). While that bound is not above the
// last D known, rows need no D that is not known yet: they are solved together (monotone_rows.hpp).
//
// Where no price tried gives k, two on either side still say where the boundaries are. Let X be an optimal
// clustering into k, Y the one of a price into K >= k, which is optimal among those into K. Take at every q the
// larger of boundary q of X and of Y, and the smaller: by the quadrangle inequality these two, again into k and K,
// cost no more together than X and Y, and the second one no less than Y. So an optimal clustering into k has
// boundary q no further left than Y, and, counting from the right end, no further right than boundary q + K - k of
// Y; likewise for a price with fewer clusters. If Y costs d more than its optimum, by rounding, then what is best
// within the windows costs at most 4 d more than X. Each bound holds alone: where many clusterings are optimal, those
// of two prices may contradict each other, and then nothing is said.
//
// Numeric contract: IEEE double, the same on every ISA and compiler. Ties go to the smallest position, as in the
// layered programme (certified_1d.hpp), so that of equal optima its one is found unless rounding decides.
// Cost: 10 to 30 ns per point and price, for one to five prices as a rule, at most 12. Memory: 60 bytes per point.
// Thread safety: one thread's scratch.
#pragma once

#include <lutra/cluster/line_polish.hpp>
#include <lutra/cluster/monotone_rows.hpp>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// What prices find: the first atoms of the clusters of an optimal clustering, or else between which positions
// boundary q = 1..k-1 of one lies, or nothing.
struct priced_clusters {
  // A clustering that is optimal at its price, of one number of clusters or another.
  struct side {
    double price = 0;
    std::vector<index_t> starts;
  };
  std::vector<index_t> starts;
  double price = 0;         // of `starts`
  std::vector<side> sides;  // what the windows were made of, where they were
  std::vector<std::pair<index_t, index_t>> windows;
  double floor = 0;    // no clustering into k costs less, but for rounding (line_rounding.hpp)
  index_t pieces = 0;  // in which rows were solved, at most
};

// Prefix sums at the positions between which clusters may lie, readable eight entries beyond the last one.
struct padded_sums {
  const double* w;
  const double* s;
  const double* q;
  index_t size = 0;  // positions, one more than there are atoms
};

template <class Level> class priced_line {
 public:
  // Whether looking is quicker than going from coarse to fine: clusters must not be long.
  static bool worth_it(index_t atoms, index_t k) noexcept { return atoms <= 256 * k; }

  // 1 < k < l.size(); l holds points.
  priced_clusters operator()(const line& l, index_t k) {
    std::vector<index_t> starts = equal_shares(l, k);
    const double cost = polish(l, starts, 2);
    const auto padded = [](std::vector<double>& out, const std::vector<double>& sums) {
      renew(out, sums.size() + more);
      std::copy(sums.begin(), sums.end(), out.begin());
      std::fill(out.end() - more, out.end(), sums.back());
      return out.data();
    };
    return (*this)({padded(copy_w_, l.w), padded(copy_s_, l.s), padded(copy_q_, l.q), l.size() + 1},
                   k, cost);
  }
  // `cost`: of some good clustering.
  priced_clusters operator()(const padded_sums& sums, index_t k, double cost) {
    constexpr int most_prices = 12;
    load(sums);
    double price = first_price(cost, k);
    priced_clusters result;
    // Of the last prices that gave fewer clusters, and more.
    priced few{infinity, extended(0, n_), {0}};
    priced many{0, 0, std::vector<index_t>(size(n_))};
    std::iota(many.starts.begin(), many.starts.end(), index_t{0});
    search next;
    for (int i = 0; i < most_prices && price > 0 && price < infinity; ++i) {
      priced found = solve(price);
      const index_t clusters = found.clusters();
      if (clusters == 0) return {};
      result.pieces = std::max(result.pieces, pieces_);
      result.floor = std::max(result.floor, found.cost + price * static_cast<double>(clusters - k));
      if (clusters == k) {
        result.starts = std::move(found.starts);
        result.price = price;
        return result;
      }
      const bool fewer = clusters < k;
      priced& last = fewer ? few : many;
      const bool again = clusters == last.clusters();
      if (again && next.even) break;  // no number in between is any better
      last = std::move(found);
      price = next.price(few, many, k, fewer);
    }
    result.windows = windows(few, many, k);
    if (result.windows.empty()) return result;
    for (priced* const p : {&few, &many}) {
      // One cluster of all and clusters of one point each are optimal whatever the price.
      if (p->clusters() == 1 || p->clusters() == n_) continue;
      result.sides.push_back({p->price, std::move(p->starts)});
    }
    return result;
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr std::ptrdiff_t more = 8;  // rows and candidates are read by eights
  static std::size_t size(index_t i) noexcept { return to_size(i); }

  // A clustering of least cost and price.
  struct priced {
    double price = 0;
    double cost = 0;  // without the prices
    std::vector<index_t> starts;
    index_t clusters() const noexcept { return std::ssize(starts); }
  };

  // What one cluster more saves, if costs fall like the square of the number of clusters. `cost`: of a clustering
  // that is a little too dear.
  static double first_price(double cost, index_t k) noexcept {
    return 1.86 * cost / static_cast<double>(k);
  }
  // Which price to try next.
  struct search {
    bool even = false;  // the last one made the clusterings on either side equally dear

    double price(const priced& few, const priced& many, index_t k, bool fewer) {
      constexpr index_t close = 4;
      (fewer ? any_few_ : any_many_) = true;
      in_a_row_ = fewer == last_fewer_ ? std::min(2 * in_a_row_, 64) : 1;
      last_fewer_ = fewer;
      const bool both = any_few_ && any_many_;
      double next = nearer(fewer ? few : many, k, both ? 1 : in_a_row_);
      even = both && (in_a_row_ > 1 || !(many.price < next && next < few.price) ||
                      many.clusters() - few.clusters() <= close);
      if (even) next = even_price(few, many);
      return next;
    }

   private:
    // By the cube of what is missing; most likely the number is missed by little. Further, if tries on the same side
    // did not do.
    static double nearer(const priced& p, index_t k, int stride) noexcept {
      const double beyond = 0.3 - 0.15 * (stride - 1);
      const double between =
          static_cast<double>(p.clusters()) + (p.clusters() < k ? beyond : -beyond);
      const double ratio = between / static_cast<double>(k);
      return p.price * (ratio * ratio * ratio);
    }
    bool any_few_ = false, any_many_ = false, last_fewer_ = false;
    int in_a_row_ = 1;
  };
  // Where two clusterings are equally dear: whatever is better than both has a number in between.
  static double even_price(const priced& few, const priced& many) noexcept {
    return (few.cost - many.cost) / static_cast<double>(many.clusters() - few.clusters());
  }

  void load(const padded_sums& sums) {
    n_ = sums.size - 1;
    w_ = sums.w;
    s_ = sums.s;
    q_ = sums.q;
    for (auto* a : {&own_, &base_, &least_}) renew(*a, size(n_) + 1 + more);
    renew(begin_, size(n_) + 1 + more);
    least_[0] = 0;
  }

  // The clustering of this price. Without clusters: they are so long that looking takes too much time.
  priced solve(double price) {
    for (std::size_t i = 0; i < own_.size(); ++i) own_[i] = q_[i] + price;
    base_[0] = -q_[0];
    const monotone_rows<true, Level> rows(w_, s_, base_.data(), least_.data(), begin_.data());
    index_t budget = 64 * n_;
    index_t from = 0, to = 0;  // where clusters may begin
    pieces_ = 0;
    for (index_t i = 1; i <= n_;) {
      const index_t last = last_ready(i, from);
      ++pieces_;
      const double bound = extended(from, last);
      to = std::max(from, to);
      while (to + 1 < i && least_[size(to + 1)] < bound) ++to;
      budget -= to - from + 1;
      if (budget < 0) return {};
      if (last - i < 8) {
        rows.solve(i, last + 1, from, to, own_.data(), infinity);
      } else {  // the last row first: the others want nothing beyond its best
        rows.solve_row(last, from, to, own_.data());
        rows.solve(i, last, from, begin_[size(last)], own_.data(), infinity);
      }
      for (; i <= last; ++i) base_[size(i)] = least_[size(i)] - q_[size(i)];
      from = begin_[size(last)];
    }
    return traced(price);
  }
  // Cost of the atoms before `row` with the last cluster from `from` on, its price left out.
  double extended(index_t from, index_t row) const noexcept {
    const std::size_t a = size(from), b = size(row);
    const double moment = s_[b] - s_[a];
    const double weight = std::max(w_[b] - w_[a], std::numeric_limits<double>::min());
    return least_[a] + ((q_[b] - q_[a]) - moment * moment / weight);
  }
  // The last of the rows from `row` on that can be solved now, found in steps of eight that grow by half.
  index_t last_ready(index_t row, index_t from) const noexcept {
    index_t last = row;
    for (index_t rows = 4; last < n_; rows += rows < 8 ? 4 : std::max<index_t>(8, rows / 16 * 8)) {
      const index_t further = std::min(row + rows - 1, n_);
      if (!(extended(from, further) <= least_[size(row - 1)])) break;
      last = further;
    }
    return last;
  }
  priced traced(double price) const {
    index_t clusters = 0;
    for (std::size_t i = size(n_); i > 0; i = begin_[i]) ++clusters;
    priced p{price, least_[size(n_)] - price * static_cast<double>(clusters), {}};
    p.starts.resize(size(clusters));
    std::size_t i = size(n_);
    for (std::size_t c = size(clusters); c-- > 0;) {
      i = begin_[i];
      p.starts[c] = static_cast<index_t>(i);
    }
    return p;
  }

  // One position more on each side: where rounding decides, the layered programme decides. Empty if that says
  // little.
  std::vector<std::pair<index_t, index_t>> windows(const priced& few, const priced& many,
                                                   index_t k) const {
    const index_t surplus = many.clusters() - k;
    const index_t missing = k - few.clusters();
    std::vector<std::pair<index_t, index_t>> found;
    index_t positions = 0;
    for (index_t q = 1; q < k; ++q) {
      index_t from = many.starts[size(q)];
      index_t to = many.starts[size(q + surplus)];
      if (q < few.clusters()) to = std::min(to, few.starts[size(q)]);
      if (q > missing) from = std::max(from, few.starts[size(q - missing)]);
      if (from > to) return {};  // among equal optima those of two prices may cross
      found.emplace_back(std::max(from - 1, q), std::min(to + 1, n_ - (k - q)));
      positions += found.back().second - found.back().first;
    }
    if (positions > 8 * n_) found.clear();
    return found;
  }

  index_t n_ = 0;
  index_t pieces_ = 0;
  const double* w_ = nullptr;
  const double* s_ = nullptr;
  const double* q_ = nullptr;
  std::vector<double> copy_w_, copy_s_, copy_q_;  // of a line, padded
  std::vector<double> own_, base_, least_;        // own_: q and the price; base_: D - q
  std::vector<std::uint32_t> begin_;              // of the last cluster
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
