// lutra: large_pages.hpp - memory for arrays that are read from end to end, again and again.
// SPDX-License-Identifier: Apache-2.0
//
// A core that streams from memory waits at every 4 KiB page for its address. Arrays of several MiB are therefore put at
// a multiple of 2 MiB, and the system is asked to use its large pages (Linux, where it does so for those who ask); a
// weight of 128 MiB is read a fifth faster then. Elsewhere, and for small arrays, this is plain operator new.
#pragma once

#include <cerrno>
#include <cstddef>
#include <lutra/core/types.hpp>
#include <new>
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

namespace lutra::inline LUTRA_ABI::simd {

inline constexpr std::size_t large_page = std::size_t{1} << 21;

// For the large pages that lie in the `bytes` from p on, a multiple of one. Advice: nothing happens if it is refused,
// and errno stays.
inline void ask_for_large_pages([[maybe_unused]] void* p,
                                [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef MADV_HUGEPAGE
  const int before = errno;
  ::madvise(p, bytes / large_page * large_page, MADV_HUGEPAGE);
  errno = before;
#endif
}

// Stateless, so any one frees what another gave; thread-safe as operator new is.
template <class T> struct large_page_allocator {
  using value_type = T;
  static constexpr std::size_t from = 2 * large_page;  // below, rounding up would waste much

  large_page_allocator() = default;
  template <class U>
  explicit(false) large_page_allocator(const large_page_allocator<U>&) noexcept {}

  T* allocate(std::size_t n) {
    const std::size_t bytes = n * sizeof(T);
    void* p = ::operator new(bytes, alignment(bytes));
    if (bytes >= from) ask_for_large_pages(p, bytes);
    return static_cast<T*>(p);
  }
  void deallocate(T* p, std::size_t n) noexcept { ::operator delete(p, alignment(n * sizeof(T))); }

  friend bool operator==(const large_page_allocator&, const large_page_allocator&) noexcept {
    return true;
  }

 private:
  static std::align_val_t alignment(std::size_t bytes) noexcept {
    return std::align_val_t{bytes >= from ? large_page : alignof(T) > 64 ? alignof(T) : 64};
  }
};

}  // namespace lutra::inline LUTRA_ABI::simd
