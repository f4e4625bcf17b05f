#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/fit_many.hpp>
#include <lutra/cluster/priced_blocks.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "cluster/samples.hpp"
#include "levels.hpp"

namespace {

using lutra::index_t;

lutra::line line_of_sample(const std::vector<float>& x, index_t k) {
  const std::span<const float> values(x);
  const auto l = lutra::first_lattice(values, k);
  REQUIRE(l);
  const auto totals = lutra::count_values(*l, values, lutra::serial_executor{});
  return lutra::line_of_buckets(*l, totals).atoms;
}

TEST_CASE(
    "priced_blocks: a clustering of its cost, no optimum below its bound, the gap that was asked "
    "for") {
  const std::size_t n = std::getenv("LUTRA_TEST_QUICK") != nullptr ? 20000 : 60000;
  int found_some = 0;
  for (const std::string name :
       {"normal", "laplace", "student3", "bimodal", "uniform", "lognormal"}) {
    const std::vector<float> x = samples::draw(name, n);
    for (const index_t k : {40, 100}) {
      CAPTURE(name);
      CAPTURE(k);
      const lutra::line l = line_of_sample(x, k);
      const auto found = lutra::priced_blocks(l, k, 1e-2);
      if (!found) continue;
      ++found_some;
      REQUIRE(std::ssize(found->starts) == k);
      CHECK(std::is_sorted(found->starts.begin(), found->starts.end(), std::less_equal<>()));
      CHECK(found->inertia == l.blurred_up(lutra::total_cost(l, found->starts) + l.within));
      const double optimum = lutra::exact_1d(x, {}, static_cast<int>(k)).inertia;
      CHECK(found->inertia >= optimum * (1 - 1e-12));
      CHECK(found->inertia <= optimum * (1 + 2e-3));
      const lutra::fit_1d_result result = lutra::fit_result(l, *found, 1);
      CHECK(result.lower_bound(result.inertia) <= optimum * (1 + 1e-12));
      CHECK(result.proven(1e-2));
    }
  }
  CHECK(found_some >= 8);
}

TEST_CASE(
    "priced_blocks: where no such gap can be proven, the best there is, or nothing on request") {
  const std::vector<float> x = samples::draw("normal", 20000);
  const lutra::line l = line_of_sample(x, 64);
  CHECK_FALSE(lutra::priced_blocks(l, 64, 1e-12, true));
  const auto found = lutra::priced_blocks(l, 64, 1e-12);
  REQUIRE(found);
  const lutra::fit_1d_result result = lutra::fit_result(l, *found, 1);
  CHECK_FALSE(result.proven(1e-12));
  const double optimum = lutra::exact_1d(x, {}, 64).inertia;
  CHECK(result.lower_bound(result.inertia) <= optimum * (1 + 1e-12));
  CHECK(result.lower_bound(result.inertia) >= optimum * 0.98);
  CHECK(result.inertia <= optimum * (1 + 1e-3));
}

// Sums of two modes far apart are so coarse that no price gives the number of clusters; equally spaced points have
// the same saving for many numbers.
TEST_CASE("priced_blocks: windows of prices where these find no clustering") {
  int by_windows = 0;
  for (const std::string name : {"sorted", "two narrow modes"}) {
    const std::vector<float> x = samples::draw(name, 20000);
    const auto atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
    const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
    for (const index_t k : {40, 100, 128, 200}) {
      CAPTURE(name);
      CAPTURE(k);
      const auto priced = lutra::priced_line<lutra::simd::native>()(l, k);
      by_windows += priced.starts.empty() && !priced.windows.empty() ? 1 : 0;
      const auto found = lutra::priced_blocks(l, k, 1e-2);
      REQUIRE(found);
      const double optimum = lutra::exact_1d(x, {}, static_cast<int>(k)).inertia;
      const lutra::fit_1d_result result = lutra::fit_result(l, *found, 1);
      CHECK(result.lower_bound(result.inertia) <= optimum * (1 + 1e-12));
      const double rounded = lutra::line_rounding(l)(k, optimum, priced.pieces);
      CHECK((result.proven(1e-2) || rounded > 5e-3 * optimum));
      CHECK(priced.floor <= optimum + lutra::line_rounding(l)(k, 2 * optimum, priced.pieces));
    }
  }
  CHECK(by_windows > 0);
}

TEST_CASE("priced_blocks: the same on every level") {
  const std::vector<float> x = samples::draw("laplace", 30000);
  const lutra::line l = line_of_sample(x, 64);
  const auto want = lutra::priced_blocks<lutra::simd::portable>(l, 64, 1e-2);
  REQUIRE(want);
  for_each_level([&]<class Level>(Level) {
    const auto found = lutra::priced_blocks<Level>(l, 64, 1e-2);
    REQUIRE(found);
    CHECK(found->starts == want->starts);
    CHECK(found->inertia == want->inertia);
    CHECK(found->excess == want->excess);
  });
}

}  // namespace
