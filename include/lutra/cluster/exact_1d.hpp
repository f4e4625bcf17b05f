// lutra: exact_1d.hpp - globally optimal weighted k-means of numbers.
// SPDX-License-Identifier: Apache-2.0
//
// Minimises sum of weight * (x - centroid(x))^2 over all choices of k centroids: equal values are
// merged into weighted atoms, the atoms are cut into k intervals by dynamic programming
// (optimal_starts.hpp), and Lloyd steps on the atoms remove what rounding left.
//
// Numeric contract: everything in IEEE double, long sums in compensated blocks; centroids are the means of the
// original values, ascending; an element belongs to the nearest centroid, decided against midpoints,
// the lower one on a tie. Fewer distinct values than k give fewer centroids and inertia 0. The result
// depends on the multiset of (value, weight) only, and multiplying all values by a power of two
// changes nothing but exponents. Identical on every ISA and compiler.
// Cost: O(n log n + k m log m) time for m distinct values; memory: interval_dp.hpp.
#pragma once

#include <cmath>
#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/interval_moments.hpp>
#include <lutra/cluster/optimal_starts.hpp>
#include <lutra/tensor/check_finite.hpp>
#include <ranges>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct exact_1d_result {
  std::vector<double> centroids;     // ascending, distinct; min(k, distinct values) of them
  std::vector<std::uint16_t> codes;  // one per value
  double inertia = 0;
  double rounding = 0;  // no k centroids have less inertia by more than this
};

// A clustering of atoms: interval c covers the atoms [starts[c], starts[c + 1]).
struct atom_clusters {
  std::vector<index_t> starts;
  std::vector<double> centroids;
  double inertia = 0;
  double rounding = 0;  // no clustering costs less by more than this
};

// The point halfway between two centroids, a <= b. Elements above it belong to b.
inline double midpoint(double a, double b) noexcept { return a + (b - a) * 0.5; }

// Index of the nearest of ascending centroids, given their midpoints; the lower one on a tie.
inline std::size_t nearest_index(std::span<const double> midpoints, double x) noexcept {
  return to_size(std::lower_bound(midpoints.begin(), midpoints.end(), x) - midpoints.begin());
}

inline std::vector<double> midpoints_of(std::span<const double> centroids) {
  std::vector<double> mids;
  for (std::size_t c = 1; c < centroids.size(); ++c) {
    mids.push_back(midpoint(centroids[c - 1], centroids[c]));
  }
  return mids;
}

// Means and inertia of given intervals, and what rounding may do to the latter.
inline void measure(const atoms_1d& atoms, atom_clusters& clusters) {
  const std::size_t k = clusters.starts.size();
  clusters.centroids.resize(k);
  compensated_sum inertia;
  clusters.rounding = 0;
  for (std::size_t c = 0; c < k; ++c) {
    const index_t end = c + 1 < k ? clusters.starts[c + 1] : atoms.size();
    const interval_moments found = moments_of(atoms, to_size(clusters.starts[c]), to_size(end));
    inertia.add(found.inertia);
    clusters.rounding += found.rounding;
    clusters.centroids[c] = found.mean;
  }
  clusters.inertia = inertia.value();
}

// Lloyd steps while they lower the inertia. No cluster ever becomes empty: in one dimension the
// interval of a centroid contains an atom on each side of it, or the centroid itself.
inline void polish(const atoms_1d& atoms, atom_clusters& clusters) {
  for (;;) {
    atom_clusters next;
    next.starts.push_back(0);
    for (std::size_t c = 1; c < clusters.centroids.size(); ++c) {
      const double mid = midpoint(clusters.centroids[c - 1], clusters.centroids[c]);
      next.starts.push_back(std::upper_bound(atoms.value.begin(), atoms.value.end(), mid) -
                            atoms.value.begin());
    }
    if (next.starts == clusters.starts) return;
    for (std::size_t c = 1; c < next.starts.size(); ++c) {
      if (next.starts[c] <= next.starts[c - 1]) return;
    }
    if (next.starts.back() >= atoms.size()) return;
    measure(atoms, next);
    if (!(next.inertia < clusters.inertia)) return;
    clusters = std::move(next);
  }
}

// The optimal clustering of atoms into min(k, atoms.size()) intervals. `tolerance`: of its proof, optimal_starts.hpp.
template <class A>
atom_clusters cluster_atoms(const atoms_1d& atoms, int k, exact_workspace<A>& work,
                            double tolerance = 0, std::size_t table_limit = interval_table_limit) {
  atom_clusters clusters;
  if (atoms.size() <= k) {
    for (index_t i = 0; i < atoms.size(); ++i) clusters.starts.push_back(i);
    clusters.centroids = atoms.value;
    return clusters;
  }
  double rounding = 0;
  clusters.starts = optimal_starts<A>(atoms, k, table_limit, work, &rounding, tolerance);
  measure(atoms, clusters);
  polish(atoms, clusters);
  clusters.rounding += rounding + 2 * atoms.error * clusters.inertia;
  return clusters;
}

// Exponent e with max |value| in [2^(e-1), 2^e); 0 if all are zero or if squares are far from the ends of
// the range of double anyway. Values are divided by 2^e before they are squared, so neither very small
// nor very large data leave that range.
inline int common_exponent(std::span<const double> ascending) noexcept {
  if (ascending.empty()) return 0;
  int e = 0;
  std::frexp(std::max(std::fabs(ascending.front()), std::fabs(ascending.back())), &e);
  constexpr int harmless = 160;  // all floats
  return e >= -harmless && e <= harmless ? 0 : e;
}

// Preconditions (checked): 1 <= k <= 65536; finite values; weights empty (all 1) or one positive
// finite weight per value.
template <class A = simd::native, std::ranges::contiguous_range R>
requires std::floating_point<std::ranges::range_value_t<R>> exact_1d_result
exact_1d(const R& range, std::span<const double> weights, int k) {
  using value_type = std::ranges::range_value_t<R>;
  const std::span<const value_type> values(range);
  if (k < 1 || k > 65536) {
    raise(errc::invalid_argument, "number of clusters out of range", "exact_1d", text_of(k),
          range_text(1, 65536));
  }
  const auto count = static_cast<index_t>(values.size());
  check_finite(tensor_view<const value_type>(values.data(), {count}), "exact_1d");
  check_weights(weights, values.size(), "exact_1d");
  exact_workspace<A> work;
  make_atoms(values, weights, work.atoms, work.sorter);
  const int e = common_exponent(work.atoms.value);
  if (e != 0) {
    for (double& x : work.atoms.value) x = std::ldexp(x, -e);
  }
  const atom_clusters clusters = cluster_atoms(work.atoms, k, work);
  const std::vector<double> mids = midpoints_of(clusters.centroids);
  exact_1d_result result;
  result.inertia = std::ldexp(clusters.inertia, 2 * e);
  result.rounding = std::ldexp(clusters.rounding, 2 * e);
  result.codes.reserve(values.size());
  for (const value_type x : values) {
    const double scaled = std::ldexp(static_cast<double>(x), -e);
    result.codes.push_back(static_cast<std::uint16_t>(nearest_index(mids, scaled)));
  }
  for (const double c : clusters.centroids) result.centroids.push_back(std::ldexp(c, e));
  return result;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
