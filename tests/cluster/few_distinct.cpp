#include <lutra/cluster/few_distinct.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace {

TEST_CASE("few_distinct: distinct values and how often they occur") {
  const std::vector<float> x = {3, -0.0F, 1, 0, 3, 3};
  const auto atoms = lutra::few_distinct(std::span<const float>(x), 3);
  REQUIRE(atoms);
  CHECK(atoms->value == std::vector<double>{0, 1, 3});
  CHECK(atoms->weight == std::vector<double>{2, 1, 3});
  CHECK(!lutra::few_distinct(std::span<const float>(x), 2));
}

TEST_CASE("few_distinct: the limit, and values that share much of their bits") {
  std::vector<double> x;
  for (int i = 0; i < 500; ++i) {
    for (int times = 0; times <= i % 3; ++times) x.push_back(std::ldexp(1.0 + i, 40 - i % 80));
  }
  std::vector<double> sorted = x;
  std::sort(sorted.begin(), sorted.end());
  const auto distinct =
      static_cast<std::size_t>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
  sorted.resize(distinct);
  const auto atoms = lutra::few_distinct(std::span<const double>(x), distinct);
  REQUIRE(atoms);
  CHECK(atoms->value == sorted);
  double weight = 0;
  for (const double w : atoms->weight) weight += w;
  CHECK(weight == static_cast<double>(x.size()));
  CHECK(!lutra::few_distinct(std::span<const double>(x), distinct - 1));
  CHECK(!lutra::few_distinct(std::span<const double>(x), 0));
  CHECK(lutra::few_distinct(std::span<const double>(), 0));
}

}  // namespace
