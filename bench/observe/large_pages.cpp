// Arrays of 1 MiB and more lie in large pages here, also those that lutra allocates as std::vector: scales and offsets
// of blocks, masks. So roofs, kernels and what they read beside their elements wait for addresses alike (buffers.hpp).
#include <algorithm>
#include <cstdlib>
#include <lutra/simd/large_pages.hpp>
#include <new>

void* operator new(std::size_t bytes, std::align_val_t alignment) {
  using lutra::simd::large_page;
  const bool large = bytes >= large_page / 2;
  const std::size_t at = std::max(static_cast<std::size_t>(alignment), large ? large_page : 0);
  const std::size_t whole = std::max<std::size_t>(bytes + at - 1, at) / at * at;
  void* const p = std::aligned_alloc(at, whole);
  if (p == nullptr) throw std::bad_alloc();
  if (large) lutra::simd::ask_for_large_pages(p, whole);
  return p;
}
void* operator new(std::size_t bytes) {
  return operator new (bytes, std::align_val_t{__STDCPP_DEFAULT_NEW_ALIGNMENT__});
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
