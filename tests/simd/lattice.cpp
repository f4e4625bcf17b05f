#include <lutra/core/random.hpp>
#include <lutra/simd/lattice.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "levels.hpp"

namespace {

TEST_CASE("lattice: floor(x / 2^e) - origin at every level, underflowing quotients included") {
  lutra::random_stream r(2);
  for (const int e : {-126, -30, -7, 0, 3, 40, 110}) {
    lutra::simd::lattice l{std::ldexp(1.0F, -e), std::ldexp(1.0F, e), -5};
    std::vector<float> x = {0.0F,
                            -0.0F,
                            std::ldexp(1.0F, e),
                            -std::ldexp(1.0F, e),
                            std::ldexp(3.0F, e),
                            -std::ldexp(3.0F, e),
                            std::nextafter(std::ldexp(1.0F, e), 0.0F),
                            -std::nextafter(std::ldexp(1.0F, e), 0.0F),
                            -0x1p-126F,
                            0x1p-126F};
    while (x.size() < 64 * 16) {
      const double m =
          (r.uniform() - 0.5) * std::ldexp(1.0, static_cast<int>(r.below(e > 100 ? 17 : 24)));
      x.push_back(static_cast<float>(std::ldexp(m, e)));
    }
    for_each_level([&](auto level) {
      using V = lutra::simd::floats<decltype(level)>;
      constexpr auto lanes = static_cast<std::size_t>(lutra::simd::lanes<V>);
      std::int32_t index[lanes];
      for (std::size_t i = 0; i < x.size(); i += lanes) {
        lutra::simd::store_lattice_index(index, lutra::simd::load<V>(x.data() + i), l);
        for (std::size_t k = 0; k < lanes; ++k) {
          CAPTURE(x[i + k]);
          const bool subnormal = std::fpclassify(x[i + k]) == FP_SUBNORMAL;  // counts as zero
          const double v = subnormal ? 0.0 : static_cast<double>(x[i + k]);
          CHECK(index[k] == std::floor(std::ldexp(v, -e)) + 5);
        }
      }
    });
  }
}

}  // namespace
