// lutra: reference_fast.hpp - the reference's clustering of one group, defects included.
// SPDX-License-Identifier: Apache-2.0
//
// By default values are narrowed to float16 and rounded to `rounding_precision` decimals in float before the
// clustering, whatever their scale; centroids are means of the rounded values; an element follows its
// rounded value. Groups that do not fit float16 are clustered as they are. For parity and comparison
// only: the default mode is never worse.
#pragma once

#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/reference_1d.hpp>
#include <lutra/number/half.hpp>
#include <lutra/number/rounding.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// float(10^digits), digits >= 1.
inline float power_of_ten(int digits) noexcept {
  double p = 1.0;
  for (int i = 0; i < digits; ++i) p *= 10.0;
  return static_cast<float>(p);
}

// The value the reference clusters instead of x.
inline double reduced_value(float x, float factor) noexcept {
  const auto narrow = static_cast<float>(half(x));
  return static_cast<double>(round_half_even(narrow * factor) / factor);
}

// Clusters the distinct ones of `reduced`, each with the summed weight of its elements, into at most k clusters.
inline reference_1d_result reference_distinct(std::span<const double> reduced,
                                              std::span<const double> weights, int k) {
  std::vector<double> unique(reduced.begin(), reduced.end());
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  std::vector<std::size_t> of(reduced.size());
  std::vector<double> total(unique.size());
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    of[i] = to_size(std::lower_bound(unique.begin(), unique.end(), reduced[i]) - unique.begin());
    total[of[i]] += weights.empty() ? 1.0 : weights[i];
  }
  reference_1d_result result = reference_1d(unique, total, k);
  std::vector<std::uint16_t> codes(reduced.size());
  for (std::size_t i = 0; i < reduced.size(); ++i) codes[i] = result.codes[of[i]];
  result.codes = std::move(codes);
  return result;
}

// Clusters one group into at most k clusters. Preconditions: finite values, positive weights or none.
inline reference_1d_result reference_fast(std::span<const double> values,
                                          std::span<const double> weights, int k,
                                          int rounding_precision) {
  constexpr double half_max = 65504.0;
  for (const double x : values) {
    if (x > half_max || x < -half_max) return reference_1d(values, weights, k);
  }
  const float factor = power_of_ten(rounding_precision);
  std::vector<double> reduced;
  reduced.reserve(values.size());
  for (const double x : values) reduced.push_back(reduced_value(static_cast<float>(x), factor));
  return reference_distinct(reduced, weights, k);
}

// The same without rounding, the reference's exact mode: the distinct values of float16 weights (`narrow`), every
// element of others.
inline reference_1d_result reference_exact(std::span<const double> values,
                                           std::span<const double> weights, int k, bool narrow) {
  return narrow ? reference_distinct(values, weights, k) : reference_1d(values, weights, k);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
