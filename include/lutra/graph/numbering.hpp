// lutra: numbering.hpp - from keys to the dense numbers they were given: the look-up while a graph is read.
// SPDX-License-Identifier: Apache-2.0
//
// Open addressing over the numbers alone; the keys stay with the caller. No allocation per key. Expected
// constant time per look-up. Value type; not for concurrent use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <lutra/core/types.hpp>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class numbering {
 public:
  // Room for `keys` different keys; nothing once there is one.
  void reserve(std::size_t keys) {
    std::size_t room = slots_.size();
    while (room < 2 * keys) room *= 2;
    if (used_ == 0) slots_.assign(room, empty);
  }
  // The number added before whose key is equal to that of `number`, or `number`, now added. hash(i) and
  // equal(i, j) speak of the keys with these numbers.
  template <class Hash, class Equal>
  index_t32 find_or_add(index_t32 number, Hash&& hash, Equal&& equal) {
    if (2 * (used_ + 1) > slots_.size()) grow(hash);
    std::size_t at = slot(hash(number));
    for (; slots_[at] != empty; at = (at + 1) & (slots_.size() - 1)) {
      if (equal(slots_[at], number)) return slots_[at];
    }
    ++used_;
    return slots_[at] = number;
  }

 private:
  static constexpr index_t32 empty = -1;

  // Handles are often multiples of something, and their hashes with them: products spread them.
  std::size_t slot(std::size_t hash) const noexcept {
    std::uint64_t h = std::uint64_t{hash} * 0x9E3779B97F4A7C15U;
    h = (h ^ h >> 32U) * 0xD6E8FEB86659FD93U;
    return static_cast<std::size_t>(h >> 32U) & (slots_.size() - 1);
  }
  template <class Hash> void grow(Hash& hash) {
    const std::vector<index_t32> old = std::move(slots_);
    slots_.assign(2 * old.size(), empty);
    for (const index_t32 number : old) {
      if (number == empty) continue;
      std::size_t at = slot(hash(number));
      while (slots_[at] != empty) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = number;
    }
  }

  std::vector<index_t32> slots_ = std::vector<index_t32>(16, empty);
  std::size_t used_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI
