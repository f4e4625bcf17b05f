#include <lutra/cluster/line.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

namespace {

using lutra::index_t;
using lutra::line;

double direct_cost(const std::vector<double>& x, const std::vector<double>& w, std::size_t i,
                   std::size_t j) {
  double weight = 0, moment = 0;
  for (std::size_t a = i; a < j; ++a) {
    weight += w[a];
    moment += w[a] * x[a];
  }
  double cost = 0;
  for (std::size_t a = i; a < j; ++a) {
    const double d = x[a] - moment / weight;
    cost += w[a] * d * d;
  }
  return cost;
}

TEST_CASE("line: costs, means and weights of every interval") {
  lutra::random_stream random(11);
  std::vector<double> x, w;
  for (int i = 0; i < 40; ++i) {
    x.push_back((x.empty() ? -3.0 : x.back()) + 1e-3 + random.uniform());
    w.push_back(0.5 + random.uniform());
  }
  const line l = lutra::line_of_points(x, w);
  REQUIRE(l.size() == 40);
  CHECK(l.within == 0);
  for (index_t i = 0; i < 40; ++i) {
    CHECK(l.cost(i, i) == 0);
    CHECK(l.centre(i) + l.origin == doctest::Approx(x[static_cast<std::size_t>(i)]));
    for (index_t j = i + 1; j <= 40; ++j) {
      const double want =
          direct_cost(x, w, static_cast<std::size_t>(i), static_cast<std::size_t>(j));
      CHECK(std::fabs(l.cost(i, j) - want) <= 1e-12 * (1 + want));
    }
  }
}

TEST_CASE("line: a huge outlier costs the others no precision") {
  std::vector<double> x, w;
  for (int i = 0; i < 100; ++i) {
    x.push_back(i * 1e-3);
    w.push_back(1);
  }
  x.push_back(1e9);
  w.push_back(1);
  const line l = lutra::line_of_points(x, w);
  CHECK(l.cost(0, 100) == doctest::Approx(direct_cost(x, w, 0, 100)).epsilon(1e-13));
  CHECK(l.cost(60, 90) == doctest::Approx(direct_cost(x, w, 60, 90)).epsilon(1e-13));
}

TEST_CASE("line: a power of two changes exponents only") {
  std::vector<double> x = {0.1, 0.25, 0.3, 0.7}, y, w = {1, 2, 1, 3};
  for (const double v : x) y.push_back(v * 0x1p-40);
  const line a = lutra::line_of_points(x, w);
  const line b = lutra::line_of_points(y, w);
  for (index_t i = 0; i < 4; ++i) {
    for (index_t j = i + 1; j <= 4; ++j) CHECK(b.cost(i, j) == a.cost(i, j) * 0x1p-80);
  }
}

TEST_CASE("line: blur moves costs by the triangle inequality, and not at all when there is none") {
  line l;
  CHECK(l.blurred_up(4.0) == 4.0);
  CHECK(l.blurred_down(4.0) == 4.0);
  CHECK(l.blurred_down(-1.0) == 0.0);
  l.blur = 0.5;
  CHECK(l.blurred_up(4.0) == 6.25);
  CHECK(l.blurred_down(4.0) == 2.25);
  CHECK(l.blurred_down(0.1) == 0.0);
}

TEST_CASE("line: no points, no atoms") { CHECK(lutra::line_of_points({}, {}).size() == 0); }

}  // namespace
