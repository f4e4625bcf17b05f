// lutra: numbering.hpp - from keys to the dense numbers they were given: the look-up while a graph is read.
// SPDX-License-Identifier: Apache-2.0
//
// Open addressing over the numbers, each with 32 bits of its key's hash; the keys stay with the caller, and are looked
// at only if these bits agree: in large graphs they are far away. No allocation per key. Expected constant time
// per look-up. Value type; not for concurrent use.
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
    if (used_ == 0) slots_.assign(room, slot{});
  }
  // The number added before whose key is equal to that of `number`, or `number`, now added. hash(i) and
  // equal(i, j) speak of the keys with these numbers.
  template <class Hash, class Equal>
  index_t32 find_or_add(index_t32 number, Hash&& hash, Equal&& equal) {
    if (2 * (used_ + 1) > slots_.size()) grow(hash);
    const std::size_t h = hash(number);
    const std::uint32_t tag = tag_of(h);
    std::size_t at = place(h);
    for (; slots_[at].number != empty; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].tag == tag && equal(slots_[at].number, number)) return slots_[at].number;
    }
    ++used_;
    slots_[at] = {number, tag};
    return number;
  }

 private:
  static constexpr index_t32 empty = -1;
  struct slot {
    index_t32 number = empty;
    std::uint32_t tag = 0;
  };
  static constexpr std::size_t line = 8;  // slots in a cache line

  // Handles are often multiples of something, and their hashes with them: products spread them.
  static std::uint64_t spread(std::size_t hash) noexcept {
    std::uint64_t h = std::uint64_t{hash} * 0x9E3779B97F4A7C15U;
    h = (h ^ h >> 32U) * 0xD6E8FEB86659FD93U;
    return h ^ h >> 32U;
  }
  static std::uint32_t tag_of(std::size_t hash) noexcept {
    return static_cast<std::uint32_t>(spread(hash) >> 32U);
  }
  // Eight neighbours, which graphs ask for one after the other, lie in one line of the cache, in an order of
  // their own.
  std::size_t place(std::size_t hash) const noexcept {
    const std::uint64_t h = spread(hash / line);
    const std::size_t within = (hash + static_cast<std::size_t>(h >> 61U)) % line;
    return (static_cast<std::size_t>(h) * line + within) & (slots_.size() - 1);
  }
  template <class Hash> void grow(Hash& hash) {
    const std::vector<slot> old = std::move(slots_);
    slots_.assign(2 * old.size(), slot{});
    for (const slot& s : old) {
      if (s.number == empty) continue;
      std::size_t at = place(hash(s.number));
      while (slots_[at].number != empty) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = s;
    }
  }

  std::vector<slot> slots_ = std::vector<slot>(16);
  std::size_t used_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI
