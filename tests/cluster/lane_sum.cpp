#include <lutra/cluster/lane_sum.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace {

TEST_CASE("lane_sum: close to a sum in extended precision, for every tail and over block ends") {
  lutra::random_stream random(1);
  std::vector<double> x(3 * 4096 + 5);
  for (double& v : x) v = random.uniform();
  const auto term = [&](std::size_t i) { return x[i]; };
  for (std::size_t end = 0; end < x.size(); end += end < 40 ? 1 : 977) {
    for (const std::size_t begin : std::vector<std::size_t>{0, 1, 7, 9}) {
      if (begin > end) continue;
      long double want = 0;
      for (std::size_t i = begin; i < end; ++i) want += static_cast<long double>(x[i]);
      const double got = lutra::sum_in_lanes(begin, end, term);
      CHECK(std::fabs(got - static_cast<double>(want)) <= 1e-13 * static_cast<double>(want));
    }
  }
}

TEST_CASE("lane_sum: exact for integers, and blocks are joined with compensation") {
  CHECK(lutra::sum_in_lanes(0, 100000, [](std::size_t i) { return static_cast<double>(i); }) ==
        100000.0 * 99999.0 / 2);
  // One huge term: the small blocks after it are not lost.
  const auto term = [](std::size_t i) { return i == 0 ? 0x1p60 : 0x1p-4; };
  CHECK(lutra::sum_in_lanes(0, 4096 * 4097, term) >= 0x1p60 + 4096.0 * 4096.0 / 16);
}

TEST_CASE("lane_sum: several sums in one pass are the same as one by one") {
  lutra::random_stream random(2);
  std::vector<double> x(2 * 4096 + 77);
  for (double& v : x) v = random.normal();
  for (const std::size_t end : {std::size_t{0}, std::size_t{5}, std::size_t{64}, x.size()}) {
    const auto both = lutra::sums_in_lanes<2>(0, end, [&](std::size_t i, std::array<double, 2>& t) {
      t = {x[i], x[i] * x[i]};
    });
    CHECK(both[0] == lutra::sum_in_lanes(0, end, [&](std::size_t i) { return x[i]; }));
    CHECK(both[1] == lutra::sum_in_lanes(0, end, [&](std::size_t i) { return x[i] * x[i]; }));
  }
}

}  // namespace
