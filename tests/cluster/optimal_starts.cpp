#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/optimal_starts.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "cluster/samples.hpp"

namespace {

using lutra::index_t;

// Cost of intervals, in extended precision.
double cost_of(const lutra::atoms_1d& atoms, const std::vector<index_t>& starts) {
  long double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    const auto begin = static_cast<std::size_t>(starts[c]);
    const auto end = c + 1 < starts.size() ? static_cast<std::size_t>(starts[c + 1])
                                           : static_cast<std::size_t>(atoms.size());
    long double weight = 0, moment = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const auto w = static_cast<long double>(atoms.weight[i]);
      weight += w;
      moment += w * static_cast<long double>(atoms.value[i]);
    }
    for (std::size_t i = begin; i < end; ++i) {
      const long double d = static_cast<long double>(atoms.value[i]) - moment / weight;
      sum += static_cast<long double>(atoms.weight[i]) * d * d;
    }
  }
  return static_cast<double>(sum);
}

// Least cost of k intervals none of which holds values on both sides of `far`, each side solved alone, from 0.
double best_of_modes(const lutra::atoms_1d& atoms, double far, int k) {
  const auto middle = std::lower_bound(atoms.value.begin(), atoms.value.end(), far);
  const index_t split = middle - atoms.value.begin();
  std::vector<double> right(middle, atoms.value.end());
  for (double& v : right) v -= far;
  const std::span<const double> value(atoms.value), weight(atoms.weight);
  const auto at = static_cast<std::size_t>(split);
  double best = std::numeric_limits<double>::infinity();
  for (int q = 1; q < k; ++q) {
    if (q > split || k - q > atoms.size() - split) continue;
    auto starts = lutra::optimal_intervals(value.first(at), weight.first(at), q);
    for (const index_t s :
         lutra::optimal_intervals(std::span<const double>(right), weight.subspan(at), k - q)) {
      starts.push_back(split + s);
    }
    best = std::min(best, cost_of(atoms, starts));
  }
  return best;
}

TEST_CASE("optimal_starts: as good as the plain programme in double-double, whatever the values") {
  lutra::exact_workspace<lutra::simd::native> work;
  for (const auto& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, 1500);
    const lutra::atoms_1d atoms =
        lutra::make_atoms(std::span<const float>(x), std::span<const float>());
    for (const int k : {3, 16}) {
      if (atoms.size() <= k) continue;
      CAPTURE(name);
      CAPTURE(k);
      const auto starts = lutra::optimal_starts(atoms, k, lutra::interval_table_limit, work);
      REQUIRE(std::ssize(starts) == k);
      CHECK(starts[0] == 0);
      CHECK(std::is_sorted(starts.begin(), starts.end(), std::less_equal<>()));
      const auto want = lutra::optimal_intervals(atoms.value, atoms.weight, k);
      CHECK(cost_of(atoms, starts) <= cost_of(atoms, want) * (1 + 1e-9) + 1e-300);
    }
  }
}

TEST_CASE("optimal_starts: outliers so far away that sums of squares lose everything else") {
  lutra::exact_workspace<lutra::simd::native> work;
  std::vector<double> x;
  for (const float v : samples::draw("normal", 3000)) x.push_back(static_cast<double>(v));
  x.push_back(1e7);
  x.push_back(-3e8);
  const lutra::atoms_1d with =
      lutra::make_atoms(std::span<const double>(x), std::span<const double>());
  x.resize(3000);
  const lutra::atoms_1d without =
      lutra::make_atoms(std::span<const double>(x), std::span<const double>());
  const auto starts = lutra::optimal_starts(with, 18, lutra::interval_table_limit, work);
  const auto want = lutra::optimal_starts(without, 16, lutra::interval_table_limit, work);
  REQUIRE(starts.size() == 18);
  CHECK(starts[1] == 1);
  CHECK(starts[17] == with.size() - 1);
  for (std::size_t c = 0; c < 16; ++c) CHECK(starts[c + 1] == want[c] + 1);
}

TEST_CASE("optimal_starts: narrow modes far apart, against the plain programme") {
  lutra::exact_workspace<lutra::simd::native> work;
  lutra::random_stream random(12);
  for (const int modes : {2, 3, 5}) {
    std::vector<double> x;
    for (int i = 0; i < 1200; ++i) {
      x.push_back(static_cast<double>(i % modes) + 1e-6 * random.normal());
    }
    const lutra::atoms_1d atoms =
        lutra::make_atoms(std::span<const double>(x), std::span<const double>());
    for (const int k : {16, 17, 40}) {
      CAPTURE(modes);
      CAPTURE(k);
      const auto starts = lutra::optimal_starts(atoms, k, lutra::interval_table_limit, work);
      REQUIRE(std::ssize(starts) == k);
      CHECK(std::is_sorted(starts.begin(), starts.end(), std::less_equal<>()));
      const auto want = lutra::optimal_intervals(atoms.value, atoms.weight, k);
      CHECK(cost_of(atoms, starts) <= cost_of(atoms, want) * (1 + 1e-8));
    }
  }
}

TEST_CASE("optimal_starts: two far modes of many clusters, against each of the modes alone") {
  lutra::exact_workspace<lutra::simd::native> work;
  lutra::random_stream random(1);
  for (int rep = 0; rep < 3; ++rep) {
    for (const double far : {3e4, 1e6}) {
      for (const double ratio : {1.0, 0.01}) {
        const int k = 33 + static_cast<int>(random.below(60));
        const std::size_t n =
            std::min<std::size_t>(257 + random.below(300), static_cast<std::size_t>(k * k / 4));
        if (n <= 256) continue;
        std::vector<double> x, w;
        const double left = static_cast<double>(n) * (0.2 + 0.6 * random.uniform());
        for (std::size_t i = 0; i < n; ++i) {
          const double v = random.uniform();
          x.push_back(static_cast<double>(i) < left ? v : far + ratio * v);
          w.push_back(rep % 2 == 0 ? 1.0 : std::exp(8 * (random.uniform() - 0.5)));
        }
        const lutra::atoms_1d atoms =
            lutra::make_atoms(std::span<const double>(x), std::span<const double>(w));
        CAPTURE(rep);
        CAPTURE(far);
        CAPTURE(k);
        const auto starts = lutra::optimal_starts(atoms, k, lutra::interval_table_limit, work);
        REQUIRE(std::ssize(starts) == k);
        CHECK(std::is_sorted(starts.begin(), starts.end(), std::less_equal<>()));
        CHECK(cost_of(atoms, starts) <= best_of_modes(atoms, far, k) * (1 + 1e-9));
      }
    }
  }
}

// Least cost of k intervals, in long double with weights that stay apart: O(n^2 k).
long double least_cost(const lutra::atoms_1d& atoms, int k) {
  const std::size_t n = atoms.value.size();
  std::vector<std::vector<long double>> cost(n + 1, std::vector<long double>(n + 1, 0));
  for (std::size_t i = 0; i < n; ++i) {
    long double w = 0, mean = 0, sum = 0;
    for (std::size_t j = i; j < n; ++j) {
      const long double x = atoms.value[j], v = atoms.weight[j];
      const long double d = x - mean;
      sum += d * d * (w > 0 ? v * w / (w + v) : 0);
      mean += d * v / (w + v);
      w += v;
      cost[i][j + 1] = sum;
    }
  }
  std::vector<long double> best(cost[0].begin(), cost[0].end());
  for (int layer = 1; layer < k; ++layer) {
    std::vector<long double> next = best;
    for (std::size_t j = 1; j <= n; ++j) {
      for (std::size_t i = 1; i < j; ++i) next[j] = std::min(next[j], best[i] + cost[i][j]);
    }
    best = next;
  }
  return best[n];
}
long double cost_of_starts(const lutra::atoms_1d& atoms,
                           const std::vector<lutra::index_t>& starts) {
  long double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    const auto i = static_cast<std::size_t>(starts[c]);
    const auto j =
        c + 1 < starts.size() ? static_cast<std::size_t>(starts[c + 1]) : atoms.value.size();
    long double w = 0, mean = 0;
    for (std::size_t a = i; a < j; ++a) {
      const long double x = atoms.value[a], v = atoms.weight[a];
      sum += (x - mean) * (x - mean) * (w > 0 ? v * w / (w + v) : 0);
      mean += (x - mean) * v / (w + v);
      w += v;
    }
  }
  return sum;
}

TEST_CASE(
    "optimal_starts: light atoms right of heavy ones are not rounded away, or nothing is claimed") {
  for (const double heavy : {1e6, 1e10, 1e12, 1e14, 1e20}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      for (const bool mirrored : {false, true}) {
        lutra::random_stream r(seed);
        lutra::atoms_1d atoms;
        for (int i = 0; i < 32; ++i) atoms.value.push_back(-1e-7 * (1.0 - r.uniform()));
        atoms.value.push_back(0);
        for (int i = 33; i < 64; ++i) atoms.value.push_back(50 * r.uniform());
        std::sort(atoms.value.begin(), atoms.value.end());
        for (int i = 0; i < 64; ++i) {
          atoms.weight.push_back(i < 32 ? heavy * (1.0 + r.uniform()) : 1.0 + r.uniform());
        }
        if (mirrored) {
          std::reverse(atoms.value.begin(), atoms.value.end());
          std::reverse(atoms.weight.begin(), atoms.weight.end());
          for (double& x : atoms.value) x = 0.0 - x;
        }
        lutra::exact_workspace<lutra::simd::native> work;
        double rounding = 0;
        const auto starts = lutra::optimal_starts(atoms, 6, std::size_t{1} << 22, work, &rounding);
        const long double best = least_cost(atoms, 6);
        CAPTURE(heavy);
        CAPTURE(seed);
        CHECK(cost_of_starts(atoms, starts) <= best * (1 + 1e-10L) + rounding);
      }
    }
  }
}

TEST_CASE("optimal_starts: gaps are not cut so short that their two sides cannot be told") {
  const std::vector<double> exponent = {221.83, 221.83, 221.83, 32.62,  89.98, 89.98,
                                        180.5,  159.5,  180.5,  159.5,  180.5, 159.5,
                                        32.62,  89.98,  32.62,  221.83, 180.5};
  lutra::atoms_1d atoms;
  atoms.value = {-1,      -6.9e-13, -1.8e-17, -3.8e-20, -1.4e-31, -8.5e-40,
                 5.4e-59, 1.1e-45,  1.5e-43,  2.6e-42,  2.6e-25,  3.8e-23,
                 5.9e-15, 1.4e-13,  4.8e-5,   9.4e-5,   1};
  for (const double e : exponent) atoms.weight.push_back(std::exp2(e));
  lutra::exact_workspace<lutra::simd::native> work;
  for (int k = 2; k < 17; ++k) {
    double rounding = 0;
    const auto starts = lutra::optimal_starts(atoms, k, std::size_t{1} << 22, work, &rounding);
    const long double best = least_cost(atoms, k);
    CAPTURE(k);
    CHECK(cost_of_starts(atoms, starts) <= best * (1 + 1e-10L) + rounding);
  }
}

}  // namespace
