#include <lutra/cluster/exact_1d.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "errors.hpp"
#include "oracle.hpp"

namespace {

using lutra::exact_1d;
using lutra::exact_1d_result;
using numbers = std::vector<double>;

exact_1d_result solve(const numbers& x, const numbers& w, int k) {
  return exact_1d(std::span<const double>(x), w, k);
}

double inertia_of(const numbers& x, const numbers& w, const exact_1d_result& r) {
  long double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double d =
        static_cast<long double>(x[i]) - static_cast<long double>(r.centroids[r.codes[i]]);
    sum += (w.empty() ? 1.0L : static_cast<long double>(w[i])) * d * d;
  }
  return static_cast<double>(sum);
}

// What every result promises: ascending centroids, codes in range and nearest, the stated inertia.
void check_promises(const numbers& x, const numbers& w, int k, const exact_1d_result& r) {
  numbers distinct = x;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  CHECK(r.centroids.size() == std::min(static_cast<std::size_t>(k), distinct.size()));
  CHECK(std::adjacent_find(r.centroids.begin(), r.centroids.end(), std::greater_equal<>()) ==
        r.centroids.end());
  REQUIRE(r.codes.size() == x.size());
  bool nearest = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(r.codes[i] < r.centroids.size());
    const double d = std::fabs(x[i] - r.centroids[r.codes[i]]);
    for (const double c : r.centroids) nearest = nearest && d <= std::fabs(x[i] - c) * (1 + 1e-14);
  }
  CHECK(nearest);
  const double actual = inertia_of(x, w, r);
  CHECK(std::fabs(r.inertia - actual) <= 1e-13 * actual);
}

TEST_CASE("exact_1d: weights so small that no sum of squares is left") {
  numbers x(4000), w(4000, 1e-310);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1 + static_cast<double>(i) * 0x1p-50;
  const exact_1d_result r = solve(x, w, 16);
  CHECK(r.centroids.size() == 16);
  CHECK(std::is_sorted(r.centroids.begin(), r.centroids.end(), std::less_equal<>()));
}

numbers random_values(std::size_t n, std::uint64_t seed, int kind) {
  lutra::random_stream random(seed);
  numbers x(n);
  for (double& v : x) {
    v = random.normal();
    if (kind == 1) v = std::round(v * 2);           // many duplicates
    if (kind == 2) v = v * v * v;                   // heavy tails
    if (kind == 3) v = std::round(v * 4) / 4 + 64;  // duplicates away from zero
  }
  return x;
}

TEST_CASE("exact_1d: equals exhaustive search for up to 12 points and 6 clusters") {
  for (std::uint64_t seed = 0; seed < 160; ++seed) {
    const std::size_t n = 1 + seed % 12;
    const numbers x = random_values(n, seed, static_cast<int>(seed % 4));
    lutra::random_stream random(seed, 1);
    numbers w;
    if (seed % 3 != 0) {
      for (std::size_t i = 0; i < n; ++i) w.push_back(0.01 + random.uniform() * 10);
    }
    for (int k = 1; k <= 6; ++k) {
      CAPTURE(seed);
      CAPTURE(k);
      const exact_1d_result r = solve(x, w, k);
      check_promises(x, w, k, r);
      const double best = oracle::optimum(x, w, k);
      CHECK(r.inertia <= best * (1 + 1e-12) + 1e-30);
      CHECK(r.inertia >= best * (1 - 1e-12) - 1e-30);
    }
  }
}

TEST_CASE("exact_1d: larger data never beat the solver by Lloyd steps") {
  for (const int k : {2, 16, 100}) {
    const numbers x = random_values(700, 5, 2);
    const exact_1d_result r = solve(x, {}, k);
    check_promises(x, {}, k, r);
    // Start Lloyd from perturbed optimal centroids, run it to the end.
    lutra::random_stream random(6);
    for (int trial = 0; trial < 20; ++trial) {
      numbers c = r.centroids;
      for (double& v : c) v += 0.05 * random.normal();
      for (int step = 0; step < 100; ++step) {
        std::sort(c.begin(), c.end());
        numbers sum(c.size()), count(c.size());
        for (const double v : x) {
          const auto m = lutra::nearest_index(lutra::midpoints_of(c), v);
          sum[m] += v;
          count[m] += 1;
        }
        for (std::size_t i = 0; i < c.size(); ++i) c[i] = count[i] > 0 ? sum[i] / count[i] : c[i];
      }
      exact_1d_result lloyd{c, {}, 0};
      for (const double v : x) {
        lloyd.codes.push_back(
            static_cast<std::uint16_t>(lutra::nearest_index(lutra::midpoints_of(c), v)));
      }
      CHECK(inertia_of(x, {}, lloyd) >= r.inertia * (1 - 1e-12));
    }
  }
}

TEST_CASE("exact_1d: multiplying by a power of two changes only exponents") {
  const numbers x = random_values(200, 7, 2);
  const numbers w = [] {
    numbers v = random_values(200, 8, 0);
    for (double& e : v) e = std::fabs(e) + 0.01;
    return v;
  }();
  const exact_1d_result r = solve(x, w, 9);
  for (const int e : {1, -1, 40, -300, 400, -900}) {
    CAPTURE(e);
    numbers scaled = x;
    for (double& v : scaled) v = std::ldexp(v, e);
    const exact_1d_result s = solve(scaled, w, 9);
    CHECK(s.codes == r.codes);
    bool same = true;
    for (std::size_t c = 0; c < 9; ++c)
      same = same && s.centroids[c] == std::ldexp(r.centroids[c], e);
    CHECK(same);
    CHECK(s.inertia == std::ldexp(r.inertia, 2 * e));
  }
}

TEST_CASE("exact_1d: permuting the input permutes the codes") {
  for (const int kind : {0, 1}) {
    const numbers x = random_values(300, 11, kind);
    numbers w = random_values(300, 12, 0);
    for (double& v : w) v = std::fabs(v) + 0.001;
    const exact_1d_result r = solve(x, w, 5);
    std::vector<std::size_t> order(300);
    std::iota(order.begin(), order.end(), std::size_t{0});
    lutra::random_stream random(13);
    for (std::size_t i = 299; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    numbers px, pw;
    for (const std::size_t i : order) {
      px.push_back(x[i]);
      pw.push_back(w[i]);
    }
    const exact_1d_result p = solve(px, pw, 5);
    CHECK(p.centroids == r.centroids);
    CHECK(p.inertia == r.inertia);
    bool same = true;
    for (std::size_t i = 0; i < 300; ++i) same = same && p.codes[i] == r.codes[order[i]];
    CHECK(same);
  }
}

TEST_CASE("exact_1d: integer weights count repetitions") {
  const numbers x = {10, 24, 16, 12, 20};
  const numbers w = {3, 1, 4, 2, 3};
  numbers repeated;
  for (std::size_t i = 0; i < 5; ++i)
    repeated.insert(repeated.end(), static_cast<std::size_t>(w[i]), x[i]);
  const exact_1d_result a = solve(x, w, 2);
  const exact_1d_result b = solve(repeated, {}, 2);
  CHECK(a.centroids == b.centroids);
  CHECK(a.inertia == b.inertia);
  CHECK(a.centroids[0] == doctest::Approx(10.8).epsilon(1e-15));
  CHECK(a.inertia == doctest::Approx(66.8).epsilon(1e-15));
}

TEST_CASE("exact_1d: more clusters never cost more") {
  const numbers x = random_values(257, 17, 0);
  double last = std::numeric_limits<double>::infinity();
  for (int k = 1; k <= 64; ++k) {
    const double inertia = solve(x, {}, k).inertia;
    CHECK(inertia <= last);
    last = inertia;
  }
  CHECK(solve(x, {}, 257).inertia == 0.0);
}

TEST_CASE("exact_1d: a large mean does not cost precision") {
  const std::size_t n = std::getenv("LUTRA_TEST_QUICK") != nullptr ? 400 : 2000;
  for (const double mean : {1e2, 1e4, -1e4}) {
    numbers x = random_values(n, 19, 0);
    // The offsets as they survive next to the mean; their optimum is computed without the mean.
    numbers offset;
    for (double& v : x) {
      v = mean + 1e-5 * v;
      offset.push_back(v - mean);
    }
    const exact_1d_result r = solve(x, {}, 8);
    const exact_1d_result o = solve(offset, {}, 8);
    CHECK(r.codes == o.codes);
    CHECK(std::fabs(r.inertia - o.inertia) <= 1e-9 * o.inertia);
  }
}

// The least inertia of k intervals of ascending values, by trying all; distances from exact means in long double.
long double least_inertia(const numbers& x, const numbers& w, std::size_t begin, int k) {
  long double least = std::numeric_limits<long double>::infinity();
  const std::size_t last = k == 1 ? x.size() : begin + 1;
  for (std::size_t end = last; end + static_cast<std::size_t>(k - 1) <= x.size(); ++end) {
    long double total = 0, moment = 0, square = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const auto weight = w.empty() ? 1.0L : static_cast<long double>(w[i]);
      total += weight;
      moment += weight * (static_cast<long double>(x[i]) - static_cast<long double>(x[begin]));
    }
    const long double mean = moment / total;
    for (std::size_t i = begin; i < end; ++i) {
      const long double d =
          (static_cast<long double>(x[i]) - static_cast<long double>(x[begin])) - mean;
      square += (w.empty() ? 1.0L : static_cast<long double>(w[i])) * d * d;
    }
    least = std::min(least, square + (k == 1 ? 0.0L : least_inertia(x, w, end, k - 1)));
  }
  return least;
}

TEST_CASE("exact_1d: doubles that differ in their last bits, also with unequal weights") {
  lutra::random_stream random(11);
  for (int round = 0; round < 400; ++round) {
    const double apart = std::ldexp(1.0, -14 - static_cast<int>(random.below(18)));
    // Three of which two go together, and five in one place beside them: the choice is one of last bits.
    numbers x{1 + random.uniform()}, w;
    const double gap = apart * (0.5 + random.uniform());
    x.push_back(x[0] + gap);
    x.push_back(x[1] + gap + 0x1p-52 * (static_cast<double>(random.below(7)) - 3));
    const double far = x[0] + 2 + random.uniform();
    for (int i = 0; i < 5; ++i) x.push_back(far + 0x1p-50 * i);
    if (round % 2 == 1) {
      const double heavy = std::ldexp(1.0, static_cast<int>(random.below(60)));
      for (std::size_t i = 0; i < x.size(); ++i)
        w.push_back(i < 3 ? heavy : 0.5 + random.uniform());
    }
    std::sort(x.begin(), x.end());
    const exact_1d_result r = solve(x, w, 3);
    const auto least = static_cast<double>(least_inertia(x, w, 0, 3));
    CAPTURE(round);
    CHECK(r.inertia >= least * (1 - 1e-14));
    CHECK(r.inertia - r.rounding <= least);
    CHECK(r.inertia <= least * (1 + 1e-12));
  }
}

TEST_CASE("exact_1d: outliers do not cost precision") {
  for (const double outlier : {1e3, -1e3, -1e9}) {
    const numbers x = random_values(500, 23, 0);
    numbers y = x;
    y.push_back(outlier);
    // The outlier sits alone, so the rest is a problem of its own.
    const exact_1d_result r = solve(y, {}, 9);
    const exact_1d_result alone = solve(x, {}, 8);
    CHECK(std::fabs(r.inertia - alone.inertia) <= 1e-9 * alone.inertia);
  }
}

TEST_CASE("exact_1d: empty, one, constant and few distinct values") {
  CHECK(solve({}, {}, 4).centroids.empty());
  CHECK(solve({5}, {}, 3).centroids == numbers{5});
  const exact_1d_result c = solve({2, 2, 2}, {1, 2, 3}, 3);
  CHECK(c.centroids == numbers{2});
  CHECK(c.inertia == 0.0);
  const exact_1d_result d = solve({2, 1, 1, 2}, {}, 4);
  CHECK(d.centroids == numbers{1, 2});
  CHECK(d.codes == std::vector<std::uint16_t>{1, 0, 0, 1});
  CHECK(solve({0.0, -0.0}, {}, 2).centroids.size() == 1);
}

TEST_CASE("exact_1d: extreme magnitudes") {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  const exact_1d_result small = solve({0, tiny, 4 * tiny, 5 * tiny}, {}, 2);
  CHECK(small.codes == std::vector<std::uint16_t>{0, 0, 1, 1});
  constexpr double huge = 1e308;
  const exact_1d_result large = solve({-huge, -0.9 * huge, 0.9 * huge, huge}, {}, 2);
  CHECK(large.codes == std::vector<std::uint16_t>{0, 0, 1, 1});
  CHECK(std::isfinite(large.centroids[1]));
}

TEST_CASE("exact_1d: floats") {
  const std::vector<float> x = {0.1F, 0.3F, 0.2F, 0.9F};
  const exact_1d_result r = exact_1d(std::span<const float>(x), {}, 2);
  CHECK(r.codes == std::vector<std::uint16_t>{0, 0, 0, 1});
  CHECK(r.centroids[1] == static_cast<double>(0.9F));
}

TEST_CASE("exact_1d: refuses bad input by name") {
  const numbers x = {1, std::nan(""), 3};
  CHECK_ERROR(solve({1, 2}, {}, 0), invalid_argument, "number of clusters", "got 0", "1..65536");
  CHECK_ERROR(solve({1, 2}, {}, 65537), invalid_argument, "65537");
  CHECK_ERROR(solve(x, {}, 2), non_finite, "1 of 3", "position 1");
  CHECK_ERROR(solve({1, 2}, {1}, 2), shape_mismatch, "weight");
  CHECK_ERROR(solve({1, 2}, {1, 0}, 2), invalid_argument, "position 1");
}

}  // namespace
