#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/saved.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"
#include "observe/distributions.hpp"

namespace {

using lutra::any_observer;
using lutra::load_observer;
using lutra::save_observer;

constexpr const char* keys[] = {
    "static",        "moving_average",    "global_minmax",  "statistics", "histogram_percentile",
    "histogram_mse", "histogram_entropy", "torch_histogram"};

any_observer observed(const char* key, std::uint64_t seed) {
  any_observer o = lutra::make_observer(key, {});
  const std::vector<float> x = draw(distributions[0], 100, seed);
  o.observe(lutra::tensor_view<const float>(x.data(), {100}));
  return o;
}

TEST_CASE("saved: every observer comes back, continues, and says its kind") {
  for (const char* key : keys) {
    CAPTURE(key);
    const std::vector<std::uint8_t> bytes = save_observer(observed(key, 1), key, {});
    any_observer o = lutra::make_observer(key, {});
    load_observer(o, bytes, key, {});
    CHECK(o.samples() == 100);
    CHECK(save_observer(o, key, {}) == bytes);
    CHECK_ERROR(load_observer(o, bytes, "mine", {}), incompatible, key, "mine");
    CHECK(save_observer(o, key, {}) == bytes);
  }
}

TEST_CASE("saved: no prefix and no flipped bit is taken for a state") {
  for (const char* key : keys) {
    CAPTURE(key);
    const std::vector<std::uint8_t> bytes = save_observer(observed(key, 2), key, {});
    const any_observer before = observed(key, 3);
    any_observer o = before;
    const std::size_t step = bytes.size() > 2000 ? 97 : 1;
    std::size_t refused = 0;
    std::size_t tried = 0;
    const auto attempt = [&](std::span<const std::uint8_t> damaged) {
      ++tried;
      try {
        load_observer(o, damaged, key, {});
      } catch (const lutra::error& e) {
        const bool expected =
            e.code() == lutra::errc::corrupt_data || e.code() == lutra::errc::unsupported;
        refused += expected ? 1 : 0;
      }
    };
    for (std::size_t n = 0; n < bytes.size(); n += step) attempt({bytes.data(), n});
    for (std::size_t i = 0; i < 8 * bytes.size(); i += step) {
      std::vector<std::uint8_t> damaged = bytes;
      damaged[i / 8] = static_cast<std::uint8_t>(damaged[i / 8] ^ (1U << (i % 8)));
      attempt(damaged);
    }
    std::vector<std::uint8_t> longer = bytes;
    longer.push_back(0);
    attempt(longer);
    CHECK(refused == tried);
    CHECK(save_observer(o, key, {}) == save_observer(before, key, {}));
  }
}

TEST_CASE("saved: another version") {
  const any_observer o = observed("static", 4);
  std::vector<std::uint8_t> bytes = save_observer(o, "static", {});
  bytes[4] = 9;
  any_observer into = lutra::make_observer("static", {});
  CHECK_ERROR(load_observer(into, bytes, "static", {}), unsupported, "version", "9");
  bytes[0] = 0;
  CHECK_ERROR(load_observer(into, bytes, "static", {}), corrupt_data, "magic");
}

TEST_CASE("saved: version 2, which has no grid of the units, is read") {
  lutra::state_writer w;
  w.u32(lutra::saved_observer_magic);
  w.u32(2);
  w.text("static");
  w.text(lutra::observation_of({}));
  for (const std::int64_t v : {1, 7, 0}) w.i64(v);
  w.f32s(std::vector<float>{-2.0F});
  w.f32s(std::vector<float>{3.0F});
  any_observer o = lutra::make_observer("static", {});
  load_observer(o, lutra::sealed(std::move(w)), "static", {});
  CHECK(o.samples() == 7);
  float lo = 0, hi = 0;
  o.range({&lo, 1}, {&hi, 1});
  CHECK(lo == -2.0F);
  CHECK(hi == 3.0F);
}

TEST_CASE("saved: a spec that observes otherwise is refused") {
  const lutra::quantization_spec saved{.averaging_constant = 0.5};
  const any_observer average = lutra::make_observer("moving_average", saved);
  const std::vector<std::uint8_t> bytes = save_observer(average, "moving_average", saved);
  any_observer into = lutra::make_observer("moving_average", {});
  CHECK_ERROR(load_observer(into, bytes, "moving_average", {}), incompatible, "0.5", "0.01");
  for (const lutra::quantization_spec& spec :
       {lutra::quantization_spec{.granularity = lutra::granularity::per_channel(0),
       .averaging_constant = 0.5},
        lutra::quantization_spec{.averaging_constant = 0.5, .float_range = {.lo = -1.0F}},
        lutra::quantization_spec{.averaging_constant = 0.5,
        .short_groups = lutra::short_groups::allow}}) {
    any_observer other = lutra::make_observer("moving_average", spec);
    CHECK_ERROR(load_observer(other, bytes, "moving_average", spec), incompatible, "another spec");
  }
  any_observer same = lutra::make_observer("moving_average", saved);
  load_observer(same, bytes, "moving_average", saved);
}

}  // namespace
