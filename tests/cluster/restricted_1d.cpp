#include <lutra/cluster/restricted_1d.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "cluster/oracle.hpp"

namespace {

using numbers = std::vector<double>;

// Weighted squared distance to the nearest of the chosen levels.
double cost_of(const numbers& x, const numbers& w, const numbers& levels, unsigned subset) {
  long double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t v = 0; v < levels.size(); ++v) {
      if ((subset >> v & 1U) != 0) least = std::min(least, std::fabs(x[i] - levels[v]));
    }
    sum += static_cast<long double>(w[i]) * static_cast<long double>(least) *
           static_cast<long double>(least);
  }
  return static_cast<double>(sum);
}

struct weighted_points {
  numbers x, w;
  explicit weighted_points(std::uint64_t seed) {
    lutra::random_stream random(seed);
    const std::size_t n = 2 + random.below(30);
    double at = random.normal();
    for (std::size_t i = 0; i < n; ++i) {
      at += 0.001 + (i % 5 == 0 ? 1.0 : 0.1) * random.uniform();
      x.push_back(at);
      w.push_back(static_cast<double>(1 + random.below(4)));
    }
  }
};

void check_choice(const weighted_points& p, const numbers& levels, std::size_t k,
                  const lutra::restricted_choice& got) {
  double best = std::numeric_limits<double>::infinity();
  for (unsigned subset = 1; subset < (1U << levels.size()); ++subset) {
    if (static_cast<std::size_t>(__builtin_popcount(subset)) > k) continue;
    best = std::min(best, cost_of(p.x, p.w, levels, subset));
  }
  REQUIRE(!got.levels.empty());
  CHECK(got.levels.size() <= k);
  unsigned chosen = 0;
  for (const std::size_t v : got.levels) chosen |= 1U << v;
  CHECK(std::is_sorted(got.levels.begin(), got.levels.end()));
  CHECK(cost_of(p.x, p.w, levels, chosen) <= best * (1 + 1e-10) + 1e-12);
  CHECK(got.cost == doctest::Approx(best).epsilon(1e-9));
}

TEST_CASE("restricted_1d: the best of all subsets of equally spaced levels") {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const weighted_points p(seed);
    const lutra::line l = lutra::line_of_points(p.x, p.w);
    lutra::restricted_solver solver(l);
    const double step = (p.x.back() - p.x.front()) / 9;
    const double first = p.x.front() - 0.4 * step;
    numbers levels;
    for (int i = 0; i < 10; ++i) levels.push_back(first + i * step);
    solver.set_uniform(first, step, 10);
    for (const std::size_t k : std::vector<std::size_t>{1, 2, 4, 10, 20}) {
      check_choice(p, levels, k, solver.solve(k));
    }
  }
}

TEST_CASE("restricted_1d: the best of all subsets of any levels") {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const weighted_points p(seed + 1000);
    lutra::random_stream random(seed);
    numbers levels;
    for (int i = 0; i < 9; ++i) {
      levels.push_back(p.x.front() + random.uniform() * 1.2 * (p.x.back() - p.x.front()));
    }
    std::sort(levels.begin(), levels.end());
    const lutra::line l = lutra::line_of_points(p.x, p.w);
    lutra::restricted_solver solver(l);
    solver.set_levels(levels);
    for (const std::size_t k : std::vector<std::size_t>{1, 3, 5}) {
      check_choice(p, levels, k, solver.solve(k));
    }
  }
}

TEST_CASE("restricted_1d: the cost of given levels, and steps that lower it") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const weighted_points p(seed + 2000);
    const lutra::line l = lutra::line_of_points(p.x, p.w);
    lutra::restricted_solver solver(l);
    const double step = (p.x.back() - p.x.front()) / 30;
    solver.set_uniform(p.x.front(), step, 31);
    lutra::restricted_choice r{{2, 5, 20, 28}, 0};
    r.cost = solver.cost(r.levels);
    const double before = r.cost;
    const auto measured = [&] {
      numbers chosen;
      for (const std::size_t v : r.levels) {
        chosen.push_back(p.x.front() + static_cast<double>(v) * step);
      }
      return cost_of(p.x, p.w, chosen, (1U << chosen.size()) - 1);
    };
    CHECK(r.cost == doctest::Approx(measured()).epsilon(1e-9));
    solver.descend(r, 50);
    CHECK(r.cost <= before);
    CHECK(r.cost == doctest::Approx(measured()).epsilon(1e-9));
    CHECK(r.cost >= solver.solve(4).cost * (1 - 1e-9));
    CHECK(std::is_sorted(r.levels.begin(), r.levels.end()));
  }
}

TEST_CASE("restricted_1d: the level nearest to a value") {
  const lutra::line l = lutra::line_of_points(numbers{1, 5}, numbers{1, 1});
  lutra::restricted_solver solver(l);
  solver.set_uniform(-1.0, 0.5, 5);
  CHECK(solver.size() == 5);
  CHECK(solver.nearest_to(-9) == 0);
  CHECK(solver.nearest_to(9) == 4);
  CHECK(solver.nearest_to(-0.2) == 2);
  CHECK(solver.nearest_to(0.25) == 2);  // halfway: the lower one
  CHECK(solver.nearest_to(0.26) == 3);
}

}  // namespace
