// lutra: penalty_windows.hpp - where the boundaries of an optimal clustering lie, for many clusters of few atoms.
// SPDX-License-Identifier: Apache-2.0
//
// With a price p per cluster instead of a number of clusters the programme has one layer:
//   D[i] = min over j < i of D[j] + cost(j, i) + p.
// Its best j is monotone in i, so a row looks at the atoms of the cluster that ends there and no others. Eight
// prices are solved side by side, and each pass narrows the prices between which the number of clusters passes
// through k; the layers for each k need never be formed.
//
// Why the windows hold an optimum. Let X be an optimal clustering into k, Y the one of a price into K >= k, which
// is optimal among those into K. Take at every q the larger of boundary q of X and of Y, and the smaller: by the
// quadrangle inequality these two, again into k and K, cost no more together than X and Y, and the second one no
// less than Y. So an optimal clustering into k has boundary q no further left than Y, and, counting from the right
// end, no further right than boundary q + K - k of Y; likewise for a price with fewer clusters. If Y costs d more
// than its optimum, by rounding, then what is best within the windows costs at most 4 d more than X. Ties go to the
// smallest position, here as in the layered programme, so of equal optima the windows hold the one that is its
// result.
//
// Numeric contract: IEEE double, the same on every ISA and compiler.
// Cost: three to six passes over the pairs of atoms that share a cluster, about 1 ns each; 128 bytes per atom.
// Thread safety: one thread's scratch.
#pragma once

#include <lutra/cluster/lanes.hpp>
#include <lutra/cluster/line.hpp>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

template <class A> class penalty_windows {
 public:
  // Whether looking is quicker than the layers: clusters must be short.
  static bool worth_it(index_t atoms, index_t k) noexcept { return k > 32 && atoms <= k * k / 4; }

  // Boundary q = 1..k-1 of an optimal clustering of points lies between these positions. Empty: the clusters
  // of such prices are too long, or their numbers jump too far. 1 <= k < l.size(); l holds points.
  std::vector<std::pair<index_t, index_t>> operator()(const line& l, index_t k) {
    load(l);
    more_ = less_ = {};
    budget_ = 4 * k * l.size();
    std::array<double, lanes8> price = first_prices(l, k);
    for (int pass = 0; pass < most_passes; ++pass) {
      if (!solve(price)) return {};
      keep(price, k);
      if (more_.starts.empty() || less_.starts.empty()) {
        // All prices were too low, or all too high.
        for (double& p : price) p *= less_.starts.empty() ? 0x1p8 : 0x1p-8;
        if (!(price.front() > 0 && price.back() < std::numeric_limits<double>::max())) return {};
        continue;
      }
      if (more_.clusters - less_.clusters <= close_enough) break;
      const double step = (less_.price - more_.price) / (lanes8 + 1);
      for (std::size_t i = 0; i < lanes8; ++i) {
        price[i] = more_.price + static_cast<double>(i + 1) * step;
      }
    }
    if (more_.starts.empty() || less_.starts.empty()) return {};
    return windows(k);
  }

 private:
  static constexpr int most_passes = 8;
  static constexpr index_t close_enough = 4;
  struct priced {
    double price = 0;
    std::size_t lane = 0;
    index_t clusters = 0;
    std::vector<index_t> starts;  // of the clusters, ascending
  };

  void load(const line& l) {
    n_ = static_cast<std::size_t>(l.size());
    const auto padded = [&](std::vector<double>& out, const std::vector<double>& sums) {
      out.assign(sums.begin(), sums.end());
      out.resize(sums.size() + lanes8);  // read by eights
    };
    padded(w_, l.w);
    padded(s_, l.s);
    padded(q_, l.q);
    least_.resize((n_ + 1 + lanes8) * lanes8);
    from_.resize((n_ + 1) * lanes8);
  }

  // Around the price at which one cluster more or less than k pays: the cost falls by the square of k.
  std::array<double, lanes8> first_prices(const line& l, index_t k) const {
    double cost = 0;
    index_t begin = 0;
    for (index_t c = 1; c <= k && begin < l.size(); ++c) {
      const double target = l.spread.back() * static_cast<double>(c) / static_cast<double>(k);
      const index_t end = c == k
                              ? l.size()
                              : std::lower_bound(l.spread.begin() + begin, l.spread.end(), target) -
                                    l.spread.begin();
      cost += l.cost(begin, end);
      begin = end;
    }
    std::array<double, lanes8> price{};
    for (std::size_t i = 0; i < lanes8; ++i) {
      price[i] = 2 * cost / static_cast<double>(k) * static_cast<double>(1 << i) * 0x1p-5;
    }
    return price;
  }

  // The best clustering for each of ascending prices. false: the budget is spent.
  bool solve(const std::array<double, lanes8>& price) {
    // The dearest clusters are the longest ones. A row looks at what was found some rows ago: it need not wait.
    constexpr std::size_t lag = 4;
    const double8<A> prices = double8<A>::load(price.data());
    double8<A> least = double8<A>::filled(0.0);
    std::fill(least_.begin(), least_.end(), std::numeric_limits<double>::infinity());
    least.store(from_.data());
    for (std::size_t i = 1; i <= n_; ++i) {
      const std::size_t first = i > lag ? begin_of(lanes8 - 1, i - lag) : 0;
      budget_ -= static_cast<index_t>(i - first);
      if (budget_ < 0) return false;
      running_minimum8<A> minimum = best_begin(first, i);
      minimum.take(least,
                   double8<A>::filled(static_cast<double>(i - 1)));  // one atom costs nothing
      least.store(least_.data() + (i - 1) * lanes8);
      least = minimum.least8() + prices;
      minimum.column8().store(from_.data() + i * lanes8);
    }
    return true;
  }
  // Where the last cluster of the atoms before `end` begins, two atoms or more, from `first` on.
  running_minimum8<A> best_begin(std::size_t first, std::size_t end) const noexcept {
    const auto w = double8<A>::filled(w_[end]);
    const auto s = double8<A>::filled(s_[end]);
    const auto q = double8<A>::filled(q_[end]);
    running_minimum8<A> minimum(first);
    for (std::size_t j = first; j + 1 < end; j += lanes8) {
      const auto cost =
          interval_cost<A>(w - double8<A>::load(w_.data() + j), s - double8<A>::load(s_.data() + j),
                           q - double8<A>::load(q_.data() + j))
              .values();
      // Rows from end - 1 on are infinite yet. In pairs and fours: fewer steps wait for each other.
      const auto column = [&](std::size_t c) {
        const double* const least = least_.data() + (j + c) * lanes8;
        return running_minimum8<A>(double8<A>::load(least) + double8<A>::filled(cost[c]),
                                   double8<A>::filled(static_cast<double>(j + c)));
      };
      for (std::size_t c = 0; c < lanes8 && j + c + 1 < end; c += 4) {
        auto four = column(c), second = column(c + 2);
        four.take(column(c + 1));
        second.take(column(c + 3));
        four.take(second);
        minimum.take(four);
      }
    }
    return minimum;
  }

  // Keeps the clusterings of the prices next to the one that is looked for.
  void keep(const std::array<double, lanes8>& price, index_t k) {
    std::array<index_t, lanes8> clusters{};
    std::array<std::size_t, lanes8> at{};
    at.fill(n_);
    for (bool any = true; any;) {  // all at a time: they need not wait for each other
      any = false;
      for (std::size_t lane = 0; lane < lanes8; ++lane) {
        clusters[lane] += at[lane] > 0 ? 1 : 0;
        at[lane] = begin_of(lane, at[lane]);
        any = any || at[lane] > 0;
      }
    }
    for (std::size_t lane = 0; lane < lanes8; ++lane) {
      if (clusters[lane] >= k) more_ = {price[lane], lane, clusters[lane], {}};
      if (clusters[lane] > k) continue;
      less_ = {price[lane], lane, clusters[lane], {}};
      break;
    }
    for (priced* p : {&more_, &less_}) {
      if (p->clusters > 0 && p->starts.empty()) trace(*p);
    }
  }
  std::size_t begin_of(std::size_t lane, std::size_t end) const noexcept {
    return static_cast<std::size_t>(from_[end * lanes8 + lane]);
  }
  void trace(priced& out) const {
    out.starts.resize(static_cast<std::size_t>(out.clusters));
    for (std::size_t i = n_, c = out.starts.size(); c-- > 0;) {
      i = begin_of(out.lane, i);
      out.starts[c] = static_cast<index_t>(i);
    }
  }

  // One position more on each side: where rounding decides, the layered programme decides.
  std::vector<std::pair<index_t, index_t>> windows(index_t k) const {
    const auto n = static_cast<index_t>(n_);
    const index_t more = more_.clusters - k;
    const index_t less = k - less_.clusters;
    std::vector<std::pair<index_t, index_t>> found;
    for (index_t q = 1; q < k; ++q) {
      const auto at = [](const priced& p, index_t c) {
        return p.starts[static_cast<std::size_t>(c)];
      };
      index_t from = at(more_, q);
      index_t to = at(more_, q + more);
      if (q < less_.clusters) to = std::min(to, at(less_, q));
      if (q > less) from = std::max(from, at(less_, q - less));
      found.emplace_back(std::max(from - 1, q), std::min(to + 1, n - (k - q)));
    }
    return found;
  }

  std::size_t n_ = 0;
  index_t budget_ = 0;  // pairs of atoms that may still be looked at
  std::vector<double> w_, s_, q_;
  std::vector<double> least_,
      from_;            // by end of the last cluster and price: the cost, and where it begins
  priced more_, less_;  // at least and at most k clusters
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
