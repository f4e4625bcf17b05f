#include <lutra/cluster/sort_weighted.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace {

using pair = lutra::weighted_sorter::pair;

void check_sorted(lutra::weighted_sorter& sorter, const std::vector<double>& x,
                  const std::vector<float>& w) {
  std::vector<pair> want;
  for (std::size_t i = 0; i < x.size(); ++i) {
    want.emplace_back(x[i] + 0.0, static_cast<double>(w[i]));
  }
  std::sort(want.begin(), want.end());
  const auto got = sorter(std::span<const double>(x), std::span<const float>(w));
  REQUIRE(got.size() == want.size());
  CHECK(std::equal(got.begin(), got.end(), want.begin()));
  for (const pair& p : got) REQUIRE_FALSE((p.first == 0 && std::signbit(p.first)));
}

TEST_CASE("sort_weighted: as std::sort does, for values near and far, equal and all of one sign") {
  using limits = std::numeric_limits<double>;
  const std::vector<std::function<double(lutra::random_stream&)>> draws = {
      [](auto& r) { return r.normal(); },
      [](auto& r) { return 1 + r.uniform() * 1e-9; },  // differ in their last bits only
      [](auto& r) { return -1 - r.uniform() * 1e-14; },
      [](auto& r) { return std::round(3 * r.normal()); },
      [](auto& r) { return r.normal() * std::ldexp(1.0, static_cast<int>(r.below(2000)) - 1000); },
      [](auto& r) { return static_cast<double>(r.below(40)) * limits::denorm_min(); },
      [](auto& r) { return r.uniform() < 0.5 ? 0.0 : -0.0; },
      [](auto& r) { return r.uniform() < 0.5 ? limits::max() : limits::lowest(); },
      [](auto&) { return 0.125; }};
  lutra::weighted_sorter sorter;
  for (const std::size_t n :
       std::vector<std::size_t>{0, 1, 2, 64, 65, 1000, 16383, 16384, 140000}) {
    for (std::size_t d = 0; d < draws.size(); ++d) {
      if (n > 20000 && d > 1) continue;
      lutra::random_stream random(n + d);
      std::vector<double> x(n);
      std::vector<float> w(n);
      for (std::size_t i = 0; i < n; ++i) {
        x[i] = draws[d](random);
        w[i] = static_cast<float>(1 + random.below(5));
      }
      CAPTURE(n);
      CAPTURE(d);
      check_sorted(sorter, x, w);
    }
  }
}

TEST_CASE("sort_weighted: floats as they are") {
  const std::vector<float> x = {3, -1, 2, -1};
  const std::vector<double> w = {1, 4, 2, 3};
  lutra::weighted_sorter sorter;
  const auto got = sorter(std::span<const float>(x), std::span<const double>(w));
  CHECK(std::vector<pair>(got.begin(), got.end()) ==
        std::vector<pair>{{-1, 3}, {-1, 4}, {2, 2}, {3, 1}});
}

}  // namespace
