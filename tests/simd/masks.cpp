#include <lutra/simd/masks.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "levels.hpp"

namespace {

TEST_CASE("masks: comparisons, selection and bits, lane by lane, NaN included") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> a(16);
  std::vector<float> b(16);
  for (std::size_t i = 0; i < 16; ++i) {
    a[i] = i % 5 == 4 ? nan : static_cast<float>(i % 4);
    b[i] = i % 7 == 6 ? nan : static_cast<float>(i % 3);
  }
  for_each_level([&](auto level) {
    using V = lutra::simd::floats<decltype(level)>;
    constexpr auto lanes = static_cast<std::size_t>(lutra::simd::lanes<V>);
    for (std::size_t i = 0; i < 16; i += lanes) {
      const V x = lutra::simd::load<V>(a.data() + i);
      const V y = lutra::simd::load<V>(b.data() + i);
      const auto at_least = lutra::simd::at_least(x, y);
      const auto above = lutra::simd::above(x, y);
      float selected[lanes];
      lutra::simd::store(selected, lutra::simd::select(above, x, y));
      float kept[lanes];
      lutra::simd::store(kept, lutra::simd::keep_where(lutra::simd::mask_to_bits(above), x));
      const auto exact = lutra::simd::equal(x, y);
      const auto differ = lutra::simd::differ(x, y);
      for (std::size_t k = 0; k < lanes; ++k) {
        const float p = a[i + k];
        const float q = b[i + k];
        CHECK(((lutra::simd::mask_to_bits(at_least) >> k) & 1U) == (p >= q ? 1U : 0U));
        CHECK(((lutra::simd::mask_to_bits(above) >> k) & 1U) == (p > q ? 1U : 0U));
        CHECK(((lutra::simd::mask_to_bits(exact) >> k) & 1U) == (p == q ? 1U : 0U));
        CHECK(((lutra::simd::mask_to_bits(differ) >> k) & 1U) == (p < q || p > q ? 1U : 0U));
        if (p > q) {
          CHECK(selected[k] == p);
          CHECK(kept[k] == p);
        } else {
          CHECK((selected[k] == q || q != q));
          CHECK(kept[k] == 0.0F);
        }
      }
    }
  });
}

}  // namespace
