#include <lutra/cluster/centred_programme.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "cluster/oracle.hpp"
#include "levels.hpp"
#include "quick.hpp"

namespace {

using lutra::index_t;
using lutra::windowed_values;

struct centred_problem {
  std::vector<double> x, w;  // all of them
  windowed_values v;
  std::vector<double> centre;
};

// Values of which a few runs outside of the windows are joined, at a distance from zero.
centred_problem draw(std::uint64_t seed, index_t k, double mean) {
  lutra::random_stream random(seed);
  centred_problem p;
  const std::size_t n = static_cast<std::size_t>(k) + 1 + random.below(30);
  for (std::size_t i = 0; i < n; ++i) {
    const double gap = random.below(5) == 0 ? 4 * random.uniform() : random.uniform();
    p.x.push_back((p.x.empty() ? mean : p.x.back()) + 0x1p-20 * std::round(0x1p20 * (0.01 + gap)));
    p.w.push_back(static_cast<double>(1 + random.below(4)));
  }
  // Boundaries beside no joined run: windows that grow to its ends.
  std::vector<bool> in_run(n + 1);
  for (std::size_t i = 0; i < n;) {
    const std::size_t length = 1 + random.below(4);
    const bool joined = random.below(3) == 0 && i + length <= n;
    for (std::size_t j = i + 1; joined && j < i + length; ++j) in_run[j] = true;
    i += joined ? length : 1;
  }
  std::vector<index_t> atom(n + 1);
  for (std::size_t i = 0; i < n;) {
    std::size_t end = i + 1;
    while (end < n && in_run[end]) ++end;
    atom[i] = p.v.size();
    if (end == i + 1) {
      p.v.value.push_back(p.x[i]);
      p.v.weight.push_back(p.w[i]);
    } else {
      windowed_values::joined_values j{.atom = p.v.size()};
      const double o = p.x[i];
      double weight = 0;
      for (std::size_t a = i; a < end; ++a) {
        const double d = p.x[a] - o;
        weight += p.w[a];
        j.moment += p.w[a] * d;
        j.square += p.w[a] * d * d;
        j.reach = d;
      }
      p.v.value.push_back(o);
      p.v.weight.push_back(weight);
      p.v.joined.push_back(j);
    }
    i = end;
  }
  p.v.windows.assign(static_cast<std::size_t>(k - 1), {0, p.v.size()});
  for (index_t c = 0; c < k; ++c) p.centre.push_back(p.x[random.below(n)]);
  return p;
}

// The best clustering of the atoms, joined ones in one piece.
double best_of_atoms(const centred_problem& p, std::size_t k) {
  std::vector<oracle::point> all;
  for (std::size_t i = 0; i < p.x.size(); ++i) all.push_back({p.x[i], p.w[i]});
  std::vector<std::size_t> cut = {0};
  for (const double w : p.v.weight) {
    double left = w;
    std::size_t i = cut.back();
    while (left > 0) left -= p.w[i++];
    cut.push_back(i);
  }
  const std::size_t n = cut.size() - 1;
  std::vector<long double> least(n + 1, std::numeric_limits<long double>::infinity());
  least[0] = 0;
  for (std::size_t q = 1; q <= k; ++q) {
    std::vector<long double> next(n + 1, std::numeric_limits<long double>::infinity());
    for (std::size_t i = 1; i <= n; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        next[i] = std::min(next[i], least[j] + oracle::run_cost(all, cut[j], cut[i]));
      }
    }
    least = next;
  }
  return static_cast<double>(least[n]);
}

TEST_CASE(
    "centred_programme: the best clustering that cuts no joined values, and what it may miss") {
  const std::uint64_t seeds = test::quick() ? 60 : 300;
  std::uint64_t solved = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto k = static_cast<index_t>(1 + seed % 6);
    for (const double mean : {0.0, 1e6}) {
      const centred_problem p = draw(seed, k, mean);
      if (p.v.size() < k) continue;
      const double best = best_of_atoms(p, static_cast<std::size_t>(k));
      for (const double bound :
           {std::numeric_limits<double>::infinity(), best * (1 + 1e-9) + 1e-9}) {
        const auto found = lutra::centred_programme<lutra::simd::native>()(p.v, p.centre, bound);
        CAPTURE(seed);
        CAPTURE(bound);
        if (p.v.size() == k) continue;
        REQUIRE(std::ssize(found.starts) == k);
        CHECK(found.inertia - found.rounding <= best);
        CHECK(found.inertia <= best * (1 + 1e-12) + 1e-14);
        CHECK(found.rounding <= 1e-6 * best + 1e-9);
        ++solved;
      }
    }
  }
  CHECK(solved > 3 * seeds);
}

TEST_CASE("centred_programme: means, weights, and only boundaries inside of windows") {
  windowed_values v;
  v.value = {0, 1, 10, 11, 30};
  v.weight = {1, 1, 1, 1, 2};
  const std::vector<double> centre = {0, 10, 30};
  const auto solve = [&](lutra::position_windows between) {
    v.windows = std::move(between);
    return lutra::centred_programme<lutra::simd::native>()(v, centre);
  };
  const auto best = solve({{0, 5}, {0, 5}});
  CHECK(best.starts == std::vector<index_t>{0, 2, 4});
  CHECK(best.mean == std::vector<double>{0.5, 10.5, 30});
  CHECK(best.weight == std::vector<double>{2, 2, 2});
  CHECK(best.inertia == 1);
  CHECK(best.off[2] == 0);
  CHECK(solve({{1, 1}, {2, 4}}).starts == std::vector<index_t>{0, 1, 4});
  CHECK(solve({{2, 2}, {2, 2}}).starts.empty());
}

// Beside a far value sums would say nothing about the others, whose windows may reach it.
TEST_CASE("centred_programme: clusters that alone cost more than an optimum are not looked at") {
  windowed_values v;
  for (int i = 0; i < 50; ++i) v.value.push_back(i + 0.01 * (i % 7));
  v.value.push_back(1e12);
  v.weight.assign(51, 1.0);
  v.windows = {{20, 30}, {45, 51}};
  const std::vector<double> centre = {12, 37, 1e12};
  const auto blind = lutra::centred_programme<lutra::simd::native>()(v, centre);
  const auto found = lutra::centred_programme<lutra::simd::native>()(v, centre, 2 * blind.inertia);
  CHECK(found.starts == std::vector<index_t>{0, 25, 50});
  CHECK(found.rounding <= 1e-10 * found.inertia);
  CHECK(blind.rounding > found.inertia);
}

TEST_CASE("centred_programme: the same bits on every level") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const centred_problem p = draw(seed, 5, 3.0);
    if (p.v.size() <= 5) continue;
    const auto want = lutra::centred_programme<lutra::simd::portable>()(p.v, p.centre);
    for_each_level([&]<class Level>(Level) {
      const auto got = lutra::centred_programme<Level>()(p.v, p.centre);
      CHECK(got.starts == want.starts);
      CHECK(got.mean == want.mean);
      CHECK(got.inertia == want.inertia);
      CHECK(got.rounding == want.rounding);
    });
  }
}

}  // namespace
