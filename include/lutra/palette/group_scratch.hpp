// lutra: group_scratch.hpp - the values of one group with their factors, and what a table costs them.
// SPDX-License-Identifier: Apache-2.0
//
// With row scales or importance, what is clustered is value / row scale with a weight; what counts in
// the end is importance * (value - row scale * entry)^2. Sums in double, in fixed order (lane_sum.hpp).
// Thread safety: one thread's memory, filled group after group.
#pragma once

#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/fit_1d.hpp>
#include <lutra/palette/assign.hpp>
#include <lutra/palette/group_elements.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// A stored element (palette/options.hpp) as a double, exactly.
template <class T> double widened(T x) noexcept {
  if constexpr (std::same_as<T, double>)
    return x;
  else
    return static_cast<double>(static_cast<float>(x));
}

// The line of many values for choices among a few hundred levels: 65,536 buckets, finer where values
// are dense; sorted values where buckets do not fit them.
template <class Level, class T, class Executor>
line line_for_levels(std::span<const T> values, const Executor& executor) {
  if (const auto l = first_lattice(values, 256, {})) {
    const lattice_totals totals = count_values(*l, values, executor);
    if (totals.outside.size() <= values.size() / 64) return line_of_buckets(*l, totals).atoms;
  }
  const atoms_1d atoms = make_atoms(values, std::span<const double>());
  return line_of_points<Level>(atoms.value, atoms.weight);
}

template <class T, class A> struct group_scratch {
  group_elements<T> elements;
  std::vector<float> narrow;          // the values as floats, if they are not
  std::vector<float> scale, factor;   // row scale and importance of every value, or empty
  std::vector<double> wide, weights;  // what is clustered, when it is not the values themselves
  exact_workspace<A> work;            // its atoms are those of the group, unless it is counted

  // Whether the values themselves are clustered.
  bool plain() const noexcept { return wide.empty(); }

  // Sum of importance * (value - row scale * table[code])^2.
  double error_of(std::span<const float> table, std::span<const std::uint8_t> codes) const {
    const T* const value = elements.values().data();
    const std::uint8_t* const code = codes.data();
    const float* const row = scale.empty() ? nullptr : scale.data();
    const float* const importance = factor.empty() ? nullptr : factor.data();
    return sum_in_lanes(0, codes.size(), [=](std::size_t i) {
      const auto entry = static_cast<double>(table[code[i]]);
      const double restored = row == nullptr ? entry : entry * static_cast<double>(row[i]);
      const double d = widened(value[i]) - restored;
      return importance == nullptr ? d * d : static_cast<double>(importance[i]) * (d * d);
    });
  }

  // Gives every value its nearest entry of an ascending table; returns the error.
  template <class Executor>
  double assign(std::span<const float> table, std::span<std::uint8_t> codes,
                const Executor& executor) const {
    if constexpr (!std::same_as<T, double>) {
      if (plain()) return assign_nearest<A>(elements.values(), table, codes, executor);
    }
    const std::vector<double> entries(table.begin(), table.end());
    const std::vector<double> mids = midpoints_of(entries);
    for (std::size_t i = 0; i < wide.size(); ++i) {
      codes[i] = static_cast<std::uint8_t>(nearest_index(mids, wide[i]));
    }
    return error_of(table, codes);
  }

  // What is clustered, as a line. `counted`: work.atoms are not its atoms.
  template <class Executor> line clustered_line(bool counted, const Executor& executor) const {
    if constexpr (std::same_as<T, float>) {
      if (counted) return line_for_levels<A>(elements.values(), executor);
    }
    return line_of_points<A>(work.atoms.value, work.atoms.weight);
  }
};

// A table entry as the reference keeps it: in the type of the weight.
template <class E> float in_weight_type(double x) noexcept {
  if constexpr (std::floating_point<E>)
    return static_cast<float>(x);
  else
    return static_cast<float>(E(static_cast<float>(x)));
}

// A value over its row scale, as the reference has it: in the type of the weight.
template <class E, class T> double normalised_as_reference(T x, float scale) noexcept {
  if constexpr (std::floating_point<E>)
    return static_cast<double>(x / static_cast<T>(scale));
  else
    return static_cast<double>(static_cast<float>(E(static_cast<float>(x) / scale)));
}

// Fills `wide` and `weights` from the values and their factors. E is the element type of the weight.
template <class E, class T, class A>
void gather_wide(group_scratch<T, A>& s, bool scale_squared, bool as_reference) {
  const std::span<const T> values = s.elements.values();
  const std::size_t n = values.size();
  const bool scaled = !s.scale.empty();
  const bool squared = scaled && scale_squared && !as_reference;
  s.wide.resize(n);
  s.weights.resize(s.factor.empty() && !squared ? 0 : n);
  for (std::size_t i = 0; i < n; ++i) {
    if (!scaled) {
      s.wide[i] = widened(values[i]);
    } else if (as_reference) {
      s.wide[i] = normalised_as_reference<E>(values[i], s.scale[i]);
    } else {
      s.wide[i] = widened(values[i]) / static_cast<double>(s.scale[i]);
    }
  }
  for (std::size_t i = 0; i < s.weights.size(); ++i) {
    const double factor = s.factor.empty() ? 1.0 : static_cast<double>(s.factor[i]);
    const double scale = squared ? static_cast<double>(s.scale[i]) : 1.0;
    s.weights[i] = factor * (scale * scale);
  }
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
