#include <lutra/observe/range/hinge_sums.hpp>

#include <doctest/doctest.h>

#include <array>

#include <lutra/core/random.hpp>

namespace {

using lutra::hinge_sums;
using lutra::histogram;
using lutra::index_t;

// What the header defines, bin by bin: integrals over the part of each bin below t.
struct sums_below {
  double count = 0, hinge = 0, square = 0;
};
sums_below by_definition(const histogram& h, double t) {
  sums_below s;
  for (std::size_t b = 0; b < h.counts().size(); ++b) {
    const auto edge = static_cast<double>(b);
    const auto c = static_cast<double>(h.counts()[b]);
    const double part = std::min(std::max(t - edge, 0.0), 1.0);
    if (part == 0.0) continue;
    const double far = t - edge, near = far - part;
    s.count += c * part;
    s.hinge += c * (far * far - near * near) / 2.0;
    s.square += c * (far * far * far - near * near * near) / 3.0;
  }
  return s;
}

histogram random_counts(index_t bins, std::uint64_t seed) {
  lutra::random_stream r(seed);
  histogram h(bins);
  std::vector<float> x(3000);
  for (float& v : x) v = static_cast<float>(r.normal());
  h.add(x.data(), static_cast<index_t>(x.size()));
  return h;
}

TEST_CASE(
    "hinge_sums: counts, distances and squares below any point, for every remainder of bins by 4") {
  for (const index_t bins : {16, 17, 18, 19, 20, 101, 2048}) {
    const histogram h = random_counts(bins, 7);
    const hinge_sums sums(h);
    lutra::random_stream r(8);
    const auto n = static_cast<double>(bins);
    const double total = by_definition(h, 2.0 * n).square;
    for (int i = 0; i < 400; ++i) {
      const double t =
          i % 4 == 0 ? static_cast<double>(i % (bins + 3)) - 1.0 : (1.4 * r.uniform() - 0.2) * n;
      const sums_below expected = by_definition(h, t);
      CAPTURE(bins);
      CAPTURE(t);
      CHECK(sums.count_below(t) == doctest::Approx(expected.count).epsilon(1e-12));
      CHECK(sums.below(t) == doctest::Approx(expected.hinge).epsilon(1e-11));
      CHECK(std::abs(sums.square_below(t) - expected.square) <=
            1e-13 * total + 1e-11 * expected.square);
      // All of (x - t)^2: beyond the ends the same from both sides.
      const double mirrored = by_definition(h, 2.0 * n).square -
                              2.0 * (2.0 * n - t) * by_definition(h, 2.0 * n).hinge +
                              (2.0 * n - t) * (2.0 * n - t) * by_definition(h, 2.0 * n).count;
      CHECK(sums.square_about(t) == doctest::Approx(mirrored).epsilon(1e-9));
    }
  }
}

TEST_CASE("hinge_sums: many points at once are the sum of single ones") {
  const histogram h = random_counts(2048, 9);
  const hinge_sums sums(h);
  for (const index_t n : {0, 1, 2, 3, 4, 5, 7, 255, 256}) {
    double expected = 0;
    for (index_t i = 0; i < n; ++i) expected += sums.below(-30.0 + 8.5 * static_cast<double>(i));
    CHECK(sums.below(-30.0, 8.5, n) == doctest::Approx(expected).epsilon(1e-13));
  }
}

TEST_CASE("hinge_sums: counts beyond exact sums lose low bits only") {
  const histogram h = random_counts(2048, 10);
  histogram many = h;
  for (int i = 0; i < 46; ++i) {  // doubled: 3000 * 2^46 values
    const histogram same = many;
    many.merge(same);
  }
  REQUIRE(many.finite() == h.finite() << 46);
  const hinge_sums sums(h);
  const hinge_sums big(many);
  const double scale = big.count_below(3000.0) / sums.count_below(3000.0);
  CHECK(scale < 0x1p46);  // the low bits went
  for (const double t : {1.0, 700.5, 1024.25, 2048.0}) {
    CHECK(big.below(t) == doctest::Approx(scale * sums.below(t)).epsilon(1e-12));
    CHECK(big.square_below(t) == doctest::Approx(scale * sums.square_below(t)).epsilon(1e-12));
  }
}

}  // namespace
