// lutra: optimal_starts.hpp - the optimal cut of sorted atoms into intervals, by the quickest precise way.
// SPDX-License-Identifier: Apache-2.0
//
// Clusters that are not long are found by prices (priced_line.hpp) and, where sums of all squares are too coarse,
// proven by them (priced_proof.hpp); others are found coarse to fine (certified_1d.hpp).
// Where the prefix sums are so large beside the result that rounding could hide the optimum - a huge outlier, two
// narrow modes far apart - the windows of a second solve, which starts without those of prices, still name
// boundaries that are settled. The atoms are cut there, and each part is solved alone, with sums of its own.
// Without a settled boundary, a gap so wide that no cluster of an optimum can span it holds one; which one it is,
// is tried. Before all that, gaps are made shorter (shorter_gaps.hpp), and windows that hold few positions are
// searched in double-double (window_programme.hpp). What remains is solved by the plain programme (interval_dp.hpp),
// which counts in double-double when it must.
//
// Numeric contract: IEEE double, identical on every ISA and compiler. The cost of the result differs from
// the optimum by rounding only, as a rule at most 1e-10 of it.
// Thread safety: a workspace belongs to one thread.
#pragma once

#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/interval_dp.hpp>
#include <lutra/cluster/interval_moments.hpp>
#include <lutra/cluster/priced_line.hpp>
#include <lutra/cluster/priced_proof.hpp>
#include <lutra/cluster/shorter_gaps.hpp>
#include <lutra/cluster/window_programme.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Memory that clusterings one after the other share.
template <class A> struct exact_workspace {
  atoms_1d atoms;
  atom_sorter sorter;
  line points;
  certified_solver<A> solver;
  priced_line<A> prices;
  priced_proof proof;
};

// Solves atoms part by part; private to optimal_starts.
template <class A> class parted_solver {
 public:
  // `tolerance`: part of the cost that rounding may make a difference of; 0: what is quick to prove.
  parted_solver(const atoms_1d& atoms, index_t k, std::size_t table_limit, double tolerance,
                exact_workspace<A>& work)
      : atoms_(atoms),
        table_limit_(table_limit),
        tolerance_(tolerance / static_cast<double>(k)),
        work_(work) {}

  // Appends the first atom of each of the k intervals of the atoms [begin, end). 1 <= k <= end - begin.
  // What is below 1e-10 of `scale` does not matter. Adds to rounding() what that clustering may cost too much.
  void solve(index_t begin, index_t end, index_t k, double scale, std::vector<index_t>& starts) {
    constexpr index_t few = 256;
    const index_t n = end - begin;
    const auto part = [&](const std::vector<double>& v) {
      return std::span<const double>(v).subspan(to_size(begin), to_size(n));
    };
    if (n == k) {
      for (index_t i = begin; i < end; ++i) starts.push_back(i);
      return;
    }
    line& points = work_.points;
    line_of_points<A>(part(atoms_.value), part(atoms_.weight), points);
    double bound = cost_of_rest(points, k);
    // Beside outliers as far as 2^50 not even sums in double-double hold the others.
    const double reach = std::max(-points.least(0), points.largest(n - 1));
    if (n > few || reach * reach > 0x1p100 * bound) {
      double inertia = 0;
      if (quick({}, k, scale, bound, inertia, starts, begin)) return;
      // Sums are small enough, as a rule, once gaps are as short as they may be: beside far outliers not those that
      // say how short.
      shorter_gaps gaps;
      for (double last = infinity; bound < last / 4;) {
        line_of_points<A>(part(atoms_.value), part(atoms_.weight), points);
        gaps = shorter_gaps(points, bound);
        if (gaps.empty()) break;
        std::vector<double> moved(to_size(n));
        for (std::size_t i = 0; i < moved.size(); ++i) {
          moved[i] = gaps.distance(part(atoms_.value)[i]);
        }
        line_of_points<A>(moved, part(atoms_.weight), points);
        points.origin = gaps.origin();
        last = bound;
        if (quick(gaps, k, scale, bound, inertia, starts, begin)) return;
      }
      inertia = std::max(scale, std::min(bound, inertia));
      // Prices come from the same sums, so they may miss the optimum.
      const certified_clusters found = work_.solver.solve(points, k, {.final_windows = true});
      if (solve_in_windows(begin, end, k, scale, gaps, found.windows, 0, starts)) return;
      // The windows are those of the points as they were moved.
      const double before = rounding_;
      rounding_ += moved(gaps, begin, bound);
      if (solve_parts(begin, end, k, inertia, found, starts)) return;
      if (solve_beside_gap(begin, end, k, inertia, bound, found, starts)) return;
      rounding_ = before;
    }
    plain(begin, end, k, scale, starts);
  }
  // No clustering costs so much less than the one found, but for what lane sums of its cost may miss.
  double rounding() const noexcept { return rounding_; }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  // The clustering of the points of the workspace, appended to `starts` if it is as precise as it should be. `bound`,
  // of what an optimum costs, is made smaller.
  bool quick(const shorter_gaps& gaps, index_t k, double scale, double& bound, double& inertia,
             std::vector<index_t>& starts, index_t begin) {
    constexpr double precise = 1e-10;
    const line& points = work_.points;
    const line_rounding errors(points);
    priced_clusters found;
    if (k > 1 && priced_line<A>::worth_it(points.size(), k)) found = work_.prices(points, k);
    inertia = total_cost(points, found.starts);
    double excess = 0;
    const bool windowed = found.starts.empty() && !found.windows.empty();
    if (found.starts.empty()) {
      // The windows of prices are so narrow that all their positions are tried at once.
      const certified_options how{.windows = found.windows, .narrow = !found.windows.empty()};
      certified_clusters layered = work_.solver.solve(points, k, how);
      inertia = layered.inertia;
      excess = layered.excess;
      found.starts = std::move(layered.starts);
    }
    const double most = std::max(scale, inertia);
    // Windows of prices may leave out what is better by four times as much.
    const double rounded = errors(k, inertia, found.pieces) * (windowed ? 5 : 1);
    double proven = std::max(rounded, excess);
    if (!gaps.empty()) proven += moved(gaps, begin, inertia + cost_rounding(points, found.starts));
    const double usual = std::max(excess - rounded, points.rounding());
    const bool possible = !gaps.spans(points, found.starts);
    if (possible && usual <= precise * most && proven <= tolerable(k) * most) {
      rounding_ += proven;
      for (const index_t s : found.starts) starts.push_back(begin + s);
      return true;
    }
    if (prove_by_price(begin, k, scale, gaps, found, starts)) return true;
    if (possible) {
      for (index_t& s : found.starts) s += begin;
      const interval_moments cost = cost_of(found.starts, begin + points.size());
      bound = std::min(bound, cost.inertia + cost.rounding);
    }
    return false;
  }

  // What prices have found may be optimal although sums of all squares do not say so (priced_proof.hpp). Proofs are of
  // the atoms as they are, whether the points of the workspace were moved or not; what the windows of two prices leave
  // out costs at most twice as much less as each of the two costs too much for its price (priced_line.hpp).
  bool prove_by_price(index_t begin, index_t k, double scale, const shorter_gaps& gaps,
                      const priced_clusters& found, std::vector<index_t>& starts) {
    constexpr double precise = 1e-10;
    const index_t end = begin + work_.points.size();
    const auto part = [&](const std::vector<double>& v) {
      return std::span<const double>(v).subspan(to_size(begin), to_size(end - begin));
    };
    // What a clustering costs too much for its price.
    const auto excess = [&](std::span<const index_t> from, double price) {
      std::vector<index_t> all(from.begin(), from.end());
      for (index_t& s : all) s += begin;
      const interval_moments cost = cost_of(all, end);
      const double least =
          work_.proof(part(atoms_.value), part(atoms_.weight), price, std::ssize(all));
      return std::pair(cost.inertia + cost.rounding - least, cost.inertia);
    };
    if (found.price > 0) {
      const auto [missed, cost] = excess(found.starts, found.price);
      const double most = std::max(scale, cost);
      if (!(missed <= std::min(precise, tolerable(k)) * most)) return false;
      rounding_ += missed;
      for (const index_t s : found.starts) starts.push_back(begin + s);
      return true;
    }
    if (found.windows.empty()) return false;
    double missed = 0;
    for (const priced_clusters::side& side : found.sides) {
      missed += 2 * excess(side.starts, side.price).first;
    }
    return solve_in_windows(begin, end, k, scale, gaps, found.windows, missed, starts);
  }

  // What may be lost of the difference of two costs, neither above `cost`, by moving the points of the workspace.
  double moved(const shorter_gaps& gaps, index_t begin, double cost) const {
    if (gaps.empty()) return 0;
    double blur = 0;
    for (index_t i = begin; i < begin + work_.points.size(); ++i) {
      const double lost = gaps.lost(atoms_.value[to_size(i)]);
      blur += atoms_.weight[to_size(i)] * (lost * lost);
    }
    return 4 * std::sqrt(cost * blur) + 4 * blur;
  }

  // In double-double, within windows that hold a clustering of the points of the workspace which costs no more than
  // `missed` above the least. false: they are wide, or that does not do.
  bool solve_in_windows(index_t begin, index_t end, index_t k, double scale,
                        const shorter_gaps& gaps,
                        std::span<const std::pair<index_t, index_t>> windows, double missed,
                        std::vector<index_t>& starts) {
    const double most_work =
        (1 << 22) + 4 * static_cast<double>(end - begin);  // 1.2e7 were needed for 1.5e7 points
    if (window_programme<A>::work(windows) > most_work) return false;
    const line& points = work_.points;
    const auto weight =
        std::span<const double>(atoms_.weight).subspan(to_size(begin), points.lo.size());
    const interval_sums<double_double, A> sums(points.lo, weight);
    std::vector<index_t> best = window_programme<A>(sums, windows)();
    if (best.empty() || gaps.spans(points, best)) return false;
    for (index_t& s : best) s += begin;
    const double cost = cost_of(best, end).inertia;
    double blur = 0;  // of distances from the origin, which are doubles
    for (std::size_t i = 0; i < weight.size(); ++i) {
      const double coarse = 0x1p-52 * points.lo[i];
      blur += weight[i] * (coarse * coarse);
    }
    const line_rounding errors(points, weight, true, double_double_unit);
    const double most = errors(k, cost) + layers_in_double(k, cost) + moved(gaps, begin, cost) +
                        4 * std::sqrt(cost * blur) + 4 * blur + missed;
    if (!(most <= tolerable(k) * std::max(scale, cost))) return false;
    rounding_ += most;
    starts.insert(starts.end(), best.begin(), best.end());
    return true;
  }

  static constexpr double double_double_unit = 0x1p-100;  // of its 106 bits
  // In double-double, what layers add up is rounded to double, and costs hardly at all.
  static double layers_in_double(index_t k, double cost) noexcept {
    return static_cast<double>(k) * 0x1p-44 * cost;
  }

  // By the plain programme, in double where that is good enough or double-double takes too long.
  void plain(index_t begin, index_t end, index_t k, double scale, std::vector<index_t>& starts) {
    const auto part = [&](const std::vector<double>& v) {
      return std::span<const double>(v).subspan(to_size(begin), to_size(end - begin));
    };
    constexpr index_t most_rows = index_t{1} << 24;  // in double-double
    line_of_points<A>(part(atoms_.value), part(atoms_.weight), work_.points);
    for (const bool in_double : {true, false}) {
      // The sums of the plain programme run from the left.
      const line_rounding errors(work_.points, part(atoms_.weight), true,
                                 in_double ? 0x1p-53 : double_double_unit);
      std::vector<index_t> found = optimal_intervals<A>(
          part(atoms_.value), part(atoms_.weight), static_cast<int>(k), table_limit_, in_double);
      for (index_t& s : found) s += begin;
      const double cost = cost_of(found, end).inertia;
      const double most = errors(k, cost) + (in_double ? 0.0 : layers_in_double(k, cost));
      const bool long_way = (end - begin) * k > most_rows;
      if (in_double && !long_way && !(most <= tolerable(k) * std::max(scale, cost))) continue;
      rounding_ += most;
      starts.insert(starts.end(), found.begin(), found.end());
      return;
    }
  }
  // What rounding may do to sums in double, as a part of the cost: as a rule it does much less.
  double tolerable(index_t k) const noexcept {
    const double quick = k <= 32 ? 1e-5 : 1e-3;
    return tolerance_ > 0 ? tolerance_ * static_cast<double>(k) : quick;
  }

  // false: no boundary is settled.
  bool solve_parts(index_t begin, index_t end, index_t k, double scale,
                   const certified_clusters& found, std::vector<index_t>& starts) {
    index_t first = begin;
    index_t clusters = 0;  // before `first`
    bool any = false;
    for (index_t q = 1; q <= k; ++q) {
      const bool last = q == k;
      if (!last) {
        const auto& [from, to] = found.windows[to_size(q - 1)];
        if (from != to) continue;
        any = true;
      }
      if (!any) return false;
      const index_t stop = last ? end : begin + found.windows[to_size(q - 1)].first;
      solve(first, stop, q - clusters, scale, starts);
      first = stop;
      clusters = q;
    }
    return true;
  }

  // `bound`: of what an optimum costs. false: no gap is wide enough, or there is too much to try.
  bool solve_beside_gap(index_t begin, index_t end, index_t k, double scale, double bound,
                        const certified_clusters& found, std::vector<index_t>& starts) {
    const double* const value = atoms_.value.data();
    index_t at = begin + 1;
    for (index_t i = begin + 2; i < end; ++i) {
      if (value[i] - value[i - 1] > value[at] - value[at - 1]) at = i;
    }
    // A cluster that spans the gap holds at least the atoms beside it.
    const double left = atoms_.weight[to_size(at - 1)];
    const double right = atoms_.weight[to_size(at)];
    const double gap = value[at] - value[at - 1];
    if (!(gap * gap * (left * right / (left + right)) > 2 * bound)) return false;
    std::vector<index_t> best;
    double least = std::numeric_limits<double>::infinity();
    for (index_t q = 1; q < k; ++q) {
      const auto& [from, to] = found.windows[to_size(q - 1)];
      const bool possible = from <= at - begin && at - begin <= to;
      if (!possible || q > at - begin || k - q > end - at) continue;
      if (tries_ == 0) return false;
      --tries_;
      std::vector<index_t> trial;
      solve(begin, at, q, scale, trial);
      solve(at, end, k - q, scale, trial);
      const double cost = cost_of(trial, end).inertia;
      if (!(cost < least)) continue;
      least = cost;
      best.swap(trial);
    }
    starts.insert(starts.end(), best.begin(), best.end());
    return !best.empty();
  }

  // Cost of the intervals from starts[0] to `end`, and what rounding may do to it.
  interval_moments cost_of(std::span<const index_t> starts, index_t end) const {
    compensated_sum sum;
    interval_moments all;
    for (std::size_t c = 0; c < starts.size(); ++c) {
      const index_t stop = c + 1 < starts.size() ? starts[c + 1] : end;
      const interval_moments found = moments_of(atoms_, to_size(starts[c]), to_size(stop));
      sum.add(found.inertia);
      all.rounding += found.rounding;
    }
    all.inertia = sum.value();
    return all;
  }

  const atoms_1d& atoms_;
  std::size_t table_limit_;
  double tolerance_;  // per cluster
  exact_workspace<A>& work_;
  double rounding_ = 0;
  int tries_ = 24;  // of places for a boundary, in all
};

// First atom of each of the k intervals of least cost, 1 <= k <= atoms. `rounding`: no others cost less by more, as
// a rule than `tolerance` times the cost, if that is given.
template <class A>
std::vector<index_t> optimal_starts(const atoms_1d& atoms, int k, std::size_t table_limit,
                                    exact_workspace<A>& work, double* rounding = nullptr,
                                    double tolerance = 0) {
  std::vector<index_t> starts;
  parted_solver<A> solver(atoms, k, table_limit, tolerance, work);
  solver.solve(0, atoms.size(), k, 0.0, starts);
  if (rounding != nullptr) *rounding = solver.rounding();
  return starts;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
