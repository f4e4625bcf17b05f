#include <lutra/observe/range/entropy.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>

#include "errors.hpp"
#include "observe/distributions.hpp"

namespace {

using lutra::entropy_range;
using lutra::histogram;
using lutra::index_t;
using lutra::qscheme;

histogram histogram_of(std::span<const float> x, index_t bins = 2048) {
  histogram h(bins);
  h.add(x.data(), static_cast<index_t>(x.size()));
  return h;
}

// KL(P || Q) bin by bin, from the definition.
double divergence(const histogram& h, std::int64_t a, std::int64_t b, std::int64_t levels) {
  std::vector<double> counts;
  for (const std::uint64_t c : h.counts()) counts.push_back(static_cast<double>(c));
  while (counts.back() == 0.0) counts.pop_back();
  const std::int64_t first = h.lattice().first;
  const auto count_at = [&](std::int64_t bin) {
    const std::int64_t i = bin - first;
    return i >= 0 && i < static_cast<std::int64_t>(counts.size())
               ? counts[static_cast<std::size_t>(i)]
               : 0.0;
  };
  if (const double most = std::max(count_at(-1), count_at(1)); most > 0.0 && count_at(0) > most) {
    counts[static_cast<std::size_t>(-first)] = most;
  }
  std::vector<std::size_t> level(counts.size());
  std::vector<double> mass(static_cast<std::size_t>(levels));
  std::vector<double> bins(static_cast<std::size_t>(levels));
  double total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::int64_t at = first + static_cast<std::int64_t>(i);
    std::int64_t l = 0;
    while (l + 1 < levels && at >= a + (2 * (l + 1) * (b - a) + levels) / (2 * levels)) ++l;
    level[i] = static_cast<std::size_t>(l);
    mass[level[i]] += counts[i];
    bins[level[i]] += 1.0;
    total += counts[i];
  }
  double kl = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double p = counts[i] / total;
    if (p > 0.0) kl += p * std::log2(p / (mass[level[i]] / bins[level[i]] / total));
  }
  return kl;
}

TEST_CASE("entropy: prefix sums give the KL divergence up to a constant") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    const histogram h = histogram_of(draw(d, 4000, 5), 256);
    const lutra::level_entropy fast(h);
    const std::int64_t b = std::max<std::int64_t>(fast.end(), 0);
    const std::int64_t a = std::min<std::int64_t>(fast.first(), 0);
    for (const std::int64_t levels : {2, 15, 16}) {
      if (b - a < 2 * levels) continue;
      // Differences are proportional: the factor is the mass.
      const double exact = divergence(h, a, b, levels);
      const double sum = fast(a, b, levels);
      double mass = 0;
      for (std::int64_t cut = 1; b - a - 2 * cut >= levels; cut += 7) {
        const double more = divergence(h, a + cut, b - cut, levels) - exact;
        const double more_sum = fast(a + cut, b - cut, levels) - sum;
        if (mass == 0.0 && std::abs(more) > 1e-6) mass = more_sum / more;
        CHECK(std::abs(more_sum - mass * more) <= 1e-6 * (std::abs(more_sum) + 1.0));
      }
      CHECK(mass <= static_cast<double>(h.finite()) * (1.0 + 1e-6));
    }
  }
}

TEST_CASE("entropy: the coarse scan finds the best symmetric range of all") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    const histogram h = histogram_of(draw(d, 20'000, 6));
    const auto r = entropy_range{16}(h, {});
    const lutra::level_entropy cost(h);
    const std::int64_t most = std::max({-cost.first(), cost.end(), std::int64_t{0}});
    double best = std::numeric_limits<double>::infinity();
    for (std::int64_t m = 8; m <= most; ++m) best = std::min(best, cost(-m, m, 16));
    const float largest = std::max(-r.lo, r.hi);
    const auto chosen = std::min(
        most, static_cast<std::int64_t>(std::ceil(static_cast<double>(largest) / h.width())));
    CHECK(cost(-chosen, chosen, 16) - best <= 2e-3 * std::abs(best));
  }
}

TEST_CASE("entropy: evenly spread values keep their range") {
  for (const std::size_t d : {0U, 5U}) {  // few normal ones give no reason to cut either
    for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
      const histogram h = histogram_of(draw(distributions[d], 20'000, 13));
      const lutra::quantization_spec spec{.qscheme = scheme};
      CHECK(entropy_range{}(h, spec) == lutra::full_range(h, spec));
    }
  }
}

TEST_CASE("entropy: outliers are cut, ends are bin edges or the observed ones") {
  const histogram h = histogram_of(draw(distributions[3], 50'000, 7));
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    const auto r = entropy_range{}(h, {.qscheme = scheme});
    CHECK(r.hi < 0.5F * h.max());
    CHECK(r.lo > 0.5F * h.min());
    CHECK(r.hi > 1.0F);
    CHECK(r.lo < -1.0F);
  }
  const std::vector<float> few = {0.5F, 1.0F};  // fewer bins than levels: the whole range
  const auto r = entropy_range{}(histogram_of(few, 64), {.qscheme = qscheme::asymmetric});
  CHECK(r == lutra::value_range{0.0F, 1.0F});
}

TEST_CASE("entropy: a peak at zero (relu) does not shrink the range") {
  const histogram h = histogram_of(draw(distributions[1], 200'000, 9));
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    CHECK(entropy_range{}(h, {.qscheme = scheme}).hi > 2.0F);
  }
}

TEST_CASE("entropy: the same range for ever") {
  const histogram h = histogram_of(draw(distributions[2], 20'000, 8));
  const auto r = entropy_range{16}(h, {});
  CHECK(r.hi == -r.lo);
  CHECK(r.hi == 0x1.73p+2F);
}

TEST_CASE("entropy: ranges that hold no element are not looked at, however many they are") {
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    for (const float sign : {1.0F, -1.0F}) {
      std::vector<float> x(4096);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = sign * (5.0F + 1e-7F * static_cast<float>(i));
      const histogram h = histogram_of(x);
      REQUIRE(std::abs(h.lattice().first) > 1'000'000);
      const auto start = std::chrono::steady_clock::now();
      lutra::value_range r;
      for (int i = 0; i < 16; ++i) r = entropy_range{}(h, {.qscheme = scheme});
      CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));  // 5 s with them
      CHECK(std::max(-r.lo, r.hi) > 4.99F);
      CHECK(std::min(-r.lo, r.hi) == 0.0F);
    }
  }
}

TEST_CASE("entropy: nothing observed, bad options") {
  CHECK(entropy_range{}(histogram{}, {}) == lutra::value_range{0, 0});
  CHECK_ERROR(entropy_range{1}(histogram{}, {}), invalid_argument, "levels", "1", "2..256");
}

}  // namespace
