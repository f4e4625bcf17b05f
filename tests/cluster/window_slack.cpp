#include <lutra/cluster/interval_dp.hpp>
#include <lutra/cluster/window_slack.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "cluster/oracle.hpp"

namespace {

using lutra::index_t;

// The least cost of at most k clusters whose boundaries are grid positions, by trying all.
double best_of_blocks(const lutra::line& l, std::span<const std::uint32_t> grid, std::size_t from,
                      int k) {
  double best = l.cost(grid[from], l.size());
  for (std::size_t cut = from + 1; k > 1 && cut + 1 < grid.size(); ++cut) {
    best = std::min(best, l.cost(grid[from], grid[cut]) + best_of_blocks(l, grid, cut, k - 1));
  }
  return best;
}

TEST_CASE("window_slack: whole blocks cost at most the slack more than the optimum") {
  lutra::random_stream random(8);
  double tightest = 1e300, tightest_anywhere = 1e300;
  for (int trial = 0; trial < 800; ++trial) {
    const std::size_t n = 6 + random.below(7);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      const double gap = random.below(4) == 0 ? 3 * random.uniform() : 0.2 * random.uniform();
      x.push_back((x.empty() ? 0.0 : x.back()) + 0.001 + gap);
      w.push_back(static_cast<double>(1 + random.below(9)));
    }
    const lutra::line l = lutra::line_of_points(x, w);
    const int k = 2 + static_cast<int>(random.below(3));
    std::vector<index_t> from(static_cast<std::size_t>(k) + 1, 0);
    std::vector<index_t> to(static_cast<std::size_t>(k) + 1, l.size());
    to.front() = 0;
    from.back() = l.size();
    lutra::window_grid grid;
    grid.make(l, from, to, 3.0 + static_cast<double>(random.below(4)));
    const double optimum = oracle::optimum(x, w, k);
    const double blocks = best_of_blocks(l, grid.positions(), 0, k);
    lutra::window_slack slack;
    // `known` is the cost of any clustering.
    for (const double known : {optimum, 2 * optimum, l.cost(0, l.size())}) {
      const double s = slack(l, grid, from, to, known);
      CHECK(blocks <= optimum + s + 1e-12);
      const double anywhere = lutra::slack_anywhere(l, grid.positions(), k, known);
      CHECK(blocks <= optimum + anywhere + 1e-12);
      if (blocks > optimum) {
        tightest = std::min(tightest, s / (blocks - optimum));
        tightest_anywhere = std::min(tightest_anywhere, anywhere / (blocks - optimum));
      }
    }
  }
  CHECK(tightest < 50);  // not bounds that say nothing
  CHECK(tightest_anywhere < 50);
}

// The least cost of k clusters whose boundaries are rows of the layers.
double best_of_rows(const lutra::line& l, const lutra::window_grid& grid, index_t q, index_t at) {
  if (q == 0) return at == 0 ? 0.0 : std::numeric_limits<double>::infinity();
  double best = std::numeric_limits<double>::infinity();
  for (index_t g = grid.first(q - 1); g <= std::min(at, grid.last(q - 1)); ++g) {
    const auto i = grid.positions()[static_cast<std::size_t>(g)];
    const auto j = grid.positions()[static_cast<std::size_t>(at)];
    best = std::min(best, best_of_rows(l, grid, q - 1, g) + l.cost(i, j));
  }
  return best;
}

TEST_CASE(
    "window_slack: the same within windows that hold the optimum, whose centroids are within "
    "reach") {
  lutra::random_stream random(18);
  double tightest = 1e300;
  for (int trial = 0; trial < 600; ++trial) {
    const std::size_t n = 8 + random.below(10);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back((x.empty() ? 0.0 : x.back()) + 0.001 + random.uniform());
      w.push_back(static_cast<double>(1 + random.below(5)));
    }
    const lutra::line l = lutra::line_of_points(x, w);
    const int k = 2 + static_cast<int>(random.below(4));
    const auto starts = lutra::optimal_intervals(std::span<const double>(x), w, k);
    std::vector<index_t> from(static_cast<std::size_t>(k) + 1, 0), to(from);
    for (std::size_t q = 1; q < from.size(); ++q) {
      const index_t at = q < starts.size() ? starts[q] : l.size();
      const bool last = q == starts.size();
      from[q] = std::max(from[q - 1], at - (last ? 0 : static_cast<index_t>(random.below(4))));
      to[q] = std::max(to[q - 1],
                       std::min(l.size(), at + (last ? 0 : static_cast<index_t>(random.below(4)))));
    }
    lutra::window_grid grid;
    grid.make(l, from, to, 2.0 + static_cast<double>(random.below(8)));
    const double optimum = oracle::optimum(x, w, k);
    const double slack = lutra::window_slack()(l, grid, from, to, optimum);
    const double blocks = best_of_rows(l, grid, k, grid.last(k));
    CAPTURE(trial);
    CHECK(blocks <= optimum + slack + 1e-12);
    if (blocks > optimum + 1e-12) tightest = std::min(tightest, slack / (blocks - optimum));
    for (std::size_t q = 1; q < starts.size(); ++q) {
      const index_t end = q + 1 < starts.size() ? starts[q + 1] : l.size();
      const double apart = l.mean(starts[q], end) - l.mean(starts[q - 1], starts[q]);
      const double reach = lutra::reach(l, std::span<const index_t>(from).subspan(q - 1, 3),
                                        std::span<const index_t>(to).subspan(q - 1, 3));
      CHECK(apart <= reach * (1 + 1e-12));
    }
  }
  CHECK(tightest < 20);
}

TEST_CASE("window_slack: nothing where every block is a point") {
  const std::vector<double> x = {1, 2, 4, 8};
  const std::vector<double> w = {1, 1, 1, 1};
  const lutra::line l = lutra::line_of_points(x, w);
  const std::vector<index_t> from = {0, 0, 4};
  const std::vector<index_t> to = {0, 4, 4};
  lutra::window_grid grid;
  CHECK(grid.make(l, from, to, std::numeric_limits<double>::infinity()));
  CHECK(lutra::window_slack()(l, grid, from, to, 10.0) == 0.0);
  CHECK(lutra::slack_anywhere(l, grid.positions(), 2, 10.0) == 0.0);
}

TEST_CASE("window_slack: several boundaries in one block, where that block pays once") {
  // Three pairs of atoms in one block of the grid, cut by two boundaries, and two far points in blocks of their own.
  const std::vector<double> x = {0, 0.1, 5, 5.1, 10, 10.1, 1e6, 2e6};
  const std::vector<double> w = {3, 1, 1, 2, 2, 1, 1, 1};
  const lutra::line l = lutra::line_of_points(x, w);
  const std::vector<std::uint32_t> grid = {0, 6, 7, 8};
  const double optimum = oracle::optimum(x, w, 5);
  const double slack = lutra::slack_anywhere(l, grid, 5, optimum);
  CHECK(best_of_blocks(l, grid, 0, 5) <= optimum + slack);
  const lutra::block_spread block = lutra::spread_of_block(l, 0, 6);
  CHECK(slack == doctest::Approx(block.own + 2 * std::sqrt(optimum * block.square)).epsilon(1e-6));
}

TEST_CASE("window_slack: the sum of the largest, in whatever order they come") {
  lutra::sum_of_largest three(3), none(0);
  for (const double x : {1.0, 7.0, 3.0, 2.0, 9.0, 3.0, 8.0, 0.5}) {
    three.add(x);
    none.add(x);
  }
  CHECK(three.sum() == 24);
  CHECK(none.sum() == 0);
}

}  // namespace
