// lutra: sort_weighted.hpp - weighted numbers in ascending order, by their bits.
// SPDX-License-Identifier: Apache-2.0
//
// The bits of a number, negative ones inverted, order as unsigned numbers do. A radix sort takes the 32 of them that
// follow what all values share; the few values that agree in those are sorted by comparison, equal values by weight.
// -0 becomes 0. About 20 ns per value, a fifth of a comparing sort, and never much slower than that one.
// Thread safety: a sorter is one thread's scratch; the result is the same for every sorter.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <lutra/core/types.hpp>
#include <span>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class weighted_sorter {
 public:
  using pair = std::pair<double, double>;  // value and weight

  static constexpr std::size_t keep = 16384;  // memory for more is not held

  // Gives back memory for many values.
  void release() noexcept {
    if (sorted_.capacity() > keep) sorted_ = std::vector<pair>();
  }

  // Sorted by value and weight; valid until the next call. As many weights as values, below 2^32.
  template <std::floating_point T, std::floating_point W>
  std::span<const pair> operator()(std::span<const T> values, std::span<const W> weights) {
    const std::size_t n = values.size();
    const auto at = [&](std::size_t i) {
      return pair(static_cast<double>(values[i] + T{0}), static_cast<double>(weights[i]));
    };
    if (n <= 64) {
      sorted_.resize(n);
      for (std::size_t i = 0; i < n; ++i) sorted_[i] = at(i);
      std::sort(sorted_.begin(), sorted_.end());
      return sorted_;
    }
    load_keys(n, [&](std::size_t i) { return values[i]; });
    n < 16384 ? sort_keys<8>() : sort_keys<11>();
    if (n > keep) to_ = std::vector<std::uint64_t>();
    sorted_.resize(n);
    for (std::size_t i = 0; i < n; ++i) sorted_[i] = at(static_cast<std::uint32_t>(from_[i]));
    sort_runs();
    if (n > keep) from_ = std::vector<std::uint64_t>();
    return sorted_;
  }

 private:
  static std::uint64_t key_of(double x) noexcept {
    const auto bits = std::bit_cast<std::uint64_t>(x + 0.0);
    return bits ^ ((bits >> 63U) != 0 ? ~std::uint64_t{0} : std::uint64_t{1} << 63U);
  }
  // Items: 32 bits of the key above the position.
  template <class F> void load_keys(std::size_t n, F&& value) {
    std::uint64_t all = ~std::uint64_t{0};
    std::uint64_t any = 0;
    from_.resize(n);
    to_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      from_[i] = key_of(static_cast<double>(value(i)));
      all &= from_[i];
      any |= from_[i];
    }
    // Bits above the highest one in which two keys differ are the same everywhere, and drop out.
    const int shared = std::countl_zero(all ^ any);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t key = shared < 64 ? from_[i] << shared : 0;
      from_[i] = (key & 0xFFFFFFFF00000000U) | i;
    }
  }
  template <unsigned Bits> void sort_keys() {
    constexpr unsigned digits = (32 + Bits - 1) / Bits;
    constexpr std::size_t buckets = std::size_t{1} << Bits;
    const std::size_t n = from_.size();
    counts_.assign(digits * buckets, 0);
    for (const std::uint64_t item : from_) {
      for (unsigned d = 0; d < digits; ++d) {
        ++counts_[d * buckets + (item >> (32 + d * Bits)) % buckets];
      }
    }
    for (unsigned d = 0; d < digits; ++d) {
      std::uint32_t* const place = counts_.data() + d * buckets;
      const unsigned shift = 32 + d * Bits;
      if (place[(from_[0] >> shift) % buckets] == n) continue;  // a digit that all share
      std::uint32_t next = 0;
      for (std::size_t b = 0; b < buckets; ++b) next += std::exchange(place[b], next);
      for (const std::uint64_t item : from_) to_[place[(item >> shift) % buckets]++] = item;
      from_.swap(to_);
    }
  }
  // Values whose 32 bits agree lie together, in the order of their positions.
  void sort_runs() {
    for (std::size_t i = 0; i < sorted_.size();) {
      std::size_t end = i + 1;
      while (end < sorted_.size() && from_[end] >> 32U == from_[i] >> 32U) ++end;
      if (end > i + 1) {
        std::sort(sorted_.begin() + static_cast<std::ptrdiff_t>(i),
                  sorted_.begin() + static_cast<std::ptrdiff_t>(end));
      }
      i = end;
    }
  }

  std::vector<pair> sorted_;
  std::vector<std::uint64_t> from_, to_;
  std::vector<std::uint32_t> counts_;
};

}  // namespace lutra::inline LUTRA_ABI
