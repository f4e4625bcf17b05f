// lutra: fit_group.hpp - float table and codes of one group of plain values.
// SPDX-License-Identifier: Apache-2.0
//
// Plain: no importance, no row scales. Small groups are sorted and solved exactly; large ones are
// counted (cluster/fit_1d.hpp). Then every value gets its nearest entry. `lower_bound` is proven for the values
// themselves. Cost: small groups about 35 ns per value up to 16 entries; large ones 1..3 ns per value and a few MiB.
#pragma once

#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/fit_1d.hpp>
#include <lutra/palette/assign.hpp>
#include <lutra/palette/palette.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// From this size on counting is faster than sorting and an exact solve.
inline constexpr std::size_t large_group = std::size_t{1} << 17;

struct fit_group_options {
  int entries = 16;  // 2..256
  bool exact = false;
  double max_gap = 1e-4;  // to be proven

  // Of an optimal clustering's proof; a half is left for what sums of inertias may be off.
  double tolerance() const noexcept { return exact ? max_gap / 2 : 0.0; }
};

struct group_fit {
  std::vector<float> table;  // ascending, distinct
  double inertia = 0;        // sum of (value - entry)^2
  double lower_bound = 0;    // no table of `entries` values has less
  double rounding = 0;       // part of the inertia: centroids rounded to float
  palette_status status = palette_status::optimal;
  bool counted = false;  // not from the atoms of the workspace
};

// Ascending centroids as a table of distinct floats.
inline std::vector<float> float_table(std::span<const double> centroids) {
  std::vector<float> table;
  for (const double c : centroids) {
    const auto entry = static_cast<float>(c);
    if (table.empty() || table.back() != entry) table.push_back(entry);
  }
  return table;
}

// The bound of an optimal clustering of cost `optimum`, but for `rounding`, and whether that is worth the name.
inline void prove_optimal(group_fit& fit, double optimum, double rounding, double max_gap) {
  optimum = std::min(fit.inertia, optimum);
  fit.lower_bound = std::max(0.0, optimum - rounding);
  fit.rounding = fit.inertia - optimum;
  const bool near = optimum <= (1 + max_gap) * fit.lower_bound;
  fit.status = near ? palette_status::optimal : palette_status::not_certified;
}

// Sorts and solves. At least one value, all finite.
template <class A>
group_fit fit_sorted(std::span<const float> values, const fit_group_options& options,
                     std::span<std::uint8_t> codes, exact_workspace<A>& work) {
  make_atoms(values, std::span<const double>(), work.atoms, work.sorter);
  const atom_clusters clusters =
      cluster_atoms(work.atoms, options.entries, work, options.tolerance());
  group_fit fit;
  fit.table = float_table(clusters.centroids);
  fit.inertia =
      assign_nearest<A>(values, std::span<const float>(fit.table), codes, serial_executor{});
  prove_optimal(fit, clusters.inertia, clusters.rounding, options.max_gap);
  return fit;
}

// What a fit proves once every value has its nearest entry.
inline void prove(group_fit& fit, const fit_1d_result& found, std::size_t values,
                  const fit_group_options& options) {
  // Rounding the centroids, which are means, added this.
  double moved = 0;
  for (std::size_t c = 0; c < found.centroids.size(); ++c) {
    const double d =
        found.centroids[c] - static_cast<double>(static_cast<float>(found.centroids[c]));
    const double most = std::fabs(d) + found.off[c];
    moved += found.weights[c] * (most * most);
  }
  // What sums of so many values may be off by (assign.hpp, group_scratch.hpp): beside a far entry that is rounded they
  // say little.
  const double part = 0x1p-53 * (1024 + static_cast<double>(values) / 4096);
  const double coarse = part * (fit.inertia + moved);
  fit.lower_bound = std::min(fit.inertia, found.lower_bound(fit.inertia - coarse, moved));
  fit.rounding = std::min(moved, fit.inertia - fit.lower_bound);
  const bool near = fit.inertia - fit.rounding <= (1 + options.max_gap) * fit.lower_bound;
  fit.status = near ? palette_status::certified : palette_status::not_certified;
  if (options.exact && near) fit.status = palette_status::optimal;
}

// Counts and solves. At least `large_group` finite values. No result: `exact` was asked for, and only
// sorting gets there.
template <class A, executor Executor>
std::optional<group_fit> fit_counted(std::span<const float> values,
                                     const fit_group_options& options,
                                     std::span<std::uint8_t> codes, const Executor& executor) {
  if (options.exact && is_sorted_quicker(values.size(), options.entries) &&
      !sample_is_coarse(values)) {
    return {};
  }
  const fit_1d_result found =
      fit_1d<A>(values, std::span<const float>(), options.entries,
                {.max_gap = options.max_gap, .exact = options.exact}, executor);
  if (options.exact && !found.proven(options.max_gap)) return {};
  group_fit fit;
  fit.counted = true;
  fit.table = float_table(found.centroids);
  fit.inertia = assign_nearest<A>(values, std::span<const float>(fit.table), codes, executor);
  prove(fit, found, values.size(), options);
  return fit;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
