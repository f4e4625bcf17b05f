#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/shorter_gaps.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "cluster/oracle.hpp"

namespace {

using lutra::index_t;

struct spread_values {
  std::vector<double> x, w;
};
// Some gaps are up to 10^far long; weights are whole or not, and as unequal as 1 to 10^-uneven.
spread_values with_gaps(lutra::random_stream& random, double far, double uneven) {
  spread_values v;
  const std::size_t n = 6 + random.below(6);
  for (std::size_t i = 0; i < n; ++i) {
    const double gap = random.below(4) == 0 ? std::pow(10.0, far * random.uniform()) : 1.0;
    v.x.push_back((v.x.empty() ? -3.0 : v.x.back()) + gap * (0.001 + random.uniform()));
    v.w.push_back(uneven > 0 ? std::pow(10.0, -uneven * random.uniform())
                             : static_cast<double>(1 + random.below(3)));
  }
  return v;
}

TEST_CASE("shorter_gaps: the optimum and its cuts stay, sums of squares shrink") {
  lutra::random_stream random(12);
  int shortened = 0;
  for (int trial = 0; trial < 1200; ++trial) {
    const auto [x, w] = with_gaps(random, trial % 2 == 0 ? 4 : 9, trial % 3 == 0 ? 0 : 5);
    const int k = 2 + static_cast<int>(random.below(3));
    const double optimum = oracle::optimum(x, w, k);
    const lutra::line l = lutra::line_of_points(x, w);
    const lutra::shorter_gaps gaps(l, optimum * (1 + random.uniform()) + 1e-9);
    if (gaps.empty()) continue;
    ++shortened;
    std::vector<double> moved;
    for (const double v : x) {
      moved.push_back(gaps.moved(v));
      const double rounded = 1e-13 * (std::fabs(v) + std::fabs(gaps.origin()));
      CHECK(std::fabs(gaps.restored(moved.back()) - v) <= rounded);
      CHECK(std::fabs(gaps.distance(v) - (moved.back() - gaps.origin())) <= rounded);
    }
    CHECK(std::is_sorted(moved.begin(), moved.end(), std::less_equal<>()));
    CHECK(oracle::optimum(moved, w, k) == doctest::Approx(optimum).epsilon(1e-6));
    const lutra::line shorter = lutra::line_of_points(moved, w);
    CHECK(shorter.q.back() - shorter.q.front() < l.q.back() - l.q.front());
    // The optimum, found where values lie now, does not span a gap; one cluster does.
    CHECK_FALSE(gaps.spans(shorter, lutra::certified_1d(shorter, k).starts));
    CHECK(gaps.spans(shorter, std::vector<index_t>{0}));
  }
  CHECK(shortened > 300);
}

TEST_CASE("shorter_gaps: what lies within a stretch keeps its distances, however far away it is") {
  // 1e30 and its next floats beside numbers around 1.
  std::vector<double> x = {0, 1, 2, 3, 4};
  for (const int i : {0, 1, 2, 5}) x.push_back(1e30 + i * 0x1p76);
  const std::vector<double> w(x.size(), 1.0);
  const lutra::line l = lutra::line_of_points(x, w);
  const double inside = 3 * 0x1p152;  // what is left within the far ones, about
  const lutra::shorter_gaps gaps(l, inside);
  REQUIRE_FALSE(gaps.empty());
  for (std::size_t i = 5; i < x.size(); ++i) {
    CHECK(gaps.moved(x[i]) - gaps.moved(x[5]) == doctest::Approx(x[i] - x[5]).epsilon(1e-12));
    CHECK(gaps.restored(gaps.moved(x[i])) == x[i]);
    CHECK((gaps.lost(x[i]) > 0) == (i > 5));
    CHECK(gaps.lost(x[i]) <= 0x1p-51 * x[i]);
  }
  CHECK(gaps.moved(x[5]) < 1e25);
}

TEST_CASE("shorter_gaps: none where a cluster may reach across") {
  const std::vector<double> x = {0, 1, 100, 101};
  const std::vector<double> whole = {1, 1, 1, 1}, light = {1e-4, 1e-4, 1, 1};
  const auto gaps_of = [&](const std::vector<double>& weights, double bound) {
    return lutra::shorter_gaps(lutra::line_of_points(x, weights), bound);
  };
  const lutra::shorter_gaps gaps = gaps_of(whole, 1.0);
  REQUIRE_FALSE(gaps.empty());
  CHECK(gaps_of(whole, 1e4).empty());
  CHECK(gaps_of(whole, 0.0).empty());
  CHECK(gaps_of(whole, std::numeric_limits<double>::quiet_NaN()).empty());
  CHECK(gaps_of(whole, std::numeric_limits<double>::infinity()).empty());
  CHECK(gaps_of(light, 1.0).empty());  // two light values may be given away
  CHECK_FALSE(gaps_of(light, 1e-3).empty());
  CHECK(gaps.moved(100.0) == 100);  // beside the origin
  CHECK(gaps.moved(101.0) == 101);
  CHECK(gaps.moved(1.0) == gaps.moved(0.0) + 1);
  CHECK(gaps.moved(0.0) > 50);
  CHECK(lutra::shorter_gaps().moved(7.0) == 7);
  CHECK(lutra::shorter_gaps().restored(7.0) == 7);
}

TEST_CASE("shorter_gaps: a far outlier comes near, wherever it is") {
  for (const double far : {1e6, 1e12, 1e38, -1e38}) {
    const std::vector<double> x =
        far > 0 ? std::vector<double>{0, 1, 2, far} : std::vector<double>{far, 0, 1, 2};
    const lutra::line l = lutra::line_of_points(x, std::vector<double>(4, 1.0));
    const double rest = lutra::cost_of_rest(l, 2);
    CHECK(rest >= 2);
    CHECK(rest == doctest::Approx(2).epsilon(1e-9));
    const lutra::shorter_gaps gaps(l, rest);
    CAPTURE(far);
    CHECK(std::fabs(gaps.moved(far)) < 40);
    CHECK(gaps.restored(gaps.moved(far)) == far);
    CHECK(gaps.lost(far) == 0);
  }
}

TEST_CASE("shorter_gaps: the cost of the rest is no less than the optimum") {
  lutra::random_stream random(5);
  for (int trial = 0; trial < 500; ++trial) {
    const auto [x, w] = with_gaps(random, 7, trial % 2 == 0 ? 0 : 5);
    const lutra::line l = lutra::line_of_points(x, w);
    for (const int k : {1, 2, 4}) {
      CHECK(lutra::cost_of_rest(l, k) >= oracle::optimum(x, w, k) * (1 - 1e-12));
    }
  }
}

}  // namespace
