#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/fit_exactly.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "backward_executor.hpp"
#include "levels.hpp"
#include "samples.hpp"

namespace {

std::size_t many_values() { return std::getenv("LUTRA_TEST_QUICK") != nullptr ? 20000 : 200000; }

// In several passes, in which windows overlap.
TEST_CASE("fit_exactly: the optimum of values that are counted is that of the values sorted") {
  int solved = 0, tried = 0;
  for (const std::string& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, many_values() / 2, 3);
    const auto atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
    for (const int k : {2, 16, 60, 256}) {
      if (atoms.size() <= k) continue;
      ++tried;
      const auto got = lutra::fit_exactly<lutra::simd::native>(std::span<const float>(x), k,
                                                               lutra::serial_executor{});
      if (!got || !got->proven(1e-9)) continue;
      ++solved;
      lutra::exact_workspace<lutra::simd::native> work;
      const auto want = lutra::cluster_atoms(atoms, k, work, 1e-9);
      CAPTURE(name);
      CAPTURE(k);
      CHECK(got->inertia <= want.inertia * (1 + 1e-12) + got->excess);
      CHECK(got->lower_bound(got->inertia) <= want.inertia * (1 + 1e-14));
      REQUIRE(got->centroids.size() == want.centroids.size());
      double apart = 0;
      for (std::size_t c = 0; c < want.centroids.size(); ++c) {
        apart = std::max(apart, std::fabs(got->centroids[c] - want.centroids[c]) /
                                    (std::fabs(want.centroids[c]) + 1e-30));
      }
      CHECK(apart <= 1e-9);
    }
  }
  MESSAGE("counted: " << solved << " of " << tried);
  CHECK(10 * solved >= 6 * tried);
}

TEST_CASE("fit_exactly: counted optima have the same bits on every level and executor") {
  const std::vector<float> x = samples::draw("normal", many_values(), 5);
  for (const int k : {16, 60}) {
    const auto want = lutra::fit_exactly<lutra::simd::portable>(std::span<const float>(x), k,
                                                                lutra::serial_executor{});
    REQUIRE(want);
    const auto check = [&](const std::optional<lutra::fit_1d_result>& got) {
      REQUIRE(got);
      CHECK(got->centroids == want->centroids);
      CHECK(got->inertia == want->inertia);
      CHECK(got->excess == want->excess);
      CHECK(got->off == want->off);
    };
    for_each_level([&]<class Level>(Level) {
      check(lutra::fit_exactly<Level>(std::span<const float>(x), k, lutra::serial_executor{}));
      check(lutra::fit_exactly<Level>(std::span<const float>(x), k, test::backward_executor{}));
    });
  }
}

}  // namespace
