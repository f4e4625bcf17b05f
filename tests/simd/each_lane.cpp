#include <lutra/simd/each_lane.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "levels.hpp"

TEST_CASE("each_lane: each lane is spread over a register") {
  std::vector<float> x(16);
  for (std::size_t i = 0; i < 16; ++i) x[i] = static_cast<float>(3 * i) - 7.5F;
  for_each_level([&](auto level) {
    using V = lutra::simd::floats<decltype(level)>;
    constexpr lutra::index_t lanes = lutra::simd::lanes<V>;
    const lutra::simd::each_lane<V> each(lutra::simd::load<V>(x.data()));
    for (lutra::index_t i = 0; i < lanes; ++i) {
      std::vector<float> got(static_cast<std::size_t>(lanes));
      lutra::simd::store(got.data(), each.at(i));
      CHECK(got ==
            std::vector<float>(static_cast<std::size_t>(lanes), x[static_cast<std::size_t>(i)]));
    }
  });
}
