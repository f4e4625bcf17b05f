#include <lutra/observe/torch_histogram.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "observe/check_merge.hpp"
#include "observe/distributions.hpp"
#include "observe/range_of.hpp"

namespace {

using lutra::torch_histogram;
using lutra::torch_release;
using view = lutra::tensor_view<const float>;

std::uint64_t hash(std::span<const float> xs) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const float x : xs) h = (h ^ std::bit_cast<std::uint32_t>(x)) * 0x100000001b3ULL;
  return h;
}

// Batches of different size and scale, so that the range grows.
torch_histogram observed(const distribution& d, torch_release release) {
  torch_histogram o({}, release, 512);
  for (int batch = 0; batch < 3; ++batch) {
    std::vector<float> x = draw(d, 3000 + 1000 * batch, static_cast<std::uint64_t>(batch));
    for (float& v : x) v *= 1.0F + 0.5F * static_cast<float>(batch);
    o.observe(view(x.data(), {static_cast<lutra::index_t>(x.size())}));
  }
  return o;
}

struct golden {
  float lo, hi;  // what torch's _non_linear_param_search returns
  std::uint64_t counts;
};

// From torch 1.13.1 on the same numbers (bench/peers/torch_observers.py --golden prints this table).
constexpr std::array<golden, 8> v1_13 = {{
    {-0x1.cfd99a0000000p+2F, 0x1.a3aabc0000000p+2F, 0x46c58bcd96084b25ULL},
    {0x0.0p+0F, 0x1.a4892c0000000p+2F, 0x7a365b446bbacd89ULL},
    {-0x1.344c5c0000000p+4F, 0x1.90690c0000000p+3F, 0x233095197a019c75ULL},
    {-0x1.e4bb600000000p+2F, 0x1.15d54e0000000p+6F, 0x77d308df4d615905ULL},
    {-0x1.7aabac0000000p+2F, 0x1.f647f00000000p+2F, 0x1afaf5c51edf8e65ULL},
    {-0x1.fff3f80000000p-1F, 0x1.fec2da0000000p+1F, 0x46ea26562b39ef75ULL},
    {-0x1.99995e0000000p-2F, 0x1.8961a80000000p+7F, 0xf673c3e48e584d58ULL},
    {0x1.31f9a00000000p+2F, 0x1.6bd9880000000p+3F, 0x872443ae14c0d3a5ULL},
}};

TEST_CASE("torch_histogram: torch 1.13.1's histogram and ends, bit for bit") {
  for (std::size_t i = 0; i < distributions.size(); ++i) {
    CAPTURE(distributions[i].name);
    const torch_histogram o = observed(distributions[i], torch_release::v1_13);
    const auto [lo, hi] = lutra::torch_search(o.bins()).ends();
    CHECK(lo == v1_13[i].lo);
    CHECK(hi == v1_13[i].hi);
    CHECK(hash(o.bins().counts()) == v1_13[i].counts);
  }
}

// v2's own algorithm under torch 1.13.1's operators.
constexpr std::array<golden, 8> v2 = {{
    {-0x1.d19d100000000p+2F, 0x1.a6f7c00000000p+2F, 0xe2810f167b818b25ULL},
    {0x0.0p+0F, 0x1.a769ee0000000p+2F, 0x724b3ef72b15a855ULL},
    {-0x1.5cfa820000000p+4F, 0x1.c8bb840000000p+3F, 0xba6b5ded5f77c725ULL},
    {-0x1.d101e60000000p+6F, 0x1.7f608e0000000p+6F, 0x4205686ab1ddad65ULL},
    {-0x1.7aabac0000000p+2F, 0x1.fc59900000000p+2F, 0x8666c609c408a325ULL},
    {-0x1.fff3f80000000p-1F, 0x1.fe52e20000000p+1F, 0xcc14c58d7724cb25ULL},
    {-0x1.99995e0000000p-2F, 0x1.d9ff5e0000000p+7F, 0x11d9c7aad55a94a5ULL},
    {0x1.15dc320000000p+2F, 0x1.6a63e40000000p+3F, 0x26dd6865e5b18525ULL},
}};

TEST_CASE("torch_histogram: the ends of torch 2.1 and later") {
  for (std::size_t i = 0; i < distributions.size(); ++i) {
    CAPTURE(distributions[i].name);
    const torch_histogram o = observed(distributions[i], torch_release::v2);
    const auto [lo, hi] = lutra::torch_search(o.bins()).ends();
    CHECK(lo == v2[i].lo);
    CHECK(hi == v2[i].hi);
  }
}

TEST_CASE("torch_histogram: constants, non-finite values, nothing") {
  torch_histogram o({});
  float lo = 1;
  float hi = 1;
  const std::vector<float> bad(3, std::numeric_limits<float>::quiet_NaN());
  o.observe(view(bad.data(), {3}));
  o.range({&lo, 1}, {&hi, 1});
  CHECK(lo == 0.0F);
  CHECK(hi == 0.0F);
  CHECK(o.nonfinite() == 3);
  const std::vector<float> threes(10, 3.0F);
  o.observe(view(threes.data(), {10}));
  o.range({&lo, 1}, {&hi, 1});
  CHECK(hi == 3.0F);
  const std::vector<float> more = {1.0F, 2.0F};
  o.observe(view(more.data(), {2}));
  o.range({&lo, 1}, {&hi, 1});
  CHECK(hi >= 2.9F);
}

TEST_CASE("torch_histogram: a width beyond float32 is an error that changes nothing") {
  constexpr float most = std::numeric_limits<float>::max();
  const auto observe = [](torch_histogram& o, const std::vector<float>& x) {
    o.observe(view(x.data(), {static_cast<lutra::index_t>(x.size())}));
  };
  for (const auto release : {torch_release::v1_13, torch_release::v2}) {
    torch_histogram o({}, release, 64);
    for (int batch = 0; batch < 3; ++batch) {
      const std::vector<std::uint8_t> before = saved_bytes(o);
      CHECK_ERROR(observe(o, {-most, most, 0.0F, 1.0F}), non_finite, "histogram", "2^128");
      CHECK_ERROR(observe(o, {-3e38F, 3e38F}), non_finite, "histogram", "2^128");
      CHECK(saved_bytes(o) == before);
      observe(o, {-1.0F, 1.0F, 2.0F});
      CHECK(o.samples() == 3 * (batch + 1));
      const auto [lo, hi] = range_of(o);
      CHECK(lo[0] >= -1.1F);
      CHECK(lo[0] < 0.0F);
      CHECK(hi[0] > 0.0F);
      CHECK(hi[0] <= 2.2F);
    }
    torch_histogram large({}, release, 65);
    observe(large, {0.0F, most});
    CHECK(range_of(large).second[0] > 0.0F);
    CHECK(std::isfinite(range_of(large).second[0]));
    CHECK_ERROR(observe(large, {-3e38F}), non_finite, "histogram", "2^128");
    check_save_load(large, torch_histogram({}, release, 65));
  }
}

TEST_CASE("torch_histogram: bins too narrow for float32 are an error, not a NaN") {
  for (const float tiny : {1e-40F, 1e-38F, 1e-36F, std::numeric_limits<float>::denorm_min()}) {
    CAPTURE(tiny);
    for (const auto release : {torch_release::v1_13, torch_release::v2}) {
      torch_histogram o({}, release, 64);
      const std::vector<float> narrow = {0.0F, tiny};
      o.observe(view(narrow.data(), {2}));
      const std::vector<std::uint8_t> before = saved_bytes(o);
      if (tiny == std::numeric_limits<float>::denorm_min()) {
        CHECK_ERROR(range_of(o), non_finite, "narrow");
      } else {
        CHECK(range_of(o).second[0] > 0.0F);
      }
      const std::vector<float> wide = {-1.0F, 1.0F, 2.0F};
      if (release == torch_release::v1_13) {  // which divides by the old width
        CHECK_ERROR(o.observe(view(wide.data(), {3})), non_finite, "narrow");
        CHECK(saved_bytes(o) == before);
      } else {
        o.observe(view(wide.data(), {3}));
        CHECK(range_of(o).second[0] > 1.0F);
      }
      if (before != saved_bytes(o) || tiny > 1e-44F) {
        check_save_load(o, torch_histogram({}, release, 64));
      }
    }
  }
}

TEST_CASE("torch_histogram: per tensor only, and it does not merge") {
  CHECK_ERROR(torch_histogram({.granularity = lutra::granularity::per_channel(0)}), unsupported,
              "per tensor only", "per_channel");
  for (const lutra::index_t bins : {-1L, 0L, 1L, (1L << 20) + 1, lutra::max_size}) {
    CHECK_ERROR(torch_histogram({}, torch_release::v2, bins), invalid_argument, "number of bins",
                lutra::text_of(bins), "2..1048576");
  }
  static_assert(!lutra::mergeable_observer<torch_histogram>);
}

TEST_CASE("torch_histogram: saved state comes back, damaged state does not") {
  check_saved([] { return torch_histogram({}, torch_release::v2, 16); },
              draw(distributions[0], 50, 1), 1);
}

}  // namespace
