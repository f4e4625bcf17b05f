// lutra: fit_result.hpp - what fitting k centroids asks for and gives, and what of it is proven.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/shorter_gaps.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct fit_options {
  double max_gap = 1e-4;  // look closer while inertia / lower bound - 1 may be above
  bool exact = false;     // the optimum itself: its lower bound differs by rounding only
};

struct fit_1d_result {
  std::vector<double> centroids;  // ascending
  std::vector<double> weights;    // of their clusters, whose means they are
  double inertia = 0;             // at most; of the clustering the centroids were taken from
  double excess = 0;              // proven on the line, see certified_1d.hpp
  double blur = 0;                // of the line, see line.hpp
  int passes = 0;                 // over the values
  double error = 0;               // of the line's weights
  std::vector<double> off;        // centroids are no further from the means on the line

  // No k centroids have less inertia than this, given the inertia of nearest assignment to ours, of which `moved` is
  // what it costs on the line that they are no means.
  double lower_bound(double measured, double moved = 0) const noexcept {
    const auto down = [this](double x) {
      const double root = std::sqrt(std::max(0.0, x)) - blur;
      return root > 0 ? root * root : 0.0;
    };
    // Weights that are off by a part of them change every cost by no larger part.
    measured *= 1 - error;
    const double bound =
        blur > 0 ? down(down(measured) - moved - excess) : std::max(0.0, measured - moved - excess);
    return bound * (1 - error);
  }
  bool proven(double max_gap) const noexcept {
    return inertia <= (1 + max_gap) * lower_bound(inertia);
  }
  // Proven of inertia / optimum - 1; infinite if nothing is.
  double gap() const noexcept {
    const double least = lower_bound(inertia);
    return inertia <= least ? 0 : inertia / least - 1;
  }
};

inline fit_1d_result fit_result(const line& l, const certified_clusters& clusters, int passes,
                                const shorter_gaps& gaps = {}) {
  fit_1d_result r{{}, {}, clusters.inertia, clusters.excess, l.blur, passes, l.error, {}};
  for (std::size_t c = 0; c < clusters.starts.size(); ++c) {
    const index_t end = c + 1 < clusters.starts.size() ? clusters.starts[c + 1] : l.size();
    const double mean = l.mean(clusters.starts[c], end);
    r.centroids.push_back(gaps.restored(l.origin + mean));
    r.off.push_back(0x1p-50 *
                    (std::fabs(l.origin) + std::fabs(mean) + std::fabs(r.centroids.back())));
    r.weights.push_back(l.weight(clusters.starts[c], end));
  }
  if (gaps.spans(l, clusters.starts)) r.excess = std::numeric_limits<double>::infinity();
  return r;
}

// Tables so small that the optimum on a line costs little more than a good bound.
inline constexpr index_t small_table = 32;

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
