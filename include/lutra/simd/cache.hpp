// lutra: cache.hpp - the size of the last-level cache, and from which size on outputs are written around it.
// SPDX-License-Identifier: Apache-2.0
//
// An output that does not fit the cache need not be read into it before it is overwritten: non-temporal
// stores save that read. One that fits is written several times faster through the cache. The switch is at
// half of the last-level cache, since the inputs live there too. Results never depend on it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <lutra/core/types.hpp>
#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace lutra::inline LUTRA_ABI::simd {

// How a loop writes its output.
enum class stores : unsigned char { cached, streaming };

// What may be believed of a last-level cache that a system with this many CPUs tells: no CPU is made with more than
// 32 MiB per core. A virtual machine is told all of a cache of which it has the part of its few cores: one of 2 CPUs,
// told 480 MiB, writes 25 GB/s through the cache up to 32 MiB and 9 beyond, around it 20 at any size.
constexpr index_t believable_cache(index_t told, index_t cpus) noexcept {
  return std::min(told, std::max<index_t>(cpus, 1) << 25);
}

// Bytes of the last-level cache as the system tells: the smaller of what Linux and the C library say (the latter
// multiplies by the wrong number of cores on some machines); 32 MiB where neither knows.
inline index_t told_last_level_cache() {
  constexpr index_t unknown = index_t{1} << 62;
  index_t bytes = unknown;
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
  index_t amount = 0;
  char unit = ' ';
  if (file >> amount && amount > 0) {
    file >> unit;
    bytes = std::min(bytes, unit == 'M' ? amount << 20 : unit == 'K' ? amount << 10 : amount);
  }
#ifdef _SC_LEVEL3_CACHE_SIZE
  const index_t said = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (said > 0) bytes = std::min(bytes, said);
#endif
  return bytes == unknown ? index_t{1} << 25 : bytes;
}
// The part of it that may be believed.
inline index_t detect_last_level_cache() {
#ifdef _SC_NPROCESSORS_ONLN
  return believable_cache(told_last_level_cache(),
                          static_cast<index_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
#else
  return told_last_level_cache();
#endif
}

inline std::atomic<index_t>& stream_threshold_setting() noexcept {
  static std::atomic<index_t> bytes = detect_last_level_cache() / 2;
  return bytes;
}
// Outputs of more bytes are streamed. Thread-safe.
inline index_t stream_threshold() noexcept {
  return stream_threshold_setting().load(std::memory_order_relaxed);
}
// Overrides the system's answer, for the whole program; thread-safe.
inline void set_stream_threshold(index_t bytes) noexcept {
  stream_threshold_setting().store(bytes, std::memory_order_relaxed);
}
inline stores stores_for(index_t bytes) noexcept {
  return bytes > stream_threshold() ? stores::streaming : stores::cached;
}

// The address `bytes` after p, which may lie outside of what p points into.
[[gnu::always_inline]] inline const void* address_after(const void* p, index_t bytes) noexcept {
  return reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) +
                                       static_cast<std::uintptr_t>(bytes));
}
// Asks for the cache line `ahead` bytes after p, which need not exist.
[[gnu::always_inline]] inline void prefetch(const void* p, index_t ahead) noexcept {
  __builtin_prefetch(address_after(p, ahead));
}
// For each register that a loop reads from end to end: a loop that also works on it, or writes around the caches, does
// not look as far ahead as it should. Into the second-level cache: the first's few buffers for lines on their way are
// needed by the stores. (On one server core fake-quantization of one scale ran at 91 to 101 % of a copy's rate without,
// at 96 to 117 with lines asked into the first-level cache, and at 112 to 130 like this, whether 2 or 8 KiB ahead; on
// others it was not measured.) Such a loop waits at every page of 4 KiB for its address, the more the longer its body:
// fake-quantization to e4m3 took 23 % more than a copy like this there, 8 % on pages of 2 MiB (large_pages.hpp), where
// both were a fifth to a quarter faster.
[[gnu::always_inline]] inline void read_ahead(const void* p, index_t ahead = 4096) noexcept {
  __builtin_prefetch(address_after(p, ahead), 0, 2);
}
// Reads a word in every 4 KiB of n elements: the addresses of these pages are then looked up side by side. For a short
// array that a loop reads beside long ones, writing around the caches: at every page of it that loop would wait for an
// address, and its stores with it, up to 1 us on a virtual machine. Blocks of 32 took 8 to 10 % less with the pages of
// scales and zero points touched 16 at once, 3 to 6 % with scales alone. Long arrays are slower so, by a fifth.
template <class T> inline void touch_pages(const T* p, index_t n) noexcept {
  constexpr index_t page = 4096 / sizeof(T);
  for (index_t i = 0; i < n; i += page) static_cast<void>(*static_cast<const volatile T*>(p + i));
}
// The same for lines that will be overwritten: stores that find their line in the first-level cache do not wait for
// the next. Worth it where a loop does little more than store.
[[gnu::always_inline]] inline void prefetch_for_write(const void* p, index_t ahead) noexcept {
  __builtin_prefetch(address_after(p, ahead), 1);
}

}  // namespace lutra::inline LUTRA_ABI::simd
