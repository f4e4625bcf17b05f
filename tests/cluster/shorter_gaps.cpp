#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/shorter_gaps.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "cluster/oracle.hpp"

namespace {

using lutra::index_t;

TEST_CASE("shorter_gaps: the optimum and its cuts stay, sums of squares shrink") {
  lutra::random_stream random(12);
  int shortened = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const std::size_t n = 6 + random.below(6);
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      const double gap = random.below(4) == 0 ? 1e4 * random.uniform() : random.uniform();
      x.push_back((x.empty() ? -3.0 : x.back()) + 0.001 + gap);
      w.push_back(static_cast<double>(1 + random.below(3)));
    }
    const int k = 2 + static_cast<int>(random.below(3));
    const double optimum = oracle::optimum(x, w, k);
    const lutra::line l = lutra::line_of_points(x, w);
    const lutra::shorter_gaps gaps(l, optimum * (1 + random.uniform()) + 1e-9);
    if (gaps.empty()) continue;
    ++shortened;
    std::vector<double> moved;
    for (const double v : x) {
      moved.push_back(v - gaps.shift(v));
      CHECK(gaps.restored(moved.back()) == doctest::Approx(v).epsilon(1e-12));
    }
    CHECK(std::is_sorted(moved.begin(), moved.end(), std::less_equal<>()));
    CHECK(oracle::optimum(moved, w, k) == doctest::Approx(optimum).epsilon(1e-9));
    const lutra::line shorter = lutra::line_of_points(moved, w);
    CHECK(shorter.q.back() - shorter.q.front() < l.q.back() - l.q.front());
  }
  CHECK(shortened > 50);
}

TEST_CASE("shorter_gaps: none where a cluster may reach across, or weights may be light") {
  const std::vector<double> x = {0, 1, 100, 101};
  const std::vector<double> whole = {1, 1, 1, 1}, light = {1, 1, 0.25, 1};
  CHECK_FALSE(lutra::shorter_gaps(lutra::line_of_points(x, whole), 1.0).empty());
  CHECK(lutra::shorter_gaps(lutra::line_of_points(x, whole), 1e4).empty());
  CHECK(lutra::shorter_gaps(lutra::line_of_points(x, light), 1.0).empty());
  CHECK(lutra::shorter_gaps(lutra::line_of_points(x, whole), 0.0).empty());
  const lutra::shorter_gaps gaps(lutra::line_of_points(x, whole), 1.0);
  CHECK(gaps.holds(1.5));
  CHECK_FALSE(gaps.holds(2.5));
  CHECK(lutra::shorter_gaps().holds(1e300));
  CHECK(gaps.shift(100.0) == 0);  // beside the origin
  CHECK(gaps.shift(101.0) == 0);
  CHECK(gaps.shift(1.0) == gaps.shift(0.0));
  CHECK(gaps.shift(0.0) < -90);
  // So far away that moving would lose where the outlier is.
  const std::vector<double> far = {0, 1, 2, 1e12};
  CHECK(lutra::shorter_gaps(lutra::line_of_points(far, whole), 1.0).empty());
}

}  // namespace
