// The most that was allocated at a time since it was asked for: operator new of the whole executable counts.
// Include in one file per executable.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <lutra/core/types.hpp>
#include <new>

namespace bench {

// One thread allocates here; what Google Benchmark allocates beside is little.
inline std::size_t heap_in_use = 0, heap_peak = 0;

inline void* counted_allocation(std::size_t size) {
  void* const block = std::malloc(std::max<std::size_t>(size, 1));
  if (block == nullptr) std::abort();
  heap_in_use += malloc_usable_size(block);
  heap_peak = std::max(heap_peak, heap_in_use);
  return block;
}
inline void release_counted(void* block) noexcept {
  if (block == nullptr) return;
  heap_in_use -= malloc_usable_size(block);
  std::free(block);
}

// Peak of f() beyond what was in use before.
template <class F> double peak_heap_of(F&& f) {
  const std::size_t before = heap_in_use;
  heap_peak = before;
  f();
  return static_cast<double>(heap_peak - before);
}

}  // namespace bench

void* operator new(std::size_t size) { return bench::counted_allocation(size); }
void* operator new[](std::size_t size) { return bench::counted_allocation(size); }
void operator delete(void* block) noexcept { bench::release_counted(block); }
void operator delete[](void* block) noexcept { bench::release_counted(block); }
void operator delete(void* block, std::size_t) noexcept { bench::release_counted(block); }
void operator delete[](void* block, std::size_t) noexcept { bench::release_counted(block); }
