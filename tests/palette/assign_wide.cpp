#include <lutra/core/random.hpp>
#include <lutra/palette/assign_wide.hpp>

#include <doctest/doctest.h>

#include "levels.hpp"

namespace {

std::vector<float> ascending(std::size_t entries) {
  lutra::random_stream random(entries);
  std::vector<float> table;
  for (std::size_t i = 0; i < entries; ++i) table.push_back(static_cast<float>(random.normal()));
  std::sort(table.begin(), table.end());
  table.erase(std::unique(table.begin(), table.end()), table.end());
  return table;
}

TEST_CASE("assign_wide: the number of midpoints below, for all tables, tails and levels") {
  for (const std::size_t entries : std::vector<std::size_t>{1, 2, 3, 16, 17, 18, 64, 255, 256}) {
    std::vector<float> table = ascending(entries);
    if (entries == 64) table.back() = 1e30F;  // nearly all midpoints in one stretch
    const auto mids = lutra::midpoints_of(std::vector<double>(table.begin(), table.end()));
    lutra::random_stream random(9);
    std::vector<double> x;
    for (std::size_t i = 0; i < lutra::nearest_wide::block; ++i) {
      x.push_back(2 * random.normal());
      if (mids.empty() || i % 4 != 0) continue;
      x.back() = mids[random.below(mids.size())];  // a tie, or next to one
      if (i % 8 == 0) x.back() = std::nextafter(x.back(), random.uniform() < 0.5 ? -9.0 : 9.0);
    }
    x[7] = 1e300;
    x[8] = -1e300;
    for (const std::size_t values : std::vector<std::size_t>{100, 100000}) {
      const lutra::nearest_wide nearest(table, values);
      for_each_level([&]<class Level>(Level) {
        for (const std::size_t n : std::vector<std::size_t>{0, 1, 7, 9, 100, x.size()}) {
          std::vector<std::uint8_t> codes(n + 1, 99);
          nearest.codes<Level>(std::span<const double>(x).first(n), codes.data());
          for (std::size_t i = 0; i < n; ++i) {
            REQUIRE(codes[i] == lutra::nearest_index(mids, x[i]));
          }
          CHECK(codes[n] == 99);
        }
      });
    }
  }
}

}  // namespace
