// lutra: unit_range.hpp - smallest and largest element of every unit of a tensor.
// SPDX-License-Identifier: Apache-2.0
//
// A unit is the set of elements that share one scale. NaN and infinities are left out and counted;
// zero is not forced into the range. Minimum and maximum are exact, so the order of reading, the
// instruction set and any split into parts do not matter. One read of the tensor.
#pragma once

#include <cstdint>
#include <limits>
#include <lutra/affine/granularity.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// lo[u] > hi[u] (+infinity, -infinity) marks a unit without a finite element.
struct unit_ranges {
  std::vector<float> lo;
  std::vector<float> hi;
  std::int64_t nonfinite = 0;
};

struct span_range {
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();
  std::int64_t nonfinite = 0;
};

template <class Level = simd::native> span_range range_of_span(const float* x, index_t n) noexcept {
  span_range r;
  for (index_t i = 0; i < n; ++i) {
    if (x[i] - x[i] == 0.0F) {
      r.lo = x[i] < r.lo ? x[i] : r.lo;
      r.hi = x[i] > r.hi ? x[i] : r.hi;
    } else {
      ++r.nonfinite;
    }
  }
  return r;
}

// One range per parameter of `units` (row-major over its grid).
template <class Level = simd::native>
unit_ranges ranges_of(const tensor_view<const float>& x, const block_grid& units) {
  const auto count = static_cast<std::size_t>(units.count());
  const span_range none;
  unit_ranges r{std::vector<float>(count, none.lo), std::vector<float>(count, none.hi), 0};
  std::vector<float> gathered;
  const float* from = x.data();
  if (!x.is_contiguous()) {
    gathered = to_vector<float>(x);
    from = gathered.data();
  }
  units.for_each_run([&](index_t first, index_t n, index_t at) {
    const span_range s = range_of_span<Level>(from + first, n);
    const auto u = static_cast<std::size_t>(at);
    r.lo[u] = s.lo < r.lo[u] ? s.lo : r.lo[u];
    r.hi[u] = s.hi > r.hi[u] ? s.hi : r.hi[u];
    r.nonfinite += s.nonfinite;
  });
  return r;
}

}  // namespace lutra::inline LUTRA_ABI
