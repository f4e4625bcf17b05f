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

// f(begin) + ... + f(end - 1).
template <class F> double sum_in_lanes(std::size_t begin, std::size_t end, F&& f) {
  constexpr std::size_t lanes = 8;
  constexpr std::size_t block = 4096;
  compensated_sum total;
  while (begin < end) {
    const std::size_t stop = std::min(end, begin + block);
    std::array<double, lanes> sums{};
    for (; begin + lanes <= stop; begin += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) sums[l] += f(begin + l);
    }
    for (std::size_t l = 0; begin < stop; ++l, ++begin) sums[l] += f(begin);
    total.add(((sums[0] + sums[4]) + (sums[2] + sums[6])) +
              ((sums[1] + sums[5]) + (sums[3] + sums[7])));
  }
  return total.value();
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
