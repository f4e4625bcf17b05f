// lutra: lattice.hpp - many values as a histogram of counts and exact sums, in one pass.
// SPDX-License-Identifier: Apache-2.0
//
// A value x in [lo, hi] lies at t = (x - lo) * scale, rounded to the nearest of 2^42 steps. The top 13
// bits of t name a cell; a cell is cut into 2^b buckets of equal width, b >= 2. One 64-bit number per bucket
// holds the count (upper 19 bits) and the sum of the low 27 bits of t (lower 45 bits): one addition per
// value, integers only, so shards may be merged in any order and the result is the same on every ISA.
// Values outside [lo, hi] are kept one by one.
// Cost: about 1.2 ns per value; 8 bytes per bucket and thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Where values lie. Value type.
class lattice {
 public:
  static constexpr int cell_bits = 13;
  static constexpr int in_cell_bits = 29;
  static constexpr int least_bucket_bits = 2;
  static constexpr std::size_t cells = std::size_t{1} << cell_bits;
  static constexpr double last_step = 0x1.0p42 - 1;

  // 2^bucket_bits buckets in every cell, 2 <= bucket_bits <= 8. lo < hi, both finite.
  lattice(double lo, double hi, int bucket_bits)
      : lo_(lo),
        scale_(last_step / (hi - lo)),
        step_((hi - lo) / last_step),
        uniform_shift_(in_cell_bits - bucket_bits) {
    for (std::size_t c = 0; c < cells; ++c) append(bucket_bits);
  }
  // The same range, cell c with 2^bucket_bits[c] buckets, 2..20.
  lattice(const lattice& other, std::span<const std::uint8_t> bucket_bits)
      : lo_(other.lo_), scale_(other.scale_), step_(other.step_) {
    for (const int b : bucket_bits) append(b);
  }

  std::size_t buckets() const noexcept { return buckets_; }
  double step() const noexcept { return step_; }
  double lo() const noexcept { return lo_; }
  // All cells have the same number of buckets, 2^(29 - uniform_shift()); -1: they do not.
  int uniform_shift() const noexcept { return uniform_shift_; }
  double position(double x) const noexcept { return (x - lo_) * scale_; }
  double value(double t) const noexcept { return lo_ + t * step_; }

  // Buckets of a cell: the first one, and log2 of the steps in each.
  std::size_t first_bucket(std::size_t cell) const noexcept { return cell_[cell] >> 5; }
  int shift(std::size_t cell) const noexcept { return static_cast<int>(cell_[cell] & 31U); }
  std::size_t bucket_of(std::uint64_t t) const noexcept {
    const std::uint32_t entry = cell_[t >> in_cell_bits];
    return (entry >> 5) + ((t & in_cell) >> (entry & 31U));
  }
  std::uint64_t rest_of(std::uint64_t t) const noexcept {
    const std::uint32_t entry = cell_[t >> in_cell_bits];
    return t & ((std::uint64_t{1} << (entry & 31U)) - 1);
  }

  // Calls on_lattice(i, t) for the values on the lattice and outside(i) for the others (NaN and infinity
  // among them), in ascending order of i.
  template <class T, class F, class G>
  void locate(std::span<const T> values, F&& on_lattice, G&& outside) const {
    constexpr std::size_t block = 128;
    constexpr double magic = 0x1.0p52;  // t + magic has the integer nearest to t in its low bits
    constexpr std::uint64_t exponent = std::bit_cast<std::uint64_t>(magic);
    std::array<std::uint64_t, block> located;
    const double lo = lo_;
    const double scale = scale_;
    for (std::size_t i = 0; i < values.size(); i += block) {
      const std::size_t n = std::min(block, values.size() - i);
      const T* const x = values.data() + i;
      std::uint64_t any = 0;
      const auto find = [&](std::size_t j) {
        const double t = (static_cast<double>(x[j]) - lo) * scale;
        located[j] = std::bit_cast<std::uint64_t>(t + magic) ^ exponent;
        any |= located[j];
      };
      if (n == block) {
        for (std::size_t j = 0; j < block; ++j) find(j);
      } else {
        for (std::size_t j = 0; j < n; ++j) find(j);
      }
      if (any >> (cell_bits + in_cell_bits) == 0) {
        for (std::size_t j = 0; j < n; ++j) on_lattice(i + j, located[j]);
        continue;
      }
      for (std::size_t j = 0; j < n; ++j) {
        if (located[j] >> (cell_bits + in_cell_bits) == 0) {
          on_lattice(i + j, located[j]);
        } else {
          outside(i + j);
        }
      }
    }
  }

 private:
  static constexpr std::uint64_t in_cell = (std::uint64_t{1} << in_cell_bits) - 1;
  void append(int bucket_bits) {
    const auto shift = static_cast<std::uint32_t>(in_cell_bits - bucket_bits);
    cell_.push_back(static_cast<std::uint32_t>(buckets_ << 5) | shift);
    buckets_ += std::size_t{1} << bucket_bits;
  }

  double lo_, scale_, step_;
  int uniform_shift_ = -1;
  std::size_t buckets_ = 0;
  std::vector<std::uint32_t> cell_;  // first bucket << 5 | log2 of the steps of a bucket
};

// Counts and sums of at most `most_values` values. Not shared between threads.
class lattice_counts {
 public:
  static constexpr index_t most_values = index_t{1} << 18;

  explicit lattice_counts(std::size_t buckets) : packed_(buckets) {}

  // Values that are not on the lattice are appended to `outside`.
  template <class T>
  void add(const lattice& l, std::span<const T> values, std::vector<double>& outside) {
    std::uint64_t* const packed = packed_.data();
    const auto far = [&](std::size_t i) { outside.push_back(static_cast<double>(values[i])); };
    if (const int shift = l.uniform_shift(); shift >= 0) {
      const std::uint64_t low = (std::uint64_t{1} << shift) - 1;
      l.locate(
          values, [=](std::size_t, std::uint64_t t) { packed[t >> shift] += one | (t & low); },
          far);
    } else {
      l.locate(
          values,
          [&l, packed](std::size_t, std::uint64_t t) {
            packed[l.bucket_of(t)] += one | l.rest_of(t);
          },
          far);
    }
  }
  // Adds the counts and sums to the totals and starts again from 0.
  void move_to(std::span<std::uint64_t> count, std::span<std::uint64_t> rest) {
    for (std::size_t b = 0; b < packed_.size(); ++b) {
      count[b] += packed_[b] >> 45;
      rest[b] += packed_[b] & (one - 1);
      packed_[b] = 0;
    }
  }

 private:
  static constexpr std::uint64_t one = std::uint64_t{1} << 45;
  std::vector<std::uint64_t> packed_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
