// lutra: reference_1d.hpp - the 1-D k-means of the reference implementation, rounding included.
// SPDX-License-Identifier: Apache-2.0
//
// For comparison only (palettize_mode::reference_fast); exact_1d.hpp is the better solver. Kept from
// the reference: prefix sums of the raw values, the interval cost S2 + W*mu^2 - 2*mu*S1 in double, the
// column j = 0 that reads the previous layer's cost of the same row, centroids as running means, and
// empty clusters (centroid 0, lowest numbers) when there are fewer distinct values than clusters.
// Ties go to the smallest j. O(k n log n) time, 4 bytes per point and layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <numeric>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct reference_1d_result {
  std::vector<double> centroids;     // min(k, points) of them
  std::vector<std::uint16_t> codes;  // one per point
};

class reference_1d_solver {
 public:
  // One weight per point, or none: all 1. Points ascending.
  reference_1d_solver(std::span<const double> points, std::span<const double> weights)
      : n_(points.size()), w_(n_ + 1), s_(n_ + 1), q_(n_ + 1) {
    for (std::size_t i = 0; i < n_; ++i) {
      const double w = weights.empty() ? 1.0 : weights[i];
      w_[i + 1] = w_[i] + w;
      s_[i + 1] = s_[i] + w * points[i];
      q_[i + 1] = q_[i] + w * points[i] * points[i];
    }
  }

  // Cluster of every point, ascending. 1 <= k <= number of points.
  std::vector<std::uint16_t> solve(std::size_t k) {
    std::vector<std::uint32_t> table(k * n_, 0);
    current_.resize(n_);
    for (std::size_t i = 0; i < n_; ++i) current_[i] = cost(0, i);
    for (std::size_t q = 1; q < k; ++q) {
      previous_ = current_;
      best_ = table.data() + q * n_;
      rows(0, n_, 0, n_ - 1);
    }
    std::vector<std::uint16_t> codes(n_);
    std::size_t end = n_;
    for (std::size_t q = k; q-- > 0 && end > 0;) {
      const std::size_t begin = table[q * n_ + end - 1];
      for (std::size_t i = begin; i < end; ++i) codes[i] = static_cast<std::uint16_t>(q);
      end = begin;
    }
    return codes;
  }

 private:
  double cost(std::size_t first, std::size_t last) const noexcept {
    const double s = s_[last + 1] - s_[first];
    const double w = w_[last + 1] - w_[first];
    const double mu = s / w;
    double c = q_[last + 1] - q_[first];
    c += w * (mu * mu);
    c -= 2 * mu * s;
    return c;
  }
  // Rows [begin, end), whose best j lie in [jlo, jhi].
  void rows(std::size_t begin, std::size_t end, std::size_t jlo, std::size_t jhi) {
    while (begin < end) {
      const std::size_t i = begin + (end - begin) / 2;
      double least = std::numeric_limits<double>::infinity();
      std::size_t at = jlo;
      for (std::size_t j = jlo; j <= std::min(jhi, i); ++j) {
        const double d = previous_[j == 0 ? i : j - 1] + cost(j, i);
        if (d < least) {
          least = d;
          at = j;
        }
      }
      current_[i] = least;
      best_[i] = static_cast<std::uint32_t>(at);
      rows(begin, i, jlo, at);
      begin = i + 1;
      jlo = at;
    }
  }

  std::size_t n_;
  std::vector<double> w_, s_, q_, previous_, current_;
  std::uint32_t* best_ = nullptr;
};

// Precondition: finite points, positive weights (or none), k >= 1.
inline reference_1d_result reference_1d(std::span<const double> points,
                                        std::span<const double> weights, int k) {
  const std::size_t n = points.size();
  reference_1d_result result;
  result.codes.resize(n);
  if (n == 0) return result;
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return points[a] < points[b]; });
  std::vector<double> x(n), w(weights.empty() ? 0 : n);
  for (std::size_t i = 0; i < n; ++i) x[i] = points[order[i]];
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = weights[order[i]];
  const std::size_t clusters = std::min(to_size(k), n);
  const std::vector<std::uint16_t> codes = reference_1d_solver(x, w).solve(clusters);
  result.centroids.resize(clusters);
  std::vector<double> total(clusters);
  for (std::size_t i = 0; i < n; ++i) {
    const double wi = w.empty() ? 1.0 : w[i];
    double& centroid = result.centroids[codes[i]];
    total[codes[i]] += wi;
    centroid += (x[i] - centroid) * wi / total[codes[i]];
    result.codes[order[i]] = codes[i];
  }
  return result;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
