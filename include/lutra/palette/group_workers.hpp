// lutra: group_workers.hpp - how many groups may be worked on at the same time, by the memory they take.
// SPDX-License-Identifier: Apache-2.0
//
// Beyond the weight and its palette, palettize takes at most half as many bytes as the weight has up to 16 entries,
// as many above (of 4 MiB, if it has fewer) - or what one group needs, if that is more. Groups above 16,384 elements
// of small weights are therefore worked on by fewer threads than there are.
#pragma once

#include <algorithm>
#include <lutra/core/types.hpp>

namespace lutra::inline LUTRA_ABI {

struct group_load {
  index_t weight_bytes = 0;
  index_t element_bytes = 4;
  index_t group_elements = 0;  // of the largest group
  int entries = 16;
  bool weighted = false;   // row scales, importance, or doubles
  bool quantized = false;  // the table gets 8 bits
};

// Bytes of scratch that one group takes, at most as a rule; measured.
inline index_t scratch_bytes(const group_load& g) noexcept {
  constexpr index_t kib = index_t{1} << 10;
  constexpr index_t mib = index_t{1} << 20;
  const index_t n = g.group_elements;
  const bool few = g.entries <= 32;
  if (n >= index_t{1} << 17) {  // counted; several runs are copied together
    if (g.element_bytes == 2 && !g.weighted) return (few ? 1 : 7) * mib + 512 * kib + 3 * n;
    const index_t factors = g.weighted ? 8 * n + 4 * mib : 0;
    return factors + ((few ? 5 : 8) + (g.quantized ? 2 : 0)) * mib + 5 * n;
  }
  const index_t factors = g.weighted ? 60 * n : 0;
  if (g.element_bytes == 2 && !g.weighted) {
    return 48 * n + std::min((few ? 768 : 2048) * kib, (few ? 250 : 1000) * n);
  }
  if (few) return factors + 92 * n + std::min(768 * kib, 250 * n);
  return factors + 180 * n + std::min(4 * mib, 1000 * n);
}

// At most this many groups at a time, at least one.
inline index_t group_workers(const group_load& g) noexcept {
  const index_t bytes = std::max(g.weight_bytes, index_t{1} << 22);
  const index_t budget = g.entries <= 16 ? bytes / 2 : bytes;
  return std::max<index_t>(1, budget / std::max<index_t>(1, scratch_bytes(g)));
}

}  // namespace lutra::inline LUTRA_ABI
