// lutra: group_scratch.hpp - the values of one group with their factors, and what a table costs them.
// SPDX-License-Identifier: Apache-2.0
//
// With row scales or importance, what is clustered is value / row scale with a weight; what counts in
// the end is importance * (value - row scale * entry)^2. Sums in double, in fixed order (lane_sum.hpp).
// Small groups keep what is clustered, large ones form it whenever they need it (group_source).
// Thread safety: one thread's memory, filled group after group.
#pragma once

#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/fit_1d.hpp>
#include <lutra/palette/assign.hpp>
#include <lutra/palette/assign_wide.hpp>
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

// What is clustered of a group, formed from the values and their factors: a weighted_source. A view.
template <class T> struct group_source {
  std::span<const T> values;
  std::span<const float> scale, factor;  // as in group_scratch
  bool squared = false;                  // weights take the square of the scale

  std::size_t size() const noexcept { return values.size(); }
  double operator[](std::size_t i) const noexcept {
    const double x = widened(values[i]);
    return scale.empty() ? x : x / static_cast<double>(scale[i]);
  }
  double weight(std::size_t i) const noexcept {
    const double importance = factor.empty() ? 1.0 : static_cast<double>(factor[i]);
    const double row = squared && !scale.empty() ? static_cast<double>(scale[i]) : 1.0;
    return importance * (row * row);
  }
  // Values are off by no larger part of themselves.
  double rounded() const noexcept { return scale.empty() ? 0.0 : 0x1p-53; }
  void fill(std::size_t first, std::size_t n, double* x, double* w) const noexcept {
    fill_values(first, n, x);
    for (std::size_t i = 0; i < n; ++i) w[i] = weight(first + i);
  }
  void fill_values(std::size_t first, std::size_t n, double* x) const noexcept {
    for (std::size_t i = 0; i < n; ++i) x[i] = (*this)[first + i];
  }
};

// The line of many values, a span or a weighted_source, for choices among a few hundred levels: 65,536 buckets,
// finer where values are dense. Empty: buckets do not fit the values.
template <class Values, class Executor>
std::optional<line> line_for_levels(const Values& values, const Executor& executor) {
  const auto l = first_lattice(values, 256);
  if (!l) return {};
  const auto totals = count_values(*l, values, executor);
  if (totals.outside.size() > values.size() / 64) return {};
  return line_of_buckets(*l, totals).atoms;
}

template <class T, class A> struct group_scratch {
  group_elements<T> elements;
  std::vector<float> narrow;         // the values as floats, if they are not
  std::vector<float> scale, factor;  // row scale and importance of every value, or empty
  std::span<const float> given;      // the importance where it lies, instead of `factor`
  bool squared = false;              // values are weighed by the square of their scale
  std::vector<double> wide,
      weights;              // what is clustered, if it is kept and not the values themselves
  exact_workspace<A> work;  // its atoms are those of the group, unless it is counted

  // Whether the values themselves are clustered.
  bool plain() const noexcept { return wide.empty() && scale.empty() && factors().empty(); }
  std::span<const float> factors() const noexcept { return given.empty() ? factor : given; }
  group_source<T> source() const noexcept { return {elements.values(), scale, factors(), squared}; }

  // Sum of importance * (value - row scale * table[code])^2, of all or from `begin` to `end`.
  double error_of(std::span<const float> table, std::span<const std::uint8_t> codes) const {
    return error_of(table, codes, 0, codes.size());
  }
  double error_of(std::span<const float> table, std::span<const std::uint8_t> codes,
                  std::size_t begin, std::size_t end) const {
    const T* const value = elements.values().data();
    const std::uint8_t* const code = codes.data();
    const float* const row = scale.empty() ? nullptr : scale.data();
    const float* const importance = factors().empty() ? nullptr : factors().data();
    return sum_in_lanes(begin, end, [=](std::size_t i) {
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
    const nearest_wide nearest(table, codes.size());
    const group_source<T> from = source();
    constexpr index_t shard_size = index_t{1} << 18;
    const auto n = static_cast<index_t>(codes.size());
    const index_t shards = (n + shard_size - 1) / shard_size;
    std::vector<double> error(to_size(shards));
    executor.bulk(shards, [&](index_t s) {
      const index_range r = shard(n, shards, s);
      const auto end = to_size(r.end);
      std::array<double, nearest_wide::block> x;
      for (auto i = to_size(r.begin); i < end; i += x.size()) {
        const std::span<double> some(x.data(), std::min(x.size(), end - i));
        if (wide.empty()) {
          from.fill_values(i, some.size(), x.data());
        } else {
          std::copy_n(wide.begin() + static_cast<std::ptrdiff_t>(i), some.size(), x.begin());
        }
        nearest.codes<A>(some, codes.data() + i);
      }
      error[to_size(s)] = error_of(table, codes, to_size(r.begin), end);
    });
    return std::accumulate(error.begin(), error.end(), 0.0);
  }

  // What is clustered, as a line, until the next use of `work`. `counted`: work.atoms are not its atoms.
  template <class Executor> const line& clustered_line(bool counted, const Executor& executor) {
    line& l = work.points;
    if (counted) {
      std::optional<line> found;
      if constexpr (std::same_as<T, float>) {
        if (plain()) found = line_for_levels(elements.values(), executor);
      }
      if (!found && !plain()) found = line_for_levels(source(), executor);
      if (found) return l = std::move(*found);
      if (!count_distinct()) sort_source();
    }
    line_of_points<A>(work.atoms.value, work.atoms.weight, l);
    return l;
  }
  // The atoms of what is clustered, if there are not many; false: there are.
  bool count_distinct() {
    constexpr std::size_t limit = 65536;
    std::optional<atoms_1d> atoms;
    if constexpr (std::same_as<T, float>) {
      if (plain()) atoms = few_distinct(elements.values(), limit);
    }
    if (!atoms && !plain()) atoms = few_distinct(source(), limit);
    if (atoms) work.atoms = std::move(*atoms);
    return atoms.has_value();
  }
  // The atoms of what is clustered.
  void sort_source() {
    if constexpr (std::same_as<T, float>) {
      if (plain()) {
        return make_atoms(elements.values(), std::span<const double>(), work.atoms, work.sorter);
      }
    }
    const group_source<T> from = source();
    wide.resize(from.size());
    weights.resize(factors().empty() && !(squared && !scale.empty()) ? 0 : from.size());
    from.fill_values(0, from.size(), wide.data());
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = from.weight(i);
    make_atoms(std::span<const double>(wide), std::span<const double>(weights), work.atoms,
               work.sorter);
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

// Fills `wide` and `weights` as the reference has them. E is the element type of the weight.
template <class E, class T, class A> void gather_as_reference(group_scratch<T, A>& s) {
  const std::span<const T> values = s.elements.values();
  const std::size_t n = values.size();
  s.wide.resize(n);
  s.weights.assign(s.factors().begin(), s.factors().end());
  for (std::size_t i = 0; i < n; ++i) {
    s.wide[i] =
        s.scale.empty() ? widened(values[i]) : normalised_as_reference<E>(values[i], s.scale[i]);
  }
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
