// Arrays of 1 MiB and more lie in large pages here, also those that lutra allocates as std::vector: scales and offsets
// of blocks, masks. So roofs, kernels and what they read beside their elements wait for addresses alike (buffers.hpp).
#include <cstddef>
#include <cstdlib>
#include <new>
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

void* operator new(std::size_t bytes) {
  constexpr std::size_t page = std::size_t{1} << 21, from = page / 2;
  void* p = nullptr;
  if (bytes < from) {
    p = std::malloc(bytes == 0 ? 1 : bytes);
  } else {
    const std::size_t whole = (bytes + page - 1) / page * page;
    p = std::aligned_alloc(page, whole);
#ifdef MADV_HUGEPAGE
    if (p != nullptr) ::madvise(p, whole, MADV_HUGEPAGE);  // advice: no harm if it is refused
#endif
  }
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
