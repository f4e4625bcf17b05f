// lutra: moments.hpp - range, sum and sum of squares of a set of floats, in one read.
// SPDX-License-Identifier: Apache-2.0
//
// NaN and infinities are left out and counted. Elements are summed in double, 16 interleaved sums per
// block of 2^14 consecutive elements of a run, and the blocks exactly (exact_sum.hpp): merging sets is exact,
// associative and commutative, and every level, compiler and executor gives the same bits. Relative
// error of a block's sums: below 2^10 * 2^-53 of the sum of magnitudes.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/observe/exact_sum.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/doubles.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Value type. min > max (infinite) marks a set without a finite element.
struct moments {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  float_sum sum{};
  square_sum sum_of_squares{};
  std::int64_t finite = 0;
  std::int64_t nan = 0;
  std::int64_t infinite = 0;

  float abs_max() const noexcept { return finite == 0 ? 0.0F : std::max(-min, max); }
  double mean() const noexcept {
    return finite == 0 ? 0.0 : sum.value() / static_cast<double>(finite);
  }
  // Population variance, never negative.
  double variance() const noexcept {
    if (finite == 0) return 0.0;
    const double m = mean();
    return std::max(sum_of_squares.value() / static_cast<double>(finite) - m * m, 0.0);
  }
  void merge(const moments& other) noexcept {
    min = std::min(min, other.min);
    max = std::max(max, other.max);
    sum.add(other.sum);
    sum_of_squares.add(other.sum_of_squares);
    finite += other.finite;
    nan += other.nan;
    infinite += other.infinite;
  }
  friend bool operator==(const moments&, const moments&) = default;
};

// What one block adds to moments.
struct block_moments {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  double sum = 0;
  double sum_of_squares = 0;
  std::int64_t finite = 0;
  std::int64_t nan = 0;
  std::int64_t infinite = 0;

  void add_to(moments& m) const noexcept {
    m.min = std::min(m.min, min + 0.0F);  // never -0: which zero comes first depends on the order
    m.max = std::max(m.max, max + 0.0F);
    m.sum.add(sum);
    m.sum_of_squares.add(sum_of_squares);
    m.finite += finite;
    m.nan += nan;
    m.infinite += infinite;
  }
};

inline constexpr index_t moments_block = index_t{1} << 14;

class block_lanes {
 public:
  static constexpr std::size_t count = 16;
  std::array<double, count> sum{};
  std::array<double, count> squares{};

  // Pairs at distance 8, then 4, 2, 1.
  static double total(std::array<double, count> lanes) noexcept {
    for (std::size_t half = count / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
  }
};

// One block with non-finite elements, or its end: element i belongs to lane i mod 16.
inline void add_elements(const float* x, index_t from, index_t n, block_lanes& lanes,
                         block_moments& b) noexcept {
  for (index_t i = from; i < n; ++i) {
    const float v = x[i];
    if (!is_finite(v)) {
      (v == v ? b.infinite : b.nan) += 1;
      continue;
    }
    ++b.finite;
    b.min = std::min(b.min, v);
    b.max = std::max(b.max, v);
    const auto lane = to_size(i) % block_lanes::count;
    const auto wide = static_cast<double>(v);
    lanes.sum[lane] += wide;
    lanes.squares[lane] += wide * wide;
  }
}

// At most moments_block elements.
template <class Level> block_moments moments_of_block(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t width = simd::lanes<V>;
  constexpr auto registers = static_cast<index_t>(block_lanes::count) / width;
  const index_t whole = n - n % static_cast<index_t>(block_lanes::count);
  block_lanes lanes;
  block_moments b;
  if (whole != 0) {
    simd::double_sums<V> sum[to_size(registers)];
    simd::double_sums<V> squares[to_size(registers)];
    V lo[to_size(registers)];
    V hi[to_size(registers)];
    for (index_t r = 0; r < registers; ++r) lo[r] = hi[r] = simd::load<V>(x + r * width);
    for (index_t i = 0; i < whole; i += static_cast<index_t>(block_lanes::count)) {
      simd::read_ahead(x + i);
      for (index_t r = 0; r < registers; ++r) {
        const V v = simd::load<V>(x + i + r * width);
        lo[r] = simd::min(v, lo[r]);
        hi[r] = simd::max(v, hi[r]);
        sum[r].add(v);
        squares[r].add_product(v, v);
      }
    }
    for (index_t r = 0; r < registers; ++r) {
      sum[r].store(lanes.sum.data() + r * width);
      squares[r].store(lanes.squares.data() + r * width);
      float ends[to_size(width)];
      simd::store(ends, lo[r]);
      for (const float v : ends) b.min = std::min(b.min, v);
      simd::store(ends, hi[r]);
      for (const float v : ends) b.max = std::max(b.max, v);
    }
    b.finite = whole;
  }
  // A NaN or infinity anywhere makes a sum of squares non-finite, and finite floats cannot.
  const double squares = block_lanes::total(lanes.squares);
  if (!is_finite(squares)) {
    lanes = {};
    b = {};
    add_elements(x, 0, n, lanes, b);
  } else {
    add_elements(x, whole, n, lanes, b);
  }
  b.sum = block_lanes::total(lanes.sum);
  b.sum_of_squares = block_lanes::total(lanes.squares);
  return b;
}

// Adds n elements.
template <class Level = simd::native>
void add_moments(const float* x, index_t n, moments& m) noexcept {
  for (index_t i = 0; i < n; i += moments_block) {
    moments_of_block<Level>(x + i, std::min(moments_block, n - i)).add_to(m);
  }
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
