#include <lutra/observe/range/squared_error.hpp>

#include <doctest/doctest.h>

#include "observe/distributions.hpp"

namespace {

using lutra::dtype;
using lutra::histogram;
using lutra::qformulation;
using lutra::qscheme;
using lutra::quantization_spec;
using lutra::value_range;

TEST_CASE("squared_error: that of data spread evenly within the bins") {
  // 64 elements at even places in every bin of a narrow histogram.
  std::vector<float> x;
  for (int i = -20; i < 20; ++i) {
    for (int k = 0; k < 64; ++k) {
      x.push_back(static_cast<float>(i) * 0.25F + (static_cast<float>(k) + 0.5F) / 256.0F);
    }
  }
  histogram h(64);
  h.add(x.data(), static_cast<lutra::index_t>(x.size()));
  REQUIRE(h.width() == 0.25);
  for (const auto scheme : {qscheme::symmetric, qscheme::asymmetric}) {
    for (const auto type : {dtype::int2, dtype::int4, dtype::uint4}) {
      const quantization_spec spec{.dtype = type, .qscheme = scheme};
      const lutra::squared_error error(h, spec);
      for (const float m : {1.0F, 2.5F, 5.0F}) {
        const value_range r{-m, m};
        const double ours = error(r) * h.width() * h.width() / static_cast<double>(x.size());
        const double real = mean_squared_error(x, spec, r);
        // The elements are not spread quite evenly: 64 steps per bin.
        CHECK(ours == doctest::Approx(real).epsilon(2e-3));
      }
    }
  }
}

TEST_CASE(
    "squared_error: the estimate is close where values are spread smoothly, also with half of them "
    "at 0") {
  for (const std::size_t shape : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
    const std::vector<float> x = draw(distributions[shape], 100'000, 5);
    histogram h;
    h.add(x.data(), static_cast<lutra::index_t>(x.size()));
    for (const quantization_spec& spec :
         {quantization_spec{}, quantization_spec{.qscheme = qscheme::asymmetric},
          quantization_spec{.dtype = dtype::uint8, .qscheme = qscheme::asymmetric},
          quantization_spec{.dtype = dtype::int6},
          quantization_spec{.qformulation = qformulation::minval}}) {
      const lutra::squared_error error(h, spec);
      REQUIRE(error.even());
      if (shape == 1 && spec.qformulation == qformulation::minval) continue;  // 0 is no level
      for (const float share : {1.2F, 1.0F, 0.7F, 0.3F}) {
        const value_range r{share * std::min(h.min(), 0.0F), share * h.max()};
        CAPTURE(distributions[shape].name);
        CAPTURE(share);
        CHECK(error.estimate(r) == doctest::Approx(error(r)).epsilon(0.04));
      }
    }
  }
  CHECK(!lutra::squared_error(histogram{}, {.dtype = dtype::int4}).even());
  CHECK(!lutra::squared_error(histogram{}, {.dtype = dtype::float8_e4m3fn}).even());
}

TEST_CASE("squared_error: levels of every dtype ascend and are symmetric for floats") {
  for (int i = 0; i < static_cast<int>(dtype::float8_e8m0fnu); ++i) {
    const auto type = static_cast<dtype>(i);
    const auto levels = lutra::levels_of({.dtype = type});
    CAPTURE(lutra::name_of(type));
    CHECK(std::ranges::is_sorted(levels));
    CHECK(std::ranges::adjacent_find(levels) == levels.end());
    const auto expected = lutra::bounds_of({.dtype = type});
    CHECK(levels.front() == static_cast<double>(expected.min));
    CHECK(levels.back() == static_cast<double>(expected.max));
  }
  CHECK(lutra::levels_of({.dtype = dtype::float4_e2m1fn}).size() == 15);
  CHECK(lutra::levels_of({.dtype = dtype::float8_e4m3fn}).size() == 253);
  CHECK(lutra::levels_of({.dtype = dtype::float8_e5m2}).size() == 247);
}

}  // namespace
