// lutra: centred_programme.hpp - the best clustering whose boundaries lie in given windows, precise in double.
// SPDX-License-Identifier: Apache-2.0
//
// The layered programme of interval_dp.hpp on the positions of windows that a coarser solve leaves. Sums over all
// values would be off by parts of the sum of all squares, for 256 clusters 10^4 to 10^5 times what they cost. So every
// layer has sums of its own, of the values its cluster can hold and relative to a centre of that cluster, and what the
// layers add up is kept small by taking out the value of one row.
//
// What rounding does. Let u = 2^-53 and, for one layer, A1 and A2 be the sums of w |d| and w d^2 over all values its
// cluster can hold, d the distance to its centre, X the largest |d|, and D the largest value taken over from the layer
// before. Prefix sums run in blocks of 16 terms that start from sums in double-double, so that with the rounding of d
// and of the products the moment S of a cluster is off by at most 37 u A1 and its square Q by 39 u A2; weights are
// whole numbers. As S^2 / W <= Q, and |S| / W <= X, the value of a row, (D - Q_c) - S^2 / W + Q_r, is off by at most
//   e = (52 A2 + 76 X A1 + 4 D) u.
// Divide and conquer leaves out candidates that may be better by 2 e, log2(rows) times at most (line_rounding.hpp), so
// the clustering found costs at most the sum over layers of (2 log2(rows) + 4) 2 e more than an optimal one.
// Sums of joined values come in as they are: if their moment is off by a part p of B = sqrt(w square) and their square
// by p of itself, that moves every cost by at most p (square + 4 X B), the same for all clusterings that hold
// them in that layer. Counted twice, for the bound and for the cost. Positions at which a cluster alone would cost more
// than an optimal clustering are left out first: beside far values A2 would be large.
//
// Numeric contract: IEEE double, the same on every ISA and compiler. Ties go to the smallest position.
// Cost: about 20 ns per position of a window, 4 bytes for each; sums take 5 ns per atom and cluster that can hold it.
// Thread safety: one thread's scratch.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <lutra/cluster/double_double.hpp>
#include <lutra/cluster/monotone_rows.hpp>
#include <lutra/cluster/windowed_values.hpp>
#include <utility>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct centred_clusters {
  std::vector<index_t> starts;       // first atom of each cluster, strictly ascending; or none
  std::vector<double> mean, weight;  // of each cluster
  std::vector<double> off;           // what a mean is off by, at most
  double inertia = 0;
  double rounding = 0;  // no clustering within the windows costs less by more
};

template <class Level> class centred_programme {
 public:
  // `centre`: any value near each of the k clusters, finite; the nearer, the more precise. `bound`: of what an optimal
  // clustering costs.
  centred_clusters operator()(const windowed_values& v, std::span<const double> centre,
                              double bound = std::numeric_limits<double>::infinity()) {
    const std::size_t k = centre.size();
    rows_.assign(1, {0, 0});
    rows_.insert(rows_.end(), v.windows.begin(), v.windows.end());
    rows_.emplace_back(v.size(), v.size());
    choice_.resize(k + 1);
    previous_.assign(1 + more, 0.0);
    centred_clusters found;
    for (std::size_t q = 1; q <= k; ++q) trim(v, q, centre[q - 1], bound);
    for (std::size_t q = 1; q <= k; ++q) layer(v, q, centre[q - 1], found.rounding);
    trace(found.starts);
    if (!found.starts.empty()) measure(v, centre, found);
    return found;
  }

 private:
  static constexpr std::size_t more = 8;  // rows and candidates are read by eights
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr double unit = 0x1p-53;
  static std::size_t size(index_t i) noexcept { return to_size(i); }

  // What bounds of rounding need to know about some values.
  struct magnitudes {
    double first = 0, second = 0, reach = 0;  // A1, A2, X
    double joined = 0, joined_first = 0;      // the sums of `square` and of B
    double of_value(double carried) const noexcept {
      return (52 * second + 76 * reach * first + 4 * carried) * unit * (1 + 0x1p-20);
    }
    double of_joined(double part) const noexcept {
      return part * (joined + 4 * reach * joined_first) * (1 + 0x1p-20);
    }
  };

  // Prefix sums of the atoms [begin, end) about a centre.
  magnitudes load(const windowed_values& v, index_t begin, index_t end, double centre) {
    const std::size_t n = size(end - begin);
    for (auto* sums : {&w_, &s_, &q_}) renew(*sums, n + 1 + more);
    magnitudes found;
    auto next = std::lower_bound(
        v.joined.begin(), v.joined.end(), begin,
        [](const windowed_values::joined_values& j, index_t atom) { return j.atom < atom; });
    double w = 0;
    compensated_sum s_before, q_before;
    w_[0] = s_[0] = q_[0] = 0;
    for (std::size_t i = 0; i < n;) {
      const double s0 = s_before.value(), q0 = q_before.value();
      double s = 0, q = 0;
      for (const std::size_t stop = std::min(n, i + 16); i < stop; ++i) {
        const std::size_t a = size(begin) + i;
        const double d = v.value[a] - centre;
        const double weight = v.weight[a];
        double moment = weight * d;
        double square = moment * d;
        if (next != v.joined.end() && next->atom == static_cast<index_t>(a)) {
          const double root = std::sqrt(weight) * std::fabs(d) + std::sqrt(next->square);
          const double own = std::sqrt(weight * next->square);
          found.first += std::fabs(moment) + own;
          found.second += root * root;
          found.joined += next->square;
          found.joined_first += own;
          found.reach = std::max(found.reach, std::fabs(d) + next->reach);
          square += 2 * d * next->moment + next->square;
          moment += next->moment;
          ++next;
        } else {
          found.first += std::fabs(moment);
          found.second += square;
          found.reach = std::max(found.reach, std::fabs(d));
        }
        w_[i + 1] = w = w + weight;
        s = s + moment;
        q = q + square;
        s_[i + 1] = s0 + s;
        q_[i + 1] = q0 + q;
      }
      s_before.add(s);
      q_before.add(q);
    }
    for (auto* sums : {&w_, &s_, &q_})
      std::fill_n(sums->begin() + static_cast<index_t>(n) + 1, more, (*sums)[n]);
    return found;
  }

  // Takes out of the windows beside cluster q where it alone would cost more than the bound: far values, whose squares
  // rounding is a part of.
  void trim(const windowed_values& v, std::size_t q, double centre, double bound) {
    auto& [c_first, c_last] = rows_[q - 1];
    auto& [r_first, r_last] = rows_[q];
    if (r_last == c_first) return;
    double weight = 0;
    for (index_t a = c_first; a < r_last; ++a) weight += v.weight[size(a)];
    const double furthest = std::max(std::fabs(v.value[size(c_first)] - centre),
                                     std::fabs(v.value[size(r_last - 1)] - centre));
    if (!(weight * (furthest * furthest) > bound)) return;
    const index_t begin = c_first;
    const magnitudes all = load(v, begin, r_last, centre);
    const double wrong = all.of_value(0) + all.of_joined(v.error);
    const auto too_dear = [&](index_t i, index_t j) {
      const std::size_t a = size(i - begin), b = size(j - begin);
      const double moment = s_[b] - s_[a];
      return i < j && (q_[b] - q_[a]) - moment * moment / (w_[b] - w_[a]) - wrong > bound;
    };
    while (r_last > r_first && too_dear(c_last, r_last)) --r_last;
    while (c_first < c_last && too_dear(c_first, r_first)) ++c_first;
  }

  // Layer q from layer q - 1. Grid indices count from the first candidate.
  void layer(const windowed_values& v, std::size_t q, double centre, double& rounding) {
    const auto [c_first, c_last] = rows_[q - 1];
    const auto [r_first, r_last] = rows_[q];
    const magnitudes all = load(v, c_first, r_last, centre);
    const index_t candidates = c_last - c_first + 1, rows = r_last - r_first + 1;
    double carried = 0;
    renew(base_, size(candidates) + more);
    std::fill(base_.end() - more, base_.end(), infinity);
    for (std::size_t c = 0; c < size(candidates); ++c) {
      base_[c] = previous_[c] - q_[c];
      if (previous_[c] < infinity) carried = std::max(carried, std::fabs(previous_[c]));
    }
    const index_t r0 = r_first - c_first, r1 = r_last - c_first;
    renew(least_, size(r1) + 1 + more);
    renew(best_, size(r1) + 1 + more);
    monotone_rows<true, Level>(w_.data(), s_.data(), base_.data(), least_.data(), best_.data())
        .solve(r0, r1 + 1, 0, candidates - 1, q_.data(), infinity);
    choice_[q].assign(best_.begin() + r0, best_.begin() + r1 + 1);
    const double middle = least_[size(r0 + rows / 2)];
    const double shift = middle < infinity ? middle : 0.0;
    renew(previous_, size(rows) + more);
    for (std::size_t r = 0; r < size(rows); ++r) previous_[r] = least_[size(r0) + r] - shift;
    const double links =
        2 * static_cast<double>(std::bit_width(size(std::max(rows, candidates)))) + 4;
    // A value that is carried on is rounded once more.
    rounding +=
        links * 2 * (all.of_value(carried) + unit * std::fabs(shift)) + 2 * all.of_joined(v.error);
  }

  // First atoms of the clusters; none if the best one has an empty cluster.
  void trace(std::vector<index_t>& starts) const {
    const std::size_t k = rows_.size() - 1;
    if (!(previous_[0] < infinity)) return;
    starts.resize(k);
    index_t at = rows_[k].first;
    for (std::size_t q = k; q >= 1; --q) {
      const index_t from = rows_[q - 1].first + choice_[q][size(at - rows_[q].first)];
      if (from >= at) return starts.clear();
      at = starts[q - 1] = from;
    }
  }

  void measure(const windowed_values& v, std::span<const double> centre, centred_clusters& found) {
    compensated_sum inertia;
    for (std::size_t c = 0; c < centre.size(); ++c) {
      const index_t end = c + 1 < centre.size() ? found.starts[c + 1] : v.size();
      const magnitudes all = load(v, found.starts[c], end, centre[c]);
      const std::size_t n = size(end - found.starts[c]);
      const double moment = s_[n] / w_[n];
      inertia.add(std::max(0.0, q_[n] - moment * s_[n]));
      const bool alone = n == 1 && all.joined == 0;
      const double mean = alone ? v.value[size(found.starts[c])] : centre[c] + moment;
      found.mean.push_back(mean);
      // The sum and the quotient are rounded, and the moment is off as in the programme.
      found.off.push_back(alone ? 0.0
                                : 0x1p-52 * (std::fabs(mean) + std::fabs(moment)) +
                                      (37 * unit * all.first + v.error * all.joined_first) / w_[n]);
      found.weight.push_back(w_[n]);
      found.rounding += all.of_value(0) + all.of_joined(v.error);
    }
    found.inertia = inertia.value();
  }

  std::vector<std::pair<index_t, index_t>> rows_;   // of the layers 0..k
  std::vector<std::vector<std::uint32_t>> choice_;  // by layer and row
  std::vector<double> w_, s_, q_;                   // prefix sums of a layer
  std::vector<double> base_, least_, previous_;
  std::vector<std::uint32_t> best_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
