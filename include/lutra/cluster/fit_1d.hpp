// lutra: fit_1d.hpp - k centroids for any number of values: sorted when few, counted when many.
// SPDX-License-Identifier: Apache-2.0
//
// Few values (or weighted ones) are sorted and solved as points. Many are counted into buckets, solved
// on those, and looked at more closely while the proven gap is too large: first with finer buckets
// where boundaries can be, then, for the exact optimum, with the values themselves.
// Cost for many values: 1 to 1.5 ns per value and pass, one pass as a rule, plus the solve
// (certified_1d.hpp, above 32 centroids priced_blocks.hpp). Memory: 2 to 5 MiB for up to 32 centroids, 8 MiB for 256,
// whatever the values; more where most values lie outside of what a sample spans.
// The exact optimum of 256 centroids of normal values: 28 ns per value, 0.1 us if there are a million. It takes 100 bytes
// per bucket and what windowed_values.hpp says; the first lattice has an eighth as many buckets as values, 2^16 to 2^20.
#pragma once

#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/centred_programme.hpp>
#include <lutra/cluster/few_distinct.hpp>
#include <lutra/cluster/priced_blocks.hpp>
#include <lutra/cluster/refine_line.hpp>

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

// Distinct values with weights, solved as points.
template <class Level>
fit_1d_result fit_atoms(const atoms_1d& atoms, index_t k, const fit_options& options) {
  if (atoms.size() <= k)
    return {atoms.value, atoms.weight, 0, 0, 0, 1, 0, std::vector<double>(atoms.value.size())};
  line l = line_of_points<Level>(atoms.value, atoms.weight);
  l.error = atoms.error;
  if (options.exact || k <= small_table) return fit_result(l, certified_1d<Level>(l, k), 1);
  return fit_result(l, *priced_blocks<Level>(l, k, options.max_gap), 1);
}

// The lattice of the first pass: equal buckets for small tables, otherwise as a sample suggests.
template <class Values> std::optional<lattice> first_lattice(const Values& values, index_t k) {
  const auto range = sample_range(values);
  if (!range) return {};
  const lattice equal(range->first, range->second, lattice::least_bucket_bits);
  if (k <= small_table) return equal;
  std::vector<double> share(lattice::cells);
  for_each_sample(values, [&](double x, double weight) {
    const double t = equal.position(x);
    if (t >= 0 && t <= lattice::last_step) {
      share[static_cast<std::size_t>(t) >> lattice::in_cell_bits] += weight;
    }
  });
  return lattice_by_share(equal, share, 65536.0);
}

// The line of counted values, for the first time: gaps are found that can be made shorter. First those that can be
// whatever the clustering, beside which no sum would hold anything else; then those that a good one leaves.
template <class Totals>
bucket_line line_without_gaps(const lattice& l, const Totals& totals, index_t k,
                              shorter_gaps& gaps) {
  bucket_line found = line_of_buckets(l, totals);
  const auto upper = [&](double cost) { return found.atoms.blurred_up(cost + found.atoms.within); };
  if (found.atoms.size() <= k) return found;
  double bound = upper(cost_of_rest(found.atoms, k));
  gaps = shorter_gaps(found.atoms, bound);
  const auto without = [&](const shorter_gaps& some) {
    found = {};
    found = line_of_buckets(l, totals, some);
  };
  if (!gaps.empty()) without(gaps);
  std::vector<index_t> starts = equal_shares(found.atoms, k);
  const double cost = polish(found.atoms, starts, 8);
  if (!gaps.spans(found.atoms, starts)) {
    bound = std::min(bound, upper(cost + cost_rounding(found.atoms, starts)));
  }
  if (!gaps.empty()) without({});
  gaps = shorter_gaps(found.atoms, bound);
  if (!gaps.empty()) without(gaps);
  return found;
}

// As fit_many, for large tables of which no optimum is asked for: prices on ever finer buckets, until they prove the
// gap. After the last pass, the best there is.
template <class Level, class Values, executor Executor>
std::optional<fit_1d_result> fit_by_prices(const Values& values, index_t k,
                                           const fit_options& options, const Executor& executor) {
  constexpr int most_passes = 4;
  constexpr double buckets[] = {65536, 98304, 131072};  // of the second pass and the next ones
  auto l = first_lattice(values, k);
  if (!l) return {};
  std::optional<fit_1d_result> best;
  shorter_gaps gaps;
  for (int pass = 1; pass <= most_passes; ++pass) {
    const bool last = pass == most_passes;
    const auto totals = count_values(*l, values, executor);
    if (totals.outside.size() > values.size() / 64) return {};
    {
      const line atoms = pass == 1 ? line_without_gaps(*l, totals, k, gaps).atoms
                                   : line_of_buckets(*l, totals, gaps).atoms;
      std::optional<certified_clusters> found;
      if (atoms.size() > k) found = priced_blocks<Level>(atoms, k, options.max_gap, !last);
      if (found) {
        fit_1d_result result = fit_result(atoms, *found, pass, gaps);
        if (result.proven(options.max_gap)) return result;
        if (!best || result.gap() < best->gap()) best = std::move(result);
      }
    }
    if (!last) l = finer_lattice(*l, totals, buckets[pass - 1]);
  }
  return best;
}

// Many values, none of them NaN or infinite: a span, or a weighted_source. No optimum is asked for. No result: they are
// spread so oddly that sorting is the better way.
template <class Level, class Values, executor Executor>
std::optional<fit_1d_result> fit_many(const Values& values, index_t k, const fit_options& options,
                                      const Executor& executor) {
  if (k > small_table) return fit_by_prices<Level>(values, k, options, executor);
  auto l = first_lattice(values, k);
  if (!l) return {};
  value_windows known;
  shorter_gaps gaps;
  constexpr int most_passes = 4;
  for (int pass = 1; pass <= most_passes; ++pass) {
    const auto totals = count_values(*l, values, executor);
    if (totals.outside.size() > values.size() / 64) return {};
    const bucket_line buckets =
        pass > 1 ? line_of_buckets(*l, totals, gaps) : line_without_gaps(*l, totals, k, gaps);
    std::vector<std::uint8_t> inside(static_cast<std::size_t>(buckets.atoms.size()), 1);
    if (buckets.atoms.size() > k) {
      const position_windows windows = windows_on(buckets.atoms, known);
      const certified_clusters found =
          certified_1d<Level>(buckets.atoms, k, {.final_windows = true, .windows = windows});
      fit_1d_result result = fit_result(buckets.atoms, found, pass, gaps);
      // What is proven well enough at once may be a little worse than what a second look finds: beyond half the gap, look.
      if (result.proven(options.max_gap / 2) || pass == most_passes) return result;
      inside = atoms_in_windows(buckets.atoms.size(), found.windows);
      known = windows_by_value(found.windows, buckets.atoms);
    }
    constexpr double enough = weighted_source<Values> ? 40960 : 65536;  // weighted ones are larger
    l = finer_lattice(*l, totals, buckets.leading, inside, enough);
  }
  return {};
}

// The lattice of the first pass where the optimum is looked for: small buckets wherever boundaries may lie, those
// included where a sample happens to hold nothing.
template <class T>
std::optional<lattice> first_exact_lattice(std::span<const T> values, index_t k, double buckets) {
  const auto range = sample_range(values);
  if (!range) return {};
  const lattice equal(range->first, range->second, lattice::least_bucket_bits);
  if (k <= small_table) return equal;
  std::vector<double> share(lattice::cells, 0.5);
  constexpr std::uint64_t samples = 131072;
  for_each_sample(
      values,
      [&](double x, double) {
        const double t = equal.position(x);
        if (t >= 0 && t <= lattice::last_step) {
          share[static_cast<std::size_t>(t) >> lattice::in_cell_bits] += 1;
        }
      },
      samples);
  return even_lattice(equal, std::move(share), buckets);
}

// The best clustering within windows that hold an optimal one; `about`: a clustering like it.
template <class Level>
std::optional<fit_1d_result> fit_in_windows(const windowed_values& values,
                                            const fit_1d_result& about) {
  const double bound = about.inertia + about.excess;  // rounding of both is part of the latter
  centred_clusters found = centred_programme<Level>()(values, about.centroids, bound);
  if (found.starts.empty()) return {};
  fit_1d_result r;
  r.off = std::move(found.off);
  r.centroids = std::move(found.mean);
  r.weights = std::move(found.weight);
  r.inertia = found.inertia;
  r.excess = found.rounding;
  r.passes = about.passes + 1;
  return r;
}

// The optimum of many values, none of them NaN or infinite. Buckets say in which windows the boundaries of an optimal
// clustering lie; once these hold few values, they are tried one by one. The windows are those of values between which
// gaps are shorter, of which a clustering is optimal that is so of the values themselves, and costs as much
// (shorter_gaps.hpp). No result: as fit_many.
template <class Level, class T, executor Executor>
std::optional<fit_1d_result> fit_exactly(std::span<const T> values, index_t k,
                                         const Executor& executor) {
  constexpr int most_passes = 4;
  constexpr double most_buckets = 1 << 21;
  const double few = static_cast<double>(values.size()) / 3;
  double wanted = std::clamp(static_cast<double>(values.size()) / 8, 65536.0, most_buckets / 2);
  auto l = first_exact_lattice(values, k, wanted);
  if (!l) return {};
  value_windows known;
  shorter_gaps gaps;
  double last_in_windows = std::numeric_limits<double>::infinity(), last_atoms = 0;
  for (int pass = 1; pass <= most_passes; ++pass) {
    const auto totals = count_values(*l, values, executor);
    if (totals.outside.size() > values.size() / 64) return {};
    index_t leading = 0;
    std::vector<std::uint8_t> inside;
    position_windows windows;
    std::optional<fit_1d_result> about;
    {
      std::optional<double> origin;
      if (!known.ends.empty()) origin = known.origin;
      const bucket_line buckets = pass > 1 ? line_of_buckets(*l, totals, gaps, origin)
                                           : line_without_gaps(*l, totals, k, gaps);
      leading = buckets.leading;
      inside.assign(static_cast<std::size_t>(buckets.atoms.size()), 1);
      if (buckets.atoms.size() > k) {
        windows = windows_on(buckets.atoms, known);
        const certified_clusters found = certified_1d<Level>(
            buckets.atoms, k, {.final_windows = true, .settle = true, .windows = windows});
        windows = found.windows;
        inside = atoms_in_windows(buckets.atoms.size(), windows);
        known = windows_by_value(windows, buckets.atoms);
        double in_windows = 0;
        for (std::size_t a = 0; a < inside.size(); ++a) {
          if (inside[a] != 0) in_windows += buckets.atoms.w[a + 1] - buckets.atoms.w[a];
        }
        if (in_windows <= few) about = fit_result(buckets.atoms, found, pass, gaps);
        // The lattice is too coarse for values so near each other.
        const auto atoms = static_cast<double>(inside.size());
        const bool better = in_windows < 0.875 * last_in_windows || atoms > 1.25 * last_atoms;
        if (!about && !better) return {};
        last_in_windows = in_windows;
        last_atoms = atoms;
      }
    }
    if (about) {
      return fit_in_windows<Level>(
          values_in_windows(*l, totals, values, std::span<const std::uint8_t>(inside), windows,
                            executor),
          *about);
    }
    wanted = std::min(2 * wanted, most_buckets);
    l = finer_lattice(*l, totals, leading, inside, wanted);
  }
  return {};
}

// Whether the optimum of so many values is found sooner by sorting them than by counting.
constexpr bool is_sorted_quicker(std::size_t values, index_t k) noexcept {
  return k > small_table && values < std::size_t{1} << 20;
}

// k centroids of at least k values, none NaN or infinite; `weights` empty or one positive weight per
// value.
template <class Level, class T, class W, executor Executor>
fit_1d_result fit_1d(std::span<const T> values, std::span<const W> weights, index_t k,
                     const fit_options& options, const Executor& executor) {
  constexpr std::size_t few = 32768;
  constexpr std::size_t sortable = std::size_t{1} << 17;
  if (weights.empty() && values.size() > few) {
    if (sample_is_coarse(values)) {
      if (const auto atoms = few_distinct(values, 65536))
        return fit_atoms<Level>(*atoms, k, options);
    }
    if (options.exact) {
      const auto result = is_sorted_quicker(values.size(), k)
                              ? std::nullopt
                              : fit_exactly<Level>(values, k, executor);
      if (result) return *result;
    } else {
      const auto result = fit_many<Level>(values, k, options, executor);
      if (result && (result->proven(options.max_gap) || values.size() > sortable)) return *result;
    }
  }
  return fit_atoms<Level>(make_atoms(values, weights), k, options);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
