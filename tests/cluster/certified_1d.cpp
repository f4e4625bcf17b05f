#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/interval_dp.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>
#include <cstdlib>

#include "levels.hpp"
#include "oracle.hpp"
#include "quick.hpp"
#include "samples.hpp"

namespace {

using lutra::certified_clusters;
using lutra::index_t;
using lutra::line;

double cost_of(const line& l, const std::vector<index_t>& starts) {
  double cost = 0;
  for (std::size_t c = 0; c < starts.size(); ++c) {
    cost += l.cost(starts[c], c + 1 < starts.size() ? starts[c + 1] : l.size());
  }
  return cost;
}

lutra::atoms_1d atoms_of(const std::vector<float>& x) {
  return lutra::make_atoms(std::span<const float>(x), std::span<const float>());
}

// Neighbouring points joined into buckets of up to `most`, known by their mean and ends only.
line buckets_of(const std::vector<double>& x, const std::vector<double>& w, std::uint64_t seed,
                std::uint64_t most, std::vector<index_t>& first) {
  lutra::random_stream random(seed);
  line l;
  std::vector<double> weight, moment, square;
  for (std::size_t i = 0; i < x.size();) {
    const std::size_t end = std::min<std::size_t>(x.size(), i + 1 + random.below(most));
    first.push_back(static_cast<index_t>(i));
    double sum = 0, total = 0;
    for (std::size_t j = i; j < end; ++j) {
      sum += w[j] * x[j];
      total += w[j];
    }
    l.lo.push_back(x[i]);
    l.hi.push_back(x[end - 1]);
    weight.push_back(total);
    moment.push_back(sum);
    square.push_back(sum * sum / total);
    const double mean = sum / total;
    l.within += total * std::max(0.0, (mean - x[i]) * (x[end - 1] - mean));
    i = end;
  }
  lutra::accumulate(
      l, weight, [&](std::size_t a) { return moment[a]; },
      [&](std::size_t a) { return square[a]; });
  return l;
}

TEST_CASE("certified_1d: optimal by exhaustive search") {
  lutra::random_stream random(3);
  const int trials = test::quick() ? 300 : 1500;
  for (int trial = 0; trial < trials; ++trial) {
    const auto n = static_cast<std::size_t>(2 + random.below(11));
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back((x.empty() ? 0.0 : x.back()) +
                  static_cast<double>(1 + random.below(trial % 3 == 0 ? 3 : 1000)));
      w.push_back(trial % 2 == 0 ? 1.0 : 0.1 + random.uniform());
    }
    const auto k = static_cast<index_t>(1 + random.below(std::min<std::uint64_t>(n - 1, 6)));
    const line l = lutra::line_of_points(x, w);
    const certified_clusters got = lutra::certified_1d(l, k);
    const double best = oracle::optimum(x, w, static_cast<int>(k));
    CAPTURE(trial);
    REQUIRE(static_cast<index_t>(got.starts.size()) == k);
    CHECK(std::fabs(got.inertia - best) <= 1e-11 * (best + l.q.back() - l.q.front()));
    CHECK(std::fabs(cost_of(l, got.starts) - got.inertia) <= 1e-12 * (1 + got.inertia));
    CHECK(got.excess <= 1e-12 * (l.q.back() - l.q.front()));
  }
}

// The proof at the head of the header, checked: no clustering of the original values costs less than
// the one found minus the proven excess.
TEST_CASE("certified_1d: the bound holds for values hidden in buckets") {
  lutra::random_stream random(4);
  const int trials = test::quick() ? 800 : 4000;
  int loose = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const auto n = static_cast<std::size_t>(6 + random.below(7));
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      const double gap = trial % 4 == 0 && random.below(4) == 0 ? 1e3 : random.uniform();
      x.push_back((x.empty() ? 0.0 : x.back()) + gap);
      w.push_back(static_cast<double>(1 + random.below(3)));
    }
    std::vector<index_t> first;
    const line l = buckets_of(x, w, static_cast<std::uint64_t>(trial), 3, first);
    const auto k = static_cast<index_t>(1 + random.below(5));
    if (l.size() <= k) continue;
    const certified_clusters got = lutra::certified_1d(l, k);
    const double best = oracle::optimum(x, w, static_cast<int>(k));
    // What the clustering costs the original values.
    double measured = 0;
    for (std::size_t c = 0; c < got.starts.size(); ++c) {
      const auto begin = static_cast<std::size_t>(first[static_cast<std::size_t>(got.starts[c])]);
      const std::size_t end =
          c + 1 < got.starts.size()
              ? static_cast<std::size_t>(first[static_cast<std::size_t>(got.starts[c + 1])])
              : n;
      std::vector<oracle::point> p;
      for (std::size_t i = begin; i < end; ++i) p.push_back({x[i], w[i]});
      measured += static_cast<double>(oracle::run_cost(p, 0, p.size()));
    }
    CAPTURE(trial);
    CHECK(measured <= got.inertia * (1 + 1e-9) + 8 * l.rounding());
    CHECK(best >= measured - got.excess - 1e-9 * (1 + measured));
    loose += measured > best * (1 + 1e-9) ? 1 : 0;
  }
  CHECK(loose > trials / 40);  // the bound was needed
}

TEST_CASE("certified_1d: windows hold the boundaries of the optimum") {
  for (const char* name : {"normal", "student2", "bimodal", "uniform"}) {
    const lutra::atoms_1d atoms = atoms_of(samples::draw(name, 3000));
    const line l = lutra::line_of_points(atoms.value, atoms.weight);
    for (const index_t k : {2, 5, 16}) {
      const auto best = lutra::optimal_intervals(atoms.value, atoms.weight, static_cast<int>(k));
      for (const double gap : {0.0, 1e-2, 0.3}) {
        const auto got = lutra::certified_1d(l, k, {.max_gap = gap, .final_windows = true});
        REQUIRE(got.windows.size() == static_cast<std::size_t>(k - 1));
        for (std::size_t q = 0; q + 1 < static_cast<std::size_t>(k); ++q) {
          CAPTURE(name);
          CHECK(got.windows[q].first <= best[q + 1]);
          CHECK(got.windows[q].second >= best[q + 1]);
        }
        CHECK(got.inertia <=
              (1 + gap) * (got.inertia - got.excess) + 2 * lutra::line_rounding(l)(k, got.inertia));
        const auto again = lutra::certified_1d(l, k, {.windows = got.windows});
        CHECK(again.inertia == doctest::Approx(cost_of(l, best)).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("certified_1d: equals the plain dynamic programme, for small and large tables") {
  const std::size_t n = std::getenv("LUTRA_TEST_QUICK") != nullptr ? 500 : 2500;
  for (const std::string& name : samples::names()) {
    const lutra::atoms_1d atoms = atoms_of(samples::draw(name, n));
    for (const index_t k : {1, 3, 16, 64, 256}) {
      if (atoms.size() <= k) continue;
      const line l = lutra::line_of_points(atoms.value, atoms.weight);
      const auto got = lutra::certified_1d(l, k);
      const auto best = lutra::optimal_intervals(atoms.value, atoms.weight, static_cast<int>(k));
      CAPTURE(name);
      CAPTURE(k);
      CHECK(got.inertia <= cost_of(l, best) + 4 * l.rounding());
      CHECK(got.inertia >= cost_of(l, best) - 4 * l.rounding());
    }
  }
}

TEST_CASE("certified_1d: the same bits on every level") {
  const lutra::atoms_1d atoms = atoms_of(samples::draw("laplace", 4000));
  const line l = lutra::line_of_points(atoms.value, atoms.weight);
  const auto want = lutra::certified_1d<lutra::simd::portable>(l, 16);
  for_each_level([&]<class Level>(Level) {
    const auto got = lutra::certified_1d<Level>(l, 16);
    CHECK(got.starts == want.starts);
    CHECK(got.inertia == want.inertia);
    CHECK(got.excess == want.excess);
  });
}

TEST_CASE("certified_1d: stopping early is honest") {
  const lutra::atoms_1d atoms = atoms_of(samples::draw("normal", 20000));
  const line l = lutra::line_of_points(atoms.value, atoms.weight);
  const auto best = lutra::certified_1d(l, 64);
  const auto soon = lutra::certified_1d(l, 64, {.max_gap = 0.05});
  CHECK(soon.levels < best.levels);
  CHECK(soon.inertia - soon.excess <= best.inertia);
  CHECK(soon.inertia <= 1.05 * best.inertia);
  const auto limited = lutra::certified_1d(l, 64, {.row_limit = 1});
  CHECK(limited.levels == 1);
  CHECK(limited.inertia - limited.excess <= best.inertia);
}

}  // namespace
