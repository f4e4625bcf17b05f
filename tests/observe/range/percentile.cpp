#include <lutra/observe/range/percentile.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"
#include "observe/distributions.hpp"

namespace {

using lutra::histogram;
using lutra::percentile_range;
using lutra::qscheme;
using lutra::quantization_spec;

TEST_CASE(
    "percentile: at most the stated share lies outside, and one bin less would leave out more") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    std::vector<float> x = draw(d, 10'000, 4);
    histogram h;
    h.add(x.data(), 10'000);
    const auto width = static_cast<float>(h.width());
    const auto outside = [&](float lo, float hi) {
      return std::ranges::count_if(x, [&](float v) { return v < lo || v > hi; });
    };
    for (const double share : {0.9, 0.99, 0.999, 0.9999, 1.0}) {
      CAPTURE(share);
      const auto allowed = static_cast<std::int64_t>((1.0 - share) * 10'000.0);
      const auto s = percentile_range{share}(h, {});
      const float m = std::max(-s.lo, s.hi);
      CHECK(outside(-m, m) <= allowed);
      if (m > width) CHECK(outside(-m + width, m - width) > allowed);
      const auto a = percentile_range{share}(h, {.qscheme = qscheme::asymmetric});
      CHECK(outside(a.lo, a.hi) <= allowed + 1);
      CHECK(a.lo >= std::min(h.min(), 0.0F));
      CHECK(a.hi <= std::max(h.max(), 0.0F));
      if (a.hi > width) {
        CHECK(std::ranges::count_if(x, [&](float v) { return v > a.hi - width; }) > allowed / 2);
      }
    }
  }
}

TEST_CASE("percentile: everything is inside at share 1") {
  const std::vector<float> x = draw(distributions[3], 5000, 1);
  histogram h;
  h.add(x.data(), 5000);
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    const auto r = percentile_range{1.0}(h, {.qscheme = scheme});
    CHECK(r.lo == h.min());
    CHECK(r.hi == h.max());
  }
}

TEST_CASE("percentile: nothing observed, pinned ends, bad share") {
  const histogram none;
  CHECK(percentile_range{}(none, {}) == lutra::value_range{0, 0});
  histogram h;
  const std::vector<float> x = draw(distributions[0], 100, 1);
  h.add(x.data(), 100);
  const auto r =
      percentile_range{0.5}(h, {.qscheme = qscheme::asymmetric, .float_range = {.lo = -9.0F}});
  CHECK(r.lo == -9.0F);
  CHECK_ERROR(percentile_range{0.0}(h, {}), invalid_argument, "share", "0", "(0, 1]");
  CHECK_ERROR(percentile_range{1.5}(h, {}), invalid_argument, "share", "1.5");
}

}  // namespace
