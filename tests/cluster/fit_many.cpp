#include <lutra/cluster/fit_many.hpp>

#include <doctest/doctest.h>

#include "backward_executor.hpp"
#include "cluster/samples.hpp"
#include "levels.hpp"

namespace {

using lutra::index_t;

template <class Level = lutra::simd::native, class Executor = lutra::serial_executor>
auto fit(const std::vector<float>& x, index_t k, double max_gap, const Executor& executor = {}) {
  return lutra::fit_many<Level>(std::span<const float>(x), k, {.max_gap = max_gap}, executor);
}

TEST_CASE("fit_many: proves what was asked, small tables and large ones, in four passes at most") {
  for (const char* name : {"normal", "laplace", "bimodal", "outlier 1e3"}) {
    const std::vector<float> x = samples::draw(name, 60000);
    for (const int k : {1, 2, 16, 32, 33, 100}) {
      CAPTURE(name);
      CAPTURE(k);
      const double gap = k > 32 ? 1e-2 : 1e-4;
      const auto got = fit(x, k, gap);
      REQUIRE(got);
      CHECK(got->proven(gap));
      CHECK(std::ssize(got->centroids) == k);
      CHECK(std::is_sorted(got->centroids.begin(), got->centroids.end()));
      CHECK(got->passes <= 4);
    }
  }
}

TEST_CASE("fit_many: the same bits on every level and executor") {
  const std::vector<float> x = samples::draw("student3", 60000);
  for (const int k : {16, 60}) {
    const auto want = fit<lutra::simd::portable>(x, k, 1e-2);
    REQUIRE(want);
    for_each_level([&]<class Level>(Level) {
      for (const auto& got :
           {fit<Level>(x, k, 1e-2), fit<Level>(x, k, 1e-2, test::backward_executor{})}) {
        REQUIRE(got);
        CHECK(got->centroids == want->centroids);
        CHECK(got->inertia == want->inertia);
        CHECK(got->excess == want->excess);
      }
    });
  }
}

}  // namespace
