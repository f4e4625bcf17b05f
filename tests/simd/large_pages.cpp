#include <lutra/simd/large_pages.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace lutra;

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
  for (const std::size_t bytes : {allocator::from, allocator::from + 4, 5 * allocator::page + 36}) {
    std::vector<std::int32_t, allocator> v(bytes / 4);
    CHECK(at(v) % allocator::page == 0);
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
