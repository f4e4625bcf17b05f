// lutra: unit_range.hpp - smallest and largest element of every unit of a tensor.
// SPDX-License-Identifier: Apache-2.0
//
// A unit is the set of elements that share one scale. NaN and infinities are left out and counted;
// zero is not forced into the range. Minimum and maximum are exact, so the order of reading, the
// instruction set and any split into parts do not matter. One read of the tensor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/affine/granularity.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/observe/unit_pieces.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/floats.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// lo[u] > hi[u] (+infinity, -infinity) marks a unit without a finite element.
struct unit_ranges {
  std::vector<float> lo;
  std::vector<float> hi;
  std::int64_t nonfinite = 0;
};

// Range of some elements; +infinity, -infinity if none is finite. A zero end is +0.
struct span_range {
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();
  std::int64_t nonfinite = 0;

  void add(float x) noexcept {
    if (x - x == 0.0F) {
      lo = x < lo ? x : lo;
      hi = x > hi ? x : hi;
    } else {
      ++nonfinite;
    }
  }
};

// Blocks are read four registers at a time, assuming everything is finite; the sum of x - x is NaN where
// that was wrong, and the block is read again element by element.
template <class Level = simd::native> span_range range_of_span(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr index_t stride = 4 * lanes;
  constexpr index_t block = 64 * stride;
  span_range r;
  index_t i = 0;
  for (; i + stride <= n;) {
    const index_t end = std::min(n - stride + 1, i + block);
    const index_t begin = i;
    const V none(r.lo), least(r.hi), zero(0.0F);
    V lo0 = none, lo1 = none, lo2 = none, lo3 = none;
    V hi0 = least, hi1 = least, hi2 = least, hi3 = least;
    V bad0 = zero, bad1 = zero, bad2 = zero, bad3 = zero;
    const auto step = [&](const float* p, V& lo, V& hi, V& bad) {
      simd::read_ahead(p);
      const V v = simd::load<V>(p);
      lo = simd::min(v, lo);
      hi = simd::max(v, hi);
      bad = bad + (v - v);
    };
    for (; i < end; i += stride) {
      step(x + i, lo0, hi0, bad0);
      step(x + i + lanes, lo1, hi1, bad1);
      step(x + i + 2 * lanes, lo2, hi2, bad2);
      step(x + i + 3 * lanes, lo3, hi3, bad3);
    }
    float lo[static_cast<std::size_t>(lanes)], hi[static_cast<std::size_t>(lanes)],
        bad[static_cast<std::size_t>(lanes)];
    simd::store(lo, simd::min(simd::min(lo0, lo1), simd::min(lo2, lo3)));
    simd::store(hi, simd::max(simd::max(hi0, hi1), simd::max(hi2, hi3)));
    simd::store(bad, (bad0 + bad1) + (bad2 + bad3));
    float any_bad = 0;
    for (const float b : bad) any_bad += b;
    if (any_bad == 0.0F) {
      for (const float v : lo) r.lo = v < r.lo ? v : r.lo;
      for (const float v : hi) r.hi = v > r.hi ? v : r.hi;
    } else {
      for (index_t k = begin; k < i; ++k) r.add(x[k]);
    }
  }
  for (; i < n; ++i) r.add(x[i]);
  r.lo += 0.0F;  // -0 would depend on the order of reading
  r.hi += 0.0F;
  return r;
}

// One range per parameter of `units` (row-major over its grid).
template <class Level = simd::native>
unit_ranges ranges_of(const tensor_view<const float>& x, const block_grid& units) {
  const auto count = static_cast<std::size_t>(units.count());
  const span_range none;
  unit_ranges r{std::vector<float>(count, none.lo), std::vector<float>(count, none.hi), 0};
  for_each_unit_piece(x, units, [&](const float* piece, index_t n, index_t at) {
    const span_range s = range_of_span<Level>(piece, n);
    const auto u = static_cast<std::size_t>(at);
    r.lo[u] = std::min(r.lo[u], s.lo);
    r.hi[u] = std::max(r.hi[u], s.hi);
    r.nonfinite += s.nonfinite;
  });
  return r;
}

}  // namespace lutra::inline LUTRA_ABI
