#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/interval_dp.hpp>
#include <lutra/cluster/priced_line.hpp>

#include <doctest/doctest.h>

#include "cluster/samples.hpp"
#include "levels.hpp"

namespace {

using lutra::index_t;

// Distinct values with weights, some of the sets on a grid, where optima tie.
lutra::atoms_1d priced_atoms(const std::string& name, std::size_t n, bool weighted) {
  lutra::random_stream random(n);
  std::vector<float> x = samples::draw(name, n);
  if (name == "sorted") {
    for (float& v : x) v *= static_cast<float>(n);
  }
  std::vector<float> w(n, 1.0F);
  for (float& v : w) v = weighted ? static_cast<float>(0.01 + random.uniform()) : 1.0F;
  return lutra::make_atoms(std::span<const float>(x), std::span<const float>(w));
}

bool windows_hold(const lutra::priced_clusters& found, const std::vector<index_t>& starts) {
  for (std::size_t q = 1; q < starts.size(); ++q) {
    const auto& [from, to] = found.windows[q - 1];
    if (starts[q] < from || starts[q] > to) return false;
  }
  return true;
}

TEST_CASE("priced_line: finds the result of the layered programme, or windows that hold it") {
  lutra::priced_line<lutra::simd::native> look;
  lutra::certified_solver<lutra::simd::native> solver;
  int missed = 0, tried = 0;
  for (const std::string& name : samples::names()) {
    for (const bool weighted : {false, true}) {
      for (const auto& size :
           {std::pair<std::size_t, index_t>{300, 40}, {513, 16}, {513, 4}, {90, 64}}) {
        const std::size_t n = size.first;  // not bindings, which CAPTURE could not capture in C++20
        const index_t k = size.second;
        const lutra::atoms_1d atoms = priced_atoms(name, n, weighted);
        if (atoms.size() <= k) continue;
        const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
        const lutra::priced_clusters found = look(l, k);
        CAPTURE(name);
        CAPTURE(n);
        CAPTURE(k);
        CAPTURE(weighted);
        const auto layered = solver.solve(l, k);
        if (l.rounding() > 1e-11 * layered.inertia) continue;
        ++tried;
        if (!found.starts.empty()) {
          REQUIRE(std::ssize(found.starts) == k);
          CHECK(lutra::total_cost(l, found.starts) ==
                doctest::Approx(layered.inertia).epsilon(1e-12));
          // Which of equal optima it is, rounding decides.
          if (name != "sorted") CHECK(found.starts == layered.starts);
        } else if (!found.windows.empty()) {
          ++missed;
          REQUIRE(std::ssize(found.windows) == k - 1);
          const auto narrow = solver.solve(l, k, {.windows = found.windows, .narrow = true});
          CHECK(narrow.inertia == doctest::Approx(layered.inertia).epsilon(1e-12));
        } else {
          ++missed;
        }
      }
    }
  }
  CHECK(tried > 80);
  CHECK(10 * missed <= tried);
}

TEST_CASE("priced_line: the same on every level") {
  int starts = 0, windows = 0;
  for (const std::string name : {"normal", "sorted", "laplace"}) {
    for (const std::size_t n : std::vector<std::size_t>{257, 1000, 1031}) {
      // Unweighted sorted values are a ramp, where optima tie.
      const lutra::atoms_1d atoms = priced_atoms(name, n, name != "sorted");
      const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
      for (const index_t k : {2, 7, 16, 60, 100}) {
        const lutra::priced_clusters want = lutra::priced_line<lutra::simd::portable>()(l, k);
        starts += want.starts.empty() ? 0 : 1;
        windows += want.windows.empty() ? 0 : 1;
        for_each_level([&]<class Level>(Level) {
          const lutra::priced_clusters found = lutra::priced_line<Level>()(l, k);
          CHECK(found.starts == want.starts);
          CHECK(found.windows == want.windows);
        });
      }
    }
  }
  CHECK(starts > 0);
  CHECK(windows > 0);
}

TEST_CASE("priced_line: every number of clusters, also where many optima tie") {
  lutra::priced_line<lutra::simd::native> look;
  for (const std::string name : {"normal", "sorted", "lognormal"}) {
    const lutra::atoms_1d atoms = priced_atoms(name, 60, false);
    const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
    for (index_t k = 2; k < atoms.size(); ++k) {
      CAPTURE(name);
      CAPTURE(k);
      const lutra::priced_clusters found = look(l, k);
      const auto layered = lutra::optimal_intervals(atoms.value, atoms.weight, static_cast<int>(k));
      if (found.starts.empty()) {
        if (found.windows.empty()) continue;  // those of two prices crossed
        REQUIRE(std::ssize(found.windows) == k - 1);
        // Which of equal optima the windows hold, rounding decides.
        const auto narrow = lutra::certified_1d(l, k, {.windows = found.windows, .narrow = true});
        CHECK(narrow.inertia <= lutra::total_cost(l, layered) + 4 * l.rounding());
        if (name != "sorted") CHECK(windows_hold(found, layered));
      } else {
        CHECK(lutra::total_cost(l, found.starts) <=
              lutra::total_cost(l, layered) + 4 * l.rounding());
      }
    }
  }
}

TEST_CASE("priced_line: windows are never inverted, where optima tie that rounding tells apart") {
  lutra::priced_line<lutra::simd::native> look;
  int windows = 0, crossed = 0;
  for (const double step : {0x1.81c8p-7, 0.3, 1.0 / 3, 1e-3}) {
    for (const index_t n : {200, 513, 961, 1958}) {
      std::vector<double> x;
      for (index_t i = 0; i < n; ++i) {
        x.push_back(static_cast<double>(static_cast<float>(static_cast<double>(i) * step)));
      }
      for (const bool weighted : {false, true}) {
        const std::vector<double> w(x.size(), weighted ? step : 1.0);
        const lutra::line l = lutra::line_of_points(x, w);
        for (const index_t k : {33, 60, 100, 256, 335}) {
          if (2 * k > n) continue;
          const lutra::priced_clusters found = look(l, k);
          if (found.starts.empty()) ++(found.windows.empty() ? crossed : windows);
          for (const auto& [from, to] : found.windows) CHECK(from <= to);
          // Of n equally spaced points, k clusters as equal as can be are optimal.
          const auto cost = [](index_t m) { return static_cast<double>(m * (m * m - 1)) / 12; };
          const double optimum = static_cast<double>(k - n % k) * cost(n / k) +
                                 static_cast<double>(n % k) * cost(n / k + 1);
          const auto best = lutra::exact_1d(x, w, static_cast<int>(k));
          CHECK(best.inertia == doctest::Approx(optimum * step * step * w[0]).epsilon(1e-3));
        }
      }
    }
  }
  CHECK(windows > 0);
  CHECK(crossed > 0);
}

TEST_CASE("priced_line: one long cluster among many, and atoms so heavy that rows must go alone") {
  std::vector<float> x, w;
  for (int i = 0; i < 1000; ++i) x.push_back(1.0F + 1e-6F * static_cast<float>(i));
  for (int i = 0; i < 63; ++i) x.push_back(static_cast<float>(100 + i * i));
  for (std::size_t i = 0; i < x.size(); ++i) w.push_back(i % 97 == 0 ? 1e6F : 1.0F);
  int answers = 0;
  for (const bool weighted : {false, true}) {
    const auto atoms = lutra::make_atoms(
        std::span<const float>(x), weighted ? std::span<const float>(w) : std::span<const float>());
    const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
    for (const int k : {3, 20, 66, 200}) {
      CAPTURE(weighted);
      CAPTURE(k);
      const lutra::priced_clusters found = lutra::priced_line<lutra::simd::native>()(l, k);
      const auto layered = lutra::optimal_intervals(atoms.value, atoms.weight, k);
      answers += found.starts.empty() && found.windows.empty() ? 0 : 1;
      if (!found.starts.empty()) {
        CHECK(lutra::total_cost(l, found.starts) <=
              lutra::total_cost(l, layered) + 4 * l.rounding());
      } else if (!found.windows.empty()) {
        CHECK(windows_hold(found, layered));
      }
    }
  }
  CHECK(answers > 4);
}

TEST_CASE("priced_line: without a price, windows that say something or none") {
  std::vector<double> x;  // whose squares are 0
  for (int i = 0; i < 100; ++i) x.push_back(i * 1e-170);
  const lutra::line l = lutra::line_of_points(x, std::vector<double>(x.size(), 1.0));
  lutra::priced_line<lutra::simd::native> look;
  const lutra::priced_clusters few = look(l, 5);
  CHECK(few.starts.empty());
  REQUIRE(few.windows.size() == 4);
  for (index_t q = 1; q < 5; ++q) {  // anywhere
    CHECK(few.windows[static_cast<std::size_t>(q - 1)].first <= q);
    CHECK(few.windows[static_cast<std::size_t>(q - 1)].second >= 100 - (5 - q));
  }
  const lutra::priced_clusters many = look(l, 20);
  CHECK(many.starts.empty());
  CHECK(many.windows
            .empty());  // all positions for all boundaries are more than a second look is worth
}

TEST_CASE("priced_line: worth it where clusters are not long") {
  using look = lutra::priced_line<lutra::simd::native>;
  CHECK(look::worth_it(1024, 16));
  CHECK(look::worth_it(65536, 256));
  CHECK_FALSE(look::worth_it(4097, 16));
}

}  // namespace
