#include <lutra/simd/large_pages.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

using namespace lutra;

namespace {

// VmFlags of the mapping that p lies in, from /proc/self/smaps; empty if the system does not say.
std::string flags_at(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    if (std::istringstream head(line); head >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= address && address < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line + ' ';
    }
  }
  return {};
}

}  // namespace

TEST_CASE(
    "large_pages: small arrays lie at lines, large ones at large pages; both hold what is "
    "written") {
  using allocator = simd::large_page_allocator<std::int32_t>;
  const auto at = [](const std::vector<std::int32_t, allocator>& v) {
    return reinterpret_cast<std::uintptr_t>(v.data());
  };
  for (const std::size_t bytes : {std::size_t{4}, allocator::from - 4}) {
    std::vector<std::int32_t, allocator> v(bytes / 4);
    CHECK(at(v) % 64 == 0);
  }
  for (const std::size_t bytes :
       {allocator::from, allocator::from + 4, 5 * simd::large_page + 36}) {
    std::vector<std::int32_t, allocator> v(bytes / 4);
    CHECK(at(v) % simd::large_page == 0);
    CHECK(v.front() == 0);
    CHECK(v.back() == 0);
    for (std::size_t i = 0; i < v.size(); i += 1000) v[i] = static_cast<std::int32_t>(i);
    const auto copy = v;
    v.resize(v.size() / 3);
    v.shrink_to_fit();
    CHECK(v[3000] == 3000);
    CHECK(copy[3000] == 3000);
    CHECK(copy.back() == 0);
  }
}

TEST_CASE("large_pages: types of a higher alignment keep it, allocators of any type are equal") {
  struct alignas(256) wide {
    char c[256];
  };
  const std::vector<wide, simd::large_page_allocator<wide>> v(3);
  CHECK(reinterpret_cast<std::uintptr_t>(v.data()) % 256 == 0);
  const simd::large_page_allocator<int> a;
  const simd::large_page_allocator<wide> b(a);
  CHECK(b == simd::large_page_allocator<wide>{});
}

#ifdef MADV_HUGEPAGE
TEST_CASE("large_pages: the system is asked for large pages, and errno is left alone") {
  using allocator = simd::large_page_allocator<char>;
  allocator a;
  errno = 7;
  char* const large = a.allocate(2 * allocator::from);
  CHECK(errno == 7);
  const bool known = !flags_at(large).empty();
  const auto asked_for = [](const char* p) {
    return flags_at(p).find(" hg ") != std::string::npos;
  };
  // Emulators take the call and do nothing.
  const bool shown =
      known && ::madvise(large, simd::large_page, MADV_HUGEPAGE) == 0 && asked_for(large);
  if (!shown) {
    MESSAGE("not shown here: no /proc/self/smaps with VmFlags, or no large pages");
  } else {  // "hg" is what madvise leaves behind; the first page has been asked for again just now
    CHECK(asked_for(large + 2 * allocator::from - 1));
  }
  a.deallocate(large, 2 * allocator::from);
}
#endif
