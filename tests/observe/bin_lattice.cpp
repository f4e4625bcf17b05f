#include <lutra/observe/bin_lattice.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <lutra/core/random.hpp>
#include <utility>
#include <vector>

namespace {

using lutra::index_t;

index_t covered(float lo, float hi, int exponent) {
  return lutra::lattice_index(hi, exponent) - lutra::lattice_index(lo, exponent) + 1;
}

TEST_CASE("bin_lattice: the least exponent at which the bins cover a range, no finer than floats") {
  constexpr float most = std::numeric_limits<float>::max();
  std::vector<std::pair<float, float>> ranges = {{0, 0},
                                                 {1, 1},
                                                 {-1, 1},
                                                 {0, 1},
                                                 {-most, most},
                                                 {0, most},
                                                 {0x1p-126F, 0x1p-126F},
                                                 {-0x1p-126F, 0},
                                                 {1e30F, 1e30F},
                                                 {-3, -2}};
  lutra::random_stream random(7);
  for (int i = 0; i < 300; ++i) {
    const int e = static_cast<int>(random.below(200)) - 100;
    const auto a = static_cast<float>(std::ldexp(random.normal(), e));
    const auto b = static_cast<float>(std::ldexp(random.normal(), e));
    ranges.emplace_back(std::min(a, b), std::max(a, b));
  }
  for (const auto& range : ranges) {
    const float lo = range.first, hi = range.second;  // clang 14 captures no structured bindings
    CAPTURE(lo);
    CAPTURE(hi);
    for (const index_t bins : {16, 65, 2048}) {
      const auto [e, first] = lutra::lattice_of(lo, hi, bins);
      CHECK(first == lutra::lattice_index(lo, e));
      CHECK(covered(lo, hi, e) <= bins);
      const float largest = std::max(-lo, hi);
      const int finest = largest == 0.0F ? -126 : std::max(std::ilogb(largest) - 23, -126);
      CHECK(e >= finest);
      if (e > finest) CHECK(covered(lo, hi, e - 1) > bins);
    }
  }
}

TEST_CASE("bin_lattice: an index is the floor, and subnormals are zeros") {
  for (const int e : {-126, -3, 0, 5, 100}) {
    const float width = std::ldexp(1.0F, e);
    CHECK(lutra::power_of_two(e) == static_cast<double>(width));
    CHECK(lutra::lattice_index(0.0F, e) == 0);
    CHECK(lutra::lattice_index(width, e) == 1);
    CHECK(lutra::lattice_index(std::nextafter(width, 0.0F), e) == 0);
    CHECK(lutra::lattice_index(-width, e) == -1);
    CHECK(lutra::lattice_index(-1.5F * width, e) == -2);
  }
  CHECK(lutra::without_subnormals(0x1p-127F) == 0.0F);
  CHECK(lutra::without_subnormals(-0x1p-149F) == 0.0F);
  CHECK(lutra::without_subnormals(-0x1p-126F) == -0x1p-126F);
  CHECK(lutra::without_subnormals(3.5F) == 3.5F);
}

}  // namespace
