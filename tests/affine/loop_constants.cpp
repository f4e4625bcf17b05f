#include <lutra/affine/loop_constants.hpp>

#include <doctest/doctest.h>

#include <cstdint>

#include "cases.hpp"
#include "levels.hpp"

using namespace lutra;

namespace {
unit_constants<float> constants(index_t i) {
  return constants_of({dtype::uint8, true, 0.25F + static_cast<float>(i), 11, 0, 0, 255});
}
template <class V> std::vector<float> lane_values(const unit_constants<V>& c) {
  constexpr index_t lanes = simd::lanes<V>;
  std::vector<float> all(static_cast<std::size_t>(6 * lanes));
  float* to = all.data();
  for (const V& v :
       {c.scale, c.reciprocal, c.lowest, c.highest, c.float_offset, c.integer_offset}) {
    simd::store(to, v);
    to += lanes;
  }
  return all;
}
}  // namespace

TEST_CASE("loop_constants: a row gives what was set, every field from the start of a cache line") {
  for (const index_t n : {1, 15, 16, 17, 100}) {
    row_constants row(n);
    for (index_t i = 0; i < n; ++i) row.set(i, constants(i));
    for (index_t f = 0; f < row_constants::fields; ++f) {
      CHECK(reinterpret_cast<std::uintptr_t>(row.field(f)) % 64 == 0);
    }
    for (index_t i = 0; i < n; ++i) {
      CHECK(lane_values(row.at(i)) == lane_values(constants(i)));
    }
    CHECK(row.at(n).scale == 1.0F);  // harmless past the end
    CHECK(row.at(n + row_constants::padding - 1).reciprocal == 1.0F);
  }
}

TEST_CASE("loop_constants: registers hold the constants of their lanes, whatever the source") {
  for_each_level([](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr index_t lanes = simd::lanes<V>;
    const index_t n = 40;
    row_constants row(n);
    for (index_t i = 0; i < n; ++i) row.set(i, constants(i));
    row.shared = {true, 0.0F - 11.0F, 255.0F - 11.0F, 11.0F};
    const varying_constants<V> each(row);
    const varying_scales<V> scales(row);
    for (index_t i = 0; i + lanes <= n; ++i) {
      const std::vector<float> values = lane_values(each.at(i));
      for (index_t l = 0; l < lanes; ++l) {
        const std::vector<float> one = lane_values(constants(i + l));
        for (std::size_t f = 0; f < one.size(); ++f) {
          CHECK(values[f * static_cast<std::size_t>(lanes) + static_cast<std::size_t>(l)] ==
                one[f]);
        }
      }
      CHECK(cases::same_bits(lane_values(scales.at(i)), values));
    }
    const uniform_constants<V> same(constants(3));
    CHECK(lane_values(same.at(0)) == lane_values(spread<V>(constants(3))));
    CHECK(lane_values(same.at(77)) == lane_values(same.at(0)));
  });
}
