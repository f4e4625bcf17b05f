// lutra: unit_range.hpp - smallest and largest element of every unit of a tensor.
// SPDX-License-Identifier: Apache-2.0
//
// A unit is the set of elements that share one scale. NaN and infinities are left out and counted;
// zero is not forced into the range. Minimum and maximum are exact, so the order of reading, the
// instruction set and any split into parts do not matter. (Where a thread has switched on FTZ or DAZ, a subnormal end
// may come out as zero.) One read of the tensor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/affine/granularity.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/observe/unit_pieces.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/floats.hpp>
#include <lutra/simd/masks.hpp>
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
    if (is_finite(x)) {
      lo = x < lo ? x : lo;
      hi = x > hi ? x : hi;
    } else {
      ++nonfinite;
    }
  }
};

// One more register of elements: lo and hi of each lane so far, and the sum of x - x, which is NaN in a lane that met
// one that is not finite.
template <class V>
[[gnu::always_inline]] inline void extend_range(const V& x, V& lo, V& hi, V& bad) noexcept {
  lo = simd::min(x, lo);
  hi = simd::max(x, hi);
  bad = bad + (x - x);
}
template <class V> [[gnu::always_inline]] inline bool all_were_finite(const V& bad) noexcept {
  constexpr std::uint32_t every_lane = (1U << simd::lanes<V>)-1U;
  return simd::mask_to_bits(simd::equal(bad, V(0.0F))) == every_lane;
}

// Blocks are read four registers at a time, what is left register by register, assuming everything is finite; the sum
// of x - x is NaN where that was wrong, and the block is read again element by element.
template <class Level = simd::native> span_range range_of_span(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr index_t stride = 4 * lanes;
  constexpr index_t block = 64 * stride;
  const V zero(0.0F);
  span_range r;
  index_t i = 0;
  const auto step = [](const float* p, V& lo, V& hi, V& bad) {
    extend_range(simd::load<V>(p), lo, hi, bad);
  };
  const auto take = [&](index_t begin, const V& lo, const V& hi, const V& bad) {  // [begin, i)
    if (all_were_finite(bad)) {
      r.lo = std::min(r.lo, simd::smallest(lo));
      r.hi = std::max(r.hi, simd::largest(hi));
    } else {
      for (index_t k = begin; k < i; ++k) r.add(x[k]);
    }
  };
  const V none(r.lo), least(r.hi);
  while (i + stride <= n) {
    const index_t end = std::min(n - stride + 1, i + block);
    const index_t begin = i;
    V lo0 = none, lo1 = none, lo2 = none, lo3 = none;
    V hi0 = least, hi1 = least, hi2 = least, hi3 = least;
    V bad0 = zero, bad1 = zero, bad2 = zero, bad3 = zero;
    for (; i < end; i += stride) {
      for (index_t at = 0; at < stride; at += lanes) simd::read_ahead(x + i + at);
      step(x + i, lo0, hi0, bad0);
      step(x + i + lanes, lo1, hi1, bad1);
      step(x + i + 2 * lanes, lo2, hi2, bad2);
      step(x + i + 3 * lanes, lo3, hi3, bad3);
    }
    take(begin, simd::min(simd::min(lo0, lo1), simd::min(lo2, lo3)),
         simd::max(simd::max(hi0, hi1), simd::max(hi2, hi3)), (bad0 + bad1) + (bad2 + bad3));
  }
  if (lanes > 1 && i + lanes <= n) {
    const index_t begin = i;
    V lo = none, hi = least, bad = zero;
    for (; i + lanes <= n; i += lanes) {
      simd::read_ahead(x + i);
      step(x + i, lo, hi, bad);
    }
    take(begin, lo, hi, bad);
  }
  for (; i < n; ++i) r.add(x[i]);
  r.lo += 0.0F;  // -0 would depend on the order of reading
  r.hi += 0.0F;
  return r;
}

// Longer blocks are read as spans, which have more of them under way at a time.
inline constexpr index_t longest_block = 256;

// The ranges of `count` units of `length` elements each, a multiple of the register, one after the other. False, and
// what was written is of no use, if some element is not finite.
template <class Level>
bool ranges_of_blocks(const float* x, index_t length, index_t count, float* lo,
                      float* hi) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  V bad(0.0F);
  for (index_t u = 0; u < count; ++u, x += length) {
    simd::read_ahead(x);
    const V first = simd::load<V>(x);
    V least = first, most = first;
    bad = bad + (first - first);
    for (index_t i = lanes; i < length; i += lanes) {
      simd::read_ahead(x + i);
      extend_range(simd::load<V>(x + i), least, most, bad);
    }
    lo[u] = simd::smallest(least) + 0.0F;  // never -0
    hi[u] = simd::largest(most) + 0.0F;
  }
  return all_were_finite(bad);
}

// One range per parameter of `units` (row-major over its grid).
template <class Level = simd::native>
unit_ranges ranges_of(const tensor_view<const float>& x, const block_grid& units) {
  const auto count = to_size(units.count());
  const span_range none;
  unit_ranges r{std::vector<float>(count, none.lo), std::vector<float>(count, none.hi), 0};
  const index_t length = units.run_length();
  if (x.is_contiguous() && length > 0 && length <= longest_block &&
      length % simd::lanes<simd::floats<Level>> == 0 && units.row_length() % length == 0 &&
      units.count() * length == x.size()) {
    constexpr index_t together = 64;
    for (index_t u = 0; u < units.count(); u += together) {
      const index_t n = std::min(together, units.count() - u);
      const float* const from = x.data() + u * length;
      if (ranges_of_blocks<Level>(from, length, n, r.lo.data() + u, r.hi.data() + u)) continue;
      for (index_t k = u; k < u + n; ++k) {
        const span_range s = range_of_span<Level>(x.data() + k * length, length);
        const auto at = to_size(k);
        r.lo[at] = s.lo;
        r.hi[at] = s.hi;
        r.nonfinite += s.nonfinite;
      }
    }
    return r;
  }
  for_each_unit_piece(x, units, [&](const float* piece, index_t n, index_t at) {
    const span_range s = range_of_span<Level>(piece, n);
    const auto u = to_size(at);
    r.lo[u] = std::min(r.lo[u], s.lo);
    r.hi[u] = std::max(r.hi[u], s.hi);
    r.nonfinite += s.nonfinite;
  });
  return r;
}

}  // namespace lutra::inline LUTRA_ABI
