// lutra: atoms.hpp - a weighted 1-D data set as sorted distinct values with positive weights.
// SPDX-License-Identifier: Apache-2.0
//
// Equal values are merged (-0 counts as 0), so the result does not depend on the order of the input,
// the order of the weights of equal values included: they are added in ascending order. Without
// weights the weight of an atom is its count, exact up to 2^53.
#pragma once

#include <algorithm>
#include <cmath>
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
  index_t size() const noexcept { return static_cast<index_t>(value.size()); }
};

// Raises non_finite if any value is NaN or infinite, naming how many and the first position.
template <std::floating_point T>
void check_finite(std::span<const T> values, std::string_view where) {
  index_t bad = 0;
  index_t first = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    if (bad++ == 0) first = static_cast<index_t>(i);
  }
  if (bad == 0) return;
  raise(errc::non_finite, "NaN or infinite values", std::string(where),
        text_of(bad) + " of " + text_of(static_cast<index_t>(values.size())) +
            ", first at position " + text_of(first),
        "finite values");
}

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

// Sorts and merges. Preconditions: finite values; weights empty or one positive weight per value.
template <std::floating_point T, std::floating_point W>
atoms_1d make_atoms(std::span<const T> values, std::span<const W> weights) {
  atoms_1d atoms;
  const auto push = [&](double value, double weight) {
    if (!atoms.value.empty() && atoms.value.back() == value) {
      atoms.weight.back() += weight;
    } else {
      atoms.value.push_back(value);
      atoms.weight.push_back(weight);
    }
  };
  if (weights.empty()) {
    std::vector<T> sorted(values.begin(), values.end());
    for (T& x : sorted) x += T{0};  // -0 becomes 0
    std::sort(sorted.begin(), sorted.end());
    for (const T x : sorted) push(static_cast<double>(x), 1.0);
  } else {
    std::vector<std::pair<T, W>> sorted(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) sorted[i] = {values[i] + T{0}, weights[i]};
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [x, w] : sorted) push(static_cast<double>(x), static_cast<double>(w));
  }
  return atoms;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
