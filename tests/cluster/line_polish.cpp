#include <lutra/cluster/line_polish.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

namespace {

using lutra::index_t;

TEST_CASE("line_polish: never dearer, clusters stay, the returned cost is that of the clusters") {
  lutra::random_stream random(4);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t n = 4 + random.below(60);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back((x.empty() ? 0.0 : x.back()) + 0.01 + random.uniform() * random.uniform());
      w.push_back(static_cast<double>(1 + random.below(5)));
    }
    const lutra::line l = lutra::line_of_points(x, w);
    const std::size_t k = 2 + random.below(3);
    std::vector<index_t> starts(k);
    for (std::size_t c = 0; c < k; ++c) starts[c] = static_cast<index_t>(c);  // far from good
    double before = lutra::total_cost(l, starts);
    CHECK(lutra::polish(l, starts, 0) == before);
    for (int step = 0; step < 30; ++step) {
      const double after = lutra::polish(l, starts, 1);
      CHECK(after <= before);
      CHECK(after == lutra::total_cost(l, starts));
      CHECK(starts[0] == 0);
      CHECK(std::is_sorted(starts.begin(), starts.end(), std::less_equal<>()));
      CHECK(starts.back() < l.size());
      before = after;
    }
  }
}

TEST_CASE("line_polish: finds two clusters that are far apart") {
  const std::vector<double> x = {0, 1, 2, 3, 100, 101, 102};
  const std::vector<double> w(7, 1.0);
  const lutra::line l = lutra::line_of_points(x, w);
  std::vector<index_t> starts = {0, 1};
  CHECK(lutra::polish(l, starts, 10) == doctest::Approx(5 + 2));
  CHECK(starts == std::vector<index_t>{0, 4});
}

TEST_CASE("line_polish: equal shares of the spread, no cluster empty") {
  std::vector<double> value, weight;
  for (int i = 0; i < 40; ++i) {
    value.push_back(i < 30 ? i * 1e-9 : 100.0 * i);  // nearly all spread lies at the end
    weight.push_back(1.0);
  }
  const lutra::line l = lutra::line_of_points(value, weight);
  for (lutra::index_t k = 1; k <= l.size(); ++k) {
    const std::vector<lutra::index_t> starts = lutra::equal_shares(l, k);
    REQUIRE(std::ssize(starts) == k);
    CHECK(starts.front() == 0);
    for (std::size_t c = 1; c < starts.size(); ++c) CHECK(starts[c] > starts[c - 1]);
    CHECK(starts.back() < l.size());
    CHECK(lutra::total_cost(l, starts) >= 0);
  }
  // Each its own cluster; all in one: the sum of squares.
  CHECK(lutra::total_cost(l, lutra::equal_shares(l, l.size())) <= 40 * l.rounding());
  double mean = 0, squares = 0;
  for (const double x : value) mean += x / 40;
  for (const double x : value) squares += (x - mean) * (x - mean);
  CHECK(lutra::total_cost(l, lutra::equal_shares(l, 1)) == doctest::Approx(squares));
}

}  // namespace
