// lutra: random.hpp - counter-based random numbers: value i of stream s is a function of (s, i).
// SPDX-License-Identifier: Apache-2.0
//
// SplitMix64 (Steele, Lea, Flood 2014) used as a hash of a counter, so parallel users need no shared
// state and every platform gives the same bits.
#pragma once

#include <cstdint>
#include <lutra/core/types.hpp>

namespace lutra::inline LUTRA_ABI {

constexpr std::uint64_t mix64(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// Value type; copy it to fork. Not thread-safe itself, independent streams are.
class random_stream {
 public:
  constexpr explicit random_stream(std::uint64_t seed, std::uint64_t stream = 0) noexcept
      : state_(mix64(seed + 0x9e3779b97f4a7c15ULL) ^ mix64(stream + 0x7f4a7c159e3779b9ULL)) {}
  constexpr std::uint64_t next() noexcept { return mix64(state_ += 0x9e3779b97f4a7c15ULL); }
  // Uniform in [0, 1), 53 bits.
  constexpr double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // Uniform in [0, n), n >= 1. Bias below n / 2^64.
  constexpr std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  // Approximately normal, mean 0, variance 1: sum of 12 uniforms (Irwin-Hall), no libm involved.
  constexpr double normal() noexcept {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

}  // namespace lutra::inline LUTRA_ABI
