// lutra: lattice.hpp - many values as a histogram of counts and exact sums, in one pass.
// SPDX-License-Identifier: Apache-2.0
//
// A value x in [lo, hi] lies at t = (x - lo) * scale, rounded to the nearest of 2^42 steps. The top 13
// bits of t name a cell; a cell is cut into 2^b buckets of equal width, b >= 2. One 64-bit number per bucket
// holds the count (upper 19 bits) and the sum of the low 27 bits of t (lower 45 bits): one addition per
// value, integers only, so shards may be merged in any order and the result is the same on every ISA.
// Values outside [lo, hi] are kept one by one.
// Cost: about 0.9 ns per value with equal buckets, 1.5 ns otherwise; 8 bytes per bucket and thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <lutra/core/executor.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <lutra/simd/cache.hpp>
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

  static constexpr std::size_t block = 128;  // values at a time

  // The nearest steps of at most `block` values. false: some are not on the lattice (NaN and infinity among
  // them), and their t is larger than last_step.
  template <class T> bool steps_of(std::span<const T> values, std::uint64_t* t) const noexcept {
    constexpr double magic =
        0x1.0p52;  // position + magic has the integer nearest to it in its low bits
    constexpr std::uint64_t exponent = std::bit_cast<std::uint64_t>(magic);
    const double lo = lo_;
    const double scale = scale_;
    const T* const x = values.data();
    std::uint64_t any = 0;
    const auto find = [&](std::size_t j) {
      const double position = (static_cast<double>(x[j]) - lo) * scale;
      t[j] = std::bit_cast<std::uint64_t>(position + magic) ^ exponent;
      any |= t[j];
    };
    if (values.size() == block) {
      for (std::size_t j = 0; j < block; ++j) find(j);
    } else {
      for (std::size_t j = 0; j < values.size(); ++j) find(j);
    }
    return on_lattice(any);
  }
  static bool on_lattice(std::uint64_t t) noexcept { return t >> (cell_bits + in_cell_bits) == 0; }

  // Calls found(i, t) for the values on the lattice and outside(i) for the others, in ascending order of i.
  template <class T, class F, class G>
  void locate(std::span<const T> values, F&& found, G&& outside) const {
    std::array<std::uint64_t, block> t;
    for (std::size_t i = 0; i < values.size(); i += block) {
      const std::size_t n = std::min(block, values.size() - i);
      if (steps_of(values.subspan(i, n), t.data())) {
        for (std::size_t j = 0; j < n; ++j) found(i + j, t[j]);
        continue;
      }
      for (std::size_t j = 0; j < n; ++j) {
        if (on_lattice(t[j])) {
          found(i + j, t[j]);
        } else {
          outside(i + j);
        }
      }
    }
  }

  // Buckets of steps on the lattice; t becomes the distance from the start of the bucket.
  void buckets_of(std::uint64_t* t, std::size_t n, std::uint32_t* bucket) const noexcept {
    if (const int shift = uniform_shift_; shift >= 0) {
      const std::uint64_t low = (std::uint64_t{1} << shift) - 1;
      for (std::size_t j = 0; j < n; ++j) {
        bucket[j] = static_cast<std::uint32_t>(t[j] >> shift);
        t[j] &= low;
      }
      return;
    }
    cells_of(cell_.data(), t, n, bucket);
    for (std::size_t j = 0; j < n; ++j) {
      const std::uint64_t cell = bucket[j];
      const std::uint64_t inside = t[j] & in_cell;
      const std::uint64_t whole = inside >> (cell & 31U);
      bucket[j] = static_cast<std::uint32_t>((cell >> 5) + whole);
      t[j] = inside - (whole << (cell & 31U));
    }
  }

 private:
  static constexpr std::uint64_t in_cell = (std::uint64_t{1} << in_cell_bits) - 1;
  // Alone: among other loops compilers run out of registers here, or make slow gathers of it.
  [[gnu::noinline]] static void cells_of(const std::uint32_t* cell, const std::uint64_t* t,
                                         std::size_t n, std::uint32_t* out) noexcept {
    for (std::size_t j = 0; j < n; ++j) out[j] = cell[t[j] >> in_cell_bits];
  }
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

// How many shards are counted side by side, each in memory of its own. Without threads one after the other: several
// tables in turn would push each other out of the cache.
template <executor Executor> constexpr index_t shards_at_once(const Executor& e) {
  return is_serial(e) ? 1 : 4;
}

// Counts and sums of at most `most_values` values. Not shared between threads.
class lattice_counts {
 public:
  static constexpr index_t most_values = index_t{1} << 18;

  explicit lattice_counts(std::size_t buckets) : packed_(buckets) {}

  // Values that are not on the lattice are appended to `outside`.
  template <class T>
  void add(const lattice& l, std::span<const T> values, std::vector<double>& outside) {
    std::array<std::uint64_t, lattice::block> t;
    std::array<std::uint32_t, lattice::block> bucket;
    for (std::size_t i = 0; i < values.size(); i += lattice::block) {
      const auto some = values.subspan(i, std::min(lattice::block, values.size() - i));
      std::size_t n = some.size();
      prefetch(some);
      if (!l.steps_of(some, t.data())) {
        n = 0;
        for (std::size_t j = 0; j < some.size(); ++j) {
          if (lattice::on_lattice(t[j])) {
            t[n++] = t[j];
          } else {
            outside.push_back(static_cast<double>(some[j]));
          }
        }
      }
      l.buckets_of(t.data(), n, bucket.data());
      add_to(packed_.data(), bucket.data(), t.data(), n);
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
  // What is counted a little later: additions all over the buckets keep the processor from seeing a stream.
  template <class T> static void prefetch(std::span<const T> values) noexcept {
    constexpr std::size_t line = 64 / sizeof(T);
    for (std::size_t j = 0; j < values.size(); j += line) simd::prefetch(values.data() + j, 4096);
  }
  // Alone, as above.
  [[gnu::noinline]] static void add_to(std::uint64_t* packed, const std::uint32_t* bucket,
                                       const std::uint64_t* rest, std::size_t n) noexcept {
    for (std::size_t j = 0; j < n; ++j) packed[bucket[j]] += one + rest[j];
  }
  std::vector<std::uint64_t> packed_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
