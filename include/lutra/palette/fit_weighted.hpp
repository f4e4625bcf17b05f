// lutra: fit_weighted.hpp - float table and codes of one large group with row scales or importance.
// SPDX-License-Identifier: Apache-2.0
//
// Quotients by the row scale and their weights are formed block by block, counted (cluster/weighted_lattice.hpp)
// and solved as in fit_group.hpp; `lower_bound` is proven for the error that is reported. The table depends on the
// order of the values in the last bits only, and not on the executor.
// Cost: about 3 ns per value and pass, one pass as a rule, and as much for the codes; a few MiB.
#pragma once

#include <lutra/cluster/fit_many.hpp>
#include <lutra/palette/fit_group.hpp>
#include <lutra/palette/group_scratch.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Values whose squares, times weights, stay far from the ends of the range of double.
template <class T> bool squares_are_harmless(const group_source<T>& source) {
  if constexpr (std::same_as<T, double>) {
    double largest = 0;
    for (std::size_t i = 0; i < source.size(); ++i) {
      largest = std::max(largest, std::fabs(source[i]));
    }
    const std::array<double, 1> one{largest};
    return common_exponent(one) == 0;
  } else {
    return true;
  }
}

// Counts and solves the values of a scratch. `same_objective`: what is clustered is the error that counts. No
// result: sorting is the better way.
template <class T, class A, executor Executor>
std::optional<group_fit> fit_counted(group_scratch<T, A>& s, const fit_group_options& options,
                                     bool same_objective, std::span<std::uint8_t> codes,
                                     const Executor& executor) {
  constexpr std::size_t sortable = std::size_t{1} << 17;
  const group_source<T> source = s.source();
  if (!squares_are_harmless(source)) return {};
  const auto found = fit_many<A>(source, options.entries, {.max_gap = options.max_gap}, executor);
  if (!found) return {};
  const bool proven = found->proven(options.max_gap);
  if (!proven && source.size() <= sortable) return {};
  group_fit fit;
  fit.counted = true;
  fit.table = float_table(found->centroids);
  fit.inertia = s.assign(fit.table, codes, executor);
  if (same_objective) {
    prove(fit, *found, source.size(), options);
  } else {
    fit.status = proven ? palette_status::certified : palette_status::not_certified;
  }
  return fit;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
