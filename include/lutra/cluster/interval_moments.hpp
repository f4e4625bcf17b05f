// lutra: interval_moments.hpp - mean and inertia of neighbouring atoms, precise wherever they lie.
// SPDX-License-Identifier: Apache-2.0
//
// Two passes with a correction (Chan, Golub, LeVeque 1983): the mean m as it is stored, from distances to the first
// atom, then sum of w d^2 - (sum of w d)^2 / sum of w with d = x - m. The second term takes out again what m is off by.
//
// What rounding does. Let u = 2^-53, n the number of atoms, A = sum of w d^2 and e what a sum of n terms is off by, as
// a part of the sum of their magnitudes: (min(n, 4096) / 8 + 8) u (lane_sum.hpp), with what the terms are off by. For
// the m that is stored, whatever it is, and exact d, A - (sum of w d)^2 / W is the inertia. Every d is off by a part u
// of itself, and |sum of w d| <= sum of w |d| <= sqrt(W A) by Cauchy's inequality. So A is off by at most (e + 2 u) A,
// the second term by (3 e + 4 u) A, the inertia by (4 e + 8 u) A. A exceeds the inertia by W (m - mean)^2, next to
// nothing unless weights are 2^90 apart or values differ in the last bits of m only.
//
// Numeric contract: IEEE double, identical on every ISA and compiler. Squares up to the range of double;
// common_exponent (exact_1d.hpp) sees to that.
#pragma once

#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/lane_sum.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct interval_moments {
  double mean = 0;
  double inertia = 0;   // sum of weight * (value - mean)^2, of the true mean
  double rounding = 0;  // the inertia is off by no more
};

// Of the atoms [begin, end), at least one.
inline interval_moments moments_of(const atoms_1d& atoms, std::size_t begin,
                                   std::size_t end) noexcept {
  const double* const value = atoms.value.data();
  const double* const weight = atoms.weight.data();
  const double origin = value[begin];
  if (end - begin == 1) return {origin, 0, 0};
  const auto [total, moment] =
      sums_in_lanes<2>(begin, end, [=](std::size_t i, std::array<double, 2>& term) {
        term = {weight[i], weight[i] * (value[i] - origin)};
      });
  const double mean = origin + moment / total;
  const auto [missed, about_mean] =
      sums_in_lanes<2>(begin, end, [=](std::size_t i, std::array<double, 2>& term) {
        const double d = value[i] - mean;
        const double wd = weight[i] * d;
        term = {wd, wd * d};
      });
  constexpr double vanished = 0x1p-1070;  // of a square
  const double n = static_cast<double>(end - begin);
  const double part = 0x1p-50 * (8 + std::min(n, 4096.0) / 8);
  return {mean, std::max(about_mean - missed * (missed / total), 0.0),
          part * about_mean + n * vanished};
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
