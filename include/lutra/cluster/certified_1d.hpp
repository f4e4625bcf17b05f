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
// and every block of window q that violates (2) is dropped. M_a is at most
// 2 n_a (m_a - lo)(hi - m_a)/(hi - lo), the two-point distribution. Three bounds of the D_l are used:
// D_l is at most the distance between the ends of the windows l-1 and l+1; the D_l add up to the range of
// the data; and all values of the block that holds t_l are at least D_l/2 - r_a away from their
// centroids, where D_l/2 <= r_a if the block holds a second boundary, so that
//   sum over l of n_a (D_l/2 - r_a)+^2 <= cost(P), and with Cauchy's inequality
//   sum over l of D_l M_a <= sum 2 r_a M_a + 2 sqrt(cost(P)) sqrt(sum M_a^2 / n_a),
// which does not mind outliers.
//
// Numeric contract: IEEE double throughout, the same on every ISA and compiler; sums of costs may be
// off by line::rounding(), which the lower bound allows for. Ties go to the smallest position.
// Cost: about 40 k grid rows per level, two to ten levels. Memory: 12 bytes per row, 60 per grid position.
#pragma once

#include <lutra/cluster/line.hpp>
#include <lutra/cluster/monotone_rows.hpp>
#include <numeric>
#include <utility>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct certified_options {
  double max_gap = 0;           // stop as soon as inertia / lower_bound - 1 is proven to be below
  index_t row_limit = 1 << 25;  // give up refining above so many grid rows in one level
  bool final_windows = false;   // shrink the windows once more at the end
  // Boundary q = 1..k-1 of an optimal clustering is known to lie between these positions; empty:
  // nothing is known.
  std::span<const std::pair<index_t, index_t>> windows{};
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

// Lloyd steps on whole atoms while they lower the cost; returns the cost. Clusters stay non-empty.
inline double polish(const line& l, std::vector<index_t>& starts, int steps) {
  const auto k = static_cast<index_t>(starts.size());
  const auto at = [&](const std::vector<index_t>& b, index_t c) {
    return c < k ? b[static_cast<std::size_t>(c)] : l.size();
  };
  const auto total = [&](const std::vector<index_t>& b) {
    double sum = 0;
    for (index_t c = 0; c < k; ++c) sum += l.cost(at(b, c), at(b, c + 1));
    return sum;
  };
  double best = total(starts);
  std::vector<index_t> next(starts.size());
  for (int step = 0; step < steps; ++step) {
    double left = l.mean(0, at(starts, 1));
    for (index_t c = 1; c < k; ++c) {
      const double right = l.mean(at(starts, c), at(starts, c + 1));
      const double mid = left + (right - left) * 0.5;
      left = right;
      // First atom whose mean lies right of the midpoint, no empty cluster on either side.
      index_t a = next[static_cast<std::size_t>(c) - 1] + 1;
      index_t b = std::max(a, std::min(at(starts, c + 1) - 1, l.size() - (k - c)));
      while (a < b) {
        const index_t m = a + (b - a) / 2;
        if (l.centre(m) > mid) {
          b = m;
        } else {
          a = m + 1;
        }
      }
      next[static_cast<std::size_t>(c)] = a;
    }
    const double cost = total(next);
    if (next == starts || !(cost < best)) break;
    best = cost;
    starts.swap(next);
  }
  return best;
}

// Solves one line after the other, keeping its memory. Not shared between threads.
template <class Level> class certified_solver {
 public:
  // Preconditions: 1 <= k < atoms.
  certified_clusters solve(const line& l, index_t k, const certified_options& options = {}) {
    line_ = &l;
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
  static std::size_t size(index_t i) noexcept { return static_cast<std::size_t>(i); }
  index_t boundaries() const noexcept { return k_ - 1; }

  certified_clusters run() {
    start();
    double blocks = static_cast<double>(std::max<index_t>(k_ <= 16 ? 8 * k_ : 4 * k_, 64));
    for (;;) {
      ++result_.levels;
      const bool finest = make_grid(blocks);
      // Blocks that are points are never cut.
      const double slack = finest && line_->hi.empty() ? 0.0 : bound_slack();
      const double limit = limit_of(slack);
      forward(limit);
      improve(finest);
      floor_ = std::max(floor_, least_.back() - slack - line_->rounding());
      const bool proven = known() <= (1 + options_.max_gap) * line_->blurred_down(floor_);
      const bool done = finest || proven || slack < line_->rounding();
      if (!done || options_.final_windows) {
        shrink_windows(std::min(limit, limit_of(slack)), finest && line_->hi.empty());
      }
      if (done) break;
      const index_t finer = next_rows(4 * blocks);
      if (finer > options_.row_limit) break;
      // When windows hold hardly more positions than the finer grid, take them all at once.
      const index_t all = next_rows(infinity);
      blocks = all <= 2 * finer && all <= options_.row_limit ? infinity : 4 * blocks;
    }
    best_ = std::min(best_, polish(*line_, result_.starts, 100));
    result_.inertia = known();
    result_.excess = std::max(0.0, best_ - floor_);
    for (index_t q = 1; q < k_; ++q) result_.windows.emplace_back(from_[size(q)], to_[size(q)]);
    return std::move(result_);
  }

  // Cost of the best clustering known, for the original values: at most this.
  double known() const noexcept { return line_->blurred_up(best_ + line_->within); }
  // A clustering of whole blocks that costs more on the line is none that (1) makes of an optimum.
  double limit_of(double slack) const noexcept {
    return line_->blurred_up(known()) + slack + line_->rounding();
  }

  // A first clustering: equal shares of the spread, then Lloyd steps.
  void start() {
    std::vector<index_t> starts(size(k_));
    for (index_t c = 1; c < k_; ++c) {
      const double target = line_->spread.back() * static_cast<double>(c) / static_cast<double>(k_);
      const index_t at = std::lower_bound(line_->spread.begin(), line_->spread.end(), target) -
                         line_->spread.begin();
      starts[size(c)] = std::clamp(at, starts[size(c - 1)] + 1, line_->size() - (k_ - c));
    }
    best_ = polish(*line_, starts, k_ <= 16 ? 4 : 20);
    result_.starts = std::move(starts);
  }

  // Grid positions: the ends of the windows, and between them steps of equal spread. Returns whether
  // it holds every position of every window.
  bool make_grid(double blocks) {
    const double step = line_->spread.back() / blocks;
    const double* const spread = line_->spread.data();
    grid_.resize(size(line_->size() + 1));
    std::uint32_t* out = grid_.data();
    *out = 0;
    bool finest = true;
    for (index_t q = 1; q < k_; ++q) {
      const index_t end = to_[size(q)];
      index_t at = std::max<index_t>(from_[size(q)], *out);
      if (at > *out) *++out = static_cast<std::uint32_t>(at);
      if (step == 0) {
        while (at < end) *++out = static_cast<std::uint32_t>(++at);
        continue;
      }
      while (at < end) {
        // The first position a step away, at least the next one.
        const double target = spread[at] + step;
        index_t a = at + 1;
        const index_t near = std::min(end, a + 16);
        while (a < near && spread[a] < target) ++a;
        if (a == near && a < end && spread[a] < target) {
          index_t stride = 1;
          while (a + stride < end && spread[a + stride] < target) stride *= 2;
          index_t b = std::min(a + stride, end);
          a += stride / 2;
          while (a < b) {
            const index_t m = a + (b - a) / 2;
            const bool left = spread[m] < target;
            a = left ? m + 1 : a;
            b = left ? b : m;
          }
        }
        finest = finest && a == at + 1;
        at = a;
        *++out = static_cast<std::uint32_t>(at);
      }
    }
    grid_.resize(static_cast<std::size_t>(out - grid_.data()) + 1);
    if (grid_.back() < line_->size()) grid_.push_back(static_cast<std::uint32_t>(line_->size()));
    load_grid();
    return finest;
  }
  // The sums at the grid positions, and the rows of every layer.
  void load_grid() {
    const std::size_t g = grid_.size();
    for (auto* a : {&w_, &s_, &q_, &minus_q_}) a->resize(g + 8);
    base_.resize(g + 8);
    const auto copy = [&](std::vector<double>& to, const std::vector<double>& sums, double sign) {
      const double* const from = sums.data();
      const std::uint32_t* const at = grid_.data();
      double* const sum = to.data();
      for (std::size_t i = 0; i < g; ++i) sum[i] = sign * from[at[i]];
      for (std::size_t i = g; i < g + 8; ++i) sum[i] = sum[g - 1];  // rows are read by eights
    };
    copy(w_, line_->w, 1);
    copy(s_, line_->s, 1);
    copy(q_, line_->q, 1);
    copy(minus_q_, line_->q, -1);
    first_.resize(size(k_ + 1));
    last_.resize(size(k_ + 1));
    offset_.resize(size(k_ + 1));
    index_t rows = 0;
    for (index_t q = 0; q <= k_; ++q) {
      first_[size(q)] = grid_index(from_[size(q)]);
      last_[size(q)] = grid_index(to_[size(q)]);
      offset_[size(q)] = rows - first_[size(q)];
      rows += last_[size(q)] - first_[size(q)] + 1;
    }
    least_.resize(size(rows));
    choice_.resize(size(rows));
  }
  index_t grid_index(index_t position) const {
    return std::lower_bound(grid_.begin(), grid_.end(), static_cast<std::uint32_t>(position)) -
           grid_.begin();
  }
  // Rows a grid of `blocks` would have, at most.
  index_t next_rows(double blocks) const {
    const double step = line_->spread.back() / blocks;
    double rows = 0;
    for (index_t q = 1; q < k_; ++q) {
      const auto all = static_cast<double>(to_[size(q)] - from_[size(q)]);
      const double spread = line_->spread[size(to_[size(q)])] - line_->spread[size(from_[size(q)])];
      rows += step > 0 ? std::min(all, spread / step) : all;
    }
    return static_cast<index_t>(rows);
  }

  // F of layer q for grid index g is least_[offset_[q] + g].
  // Rows above `limit` belong to no optimal clustering: they are set to infinity and leave the layer,
  // but for the first of them, which ends the last block.
  void forward(double limit) {
    least_[0] = 0;
    for (index_t q = 1; q <= k_; ++q) {
      const double* previous = least_.data() + offset_[size(q - 1)];
      for (index_t c = first_[size(q - 1)]; c <= last_[size(q - 1)]; ++c) {
        base_[size(c)] = previous[c] - q_[size(c)];
      }
      double* least = least_.data() + offset_[size(q)];
      const index_t r0 = first_[size(q)];
      const index_t r1 = last_[size(q)];
      std::fill(least + r0, least + r1 + 1, infinity);
      monotone_rows<true, Level>(w_.data(), s_.data(), base_.data(), least,
                                 choice_.data() + offset_[size(q)])
          .solve(r0, r1 + 1, first_[size(q - 1)], last_[size(q - 1)], q_.data(), limit);
      if (q == k_) continue;
      index_t r = r0;
      while (r < r1 && least[r] <= limit) ++r;
      if (least[r] > limit) least[r] = infinity;
      last_[size(q)] = r;
    }
  }

  // Keeps the better of the grid's clustering, polished, and the best one known.
  void improve(bool finest) {
    std::vector<index_t> starts(size(k_));
    index_t g = last_.back();
    for (index_t q = k_; q >= 1; --q) {
      g = choice_[size(offset_[size(q)] + g)];
      starts[size(q - 1)] = grid_[size(g)];
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

  // M_a and what the bounds of the slack need of the blocks [b, end).
  void measure_blocks(std::size_t b, std::size_t end) {
    for (; b < end; ++b) {
      const index_t i = grid_[b];
      const index_t j = grid_[b + 1];
      const double lo = line_->least(i);
      const double hi = line_->largest(j - 1);
      const double weight = line_->weight(i, j);
      const double mean = line_->mean(i, j);
      const double inside = (mean - lo) * (hi - mean);
      // A bucket that holds one value is a point, wherever the value lies.
      const bool spread_out = hi > lo && inside > 0 && (j > i + 1 || weight > 1);
      const double deviation = spread_out ? 2 * weight * inside / (hi - lo) : 0;
      deviation_[b] = deviation;
      own_[b] = 2 * (hi - lo) * deviation;
      square_[b] = deviation * deviation / weight;
    }
  }

  // The slack of (1) at this level: the least that the three bounds of D allow.
  double bound_slack() {
    for (auto* a : {&deviation_, &own_, &square_}) a->resize(grid_.size());
    struct boundary {
      double deviation = 0, own = 0, square = 0, reach = 0;
    };
    std::vector<boundary> all;
    double squares = 0;
    index_t measured = 0;
    for (index_t q = 1; q < k_; ++q) {
      measured = std::max(measured, first_[size(q)]);
      measure_blocks(size(measured), size(last_[size(q)]));
      measured = std::max(measured, last_[size(q)]);
      boundary b;
      for (index_t i = first_[size(q)]; i < last_[size(q)]; ++i) {
        b.deviation = std::max(b.deviation, deviation_[size(i)]);
        b.own = std::max(b.own, own_[size(i)]);
        b.square = std::max(b.square, square_[size(i)]);
      }
      if (b.deviation == 0) continue;
      b.reach = std::max(0.0, line_->largest(std::max<index_t>(to_[size(q + 1)], 1) - 1) -
                                  line_->least(std::min(from_[size(q - 1)], line_->size() - 1)));
      squares += b.square;
      all.push_back(b);
    }
    // Boundaries whose reach is the better bound pay by it; the others share the cost (Cauchy).
    const double per_square = squares > 0 ? 2 * std::sqrt(known() / squares) : 0;
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
    const double slack = by_reach + own + 2 * std::sqrt(known() * squares);
    // Or: the D share the range of the data, and the dearest boundaries take what they can.
    std::sort(all.begin(), all.end(),
              [](const boundary& a, const boundary& b) { return a.deviation > b.deviation; });
    double range = line_->largest(line_->size() - 1) - line_->least(0);
    double by_range = 0;
    for (const boundary& b : all) {
      const double distance = std::min(range, b.reach);
      by_range += distance * b.deviation;
      range -= distance;
      if (range <= 0) break;
    }
    return std::min(slack, by_range) * (1 + 0x1.0p-30);
  }

  // G from the right, and with it (2): windows keep the blocks that may hold their boundary.
  void shrink_windows(double limit, bool every_position) {
    std::vector<double>&right = right_, &next = next_right_;
    right.resize(grid_.size());
    next.resize(grid_.size());
    unused_.resize(grid_.size());
    right.back() = 0;
    index_t c0 = last_.back(), c1 = last_.back();
    std::vector<index_t> from = from_, to = to_;
    for (index_t q = k_ - 1; q >= 1; --q) {
      const index_t r0 = first_[size(q)];
      const index_t r1 = std::min(last_[size(q)], c1);
      for (index_t c = c0; c <= c1; ++c) base_[size(c)] = right[size(c)] + q_[size(c)];
      std::fill(next.begin() + r0, next.begin() + r1 + 1, infinity);
      monotone_rows<false, Level>(w_.data(), s_.data(), base_.data(), next.data(), unused_.data())
          .solve(r0, r1 + 1, c0, c1, minus_q_.data(), limit);
      right.swap(next);
      const double* left = least_.data() + offset_[size(q)];
      // A point is not cut: boundaries lie at positions.
      const index_t block = every_position ? 0 : 1;
      index_t a = r0;
      while (a + block < r1 && left[a] + right[size(a + block)] > limit) ++a;
      index_t b = r1;
      while (b > a + block && left[b - block] + right[size(b)] > limit) --b;
      from[size(q)] = grid_[size(a)];
      to[size(q)] = grid_[size(b)];
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
  index_t k_ = 0;
  certified_options options_;
  std::vector<index_t> from_, to_;  // windows of the boundaries 0..k, in positions
  std::vector<std::uint32_t> grid_;
  std::vector<double> w_, s_, q_, minus_q_, base_;  // by grid index
  std::vector<double> right_, next_right_;          // G by grid index, of two layers
  std::vector<std::uint32_t> unused_;
  std::vector<double> deviation_, own_, square_;  // by block: M_a, 2 r_a M_a, M_a^2 / n_a
  std::vector<index_t> first_, last_,
      offset_;  // grid indices of a layer's rows; row r is offset + r
  std::vector<double> least_;
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
