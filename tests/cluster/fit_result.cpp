#include <lutra/cluster/fit_result.hpp>

#include <doctest/doctest.h>

#include <limits>

namespace {

using lutra::fit_1d_result;

TEST_CASE("fit_result: the proven gap grows with excess, blur and error of weights") {
  fit_1d_result r;
  r.inertia = 4;
  CHECK(r.lower_bound(4) == 4);
  CHECK(r.gap() == 0);
  CHECK(r.proven(0));
  r.excess = 1;
  CHECK(r.lower_bound(4) == 3);
  CHECK(r.gap() == doctest::Approx(1.0 / 3));
  CHECK(r.proven(0.34));
  CHECK_FALSE(r.proven(0.33));
  // sqrt of costs differ by no more than the blur between a line and its values: once there, once back.
  r.blur = 0.5;
  CHECK(r.lower_bound(4) == doctest::Approx(std::pow(std::sqrt(1.5 * 1.5 - 1) - 0.5, 2)));
  r.error = 0.25;
  CHECK(
      r.lower_bound(4) ==
      doctest::Approx(0.75 * std::pow(std::sqrt(std::pow(std::sqrt(3.0) - 0.5, 2) - 1) - 0.5, 2)));
  r.excess = std::numeric_limits<double>::infinity();
  CHECK(r.lower_bound(4) == 0);
  CHECK(r.gap() == std::numeric_limits<double>::infinity());
}

lutra::certified_clusters clusters(std::vector<lutra::index_t> starts) {
  lutra::certified_clusters c;
  c.starts = std::move(starts);
  c.inertia = 5;
  c.excess = 0.25;
  return c;
}

TEST_CASE(
    "fit_result: centroids and weights of clusters on a line, and what spans a gap proves "
    "nothing") {
  const std::vector<double> x = {0, 1, 10, 1e9}, w = {1, 3, 2, 1};
  const lutra::line l = lutra::line_of_points(x, w);
  const lutra::certified_clusters two = clusters({0, 2});
  const fit_1d_result plain = lutra::fit_result(l, two, 3);
  REQUIRE(plain.centroids.size() == 2);
  CHECK(plain.centroids[0] == doctest::Approx(0.75).epsilon(1e-6));
  CHECK(plain.weights == std::vector<double>{4, 3});
  CHECK(plain.inertia == 5);
  CHECK(plain.excess == 0.25);
  CHECK(plain.passes == 3);
  const lutra::shorter_gaps gaps(l, 100.0);
  REQUIRE_FALSE(gaps.empty());
  std::vector<double> moved;
  for (const double v : x) moved.push_back(gaps.moved(v));
  const lutra::line shorter = lutra::line_of_points(moved, w);
  CHECK(lutra::fit_result(shorter, two, 1, gaps).excess == std::numeric_limits<double>::infinity());
  const lutra::certified_clusters apart = clusters({0, 3});
  const fit_1d_result restored = lutra::fit_result(shorter, apart, 1, gaps);
  CHECK(restored.excess == 0.25);
  CHECK(restored.centroids.back() == doctest::Approx(1e9).epsilon(1e-12));
}

}  // namespace
