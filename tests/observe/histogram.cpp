#include <lutra/observe/histogram.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "errors.hpp"
#include "levels.hpp"
#include "observe/distributions.hpp"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

using lutra::histogram;
using lutra::index_t;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

histogram of(std::span<const float> x, index_t bins = 2048) {
  histogram h(bins);
  h.add(x.data(), static_cast<index_t>(x.size()));
  return h;
}

// The definition, element by element; subnormal ones are zeros.
void check_definition(const histogram& h, std::span<const float> elements) {
  std::vector<float> x(elements.begin(), elements.end());
  for (float& v : x) v = std::fpclassify(v) == FP_SUBNORMAL ? 0.0F : v;
  float lo = infinity;
  float hi = -infinity;
  std::int64_t finite = 0;
  for (const float v : x) {
    if (!std::isfinite(v)) continue;
    ++finite;
    lo = std::min(lo, v);
    hi = std::max(hi, v);
  }
  CHECK(h.finite() == finite);
  if (finite == 0) return;
  CHECK(h.min() == lo);
  CHECK(h.max() == hi);
  const auto [e, first] = h.lattice();
  const auto index = [&](float v, int exponent) {
    return static_cast<index_t>(std::floor(std::ldexp(static_cast<double>(v), -exponent)));
  };
  CHECK(first == index(lo, e));
  CHECK(index(hi, e) - index(lo, e) < h.bins());
  const float largest = std::max(-lo, hi);
  const int finest = std::max(largest == 0.0F ? -126 : std::ilogb(largest) - 23, -126);
  CHECK(e >= finest);
  if (e > finest) CHECK(index(hi, e - 1) - index(lo, e - 1) >= h.bins());
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(h.bins()));
  for (const float v : x) {
    if (std::isfinite(v)) ++counts[static_cast<std::size_t>(index(v, e) - first)];
  }
  CHECK(std::ranges::equal(counts, h.counts()));
}

TEST_CASE("histogram: counts by the definition, on every shape of data and length") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    for (const index_t n : {1, 2, 15, 16, 17, 255, 4095, 4097, 20'000}) {
      const std::vector<float> x = draw(d, n, static_cast<std::uint64_t>(n));
      check_definition(of(x), x);
      check_definition(of(x, 64), x);
    }
  }
}

TEST_CASE("histogram: the same at every level, every offset") {
  const std::vector<float> x = draw(distributions[3], 9000, 5);
  for (std::size_t offset = 0; offset < 4; ++offset) {
    const std::span<const float> part = std::span(x).subspan(offset);
    for (const index_t bins : {16, 2048}) {
      histogram expected(bins);
      expected.add<lutra::simd::portable>(part.data(), static_cast<index_t>(part.size()));
      for_each_level([&](auto level) {
        histogram h(bins);
        h.template add<decltype(level)>(part.data(), static_cast<index_t>(part.size()));
        CHECK(h == expected);
      });
    }
  }
}

TEST_CASE("histogram: constants, one value, huge and tiny ones, both zeros") {
  constexpr float top = std::numeric_limits<float>::max();
  constexpr float tiny = std::numeric_limits<float>::denorm_min();
  for (const std::vector<float>& x :
       std::vector<std::vector<float>>{{0.0F},
                                       {-0.0F, 0.0F},
                                       {3.25F},
                                       {-1e-30F},
                                       {top, -top},
                                       {top},
                                       {-top, 1e-30F, -1e-30F},
                                       {1.0F, std::nextafter(1.0F, 2.0F)},
                                       {1e-40F, 1e-41F},
                                       {tiny},
                                       {0x1p-126F, -0x1p-126F},
                                       std::vector<float>(5000, 0.1F)}) {
    CAPTURE(x[0]);
    check_definition(of(x), x);
    check_definition(of(x, 16), x);
  }
  CHECK_FALSE(std::signbit(of(std::vector<float>{-0.0F}).min()));
}

TEST_CASE("histogram: NaN and infinities are counted, not binned") {
  std::vector<float> x = draw(distributions[0], 10'000, 6);
  x[0] = nan_value;
  x[4096] = infinity;
  x[4097] = -infinity;
  x[9999] = nan_value;
  const histogram h = of(x);
  check_definition(h, x);
  CHECK(h.nan() == 2);
  CHECK(h.infinite() == 2);
  const histogram none = of(std::vector<float>{nan_value, infinity});
  CHECK(none.finite() == 0);
  CHECK(none.min() == 0.0F);
}

TEST_CASE("histogram: growing by batches equals one pass, whatever the order") {
  lutra::random_stream r(9);
  std::vector<float> all;
  std::vector<std::vector<float>> batches;
  for (int b = 0; b < 24; ++b) {
    const double scale = std::ldexp(1.0, static_cast<int>(r.below(30)) - 15);
    const double shift = r.uniform() < 0.5 ? 0.0 : r.normal() * 10.0;
    std::vector<float> x(1 + r.below(3000));
    for (float& v : x) v = static_cast<float>(shift + scale * r.normal());
    all.insert(all.end(), x.begin(), x.end());
    batches.push_back(std::move(x));
  }
  const histogram expected = of(all);
  check_definition(expected, all);
  for (int trial = 0; trial < 64; ++trial) {
    for (std::size_t i = batches.size(); i > 1; --i) std::swap(batches[i - 1], batches[r.below(i)]);
    histogram grown;
    std::vector<histogram> parts(1 + r.below(6));
    for (const auto& b : batches) {
      grown.add(b.data(), static_cast<index_t>(b.size()));
      parts[r.below(parts.size())].add(b.data(), static_cast<index_t>(b.size()));
    }
    while (parts.size() > 1) {
      parts[r.below(parts.size() - 1)].merge(parts.back());
      parts.pop_back();
    }
    CHECK(grown == expected);
    CHECK(parts[0] == expected);
  }
}

TEST_CASE("histogram: merge refuses another number of bins") {
  histogram a(64);
  const histogram b(128);
  CHECK_ERROR(a.merge(b), incompatible, "numbers of bins", "128", "64");
  CHECK_ERROR(histogram(8), invalid_argument, "number of bins", "8", "16");
}

TEST_CASE("histogram: counts go beyond 2^32") {
  histogram h(16);
  const float one = 1;
  h.add(&one, 1);
  for (int i = 0; i < 40; ++i) {
    const histogram same = h;
    h.merge(same);
  }
  CHECK(h.finite() == std::int64_t{1} << 40);
  CHECK(h.counts()[0] == std::uint64_t{1} << 40);
}

TEST_CASE("histogram: damaged states are refused") {
  const histogram h = of(draw(distributions[0], 500, 1), 32);
  lutra::state_writer w;
  h.save(w);
  const auto load = [&](std::size_t at, std::uint8_t value) {
    std::vector<std::uint8_t> bytes = w.bytes();
    bytes[at] = value;
    lutra::state_reader r(bytes, "test");
    histogram into(32);
    into.load(r);
    return into;
  };
  CHECK(load(0, 1) == h);
  CHECK_ERROR(load(0, 9), unsupported, "version", "9");
  CHECK_ERROR(load(4, 3), corrupt_data, "number of bins", "3");
  CHECK_ERROR(load(4, 64), incompatible, "number of bins", "64", "32");
  CHECK_ERROR(load(15, 0x7F), corrupt_data, "range of a histogram");  // min becomes huge
  CHECK_ERROR(load(27, 0x80), corrupt_data, "non-finite");            // a negative count
  CHECK_ERROR(load(27, 0x40), corrupt_data, "non-finite");            // 2^62 NaNs
  CHECK_ERROR(load(35, 0x7F), corrupt_data, "non-finite");            // as many infinities
  CHECK_ERROR(load(36 + 7, 0x80), corrupt_data, "count of a bin");    // above 2^62
  CHECK_ERROR(load(36 + 8 * 31, 1), corrupt_data, "contradict");      // beyond the largest element
}

TEST_CASE("histogram: subnormal elements count as zeros") {
  std::vector<float> x = draw(distributions[0], 5000, 7);
  for (std::size_t i = 0; i < x.size(); i += 10) x[i] = i % 20 == 0 ? 1e-40F : -1e-40F;
  std::vector<float> zeroed = x;
  for (std::size_t i = 0; i < x.size(); i += 10) zeroed[i] = 0;
  CHECK(of(x) == of(zeroed));
  CHECK(of(std::vector{-1e-40F}) == of(std::vector{0.0F}));
  CHECK(of(std::vector{-1e-40F, 1.0F}) == of(std::vector{0.0F, 1.0F}));
  CHECK(of(std::vector{1e-40F, -1.0F, infinity}) == of(std::vector{0.0F, -1.0F, infinity}));
}

#if defined(__SSE2__)
// What was counted in one mode goes on, merges and loads in the other.
TEST_CASE("histogram: modes that flush subnormals change nothing") {
  std::vector<float> x = draw(distributions[0], 5000, 7);
  for (float& v : x) v = std::abs(v);  // the smallest is subnormal
  for (std::size_t i = 0; i < x.size(); i += 10) x[i] = i % 20 == 0 ? 1e-40F : -1e-40F;
  const histogram expected = of(x);
  histogram twice = expected;
  twice.merge(expected);
  lutra::state_writer w;
  expected.save(w);
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040U);
  const histogram flushed = of(x);
  histogram continued = expected, merged = expected, loaded(expected.bins());
  continued.add(x.data(), static_cast<index_t>(x.size()));
  merged.merge(flushed);
  lutra::state_reader r(w.bytes(), "test");
  loaded.load(r);
  _mm_setcsr(mode);
  CHECK(flushed == expected);
  CHECK(continued == twice);
  CHECK(merged == twice);
  CHECK(loaded == expected);
}
#endif

}  // namespace
