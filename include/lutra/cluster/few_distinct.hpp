// lutra: few_distinct.hpp - many values of few kinds as weighted points, or a quick no.
// SPDX-License-Identifier: Apache-2.0
//
// A hash table of the distinct values and their counts, given up as soon as it holds too many. -0 counts as 0.
// Cost: about 5 ns per value that is looked at; 50 to 130 bytes per distinct value that is allowed.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/double_double.hpp>
#include <lutra/core/random.hpp>
#include <lutra/core/strict_fp.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Values with weights that are formed when they are needed; copies are cheap.
template <class V>
concept weighted_source = requires(const V& v, std::size_t i, double* out) {
  { v.size() } -> std::same_as<std::size_t>;
  { v[i] } -> std::same_as<double>;
  { v.weight(i) } -> std::same_as<double>;
  v.fill(i, i, out, out);  // values and weights of the i-th and the next ones
};

// Distinct values and what is added up for each, until there are too many. T: float or double; Sum: a number or
// compensated_sum.
template <class T, class Sum> class distinct_table {
 public:
  explicit distinct_table(std::size_t limit) : limit_(limit) {
    std::size_t slots = 64;
    while (slots < 4 * limit) slots *= 2;
    key_.resize(slots);
    sum_.resize(slots);
    filled_.resize(slots);
  }
  // The sum of a value; nullptr if there are more than `limit` of them.
  Sum* find(T value) {
    const T x = value + T{0};  // -0 becomes 0
    std::uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof(T));
    const std::size_t last = key_.size() - 1;
    std::size_t at = mix64(bits) & last;
    while (filled_[at] != 0 && key_[at] != x) at = (at + 1) & last;
    if (filled_[at] != 0) return &sum_[at];
    filled_[at] = 1;
    key_[at] = x;
    return ++used_ > limit_ ? nullptr : &sum_[at];
  }
  // Ascending; weight_of(sum) is the weight of a value.
  template <class F> atoms_1d atoms(F&& weight_of) const {
    std::vector<std::pair<T, double>> found;
    found.reserve(used_);
    for (std::size_t at = 0; at < key_.size(); ++at) {
      if (filled_[at] != 0) found.emplace_back(key_[at], weight_of(sum_[at]));
    }
    std::sort(found.begin(), found.end());
    atoms_1d atoms;
    atoms.value.reserve(used_);
    atoms.weight.reserve(used_);
    for (const auto& [x, w] : found) {
      atoms.value.push_back(static_cast<double>(x));
      atoms.weight.push_back(w);
    }
    return atoms;
  }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
  std::vector<T> key_;
  std::vector<Sum> sum_;
  std::vector<std::uint8_t> filled_;
};

// The values as points if not more than `limit` are distinct; otherwise nothing, soon.
template <class T>
std::optional<atoms_1d> few_distinct(std::span<const T> values, std::size_t limit) {
  distinct_table<T, std::uint64_t> table(limit);
  for (const T value : values) {
    std::uint64_t* const count = table.find(value);
    if (count == nullptr) return {};
    ++*count;
  }
  return table.atoms([](std::uint64_t count) { return static_cast<double>(count); });
}

// The same of a weighted_source. The weights of equal values are added in the order of the values, with compensation.
template <weighted_source V>
std::optional<atoms_1d> few_distinct(const V& source, std::size_t limit) {
  distinct_table<double, compensated_sum> table(limit);
  constexpr std::size_t block = 128;
  std::array<double, block> x, w;
  for (std::size_t i = 0; i < source.size(); i += block) {
    const std::size_t n = std::min(block, source.size() - i);
    source.fill(i, n, x.data(), w.data());
    for (std::size_t j = 0; j < n; ++j) {
      compensated_sum* const weight = table.find(x[j]);
      if (weight == nullptr) return {};
      weight->add(w[j]);
    }
  }
  atoms_1d atoms = table.atoms([](const compensated_sum& weight) { return weight.value(); });
  atoms.error = 0x1p-52;
  return atoms;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
