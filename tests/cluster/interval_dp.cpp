#include <lutra/cluster/interval_dp.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "oracle.hpp"

namespace {

using lutra::index_t;

struct data {
  std::vector<double> value, weight;
};

data random_atoms(index_t n, std::uint64_t seed) {
  lutra::random_stream random(seed);
  data d;
  double x = 0;
  for (index_t i = 0; i < n; ++i) {
    x += 0.01 + random.uniform() * random.uniform();
    d.value.push_back(x);
    d.weight.push_back(static_cast<double>(1 + random.below(9)));
  }
  return d;
}

double cost_of(const data& d, const std::vector<index_t>& starts) {
  std::vector<oracle::point> p;
  for (std::size_t i = 0; i < d.value.size(); ++i) p.push_back({d.value[i], d.weight[i]});
  long double sum = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    const auto begin = static_cast<std::size_t>(starts[c]);
    const auto end = c + 1 < starts.size() ? static_cast<std::size_t>(starts[c + 1]) : p.size();
    sum += oracle::run_cost(p, begin, end);
  }
  return static_cast<double>(sum);
}

TEST_CASE("interval_dp: the cost of an interval is its weighted squared deviation") {
  const data d = random_atoms(20, 3);
  const lutra::interval_sums<double, lutra::simd::native> sums(d.value, d.weight);
  const lutra::interval_sums<lutra::double_double, lutra::simd::native> accurate(d.value, d.weight);
  std::vector<oracle::point> p;
  for (std::size_t i = 0; i < 20; ++i) p.push_back({d.value[i], d.weight[i]});
  for (std::size_t j = 0; j < 20; ++j) {
    for (std::size_t i = j + 1; i <= 20; ++i) {
      const auto expected = static_cast<double>(oracle::run_cost(p, j, i));
      CHECK(sums.cost(j, i) == doctest::Approx(expected).epsilon(1e-12));
      CHECK(accurate.cost(j, i) == doctest::Approx(expected).epsilon(1e-15));
    }
  }
}

TEST_CASE("interval_dp: reaches the optimum of exhaustive search") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto n = static_cast<index_t>(1 + seed % 12);
    const data d = random_atoms(n, seed);
    for (int k = 1; k <= std::min<index_t>(n, 6); ++k) {
      const auto starts = lutra::optimal_intervals(d.value, d.weight, k);
      REQUIRE(starts.size() == static_cast<std::size_t>(k));
      CHECK(starts[0] == 0);
      CHECK(std::is_sorted(starts.begin(), starts.end()));
      CHECK(cost_of(d, starts) ==
            doctest::Approx(oracle::optimum(d.value, d.weight, k)).epsilon(1e-12));
    }
  }
}

TEST_CASE("interval_dp: the linear-memory path gives the same intervals as the table") {
  for (const index_t n : {5, 17, 64, 300}) {
    const data d = random_atoms(n, static_cast<std::uint64_t>(n));
    for (const int k : {2, 3, 5}) {
      const auto table = lutra::optimal_intervals(d.value, d.weight, k);
      CHECK(lutra::optimal_intervals(d.value, d.weight, k, 0) == table);
      CHECK(lutra::optimal_intervals(d.value, d.weight, k, 100) == table);
    }
  }
  const data d = random_atoms(300, 9);
  const auto table = lutra::optimal_intervals(d.value, d.weight, 64);
  CHECK(lutra::optimal_intervals(d.value, d.weight, 64, 0) == table);
}

TEST_CASE("interval_dp: every level gives the same intervals") {
  for (const index_t n : {3, 9, 40, 500}) {
    const data d = random_atoms(n, static_cast<std::uint64_t>(n) + 100);
    for (const int k : {2, 3}) {
      const auto native = lutra::optimal_intervals(d.value, d.weight, k);
      CHECK(lutra::optimal_intervals<lutra::simd::portable>(d.value, d.weight, k) == native);
    }
  }
  const data d = random_atoms(500, 77);
  CHECK(lutra::optimal_intervals<lutra::simd::portable>(d.value, d.weight, 100) ==
        lutra::optimal_intervals(d.value, d.weight, 100));
}

TEST_CASE("interval_dp: ties go to the smallest split") {
  const std::vector<double> ones(8, 1.0);
  const auto starts = [&](std::vector<double> x, int k) {
    return lutra::optimal_intervals(x, std::span<const double>(ones).first(x.size()), k);
  };
  using expected = std::vector<index_t>;
  CHECK(starts({1, 2, 3, 4, 5}, 2) == expected{0, 2});
  CHECK(starts({0, 1, 2}, 2) == expected{0, 1});
  CHECK(starts({1, 2, 3, 4, 5, 6}, 4) == expected{0, 1, 2, 4});
  CHECK(starts({1, 2, 3, 4, 5, 6, 7, 8}, 3) == expected{0, 2, 5});
}

TEST_CASE("interval_dp: two distant groups do not hide the spread inside them") {
  // The squared distance of the groups is 2^80 times the variances: double alone sees noise.
  data d;
  for (const double centre : {-0x1p40, 0x1p40}) {
    for (const double x : {0.0, 1.0, 5.0, 6.0}) {
      d.value.push_back(centre + x);
      d.weight.push_back(1.0);
    }
  }
  CHECK(lutra::optimal_intervals(d.value, d.weight, 4) == std::vector<index_t>{0, 2, 4, 6});
}

}  // namespace
