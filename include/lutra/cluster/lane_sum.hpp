// lutra: lane_sum.hpp - long sums of doubles, precise, quick and the same everywhere.
// SPDX-License-Identifier: Apache-2.0
//
// Eight running sums per block of 4096 terms, joined in pairs, and blocks added with compensation. The
// order is that of the terms alone: identical on every ISA and compiler. The relative error of a sum of
// terms of one sign is below 2^-43, typically 2^-52.
#pragma once

#include <algorithm>
#include <array>
#include <lutra/cluster/double_double.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Several sums at once: f(i, term) sets the N terms of i in [begin, end). Each sum is that of sum_in_lanes.
template <std::size_t N, class F>
std::array<double, N> sums_in_lanes(std::size_t begin, std::size_t end, F&& f) {
  constexpr std::size_t lanes = 8;
  constexpr std::size_t block = 4096;
  const auto sums_of_block = [&](std::size_t i, std::size_t stop) {
    std::array<std::array<double, lanes>, N> sums{};
    const auto add = [&](std::size_t at, std::size_t lane) {
      std::array<double, N> term;
      f(at, term);
      for (std::size_t s = 0; s < N; ++s) sums[s][lane] += term[s];
    };
    for (; i + lanes <= stop; i += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) add(i + l, l);
    }
    for (std::size_t l = 0; i < stop; ++l, ++i) add(i, l);
    std::array<double, N> joined;
    for (std::size_t s = 0; s < N; ++s) {
      const std::array<double, lanes>& x = sums[s];
      joined[s] = ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
    }
    return joined;
  };
  if (end - begin <= block) return sums_of_block(begin, end);
  std::array<compensated_sum, N> total;
  for (; begin < end; begin = std::min(end, begin + block)) {
    const std::array<double, N> some = sums_of_block(begin, std::min(end, begin + block));
    for (std::size_t s = 0; s < N; ++s) total[s].add(some[s]);
  }
  std::array<double, N> found;
  for (std::size_t s = 0; s < N; ++s) found[s] = total[s].value();
  return found;
}

// f(begin) + ... + f(end - 1).
template <class F> double sum_in_lanes(std::size_t begin, std::size_t end, F&& f) {
  return sums_in_lanes<1>(begin, end,
                          [&](std::size_t i, std::array<double, 1>& term) { term[0] = f(i); })[0];
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
