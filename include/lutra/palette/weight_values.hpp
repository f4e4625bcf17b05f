// lutra: weight_values.hpp - what a dense weight must be before it is palettized, and its row scales.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <lutra/cluster/pattern_counts.hpp>
#include <lutra/core/error.hpp>
#include <lutra/tensor/shape.hpp>
#include <span>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Whether a float table can stand for the value.
inline bool fits_float(double x) noexcept {
  constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());
  return std::fabs(x) <= largest;
}
inline bool fits_float(float x) noexcept {
  return (std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFU) < 0x7F800000U;
}
template <float16_pattern T> bool fits_float(T x) noexcept {
  return (x.bits & 0x7FFFU) < T(std::numeric_limits<float>::infinity()).bits;
}

// Positions of values that no float table can stand for: NaN, infinity, doubles beyond float.
template <class T> std::vector<index_t> misfits(std::span<const T> weight) {
  unsigned misfit = 0;  // no branch in the loop that as a rule finds nothing
  for (const T x : weight) misfit |= fits_float(x) ? 0U : 1U;
  std::vector<index_t> found;
  for (std::size_t i = 0; misfit != 0 && i < weight.size(); ++i) {
    if (!fits_float(weight[i])) found.push_back(static_cast<index_t>(i));
  }
  return found;
}

// Raises non_finite for the first of such values.
template <class T>
void refuse_misfits(std::span<const T> weight, std::span<const index_t> found,
                    std::string_view where) {
  if (found.empty()) return;
  const T x = weight[to_size(found[0])];
  const std::string at = ", first at position " + text_of(found[0]);
  const std::string all = text_of(static_cast<index_t>(weight.size()));
  const std::string count = text_of(static_cast<index_t>(found.size())) + " of " + all + at;
  if constexpr (std::same_as<T, double>) {
    if (std::isfinite(x)) {
      raise(errc::non_finite, "values beyond the range of float tables", std::string(where),
            count + ": " + text_of(x),
            "magnitudes up to " + text_of(std::numeric_limits<float>::max()));
    }
  }
  raise(errc::non_finite, "NaN or infinite values", std::string(where), count, "finite values");
}

// The largest magnitude of each slice along axis 0, 1 for slices of zeros. `left_out` are ascending
// positions that do not count.
template <class T>
std::vector<float> row_scales(std::span<const T> weight, const shape& extents,
                              std::span<const index_t> left_out, std::string_view where) {
  if (extents.rank() == 0) {
    raise(errc::incompatible, "per-channel scale needs an axis", std::string(where), "rank 0",
          "rank >= 1");
  }
  std::vector<float> scale(to_size(extents[0]), 0.0F);
  const auto row = to_size(extents.product(1, extents.rank()));
  auto next = left_out.begin();
  for (std::size_t r = 0; row > 0 && r < scale.size(); ++r) {
    for (std::size_t i = r * row; i < (r + 1) * row; ++i) {
      if (next != left_out.end() && to_size(*next) == i) {
        ++next;
        continue;
      }
      scale[r] = std::max(scale[r], std::fabs(static_cast<float>(weight[i])));
    }
  }
  for (float& s : scale) s = s == 0.0F ? 1.0F : s;
  return scale;
}

}  // namespace lutra::inline LUTRA_ABI
