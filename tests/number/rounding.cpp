#include <lutra/number/rounding.hpp>

#include "formats.hpp"

using lutra::round_half_even;

TEST_CASE("rounding: agrees with nearbyint, sign of zero included") {
  lutra::random_stream random(3);
  std::vector<float> xs = {0.0F,        -0.0F,       0.5F,    -0.5F,   1.5F,       2.5F,
                           -2.5F,       0x1p22F,     0x1p23F, 0x1p24F, 8388607.5F, 4194303.5F,
                           -4194304.5F, 0.49999997F, 1e-45F,  -1e-45F};
  for (int i = 0; i < 200000; ++i) {
    xs.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.next())));
    const float half = static_cast<float>(static_cast<int>(random.below(4096)) - 2048) + 0.5F;
    xs.push_back(next_float(half, static_cast<int>(random.below(3)) - 1));
  }
  for (const float x : xs) {
    const float expected = std::nearbyint(x);
    const float got = round_half_even(x);
    if (std::isnan(x)) {
      CHECK(std::isnan(got));
    } else {
      const bool same = got == expected && std::signbit(got) == std::signbit(expected);
      CHECK_MESSAGE(same, x);
    }
  }
}

TEST_CASE("rounding: infinities stay and it is a constant expression") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(round_half_even(inf) == inf);
  CHECK(round_half_even(-inf) == -inf);
  static_assert(round_half_even(2.5F) == 2.0F && round_half_even(3.5F) == 4.0F);
}
