#include <lutra/observe/any_observer.hpp>

#include "../errors.hpp"

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>
#include <lutra/observe/finite_only.hpp>
#include <lutra/observe/saved.hpp>
#include <lutra/tensor/tensor.hpp>

#include "range_of.hpp"

using namespace lutra;

TEST_CASE("any_observer: keys give what they name") {
  for (const std::string_view key : {"static", "moving_average", "global_minmax"}) {
    any_observer o = make_observer(key, {.averaging_constant = 0.5});
    o.observe(view(std::vector<float>{-2, 8}));
    o.observe(view(std::vector<float>{-4, 4}));
    const ends expected = key == "static"          ? ends{{-4}, {4}}
                          : key == "global_minmax" ? ends{{-4}, {8}}
                                                   : ends{{-3}, {6}};
    CHECK(range_of(o) == expected);
    check_save_load(o, make_observer(key, {.averaging_constant = 0.5}));
  }
  CHECK_ERROR(make_observer("minmax", {}), invalid_argument, "no observer under this key",
              "'minmax'", "global_minmax", "moving_average", "static");
  CHECK_ERROR(make_observer("default", {}), invalid_argument, "'default'");
}

TEST_CASE("any_observer: a misspelled key is an error with a suggestion") {
  CHECK_ERROR(lutra::make_observer("histgram_mse", {}), invalid_argument,
              "no observer under this key", "'histgram_mse'", "moving_average",
              "did you mean 'histogram_mse'?");
}

TEST_CASE("any_observer: no observer is made of a bad spec, and ranges need room") {
  for (const char* key : {"static", "moving_average", "global_minmax", "statistics",
                          "histogram_mse", "torch_histogram"}) {
    CAPTURE(key);
    CHECK_ERROR(lutra::make_observer(key, {.averaging_constant = -3.0}), invalid_argument,
                "averaging_constant", "-3");
    CHECK_ERROR(lutra::make_observer(key, {.float_range = {.lo = 3.0F, .hi = -2.0F}}),
                invalid_argument, "float_range.lo", "3");
    lutra::any_observer o = lutra::make_observer(key, {});
    float lo[2] = {7, 7}, hi[2] = {7, 7};
    CHECK_ERROR(o.range({lo, 1}, {hi, 1}), shape_mismatch, "one entry per unit", "0");
    const float x[] = {1.0F, -1.0F};
    o.observe({x, {2}});
    CHECK_ERROR(o.range({lo, 2}, {hi, 1}), shape_mismatch, "2 and 1", "1");
    CHECK_ERROR(o.range({lo, 1}, {hi, 0}), shape_mismatch, "1 and 0");
    CHECK(lo[0] == 7.0F);
    o.range({lo, 1}, {hi, 1});
    CHECK(lo[0] < 0.0F);
  }
}

TEST_CASE("any_observer: copies are independent, moves take over") {
  any_observer a = make_observer("global_minmax", {});
  a.observe(view(std::vector<float>{1}));
  any_observer b = a;
  b.observe(view(std::vector<float>{5}));
  CHECK(range_of(a) == ends{{0}, {1}});
  CHECK(range_of(b) == ends{{0}, {5}});
  a = std::move(b);
  CHECK(range_of(a) == ends{{0}, {5}});
  a = make_observer("static", {});
  CHECK(a.units() == 0);
}

TEST_CASE("any_observer: combining what does not combine is an error at run time") {
  any_observer a = make_observer("moving_average", {});
  any_observer b = make_observer("moving_average", {});
  any_observer c = make_observer("global_minmax", {});
  CHECK_FALSE(a.can_merge());
  CHECK(a.can_append());
  CHECK(c.can_merge());
  CHECK_ERROR(a.merge(b), unsupported, "cannot be combined this way", "merge");
  CHECK_ERROR(a.merge(c), incompatible, "different kinds");
  CHECK_ERROR(a.append(c), incompatible, "different kinds");
  b.observe(view(std::vector<float>{3}));
  a.append(b);
  CHECK(range_of(a) == ends{{0}, {3}});
  any_observer d = make_observer("global_minmax", {});
  d.observe(view(std::vector<float>{-7}));
  c.merge(d);
  CHECK(range_of(c) == ends{{-7}, {0}});
}

TEST_CASE("any_observer: a registered observer is found, re-registering replaces") {
  const auto make = [](const quantization_spec& s) { return any_observer(global_min_max(s)); };
  CHECK_FALSE(register_observer("test_mine", make));
  make_observer("test_mine", {});
  CHECK(register_observer(
      "test_mine", [](const quantization_spec& s) { return any_observer(static_range(s)); }));
  any_observer o = make_observer("test_mine", {});
  CHECK_ERROR(make_observer("test_other", {}), invalid_argument, "test_mine");
  o.observe(view(std::vector<float>{1}));
  o.observe(view(std::vector<float>{-1}));
  CHECK(range_of(o) == ends{{-1}, {0}});
}

TEST_CASE("any_observer: those that can say whether all they saw lies within a bound") {
  random_stream random(31);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::string_view key :
       {"static", "moving_average", "global_minmax", "statistics", "histogram_percentile",
        "histogram_mse", "histogram_entropy", "torch_histogram"}) {
    CAPTURE(key);
    const bool can = key.starts_with("histogram");  // large ones
    if (key == "torch_histogram") {
      CHECK_FALSE(make_observer(key, {}).within(1.0F));
      continue;
    }
    const quantization_spec s{.qscheme = qscheme::asymmetric,
                              .granularity = granularity::per_channel(0)};
    any_observer o = make_observer(key, s);
    CHECK(o.within(1.0F) == can);
    CHECK(o.state_bytes() == (can ? 8 * 2048 : 0));  // a histogram to begin with
    for (int batch = 0; batch < 4; ++batch) {
      tensor<float> x(shape{3, 40});
      float largest = 0;
      for (float& e : x.elements()) {
        e = static_cast<float>(std::ldexp(random.normal(), 6 * batch));
      }
      x[7] = nan;
      x[50] = std::numeric_limits<float>::infinity();
      o.observe(view(x));
      CHECK(o.state_bytes() == (can ? (1 + 3) * 8 * 2048 : 0));
      for (const float e : x.elements())
        largest = std::isfinite(e) ? std::max(largest, std::fabs(e)) : largest;
      if (batch == 0) CHECK_FALSE(o.within(std::nextafter(largest, 0.0F)));
      CHECK(o.within(std::ldexp(1.0F, 6 * batch + 3)) == can);
      CHECK_FALSE(o.within(std::ldexp(1.0F, 6 * batch)));
      any_observer loaded = make_observer(key, s);
      load_observer(loaded, save_observer(o, key, s), key, s);
      CHECK(loaded.within(std::ldexp(1.0F, 6 * batch + 3)) == can);
      // The range handed out lies within too.
      const auto [lo, hi] = range_of(o);
      for (const float e : lo) CHECK(-e <= std::ldexp(1.0F, 6 * batch + 3));
      for (const float e : hi) CHECK(e <= std::ldexp(1.0F, 6 * batch + 3));
    }
  }
  using strict = finite_only<histogram_mse>;
  static_assert(bounded_observer<strict> && !bounded_observer<finite_only<static_range>>);
  CHECK(any_observer(strict(quantization_spec{})).within(0.0F));
  CHECK(any_observer(strict(quantization_spec{})).state_bytes() == 8 * 2048);
}

TEST_CASE("any_observer: where the units lie, whether the kind knows or not") {
  const quantization_spec s{.granularity = granularity::per_block(2, 1)};
  const auto units = seen_units::of(grid_of(s.granularity, {2, 4}, "test"));
  const tensor<float> x(shape{2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  for (const std::string_view key :
       {"static", "moving_average", "moving_average_count_aware", "global_minmax", "statistics",
        "histogram_percentile", "histogram_mse", "histogram_entropy"}) {
    CAPTURE(key);
    any_observer o = make_observer(key, s);
    CHECK(o.seen().count() == 0);
    o.observe(view(x));
    CHECK(o.seen().grid() == shape{2, 2});
    CHECK(any_observer(o).seen().grid() == shape{2, 2});
    o.reset();
    CHECK_FALSE(o.seen().grid().has_value());
    o.learn(units);
    CHECK_ERROR(o.observe(view(tensor<float>(shape{4, 2}))), shape_mismatch, "lie elsewhere");
  }
  static_assert(placed_observer<torch_histogram> && placed_observer<finite_only<static_range>>);
  struct unplaced {
    void observe(tensor_view<const float>) {}
    void reset() {}
    index_t units() const { return 4; }
    std::int64_t samples() const { return 4; }
    std::int64_t nonfinite() const { return 0; }
    void range(std::span<float>, std::span<float>) const {}
    void save(state_writer&) const {}
    void load(state_reader&) {}
    void merge(const unplaced&) {}
  };
  static_assert(observer<unplaced> && !placed_observer<unplaced>);
  any_observer told(unplaced{}), other(unplaced{});
  told.observe(view(x));
  CHECK(told.seen().count() == 0);
  told.learn(units);
  const any_observer copy = told;
  CHECK(copy.seen().grid() == shape{2, 2});
  other.merge(copy);
  CHECK(other.seen().grid() == shape{2, 2});
  state_writer w;
  told.save(w);
  state_reader r(w.bytes(), "load");
  told.load(r);
  CHECK(told.seen().count() == 0);  // of the state that was loaded nothing is known
  told.learn(units);
  told.reset();
  CHECK(told.seen().count() == 0);
  told = std::move(other);
  CHECK(told.seen().grid() == shape{2, 2});
}

TEST_CASE("any_observer: a pinned end is that constant in units without finite data too") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const tensor<float> x(shape{2, 3}, {nan, nan, -INFINITY, nan, -2, 3});
  const tensor<float> none(shape{4}, {nan, nan, nan, nan});
  for (const std::string_view key :
       {"static", "moving_average", "moving_average_count_aware", "global_minmax", "statistics",
        "histogram_percentile", "histogram_mse", "histogram_entropy", "torch_histogram"}) {
    CAPTURE(key);
    for (const float_range_t pinned :
         {float_range_t{-1.5F, {}}, float_range_t{{}, 2.5F}, float_range_t{-1.5F, 2.5F}}) {
      const bool both = pinned.lo && pinned.hi;
      quantization_spec s{.float_range = pinned};
      any_observer o = make_observer(key, s);
      for (int batch = 0; batch < 2; ++batch) {
        o.observe(view(none));
        CHECK(range_of(o) == ends{{pinned.lo.value_or(0.0F)}, {pinned.hi.value_or(0.0F)}});
        CHECK(o.nonfinite() == (both ? 0 : 4 * (batch + 1)));
      }
      if (key == "torch_histogram") continue;  // per tensor only
      s.granularity = granularity::per_channel(0);
      any_observer rows = make_observer(key, s);
      rows.observe(view(x));
      const auto [lo, hi] = range_of(rows);
      CHECK(lo[0] == pinned.lo.value_or(0.0F));
      CHECK(hi[0] == pinned.hi.value_or(0.0F));
      CHECK(lo[1] == pinned.lo.value_or(lo[1]));
      CHECK(hi[1] == pinned.hi.value_or(hi[1]));
      CHECK((both || lo[1] < 0.0F || hi[1] > 0.0F));
      CHECK(rows.nonfinite() == (both ? 0 : 4));
      if (!key.starts_with("histogram")) check_save_load(rows, make_observer(key, s));
      any_observer again = make_observer(key, s);
      load_observer(again, save_observer(rows, key, s), key, s);
      CHECK(range_of(again) == range_of(rows));
    }
  }
}
