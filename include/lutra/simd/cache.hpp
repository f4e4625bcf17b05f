// lutra: cache.hpp - the size of the last-level cache, and from which size on outputs are written around it.
// SPDX-License-Identifier: Apache-2.0
//
// An output that does not fit the cache need not be read into it before it is overwritten: non-temporal
// stores save that read. One that fits is written several times faster through the cache. The switch is at
// half of the last-level cache, since the inputs live there too, and at 32 MiB where that cache is larger: then it is
// that of a server, whose other cores or guests have most of it. (Seen on such a guest, told of 480 MiB: copies of up
// to 2 x 32 MiB run at one rate, larger ones at half of it.) Results never depend on it.
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

// Bytes of the last-level cache as the system tells: the smaller of what Linux and the C library say (the
// latter multiplies by the wrong number of cores on some machines); 32 MiB where neither knows.
inline index_t detect_last_level_cache() {
  index_t bytes = index_t{1} << 62;
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
  return bytes == index_t{1} << 62 ? index_t{1} << 25 : bytes;
}

// The switch for a last-level cache of so many bytes.
constexpr index_t stream_threshold_of(index_t cache) noexcept {
  return std::min(cache / 2, index_t{32} << 20);
}
inline std::atomic<index_t>& stream_threshold_setting() noexcept {
  static std::atomic<index_t> bytes = stream_threshold_of(detect_last_level_cache());
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

// Asks for the cache line `ahead` bytes after p, which need not exist.
[[gnu::always_inline]] inline void prefetch(const void* p, index_t ahead) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(ahead);
  __builtin_prefetch(reinterpret_cast<const void*>(address));
}
// For each register that a loop reads from end to end: a loop that also works on it, or writes around the caches, does
// not look as far ahead as it should. (Fake-quantization ran at 60 to 90 % of a copy's rate without and at 100 with,
// whether 1 or 8 KiB ahead.)
[[gnu::always_inline]] inline void read_ahead(const void* p) noexcept { prefetch(p, 4096); }

}  // namespace lutra::inline LUTRA_ABI::simd
