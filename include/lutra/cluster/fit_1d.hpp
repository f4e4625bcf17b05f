// lutra: fit_1d.hpp - k centroids for any number of values: sorted when few, counted when many.
// SPDX-License-Identifier: Apache-2.0
//
// Few values (or weighted ones) are sorted and solved as points. Many are counted (fit_many.hpp; fit_exactly.hpp where
// the optimum itself is asked for), unless they are spread so oddly that sorting is the better way.
#pragma once

#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/few_distinct.hpp>
#include <lutra/cluster/fit_exactly.hpp>
#include <lutra/cluster/fit_many.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

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
