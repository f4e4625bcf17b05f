#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/histogram_observer.hpp>

#include <doctest/doctest.h>

#include <thread>

#include "levels.hpp"
#include "observe/check_merge.hpp"
#include "observe/distributions.hpp"
#include "observe/range_record.hpp"

namespace {

using lutra::granularity;
using lutra::index_t;
using lutra::quantization_spec;
using float_view = lutra::tensor_view<const float>;

TEST_CASE("histogram_observer: one histogram per unit, the same at every level") {
  const std::vector<float> x = draw(distributions[0], 12 * 300, 1);
  const quantization_spec spec{.granularity = granularity::per_channel(0)};
  lutra::histogram_mse o(spec);
  o.observe(float_view(x.data(), {12, 300}));
  REQUIRE(o.units() == 12);
  for (index_t u = 0; u < 12; ++u) {
    lutra::histogram h;
    h.add(x.data() + 300 * u, 300);
    CHECK(o.unit(u) == h);
  }
  for_each_level([&](auto level) {
    lutra::histogram_mse at(spec);
    at.template observe_at<decltype(level)>(float_view(x.data(), {12, 300}));
    CHECK(bytes_of(at) == bytes_of(o));
  });
}

TEST_CASE("histogram_observer: 64 shards in any order and tree give the bytes of one pass") {
  const quantization_spec channels{.granularity = granularity::per_channel(1)};
  check_merges([] { return lutra::histogram_mse({}, {}, 64); }, 1);
  check_merges([&] { return lutra::histogram_percentile(channels, {.share = 0.99}, 32); }, 3);
  check_merges([] { return lutra::histogram_entropy({}, {}, 32); }, 2);
}

TEST_CASE("histogram_observer: saved state comes back, damaged state does not") {
  check_saved(
      [] { return lutra::histogram_mse({.granularity = granularity::per_channel(1)}, {}, 16); },
      draw(distributions[3], 60, 3), 3);
}

TEST_CASE("histogram_observer: saved counts whose sum would overflow are refused") {
  lutra::histogram_mse o({.granularity = granularity::per_channel(0)});
  const std::vector<float> x = {1, 2, 3, 4};
  o.observe(float_view(x.data(), {4, 1}));
  std::vector<std::uint8_t> bytes = bytes_of(o);
  constexpr std::size_t units = range_record::bytes(2);
  const std::size_t unit_bytes = (bytes.size() - units) / 4;
  for (std::size_t u = 0; u < 4; ++u) bytes[units + u * unit_bytes + 27] = 0x3F;  // 63 * 2^56 NaNs
  lutra::state_reader r(bytes, "test");
  CHECK_ERROR(o.load(r), corrupt_data, "do not add up");
}

TEST_CASE("histogram_observer: the boxed forms, by key") {
  const std::vector<float> x = draw(distributions[2], 4000, 4);
  for (const char* key :
       {"histogram_percentile", "histogram_mse", "histogram_entropy", "statistics"}) {
    CAPTURE(key);
    lutra::any_observer a = lutra::make_observer(key, {});
    lutra::any_observer b = lutra::make_observer(key, {});
    a.observe(float_view(x.data(), {1500}));
    b.observe(float_view(x.data() + 1500, {2500}));
    REQUIRE(a.can_merge());
    a.merge(b);
    lutra::any_observer whole = lutra::make_observer(key, {});
    whole.observe(float_view(x.data(), {1500}));
    whole.observe(float_view(x.data() + 1500, {2500}));
    CHECK(bytes_of(a) == bytes_of(whole));
    CHECK(a.samples() == 4000);
  }
  lutra::any_observer average = lutra::make_observer("moving_average", {});
  CHECK_FALSE(average.can_merge());
  CHECK_ERROR(average.merge(lutra::make_observer("moving_average", {})), unsupported, "cannot");
  CHECK_ERROR(average.merge(lutra::make_observer("histogram_mse", {})), incompatible, "kinds");
  CHECK_ERROR(lutra::make_observer("histogram", {}), invalid_argument, "'histogram'",
              "histogram_mse");
}

TEST_CASE("histogram_observer: two threads observe, each into its own object, then merge") {
  const std::vector<float> x = draw(distributions[3], 40'000, 8);
  lutra::histogram_mse parts[2] = {lutra::histogram_mse({}), lutra::histogram_mse({})};
  const auto observe = [&](int part) {
    for (int batch = part; batch < 40; batch += 2) {
      parts[part].observe(float_view(x.data() + 1000 * batch, {1000}));
    }
  };
  std::thread other(observe, 1);
  observe(0);
  other.join();
  parts[0].merge(parts[1]);
  lutra::histogram_mse whole({});
  whole.observe(float_view(x.data(), {40'000}));
  CHECK(bytes_of(parts[0]) == bytes_of(whole));
}

TEST_CASE("histogram_observer: other selections, bins and units do not merge") {
  lutra::histogram_percentile a({}, {.share = 0.9});
  CHECK_ERROR(a.merge(lutra::histogram_percentile({}, {.share = 0.8})), incompatible,
              "differently");
  CHECK_ERROR(a.merge(lutra::histogram_percentile({}, {.share = 0.9}, 64)), incompatible, "bins");
  CHECK_ERROR(a.merge(lutra::histogram_percentile({.granularity = granularity::per_channel(0)},
                                                  {.share = 0.9})),
              incompatible, "units");
}

TEST_CASE("histogram_observer: a selection with options out of range is refused when it is made") {
  CHECK_ERROR(lutra::histogram_percentile({}, {.share = 0.0}), invalid_argument, "share", "(0, 1]");
  CHECK_ERROR(lutra::histogram_entropy({}, {.levels = 1}), invalid_argument, "levels", "2..256");
  CHECK_ERROR(lutra::histogram_mse({.averaging_constant = 2.0}), invalid_argument,
              "averaging_constant");
}

TEST_CASE("histogram_observer: all-NaN and all-zero units have the range [0, 0]") {
  lutra::histogram_mse o({.granularity = granularity::per_channel(0)});
  std::vector<float> x(12, std::numeric_limits<float>::quiet_NaN());
  std::fill(x.begin() + 4, x.begin() + 8, 0.0F);
  std::fill(x.begin() + 8, x.end(), 2.0F);
  o.observe(float_view(x.data(), {3, 4}));
  CHECK(o.nonfinite() == 4);
  std::vector<float> lo(3);
  std::vector<float> hi(3);
  o.range(lo, hi);
  CHECK(lo == std::vector<float>{0, 0, 0});
  CHECK(hi[0] == 0.0F);
  CHECK(hi[1] == 0.0F);
  CHECK(hi[2] == doctest::Approx(2.0F).epsilon(0.02));
}

}  // namespace
