#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/window_programme.hpp>

#include <doctest/doctest.h>

#include "cluster/oracle.hpp"
#include "cluster/samples.hpp"

namespace {

using lutra::index_t;
using native = lutra::simd::native;
using windows = std::vector<std::pair<index_t, index_t>>;

std::vector<index_t> best_within(const std::vector<double>& x, const std::vector<double>& w,
                                 const windows& between) {
  const lutra::interval_sums<lutra::double_double, native> sums(x, w);
  return lutra::window_programme<native>(sums, between)();
}

long double cost_of_cuts(const std::vector<double>& x, const std::vector<double>& w,
                         const std::vector<index_t>& starts) {
  std::vector<oracle::point> p;
  for (std::size_t i = 0; i < x.size(); ++i) p.push_back({x[i], w[i]});
  long double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    const auto end = c + 1 < starts.size() ? static_cast<std::size_t>(starts[c + 1]) : p.size();
    sum += oracle::run_cost(p, static_cast<std::size_t>(starts[c]), end);
  }
  return sum;
}

TEST_CASE("window_programme: the optimum, in windows anywhere and in those of a solve in double") {
  lutra::random_stream random(31);
  for (int trial = 0; trial < 300; ++trial) {
    const std::size_t n = 4 + random.below(30);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back((x.empty() ? 0.0 : x.back()) + 0.01 + random.uniform());
      w.push_back(0.1 + random.uniform());
    }
    const auto k = static_cast<index_t>(1 + random.below(std::min<std::size_t>(n - 1, 8)));
    const auto size = static_cast<index_t>(n);
    const auto best = static_cast<double>(oracle::optima(x, w, static_cast<std::size_t>(k)).back());
    const windows all(static_cast<std::size_t>(k - 1), {0, size});
    CAPTURE(trial);
    for (const windows& between :
         {all,
          lutra::certified_1d(lutra::line_of_points(x, w), k, {.final_windows = true}).windows}) {
      const std::vector<index_t> starts = best_within(x, w, between);
      REQUIRE(std::ssize(starts) == k);
      CHECK(static_cast<double>(cost_of_cuts(x, w, starts)) ==
            doctest::Approx(best).epsilon(1e-12));
    }
  }
}

TEST_CASE("window_programme: no clustering in windows that leave no room, and only those inside") {
  const std::vector<double> x = {0, 1, 10, 11, 30}, w(5, 1.0);
  CHECK(best_within(x, w, {{2, 2}, {2, 2}}).empty());
  CHECK(best_within(x, w, {{5, 5}}).empty());
  CHECK(best_within(x, w, {{1, 1}, {2, 4}}) == std::vector<index_t>{0, 1, 4});
  CHECK(best_within(x, w, {{2, 3}, {3, 4}}) == std::vector<index_t>{0, 2, 4});
  CHECK(best_within(x, w, {}) == std::vector<index_t>{0});
}

TEST_CASE("window_programme: work grows with the windows") {
  const windows one = {{4, 4}}, wide = {{0, 1023}};
  CHECK(lutra::window_programme<native>::work(one) == 3);
  CHECK(lutra::window_programme<native>::work(wide) == 1024 * 13);
  CHECK(lutra::window_programme<native>::work({}) == 0);
}

}  // namespace
