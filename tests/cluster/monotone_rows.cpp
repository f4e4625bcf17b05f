#include <lutra/cluster/line.hpp>
#include <lutra/cluster/monotone_rows.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "levels.hpp"

namespace {

using lutra::index_t;
constexpr double infinity = std::numeric_limits<double>::infinity();

struct problem {
  std::vector<double> w, s, q, minus_q, base;
};

// A random line with `n` positions and seven readable entries after them.
problem random_problem(std::uint64_t seed, index_t n, bool forward) {
  lutra::random_stream random(seed);
  std::vector<double> x, weight;
  for (index_t i = 0; i + 1 < n; ++i) {
    x.push_back((x.empty() ? 0.0 : x.back()) + 0.01 + random.uniform());
    weight.push_back(static_cast<double>(1 + random.below(4)));
  }
  const lutra::line l = lutra::line_of_points(x, weight);
  problem p{l.w, l.s, l.q, {}, {}};
  for (auto* a : {&p.w, &p.s, &p.q}) a->resize(static_cast<std::size_t>(n) + 8, a->back());
  for (const double q : p.q) p.minus_q.push_back(-q);
  // The layer of one cluster: convex costs to the left or right end.
  for (index_t i = 0; i < n; ++i) {
    const auto u = static_cast<std::size_t>(i);
    p.base.push_back(forward ? l.cost(0, i) - p.q[u] : l.cost(i, l.size()) + p.q[u]);
  }
  p.base.resize(static_cast<std::size_t>(n) + 8);
  return p;
}

template <bool forward, class Level> struct solved {
  std::vector<double> least;
  std::vector<std::uint32_t> best;
  solved(const problem& p, index_t r0, index_t r1, index_t c0, index_t c1, double limit)
      : least(p.w.size(), infinity), best(p.w.size(), 0) {
    lutra::monotone_rows<forward, Level>(p.w.data(), p.s.data(), p.base.data(), least.data(),
                                         best.data())
        .solve(r0, r1, c0, c1, forward ? p.q.data() : p.minus_q.data(), limit);
  }
};

// By the definition, smallest candidate first.
template <bool forward>
std::pair<double, index_t> definition(const problem& p, index_t r, index_t c0, index_t c1) {
  const auto u = static_cast<std::size_t>(r);
  double least = infinity;
  index_t best = c0;
  for (index_t c = c0; c <= c1; ++c) {
    const auto v = static_cast<std::size_t>(c);
    const double dw = forward ? p.w[u] - p.w[v] : p.w[v] - p.w[u];
    if (dw < 0) continue;
    const double ds = p.s[u] - p.s[v];
    const double value = p.base[v] - (dw == 0 ? 0.0 : ds * ds / dw);
    if (value < least) {
      least = value;
      best = c;
    }
  }
  return {least + (forward ? p.q[u] : p.minus_q[u]), best};
}

template <bool forward, class Level> void check_all_rows() {
  for (const index_t n : {2, 3, 7, 8, 9, 17, 40, 130, 333}) {
    const problem p = random_problem(static_cast<std::uint64_t>(n), n, forward);
    const solved<forward, Level> got(p, 0, n, 0, n - 1, infinity);
    for (index_t r = 0; r < n; ++r) {
      const auto [least, best] = definition<forward>(p, r, 0, n - 1);
      CAPTURE(n);
      CAPTURE(r);
      CHECK(got.least[static_cast<std::size_t>(r)] == least);
      CHECK(got.best[static_cast<std::size_t>(r)] == static_cast<std::uint32_t>(best));
    }
  }
}

TEST_CASE("monotone_rows: every row has its least candidate, on every level") {
  for_each_level([]<class Level>(Level) {
    check_all_rows<true, Level>();
    check_all_rows<false, Level>();
  });
}

TEST_CASE("monotone_rows: ranges of rows and candidates") {
  const problem p = random_problem(5, 200, true);
  const solved<true, lutra::simd::native> got(p, 60, 150, 40, 120, infinity);
  for (index_t r = 60; r < 150; ++r) {
    const auto [least, best] = definition<true>(p, r, 40, 120);
    CHECK(got.least[static_cast<std::size_t>(r)] == least);
    CHECK(got.best[static_cast<std::size_t>(r)] == static_cast<std::uint32_t>(best));
  }
  CHECK(got.least[59] == infinity);
  CHECK(got.least[150] == infinity);
}

TEST_CASE("monotone_rows: rows within the limit are solved, however many lie beyond") {
  const problem p = random_problem(6, 300, true);
  const auto limit = definition<true>(p, 120, 0, 299).first;
  const solved<true, lutra::simd::native> got(p, 0, 300, 0, 299, limit);
  for (index_t r = 0; r <= 120; ++r) {
    CHECK(got.least[static_cast<std::size_t>(r)] == definition<true>(p, r, 0, 299).first);
  }
  for (index_t r = 121; r < 300; ++r) CHECK(got.least[static_cast<std::size_t>(r)] > limit);

  const problem b = random_problem(7, 300, false);
  const auto floor = definition<false>(b, 180, 0, 299).first;
  const solved<false, lutra::simd::native> back(b, 0, 300, 0, 299, floor);
  for (index_t r = 180; r < 300; ++r) {
    CHECK(back.least[static_cast<std::size_t>(r)] == definition<false>(b, r, 0, 299).first);
  }
  for (index_t r = 0; r < 180; ++r) CHECK(back.least[static_cast<std::size_t>(r)] > floor);
}

}  // namespace
