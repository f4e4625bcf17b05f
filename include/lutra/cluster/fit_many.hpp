// lutra: fit_many.hpp - k centroids of many values, counted; a proven gap.
// SPDX-License-Identifier: Apache-2.0
//
// Values are counted into buckets, solved on those, and counted again with finer buckets where boundaries can be while
// the proven gap is too large. 1 to 1.5 ns per value and pass, one pass as a rule, plus the solve (certified_1d.hpp,
// above 32 centroids priced_blocks.hpp). Memory: 2 to 5 MiB for up to 32 centroids, 8 MiB for 256, whatever the values;
// more where most values lie outside of what a sample spans.
#pragma once

#include <lutra/cluster/fit_result.hpp>
#include <lutra/cluster/line_without_gaps.hpp>
#include <lutra/cluster/priced_blocks.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

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
    std::vector<std::uint8_t> inside(to_size(buckets.atoms.size()), 1);
    if (buckets.atoms.size() > k) {
      const position_windows windows = windows_on(buckets.atoms, known);
      const certified_clusters found =
          certified_1d<Level>(buckets.atoms, k, {.final_windows = true, .windows = windows});
      fit_1d_result result = fit_result(buckets.atoms, found, pass, gaps);
      // What is proven well enough at once may be a little worse than what a second look finds: beyond half the gap,
      // look.
      if (result.proven(options.max_gap / 2) || pass == most_passes) return result;
      inside = atoms_in_windows(buckets.atoms.size(), found.windows);
      known = windows_by_value(found.windows, buckets.atoms);
    }
    constexpr double enough = weighted_source<Values> ? 40960 : 65536;  // weighted ones are larger
    l = finer_lattice(*l, totals, buckets.leading, inside, enough);
  }
  return {};
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
