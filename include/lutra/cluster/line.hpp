// lutra: line.hpp - sorted weighted atoms on a line, ready for interval clustering.
// SPDX-License-Identifier: Apache-2.0
//
// An atom is a set of neighbouring values that is never cut: a single value (points), or all values of
// one bucket. Position i lies before atom i; the atoms of cluster c are those between two positions.
// Prefix sums run outwards from the middle atom, and values are relative to it, so that a few huge
// outliers at the ends spoil the precision of nobody's cost but their own.
//   cost(i, j) = (Q_j - Q_i) - (S_j - S_i)^2 / (W_j - W_i)
// with Q the sum of the atoms' squares: S_a^2 / W_a for an atom that is known by its mean only, so that
// the cost is the weighted squared distance of the atoms' means to the mean of all, and what lies
// within atoms is the constant `within`, the same for every clustering.
#pragma once

#include <algorithm>
#include <cmath>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>
#include <span>
#include <type_traits>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// n elements whatever they are: old ones are not kept while new memory is found for them.
template <class T> void renew(std::vector<T>& v, std::size_t n) {
  if (n > v.capacity()) {
    v = std::vector<T>();
    v.reserve(n);
  }
  v.resize(n);
}

struct line {
  std::vector<double> w, s, q;  // prefix sums at each position, 0 at the middle one
  std::vector<double> spread;   // prefix sums of sqrt(weight * distance to the next atom)
  std::vector<double> lo,
      hi;              // least and largest value an atom can hold; hi empty: atoms are points
  double origin = 0;   // what values are relative to
  double within = 0;   // at least the weighted squared distances to the atoms' own means
  double blur = 0;     // at least sqrt(sum of weight * (distance to the original value)^2)
  double alone = 1;    // an atom of no more weight is a single value
  double error = 0;    // weights are off by no larger part of them
  bool whole = false;  // weights are whole numbers, and so few that their sums are exact

  index_t size() const noexcept { return static_cast<index_t>(lo.size()); }
  double least(index_t atom) const noexcept { return lo[to_size(atom)]; }
  double largest(index_t atom) const noexcept {
    return hi.empty() ? least(atom) : hi[to_size(atom)];
  }
  double weight(index_t i, index_t j) const noexcept { return w[to_size(j)] - w[to_size(i)]; }
  double mean(index_t i, index_t j) const noexcept {
    return (s[to_size(j)] - s[to_size(i)]) / weight(i, j);
  }
  double centre(index_t atom) const noexcept {
    return hi.empty() ? least(atom) : mean(atom, atom + 1);
  }
  double cost(index_t i, index_t j) const noexcept {
    if (i == j) return 0;
    const double moment = s[to_size(j)] - s[to_size(i)];
    const double square = q[to_size(j)] - q[to_size(i)];
    return std::max(0.0, square - moment * moment / weight(i, j));
  }
  // Bounds of a cost between the values on the line and the originals: distances in the space of all
  // values differ by at most `blur`, and weights that are off by a part of them change costs by no larger one.
  double blurred_up(double cost) const noexcept {
    const double root = std::sqrt(cost) + blur;
    return (1 + error) * (blur > 0 ? root * root : cost);
  }
  double blurred_down(double cost) const noexcept {
    const double root = std::sqrt(std::max(0.0, cost)) - blur;
    return (1 - error) * (blur > 0 ? (root > 0 ? root * root : 0) : std::max(0.0, cost));
  }
  // What rounding does to a total cost as a rule: a few units in the last place of the largest prefix sum. What it may
  // do, line_rounding.hpp says.
  double rounding() const noexcept { return 0x1.0p-50 * (q.back() - q.front()); }
};

// out[i] = sqrt(weight[i] * (lo[i + 1] - lo[i])), 0 for the last one. (std::sqrt sets errno, which keeps
// compilers from vectorising it.)
template <class Level>
void roots_of_gaps(std::span<const double> weight, std::span<const double> lo, double* out) {
  const std::size_t n = lo.size();
  std::size_t i = 0;
  if constexpr (!std::is_same_v<Level, simd::portable>) {
    using batch = simd::batch<double, Level>;
    for (; i + batch::size + 1 <= n; i += batch::size) {
      const batch gap = batch::load_unaligned(&lo[i + 1]) - batch::load_unaligned(&lo[i]);
      sqrt(batch::load_unaligned(&weight[i]) * gap).store_unaligned(out + i);
    }
  }
  for (; i + 1 < n; ++i) out[i] = std::sqrt(weight[i] * (lo[i + 1] - lo[i]));
  if (n > 0) out[n - 1] = 0;
}

// Fills the prefix sums from the weight of every atom and the sums of weight * x and weight * x^2, x
// relative to the origin. Preconditions: weights > 0, means ascending, lo (and hi) set. What is given for atom i
// may lie where its sum goes: at l.w[i + 1], l.s[i + 1] and l.q[i + 1].
template <class Level = simd::native, class Moment, class Square>
void accumulate(line& l, std::span<const double> weight, Moment&& moment, Square&& square) {
  const std::size_t n = weight.size();
  // Roots first: they need not wait for each other, and weights may be overwritten next.
  renew(l.spread, n + 1);
  l.spread[0] = 0;
  roots_of_gaps<Level>(weight, l.lo, l.spread.data() + 1);
  double* const spread = l.spread.data();
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) spread[i + 1] = sum = sum + spread[i + 1];

  for (auto* sums : {&l.w, &l.s, &l.q}) renew(*sums, n + 1);
  double* const sum_w = l.w.data();
  double* const sum_s = l.s.data();
  double* const sum_q = l.q.data();
  const std::size_t middle = n / 2;
  double w = 0, s = 0, q = 0;
  for (std::size_t i = middle; i < n; ++i) {
    sum_w[i + 1] = w = w + weight[i];
    sum_s[i + 1] = s = s + moment(i);
    sum_q[i + 1] = q = q + square(i);
  }
  // Every atom is read before the sum left of it is written.
  double next_w = 0, next_s = 0, next_q = 0;
  const auto read = [&](std::size_t i) {
    next_w = weight[i];
    next_s = moment(i);
    next_q = square(i);
  };
  if (middle > 0) read(middle - 1);
  sum_w[middle] = sum_s[middle] = sum_q[middle] = 0;
  w = s = q = 0;
  for (std::size_t i = middle; i-- > 0;) {
    w = w - next_w;
    s = s - next_s;
    q = q - next_q;
    if (i > 0) read(i - 1);
    sum_w[i] = w;
    sum_s[i] = s;
    sum_q[i] = q;
  }
}

// Distinct ascending values with positive weights, into `l`, whose old content goes.
template <class Level = simd::native>
void line_of_points(std::span<const double> value, std::span<const double> weight, line& l) {
  const std::size_t n = value.size();
  l.hi.clear();
  l.within = 0;
  l.blur = 0;
  l.alone = 1;
  l.error = 0;
  // A number below 2^51 that stays the same has no fraction.
  constexpr double to_integer = 0x1.8p52;
  bool whole = true;
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    whole &= (weight[i] + to_integer) - to_integer == weight[i];
    total += weight[i];
  }
  l.whole = whole && total < 0x1.0p51;
  l.origin = n == 0 ? 0.0 : value[n / 2];
  renew(l.lo, n);
  for (std::size_t i = 0; i < n; ++i) l.lo[i] = value[i] - l.origin;
  accumulate<Level>(
      l, weight, [&](std::size_t i) { return weight[i] * l.lo[i]; },
      [&](std::size_t i) { return weight[i] * l.lo[i] * l.lo[i]; });
}

template <class Level = simd::native>
line line_of_points(std::span<const double> value, std::span<const double> weight) {
  line l;
  line_of_points<Level>(value, weight, l);
  return l;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
