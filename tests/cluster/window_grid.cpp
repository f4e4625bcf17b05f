#include <lutra/cluster/window_grid.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <limits>

namespace {

using lutra::index_t;

lutra::line random_line(std::size_t n, std::uint64_t seed) {
  lutra::random_stream random(seed);
  std::vector<double> x, w;
  for (std::size_t i = 0; i < n; ++i) {
    x.push_back((x.empty() ? 0.0 : x.back()) + 0.001 + random.uniform() * random.uniform());
    w.push_back(static_cast<double>(1 + random.below(5)));
  }
  return lutra::line_of_points(x, w);
}

TEST_CASE("window_grid: holds the ends of every window, and steps of at most the wanted spread") {
  const lutra::line l = random_line(500, 1);
  const std::vector<index_t> from = {0, 20, 100, 480, 500};
  const std::vector<index_t> to = {0, 60, 130, 480, 500};
  lutra::window_grid grid;
  for (const double blocks : {5.0, 40.0, 300.0}) {
    const bool finest = grid.make(l, from, to, blocks);
    const auto at = grid.positions();
    const double step = l.spread.back() / blocks;
    CHECK(std::is_sorted(at.begin(), at.end(), std::less_equal<>()));
    CHECK(at.front() == 0);
    CHECK(at.back() == 500);
    bool every = true;
    for (index_t q = 0; q <= 4; ++q) {
      const auto u = static_cast<std::size_t>(q);
      CHECK(at[static_cast<std::size_t>(grid.first(q))] == from[u]);
      CHECK(at[static_cast<std::size_t>(grid.last(q))] == to[u]);
      for (index_t g = grid.first(q); g < grid.last(q); ++g) {
        const auto i = at[static_cast<std::size_t>(g)];
        const auto j = at[static_cast<std::size_t>(g) + 1];
        every = every && j == i + 1;
        // The last position of a block passes the step, no earlier one does.
        CHECK((j == i + 1 || l.spread[j - 1] < l.spread[i] + step));
      }
    }
    CHECK(finest == every);
    for (std::size_t g = 0; g < grid.size(); ++g) {
      CHECK(grid.w()[g] == l.w[at[g]]);
      CHECK(grid.s()[g] == l.s[at[g]]);
      CHECK(grid.q()[g] == l.q[at[g]]);
      CHECK(grid.minus_q()[g] == -l.q[at[g]]);
    }
    CHECK(grid.w()[grid.size() + 7] == l.w[500]);
    CHECK(lutra::window_grid::rows_of(l, from, to, blocks) <= 40 + 30 + 3);
  }
}

TEST_CASE("window_grid: without an end to the blocks it holds every position") {
  const lutra::line l = random_line(50, 2);
  const std::vector<index_t> from = {0, 3, 3, 50};
  const std::vector<index_t> to = {0, 20, 31, 50};
  lutra::window_grid grid;
  constexpr double endless = std::numeric_limits<double>::infinity();
  CHECK(grid.make(l, from, to, endless));
  CHECK(grid.size() == 1 + 29 + 1);
  CHECK(lutra::window_grid::rows_of(l, from, to, endless) == 17 + 28);
  // The rows of the layers follow each other.
  index_t rows = 0;
  for (index_t q = 0; q <= 3; ++q) {
    CHECK(grid.offset(q) + grid.first(q) == rows);
    rows += grid.last(q) - grid.first(q) + 1;
  }
  CHECK(grid.rows() == rows);
  grid.end_layer(1, 5);
  CHECK(grid.last(1) == 5);
}

TEST_CASE("window_grid: windows that overlap lie between their first and last rows") {
  lutra::random_stream random(4);
  const lutra::line l = random_line(300, 5);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<index_t> from = {0}, to = {0};
    for (int q = 1; q < 6; ++q) {
      from.push_back(std::max(from.back(), static_cast<index_t>(random.below(260))));
      to.push_back(std::max({to.back(), from.back(), static_cast<index_t>(random.below(300))}));
    }
    from.push_back(300);
    to.push_back(300);
    lutra::window_grid grid;
    grid.make(l, from, to, 5.0 + static_cast<double>(random.below(60)));
    for (index_t q = 0; q <= 6; ++q) {
      const auto u = static_cast<std::size_t>(q);
      CHECK(grid.positions()[static_cast<std::size_t>(grid.first(q))] <= from[u]);
      CHECK(grid.positions()[static_cast<std::size_t>(grid.last(q))] >= to[u]);
    }
  }
}

TEST_CASE("window_grid: spreads of 0, not a number, or so small that a step is rounded") {
  const std::vector<index_t> from = {0, 1, 2, 500};
  const std::vector<index_t> to = {0, 498, 499, 500};
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  for (const double unit : {0.0, std::numeric_limits<double>::quiet_NaN(), tiny}) {
    CAPTURE(unit);
    lutra::line l = random_line(500, 3);
    for (std::size_t i = 0; i < l.spread.size(); ++i) l.spread[i] = static_cast<double>(i) * unit;
    lutra::window_grid grid;
    // 400 blocks of 500 tiny units are steps of one unit.
    CHECK(grid.make(l, from, to, unit == tiny ? 400 : 5));
    REQUIRE(grid.size() == 501);
    for (std::size_t g = 0; g < grid.size(); ++g) CHECK(grid.positions()[g] == g);
  }
}

}  // namespace
