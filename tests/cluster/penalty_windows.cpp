#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/interval_dp.hpp>
#include <lutra/cluster/penalty_windows.hpp>

#include <doctest/doctest.h>

#include "cluster/samples.hpp"

namespace {

using lutra::index_t;
using window_list = std::vector<std::pair<index_t, index_t>>;

// Distinct values with weights, some of the sets on a grid, where optima tie.
lutra::atoms_1d atoms_of(const std::string& name, std::size_t n, bool weighted) {
  lutra::random_stream random(n);
  std::vector<float> x = samples::draw(name, n);
  if (name == "sorted") {
    for (float& v : x) v *= static_cast<float>(n);
  }
  std::vector<float> w(n, 1.0F);
  for (float& v : w) v = weighted ? static_cast<float>(0.01 + random.uniform()) : 1.0F;
  return lutra::make_atoms(std::span<const float>(x), std::span<const float>(w));
}

bool hold(const window_list& found, const std::vector<index_t>& starts) {
  for (std::size_t q = 1; q < starts.size(); ++q) {
    if (starts[q] < found[q - 1].first || starts[q] > found[q - 1].second) return false;
  }
  return true;
}

TEST_CASE("penalty_windows: hold the result of the layered programme, and are narrow") {
  lutra::penalty_windows<lutra::simd::native> look;
  lutra::penalty_windows<lutra::simd::portable> look_plainly;
  lutra::certified_solver<lutra::simd::native> solver;
  for (const std::string& name : samples::names()) {
    for (const bool weighted : {false, true}) {
      for (const auto& size : {std::pair<std::size_t, index_t>{300, 40}, {513, 48}, {90, 64}}) {
        const std::size_t n = size.first;  // not bindings, which CAPTURE could not capture in C++20
        const index_t k = size.second;
        const lutra::atoms_1d atoms = atoms_of(name, n, weighted);
        if (atoms.size() <= k) continue;
        const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
        const window_list found = look(l, k);
        CHECK(found == look_plainly(l, k));
        if (found.empty() || l.rounding() > 1e-11 * solver.solve(l, k).inertia) continue;
        CAPTURE(name);
        CAPTURE(n);
        CAPTURE(weighted);
        REQUIRE(std::ssize(found) == k - 1);
        const auto layered =
            lutra::optimal_intervals(atoms.value, atoms.weight, static_cast<int>(k));
        CHECK(hold(found, layered));
        const auto narrow = solver.solve(l, k, {.windows = found, .narrow = true});
        // Which of equal optima it is, rounding decides.
        if (name != "sorted") CHECK(narrow.starts == solver.solve(l, k).starts);
        CHECK(narrow.inertia == doctest::Approx(solver.solve(l, k).inertia).epsilon(1e-12));
        index_t positions = 0;
        for (const auto& [from, to] : found) positions += to - from + 1;
        if (name != "sorted") CHECK(positions <= 12 * k);
      }
    }
  }
}

TEST_CASE("penalty_windows: every number of clusters, also where many optima tie") {
  lutra::penalty_windows<lutra::simd::native> look;
  for (const std::string name : {"normal", "sorted", "lognormal"}) {
    const lutra::atoms_1d atoms = atoms_of(name, 60, false);
    const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
    for (index_t k = 33; k < atoms.size(); ++k) {
      const window_list found = look(l, k);
      REQUIRE(std::ssize(found) == k - 1);
      CHECK(hold(found, lutra::optimal_intervals(atoms.value, atoms.weight, static_cast<int>(k))));
    }
  }
}

TEST_CASE("penalty_windows: give up on long clusters, and the clustering is found without them") {
  // Nearly all atoms in two clusters, the others far from each other.
  std::vector<float> x;
  for (int i = 0; i < 1000; ++i) x.push_back(1.0F + 1e-6F * static_cast<float>(i));
  for (int i = 0; i < 63; ++i) x.push_back(static_cast<float>(100 + i * i));
  const auto atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
  const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
  const index_t k = 66;
  REQUIRE(lutra::penalty_windows<lutra::simd::native>::worth_it(l.size(), k));
  CHECK(lutra::penalty_windows<lutra::simd::native>()(l, k).empty());
  const auto r = lutra::exact_1d(x, {}, static_cast<int>(k));
  CHECK(r.inertia == doctest::Approx(lutra::exact_1d(std::span(x).first(1000), {}, 3).inertia));
}

TEST_CASE("penalty_windows: worth it for many clusters of few atoms only") {
  using look = lutra::penalty_windows<lutra::simd::native>;
  CHECK(look::worth_it(1024, 256));
  CHECK(look::worth_it(1024, 64));
  CHECK_FALSE(look::worth_it(1025, 64));
  CHECK_FALSE(look::worth_it(257, 32));
}

}  // namespace
