#include <doctest/doctest.h>

#include <lutra/simd/unroll.hpp>
#include <vector>

TEST_CASE("unroll: the body sees the constants 0 .. n-1 in order") {
  std::vector<int> seen;
  lutra::simd::unroll<4>([&](auto i) {
    constexpr int constant = i;
    seen.push_back(constant);
  });
  CHECK(seen == std::vector<int>{0, 1, 2, 3});
  lutra::simd::unroll<0>([&](auto) { seen.clear(); });
  CHECK(seen.size() == 4);
}
