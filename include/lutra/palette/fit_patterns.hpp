// lutra: fit_patterns.hpp - float table and codes of one large group of 16-bit values.
// SPDX-License-Identifier: Apache-2.0
//
// The optimum of fit_group.hpp found by counting bit patterns: no copy of the values as floats, and the
// code of a value is looked up by its bits.
// Cost: about 1.2 ns per value and the solve of the distinct values; 1 MiB, and 100 bytes per distinct
// value.
#pragma once

#include <lutra/cluster/pattern_counts.hpp>
#include <lutra/palette/fit_group.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// out[i] = code_of[bits of values[i]].
template <float16_pattern T, executor Executor>
void look_up_patterns(std::span<const T> values, std::span<const std::uint8_t> code_of,
                      std::span<std::uint8_t> out, const Executor& executor) {
  constexpr index_t shard_size = index_t{1} << 20;
  const auto n = static_cast<index_t>(values.size());
  const index_t shards = (n + shard_size - 1) / shard_size;
  executor.bulk(shards, [&](index_t s) {
    const index_range r = shard(n, shards, s);
    for (auto i = to_size(r.begin); i < to_size(r.end); ++i) {
      out[i] = code_of[values[i].bits];
    }
  });
}

// At least one value, all finite.
template <class A, float16_pattern T, executor Executor>
group_fit fit_patterns(std::span<const T> values, const fit_group_options& options,
                       std::span<std::uint8_t> codes, exact_workspace<A>& work,
                       const Executor& executor) {
  work.atoms = atoms_of_patterns<T>(count_patterns(values, executor));
  const atoms_1d& atoms = work.atoms;
  const atom_clusters clusters = cluster_atoms(atoms, options.entries, work, options.tolerance());
  group_fit fit;
  fit.table = float_table(clusters.centroids);
  const std::vector<double> wide(fit.table.begin(), fit.table.end());
  const std::vector<double> mids = midpoints_of(wide);
  std::vector<std::uint8_t> code_of(65536);
  std::vector<double> loss(atoms.value.size());
  for (std::size_t a = 0; a < loss.size(); ++a) {
    const std::size_t code = nearest_index(mids, atoms.value[a]);
    const double d = atoms.value[a] - wide[code];
    loss[a] = atoms.weight[a] * (d * d);
    code_of[T(static_cast<float>(atoms.value[a])).bits] = static_cast<std::uint8_t>(code);
  }
  code_of[0x8000] = code_of[0];  // both zeros are one atom
  fit.inertia = sum_in_lanes(0, loss.size(), [&](std::size_t a) { return loss[a]; });
  prove_optimal(fit, clusters.inertia, clusters.rounding, options.max_gap);
  look_up_patterns(values, std::span<const std::uint8_t>(code_of), codes, executor);
  return fit;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
