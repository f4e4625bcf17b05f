// lutra: certified_1d.hpp - optimal k-means of atoms on a line, with a proven lower bound.
// SPDX-License-Identifier: Apache-2.0
//
// Coarse to fine. Boundary l of an optimal clustering P of the original values is known to lie in a
// window of positions (at first: anywhere). At each level the union of the windows is cut by a common
// grid; an interval dynamic programme over the grid positions gives F_q(g), the least cost of the
// values left of g in at most q clusters, G_q(g) likewise on the right, and V = F_k(end). Then windows
// shrink, the grid gets finer, and at the last level it holds every position of the windows.
//
// Why nothing is lost. Let c_1 <= ... <= c_k be the centroids of P, t_l the midpoint of c_l and c_(l+1),
// D_l = c_(l+1) - c_l. Call the values between neighbouring grid positions a block (n_a their weight,
// m_a their mean, M_a the weighted sum of |x - m_a|, r_a their range), and give every block whole to
// the cluster whose cell holds m_a. A value x of the block pays, by telescoping over the boundaries
// between x and m_a, sum over l of 2 D_l |t_l - x|. Values that cross t_l lie on one side of it and m_a on the
// other, so together they pay at most 2 D_l * sum (m_a - x)+ = D_l M_a. Each boundary cuts one block:
//   (1)  cost(P) <= best clustering of whole blocks <= cost(P) + slack,  slack = sum over l of D_l M_a(l).
// The blocks of P that reach across a grid position outside every window are never cut, and (1) holds
// for the values left of a grid position g alone, with the centroids of P kept. Hence, if boundary q of
// P lies between the neighbouring grid positions g and h,
//   (2)  F_q(g) + G_(k-q)(h) - slack <= cost(P) <= cost of any clustering known,
// and every block of window q that violates (2) is dropped. Costs on the line leave out what lies within atoms. That is
// the same for all clusterings, but (2) also leaves out the block itself, of which it is at most
// n_a (m_a - lo)(hi - m_a). M_a is at most
// 2 n_a (m_a - lo)(hi - m_a)/(hi - lo), the two-point distribution. Three bounds of the D_l are used:
// D_l is bounded by the windows l-1, l and l+1 (window_slack.hpp); the D_l add up to the range of
// the data; and if t_l is the only boundary in its block, all values of the block are at least D_l/2 - r_a away
// from their centroids. If a block holds more, t_f to t_g, their centroids c_(f+1) to c_g lie between them, and
//   sum over l = f..g of D_l = 2 (c_(f+1) - t_f) + (c_g - c_(f+1)) + 2 (t_g - c_g) <= 2 (t_g - t_f) <= 2 r_a.
// So a block pays at most 2 r_a M_a + 2 (D_l/2 - r_a)+ M_a, the latter for a boundary alone, and as
// sum over blocks of n_a (D_l/2 - r_a)+^2 <= cost(P), with Cauchy's inequality
//   slack <= sum of 2 r_a M_a + 2 sqrt(cost(P)) sqrt(sum of M_a^2 / n_a),
// both sums over the blocks that are cut, at most k - 1 different ones: at most their k - 1 largest terms. It
// does not mind outliers.
//
// Numeric contract: IEEE double throughout, the same on every ISA and compiler; sums of costs may be
// off by what line_rounding.hpp says, which the lower bound allows for. Ties go to the smallest position.
// Cost: about 40 k grid rows per level, two to ten levels. Memory: 12 bytes per row, 60 per grid position.
#pragma once

#include <lutra/cluster/line_polish.hpp>
#include <lutra/cluster/line_rounding.hpp>
#include <lutra/cluster/monotone_rows.hpp>
#include <lutra/cluster/window_slack.hpp>
#include <numeric>
#include <utility>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct certified_options {
  double max_gap = 0;           // stop as soon as inertia / lower_bound - 1 is proven to be below
  index_t row_limit = 1 << 25;  // give up refining above so many grid rows in one level
  bool final_windows = false;   // shrink the windows once more at the end
  bool settle = false;          // and at the finest level again while that makes them narrower
  // Boundary q = 1..k-1 of an optimal clustering is known to lie between these positions; empty:
  // nothing is known.
  std::span<const std::pair<index_t, index_t>> windows{};
  bool narrow = false;  // the windows hold so few positions that all are tried at once
};

struct certified_clusters {
  std::vector<index_t> starts;  // first atom of each cluster, ascending
  double inertia = 0;           // of this clustering, at most: line::within included
  // No clustering of the values on the line, cut wherever, costs less than this one minus `excess`.
  double excess = 0;
  // Boundary q of an optimal clustering lies between these positions, q = 1..k-1.
  std::vector<std::pair<index_t, index_t>> windows;
  int levels = 0;
};

// Solves one line after the other, keeping its memory. Not shared between threads.
template <class Level> class certified_solver {
 public:
  // Preconditions: 1 <= k < atoms.
  certified_clusters solve(const line& l, index_t k, const certified_options& options = {}) {
    line_ = &l;
    errors_ = line_rounding(l);
    k_ = k;
    options_ = options;
    result_ = {};
    floor_ = -infinity;
    from_.assign(size(k + 1), 0);
    to_.assign(size(k + 1), l.size());
    to_.front() = 0;
    from_.back() = l.size();
    for (std::size_t q = 0; q < options.windows.size(); ++q) {
      from_[q + 1] = options.windows[q].first;
      to_[q + 1] = options.windows[q].second;
    }
    return run();
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static std::size_t size(index_t i) noexcept { return to_size(i); }

  certified_clusters run() {
    start();
    double blocks = static_cast<double>(std::max<index_t>(k_ <= 16 ? 8 * k_ : 4 * k_, 64));
    if (options_.narrow) blocks = infinity;
    bool at_points = false;
    double settled = infinity;  // positions in windows when the finest level was solved last
    for (;;) {
      ++result_.levels;
      const bool finest = grid_.make(*line_, from_, to_, blocks);
      at_points = finest && line_->hi.empty();  // which are never cut
      const double slack = at_points ? 0.0 : slack_(*line_, grid_, from_, to_, at_most());
      renew(least_, size(grid_.rows()));
      renew(choice_, size(grid_.rows()));
      renew(base_, grid_.size() + 8);
      const double limit = limit_of(slack);
      forward(limit);
      improve(finest);
      floor_ = std::max(floor_, least_.back() - slack - errors_(k_, known() + slack));
      const bool proven = known() <= (1 + options_.max_gap) * line_->blurred_down(floor_);
      const bool done = finest || proven || slack < line_->rounding();
      if (!done || options_.final_windows) {
        shrink_windows(std::min(limit, limit_of(slack)), at_points);
      }
      if (done) {
        if (!options_.settle || !finest || slack == 0) break;
        const auto left = static_cast<double>(window_grid::rows_of(*line_, from_, to_, infinity));
        if (!(left < 0.875 * settled)) break;
        settled = left;
        continue;
      }
      const index_t finer = window_grid::rows_of(*line_, from_, to_, 4 * blocks);
      if (finer > options_.row_limit) break;
      // When windows hold hardly more positions than the finer grid, take them all at once.
      const index_t all = window_grid::rows_of(*line_, from_, to_, infinity);
      blocks = all <= 2 * finer && all <= options_.row_limit ? infinity : 4 * blocks;
    }
    // A programme over all positions of points has found the optimum itself.
    if (!at_points) best_ = std::min(best_, polish(*line_, result_.starts, 100));
    result_.inertia = known();
    result_.excess = std::max(0.0, best_ - floor_);
    for (index_t q = 1; q < k_; ++q) result_.windows.emplace_back(from_[size(q)], to_[size(q)]);
    return std::move(result_);
  }

  // Cost of the best clustering known, for the original values: at most this.
  double known() const noexcept { return line_->blurred_up(best_ + line_->within); }
  // The same without what rounding may have hidden: cost(P) of (1) and Cauchy's inequality is no more.
  double at_most() const noexcept {
    return line_->blurred_up(best_ + cost_rounding(*line_, result_.starts) + line_->within);
  }
  // A clustering of whole blocks that costs more on the line is none that (1) makes of an optimum. What lies within
  // atoms is in none of the costs on the line.
  double limit_of(double slack) const noexcept {
    const double hidden = std::min(line_->within, slack_.hidden());
    return (line_->blurred_up(known()) - line_->within) + hidden + slack +
           2 * errors_(k_, known() + slack);
  }

  // A first clustering: equal shares of the spread, then Lloyd steps. In narrow windows, their ends.
  void start() {
    std::vector<index_t> starts;
    if (options_.narrow) {
      starts.resize(size(k_));
      for (index_t c = 1; c < k_; ++c) {
        starts[size(c)] = std::max(from_[size(c)], starts[size(c - 1)] + 1);
      }
    } else {
      starts = equal_shares(*line_, k_);
    }
    best_ = polish(*line_, starts, options_.narrow ? 0 : k_ <= 16 ? 4 : 20);
    result_.starts = std::move(starts);
  }

  // F of layer q for grid index g is least_[offset_[q] + g].
  // Rows above `limit` belong to no optimal clustering: they are set to infinity and leave the layer,
  // but for the first of them, which ends the last block.
  void forward(double limit) {
    least_[0] = 0;
    for (index_t q = 1; q <= k_; ++q) {
      const double* previous = least_.data() + grid_.offset(q - 1);
      for (index_t c = grid_.first(q - 1); c <= grid_.last(q - 1); ++c) {
        base_[size(c)] = previous[c] - grid_.q()[c];
      }
      double* least = least_.data() + grid_.offset(q);
      const index_t r0 = grid_.first(q);
      const index_t r1 = grid_.last(q);
      std::fill(least + r0, least + r1 + 1, infinity);
      monotone_rows<true, Level>(grid_.w(), grid_.s(), base_.data(), least,
                                 choice_.data() + grid_.offset(q))
          .solve(r0, r1 + 1, grid_.first(q - 1), grid_.last(q - 1), grid_.q(), limit);
      if (q == k_) continue;
      index_t r = r0;
      while (r < r1 && least[r] <= limit) ++r;
      if (least[r] > limit) least[r] = infinity;
      grid_.end_layer(q, r);
    }
  }

  // Keeps the better of the grid's clustering, polished, and the best one known.
  void improve(bool finest) {
    std::vector<index_t> starts(size(k_));
    index_t g = grid_.last(k_);
    for (index_t q = k_; q >= 1; --q) {
      g = choice_[size(grid_.offset(q) + g)];
      starts[size(q - 1)] = grid_.positions()[size(g)];
    }
    for (index_t c = 1; c < k_; ++c)
      starts[size(c)] = std::max(starts[size(c)], starts[size(c - 1)] + 1);
    for (index_t c = k_ - 1; c >= 1; --c) {
      starts[size(c)] =
          std::min(starts[size(c)], c + 1 < k_ ? starts[size(c + 1)] - 1 : line_->size() - 1);
    }
    const double cost = polish(*line_, starts, finest ? 0 : (k_ <= 16 ? 2 : 8));
    if (cost < best_) {
      best_ = cost;
      result_.starts = std::move(starts);
    }
  }

  // G from the right, and with it (2): windows keep the blocks that may hold their boundary.
  void shrink_windows(double limit, bool every_position) {
    std::vector<double>&right = right_, &next = next_right_;
    renew(right, grid_.size());
    renew(next, grid_.size());
    renew(unused_, grid_.size());
    right.back() = 0;
    const double* const minus_q = grid_.minus_q();
    index_t c0 = grid_.last(k_), c1 = grid_.last(k_);
    std::vector<index_t> from = from_, to = to_;
    for (index_t q = k_ - 1; q >= 1; --q) {
      const index_t r0 = grid_.first(q);
      const index_t r1 = std::min(grid_.last(q), c1);
      for (index_t c = c0; c <= c1; ++c) base_[size(c)] = right[size(c)] + grid_.q()[c];
      std::fill(next.begin() + r0, next.begin() + r1 + 1, infinity);
      monotone_rows<false, Level>(grid_.w(), grid_.s(), base_.data(), next.data(), unused_.data())
          .solve(r0, r1 + 1, c0, c1, minus_q, limit);
      right.swap(next);
      const double* left = least_.data() + grid_.offset(q);
      // A point is not cut: boundaries lie at positions.
      const index_t block = every_position ? 0 : 1;
      index_t a = r0;
      while (a + block < r1 && left[a] + right[size(a + block)] > limit) ++a;
      index_t b = r1;
      while (b > a + block && left[b - block] + right[size(b)] > limit) --b;
      from[size(q)] = std::max<index_t>(from_[size(q)], grid_.positions()[size(a)]);
      to[size(q)] = grid_.positions()[size(b)];
      c0 = a;
      c1 = b;
    }
    // Boundaries are ordered.
    for (index_t q = 1; q <= k_; ++q) from[size(q)] = std::max(from[size(q)], from[size(q - 1)]);
    for (index_t q = k_ - 1; q >= 0; --q) to[size(q)] = std::min(to[size(q)], to[size(q + 1)]);
    from_.swap(from);
    to_.swap(to);
  }

  const line* line_ = nullptr;
  line_rounding errors_;
  index_t k_ = 0;
  certified_options options_;
  std::vector<index_t> from_, to_;  // windows of the boundaries 0..k, in positions
  window_grid grid_;
  window_slack slack_;
  std::vector<double> base_;                // by grid index
  std::vector<double> right_, next_right_;  // G by grid index, of two layers
  std::vector<std::uint32_t> unused_;
  std::vector<double> least_;  // F of layer q for grid index g is least_[grid_.offset(q) + g]
  std::vector<std::uint32_t> choice_;
  certified_clusters result_;
  double best_ = 0;  // cost on the line of the best clustering known, line::within left out
  // No clustering of the original values costs less than floor_ + what truly lies within the atoms.
  double floor_ = 0;
};

// Least-cost clustering of the atoms into k clusters. 1 <= k < l.size().
template <class Level = simd::native>
certified_clusters certified_1d(const line& l, index_t k, const certified_options& options = {}) {
  return certified_solver<Level>().solve(l, k, options);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
