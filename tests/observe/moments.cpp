#include <lutra/core/random.hpp>
#include <lutra/observe/moments.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "levels.hpp"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

using lutra::index_t;
using lutra::moments;

constexpr float no_bound = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::vector<float> normal(index_t n, std::uint64_t seed) {
  lutra::random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = static_cast<float>(r.normal());
  return x;
}
template <class Level> moments of(const float* x, index_t n) {
  moments m;
  lutra::add_moments<Level>(x, n, m);
  return m;
}

TEST_CASE(
    "moments: every length and misalignment against sums in long double, same bits at every "
    "level") {
  const std::vector<float> x = normal(140, 1);
  for (index_t offset = 0; offset < 4; ++offset) {
    for (index_t n = 0; n <= 130; ++n) {
      const float* from = x.data() + offset;
      const moments m = of<lutra::simd::portable>(from, n);
      long double sum = 0;
      long double squares = 0;
      float lo = no_bound;
      float hi = -no_bound;
      for (index_t i = 0; i < n; ++i) {
        const long double v = static_cast<long double>(from[i]);
        sum += v;
        squares += v * v;
        lo = std::min(lo, from[i]);
        hi = std::max(hi, from[i]);
      }
      CHECK(m.finite == n);
      CHECK(m.min == lo);
      CHECK(m.max == hi);
      CHECK(std::abs(m.sum.value() - static_cast<double>(sum)) <= 1e-13);
      CHECK(std::abs(m.sum_of_squares.value() - static_cast<double>(squares)) <= 1e-13 * 130);
      for_each_level([&](auto level) { CHECK(of<decltype(level)>(from, n) == m); });
    }
  }
}

TEST_CASE("moments: NaN and infinities are counted and change nothing else") {
  const std::vector<float> clean = normal(100, 2);
  for (const std::size_t at : {0U, 5U, 63U, 64U, 98U, 99U}) {
    for (const float bad : {not_a_number, no_bound, -no_bound}) {
      std::vector<float> x = clean;
      x[at] = bad;
      std::vector<float> zeroed = clean;
      zeroed[at] = 0;
      const moments expected = of<lutra::simd::portable>(zeroed.data(), 100);
      for_each_level([&](auto level) {
        const moments m = of<decltype(level)>(x.data(), 100);
        CHECK(m.sum == expected.sum);
        CHECK(m.sum_of_squares == expected.sum_of_squares);
        CHECK(m.finite == 99);
        CHECK(m.nan == (bad != bad ? 1 : 0));
        CHECK(m.infinite == (bad != bad ? 0 : 1));
        CHECK(m.min == *std::ranges::min_element(zeroed));
        CHECK(m.max == *std::ranges::max_element(zeroed));
      });
    }
  }
  const std::vector<float> only(40, not_a_number);
  const moments m = of<lutra::simd::native>(only.data(), 40);
  CHECK(m.finite == 0);
  CHECK(m.nan == 40);
  CHECK(m.min == no_bound);
  CHECK(m.abs_max() == 0.0F);
  CHECK(m.mean() == 0.0);
  CHECK(m.variance() == 0.0);
}

TEST_CASE("moments: FLT_MAX, denormals and both zeros") {
  constexpr float top = std::numeric_limits<float>::max();
  const std::vector<float> x(1000, top);
  const moments m = of<lutra::simd::native>(x.data(), 1000);
  CHECK(m.sum.value() == 1000.0 * static_cast<double>(top));
  CHECK(m.variance() >= 0.0);
  const std::vector<float> tiny(64, std::numeric_limits<float>::denorm_min());
  CHECK(of<lutra::simd::native>(tiny.data(), 64).sum.value() == 0x1p-143);
  CHECK(of<lutra::simd::native>(tiny.data(), 64).sum_of_squares.value() == 0x1p-292);
  for (const auto& zeros : {std::vector<float>{0.0F, -0.0F}, std::vector<float>{-0.0F, 0.0F}}) {
    const moments z = of<lutra::simd::native>(zeros.data(), 2);
    CHECK_FALSE(std::signbit(z.min));
    CHECK_FALSE(std::signbit(z.max));
  }
}

TEST_CASE("moments: blocks merge exactly") {
  const std::vector<float> x = normal(3 * lutra::moments_block + 77, 3);
  const moments whole = of<lutra::simd::native>(x.data(), static_cast<index_t>(x.size()));
  moments parts;
  for (index_t block = 3; block >= 0; --block) {  // any order
    const index_t first = block * lutra::moments_block;
    const index_t n = std::min(lutra::moments_block, static_cast<index_t>(x.size()) - first);
    parts.merge(of<lutra::simd::native>(x.data() + first, n));
  }
  CHECK(parts == whole);
  CHECK(std::abs(whole.mean()) < 0.02);
  CHECK(std::abs(whole.variance() - 1.0) < 0.03);
}

#if defined(__SSE2__)
TEST_CASE("moments: flushing denormals to zero only makes denormals count as zero") {
  std::vector<float> x = normal(2 * lutra::moments_block + 33, 5);
  for (std::size_t i = 0; i < x.size(); i += 7) x[i] = i % 2 == 0 ? 1e-40F : -1e-40F;
  std::vector<float> zeroed = x;
  for (std::size_t i = 0; i < x.size(); i += 7) zeroed[i] = 0;
  const auto n = static_cast<index_t>(x.size());
  const moments expected = of<lutra::simd::native>(zeroed.data(), n);
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040U);
  const moments m = of<lutra::simd::native>(x.data(), n);
  _mm_setcsr(mode);
  CHECK(m == expected);
}
#endif

}  // namespace
