#include <lutra/cluster/fit_1d.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "levels.hpp"
#include "samples.hpp"

namespace {

using lutra::fit_1d_result;
using lutra::index_t;

double measured(const std::vector<float>& x, const std::vector<double>& centroids) {
  long double sum = 0;
  for (const float v : x) {
    const auto d = static_cast<double>(v);
    const auto at = std::lower_bound(centroids.begin(), centroids.end(), d);
    double best = std::numeric_limits<double>::infinity();
    if (at != centroids.end()) best = *at - d;
    if (at != centroids.begin()) best = std::min(best, d - *(at - 1));
    sum += static_cast<long double>(best) * static_cast<long double>(best);
  }
  return static_cast<double>(sum);
}

template <class Level = lutra::simd::native>
fit_1d_result fit(const std::vector<float>& x, index_t k, const lutra::fit_options& options) {
  return lutra::fit_1d<Level>(std::span<const float>(x), std::span<const float>(), k, options,
                              lutra::serial_executor{});
}

std::size_t many() { return std::getenv("LUTRA_TEST_QUICK") != nullptr ? 50000 : 200000; }

TEST_CASE("fit_1d: 16 entries of twenty distributions are optimal to 1e-6, with a proof to 1e-4") {
  for (const std::string& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, many());
    const fit_1d_result exact = fit(x, 16, {.exact = true});
    const fit_1d_result got = fit(x, 16, {});
    const double best = measured(x, exact.centroids);
    const double ours = measured(x, got.centroids);
    CAPTURE(name);
    CHECK(ours <= best * (1 + 1e-6));
    CHECK(ours >= exact.lower_bound(best) * (1 - 1e-12));
    CHECK(best >= got.lower_bound(ours) * (1 - 1e-12));
    CHECK(ours <= (1 + 1e-4) * got.lower_bound(ours));
    // What the lattice leaves open: an outlier at 1e6 sigma makes its steps coarse, few values count more.
    CHECK(best <= (1 + 3e-6) * exact.lower_bound(best));
  }
}

TEST_CASE("fit_1d: 256 entries are optimal to 1e-4, with a proof to 1e-2") {
  for (const char* name : {"normal", "laplace", "student3", "bimodal", "duplicates"}) {
    const std::vector<float> x = samples::draw(name, many() / 4);
    const fit_1d_result exact = fit(x, 256, {.exact = true});
    const fit_1d_result got = fit(x, 256, {.max_gap = 1e-2});
    const double best = measured(x, exact.centroids);
    const double ours = measured(x, got.centroids);
    CAPTURE(name);
    CHECK(ours <= best * (1 + 1e-4));
    CHECK(ours <= (1 + 1e-2) * got.lower_bound(ours));
    CHECK(best >= got.lower_bound(ours) * (1 - 1e-12));
  }
}

TEST_CASE("fit_1d: the same bits on every level") {
  const std::vector<float> x = samples::draw("student2", 100000);
  const fit_1d_result want = fit<lutra::simd::portable>(x, 16, {});
  for_each_level([&]<class Level>(Level) {
    const fit_1d_result got = fit<Level>(x, 16, {});
    CHECK(got.centroids == want.centroids);
    CHECK(got.inertia == want.inertia);
    CHECK(got.excess == want.excess);
  });
  const fit_1d_result optimum = fit<lutra::simd::portable>(x, 16, {.exact = true});
  for_each_level([&]<class Level>(Level) {
    const fit_1d_result got = fit<Level>(x, 16, {.exact = true});
    CHECK(got.centroids == optimum.centroids);
    CHECK(got.inertia == optimum.inertia);
    CHECK(got.excess == optimum.excess);
  });
}

TEST_CASE("fit_1d: a power of two changes exponents only") {
  const std::vector<float> x = samples::draw("normal", 100000);
  std::vector<float> y(x);
  for (float& v : y) v *= 0x1p40F;
  const fit_1d_result a = fit(x, 16, {});
  const fit_1d_result b = fit(y, 16, {});
  REQUIRE(a.centroids.size() == b.centroids.size());
  for (std::size_t c = 0; c < a.centroids.size(); ++c)
    CHECK(b.centroids[c] == a.centroids[c] * 0x1p40);
  CHECK(b.inertia == a.inertia * 0x1p80);
}

TEST_CASE("fit_1d: fewer distinct values than centroids") {
  const std::vector<float> x = samples::draw("two values", 100000);
  const fit_1d_result r = fit(x, 16, {});
  CHECK(r.centroids == std::vector<double>{-1.5, 2.5});
  CHECK(r.inertia == 0);
}

TEST_CASE("fit_1d: weights pull centroids, whatever the size") {
  const std::vector<float> x = {0, 1, 10, 11};
  const std::vector<float> w = {1, 3, 1, 1};
  const fit_1d_result r = lutra::fit_1d<lutra::simd::native>(
      std::span<const float>(x), std::span<const float>(w), 2, {}, lutra::serial_executor{});
  CHECK(r.centroids == std::vector<double>{0.75, 10.5});
}

}  // namespace
