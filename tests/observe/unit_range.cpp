#include <lutra/observe/unit_range.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>

#include "levels.hpp"

using namespace lutra;

namespace {
span_range one_by_one(const std::vector<float>& x) {
  span_range r;
  for (const float e : x) {
    if (std::isfinite(e)) {
      r.lo = std::min(r.lo, e);
      r.hi = std::max(r.hi, e);
    } else {
      ++r.nonfinite;
    }
  }
  return r;
}
}  // namespace

TEST_CASE("unit_range: every length and level gives the range of a plain loop") {
  random_stream random(1);
  for (index_t n = 0; n <= 5000; n = n < 140 ? n + 1 : n * 9 / 5) {
    for (int round = 0; round < 4; ++round) {
      std::vector<float> x(static_cast<std::size_t>(n) + 3);
      for (float& e : x) {
        e = static_cast<float>(random.normal());
        if (round == 1 && random.below(9) == 0) {  // NaN and infinities of both signs
          e = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()) | 0x7F800000U);
        }
        if (round == 2) e = std::bit_cast<float>(0x7FC00000U);
        if (round == 3) e = std::fabs(e) + 1;
      }
      const std::vector<float> used(x.begin() + 1, x.begin() + 1 + n);
      const span_range want = one_by_one(used);
      for_each_level([&](auto level) {
        const span_range got = range_of_span<decltype(level)>(x.data() + 1, n);
        CHECK(got.lo == want.lo);
        CHECK(got.hi == want.hi);
        CHECK(got.nonfinite == want.nonfinite);
      });
    }
  }
}

TEST_CASE("unit_range: zero ends are +0 whatever the order") {
  for (const std::vector<float>& x :
       {std::vector<float>{0.0F, -0.0F, 1.0F}, std::vector<float>(70, -0.0F),
        std::vector<float>{-0.0F, 0.0F}}) {
    for_each_level([&](auto level) {
      const span_range r = range_of_span<decltype(level)>(x.data(), static_cast<index_t>(x.size()));
      CHECK(r.lo == 0.0F);
      CHECK_FALSE(std::signbit(r.lo));
      CHECK_FALSE(std::signbit(r.hi));
    });
  }
}

TEST_CASE("unit_range: one range per unit, zero not forced in") {
  random_stream random(2);
  const shape extents{4, 6, 5};
  std::vector<float> x(120);
  for (float& e : x) e = 10 + static_cast<float>(random.uniform());
  for (const granularity& g :
       {granularity::per_tensor(), granularity::per_channel(0), granularity::per_channel(1),
        granularity::per_channel(2), granularity::per_block(3, 1),
        granularity::per_block({2, 3, 1}), granularity::per_block({1, 1, 1})}) {
    const block_grid units = grid_of(g, extents, "test");
    std::vector<span_range> want(static_cast<std::size_t>(units.count()));
    units.for_each_run([&](index_t first, index_t n, index_t at) {
      for (index_t i = first; i < first + n; ++i) {
        want[static_cast<std::size_t>(at)].add(x[static_cast<std::size_t>(i)]);
      }
    });
    const std::vector<index_t> strides = {30, 5, 1};
    const unit_ranges r = ranges_of(tensor_view<const float>(x.data(), extents, strides), units);
    for (std::size_t u = 0; u < want.size(); ++u) {
      CHECK(r.lo[u] == want[u].lo);
      CHECK(r.hi[u] == want[u].hi);
      CHECK(r.lo[u] >= 10.0F);
    }
  }
}

TEST_CASE("unit_range: strided views and units without a finite element") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {1, nan, 2, nan, -3, nan};
  const std::vector<index_t> turned = {1, 2};
  const tensor_view<const float> columns(x.data(), {2, 3}, turned);
  const unit_ranges r = ranges_of(columns, grid_of(granularity::per_channel(0), {2, 3}, "test"));
  CHECK(r.lo[0] == -3.0F);
  CHECK(r.hi[0] == 2.0F);
  CHECK(r.lo[1] > r.hi[1]);
  CHECK(r.nonfinite == 3);
}

TEST_CASE("unit_range: blocks in order, with and without elements that are not finite") {
  random_stream random(5);
  for (const index_t length : {4, 8, 12, 16, 32, 48, 256, 272}) {
    const shape extents{3, 65 * length};  // more than are read together
    const auto n = static_cast<std::size_t>(extents.size());
    for (int round = 0; round < 3; ++round) {
      std::vector<float> x(n);
      for (float& e : x) e = static_cast<float>(random.normal());
      for (std::size_t i = 0; i < n; i += 3) x[i] = i % 2 == 0 ? -0.0F : 0.0F;
      for (int k = 0; k < 5 * round; ++k) {
        x[random.below(n)] = k % 2 == 0 ? std::numeric_limits<float>::quiet_NaN()
                                        : -std::numeric_limits<float>::infinity();
      }
      // A block without any finite element.
      if (round == 2)
        std::fill_n(x.begin() + 7 * length, length, std::numeric_limits<float>::infinity());
      for (const index_t units_along : {length, 65 * length}) {
        const block_grid units(extents, shape{1, units_along});
        for_each_level([&](auto level) {
          const unit_ranges got =
              ranges_of<decltype(level)>(tensor_view<const float>(x.data(), extents), units);
          REQUIRE(static_cast<index_t>(got.lo.size()) == units.count());
          std::int64_t nonfinite = 0;
          bool right = true;
          for (index_t u = 0; u < units.count(); ++u) {
            const auto from = x.begin() + u * units_along;
            const span_range want = one_by_one({from, from + units_along});
            const auto at = static_cast<std::size_t>(u);
            right = right && got.lo[at] == want.lo && got.hi[at] == want.hi;
            right = right && !(got.lo[at] == 0.0F && std::signbit(got.lo[at]));
            right = right && !(got.hi[at] == 0.0F && std::signbit(got.hi[at]));
            nonfinite += want.nonfinite;
          }
          CHECK(right);
          CHECK(got.nonfinite == nonfinite);
        });
      }
    }
  }
}
