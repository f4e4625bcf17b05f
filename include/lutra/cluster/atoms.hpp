// lutra: atoms.hpp - a weighted 1-D data set as sorted distinct values with positive weights.
// SPDX-License-Identifier: Apache-2.0
//
// Equal values are merged (-0 counts as 0), so the result does not depend on the order of the input,
// the order of the weights of equal values included: they are added in ascending order. Without
// weights the weight of an atom is its count, exact up to 2^53.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <lutra/cluster/sort_floats.hpp>
#include <lutra/cluster/sort_weighted.hpp>
#include <lutra/core/error.hpp>
#include <lutra/core/strict_fp.hpp>
#include <span>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct atoms_1d {
  std::vector<double> value;   // strictly ascending
  std::vector<double> weight;  // > 0
  double error = 0;            // weights are off by no larger part
  index_t size() const noexcept { return static_cast<index_t>(value.size()); }
};

// Raises invalid_argument unless there is one weight per value and all are positive and finite.
template <std::floating_point T>
void check_weights(std::span<const T> weights, std::size_t count, std::string_view where) {
  if (weights.empty()) return;
  if (weights.size() != count) {
    raise(errc::shape_mismatch, "one weight per value is needed", std::string(where),
          text_of(static_cast<index_t>(weights.size())), text_of(static_cast<index_t>(count)));
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > T{0} && std::isfinite(weights[i])) continue;
    raise(errc::invalid_argument, "weights must be positive and finite", std::string(where),
          text_of(weights[i]) + " at position " + text_of(static_cast<index_t>(i)), "> 0");
  }
}

// Memory for sorting. Not shared between threads.
struct atom_sorter {
  float_sorter floats;
  weighted_sorter weighted;
};

// Sorts and merges into `atoms`, whose old content goes. Preconditions: finite values; weights empty or
// one positive weight per value.
template <std::floating_point T, std::floating_point W>
void make_atoms(std::span<const T> values, std::span<const W> weights, atoms_1d& atoms,
                atom_sorter& sorter) {
  // Equal neighbours are overwritten until their weight is complete: no branch that depends on data.
  const auto merge = [&](std::size_t n, auto&& value, auto&& weight) {
    atoms.value.resize(n);
    atoms.weight.resize(n);
    std::size_t last = 0, run = 0, longest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto x = static_cast<double>(value(i));
      const bool same = i > 0 && atoms.value[last] == x;
      last += i > 0 && !same ? 1 : 0;
      run = same ? run + 1 : 1;
      longest = std::max(longest, run);
      atoms.value[last] = x;
      atoms.weight[last] = weight(i) + (same ? atoms.weight[last] : 0.0);
    }
    atoms.value.resize(n == 0 ? 0 : last + 1);
    atoms.weight.resize(n == 0 ? 0 : last + 1);
    return longest;
  };
  const std::size_t n = values.size();
  atoms.error = 0;
  if (!weights.empty()) {
    const std::span<const weighted_sorter::pair> sorted = sorter.weighted(values, weights);
    const std::size_t longest = merge(
        n, [&](std::size_t i) { return sorted[i].first; },
        [&](std::size_t i) { return sorted[i].second; });
    atoms.error = 0x1p-53 * static_cast<double>(longest);
    sorter.weighted.release();
  } else if constexpr (std::same_as<T, float>) {
    const std::span<const float> sorted = sorter.floats(values);
    merge(
        n, [&](std::size_t i) { return sorted[i]; }, [](std::size_t) { return 1.0; });
    sorter.floats.release();
  } else {
    std::vector<T> sorted(values.begin(), values.end());
    for (T& x : sorted) x += T{0};
    std::sort(sorted.begin(), sorted.end());
    merge(
        n, [&](std::size_t i) { return sorted[i]; }, [](std::size_t) { return 1.0; });
  }
}

template <std::floating_point T, std::floating_point W>
atoms_1d make_atoms(std::span<const T> values, std::span<const W> weights) {
  atoms_1d atoms;
  atom_sorter sorter;
  make_atoms(values, weights, atoms, sorter);
  return atoms;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
