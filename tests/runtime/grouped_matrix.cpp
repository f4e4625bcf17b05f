#include <doctest/doctest.h>

#include <limits>
#include <lutra/runtime/grouped_matrix.hpp>
#include <lutra/runtime/reference.hpp>
#include <type_traits>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

// Slices that do not make up a weight cannot come in.
static_assert(!std::is_default_constructible_v<grouped_lut_matrix>);
static_assert(!std::is_constructible_v<grouped_lut_matrix, shape, std::vector<lut_matrix>>);

TEST_CASE("grouped_matrix: slices hold the weights and scales of their columns, at every level") {
  random_stream r(1);
  bool good = true;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t columns : {0, 1, 3, 4}) {
      for (const index_t group : {0, 1, 4}) {
        const index_t rows = test::pick(r, 1, 40);
        const shape s{rows, test::pick(r, 1, 9), test::pick(r, 1, 4)};
        const auto p = test::random_palette(r, s,
                                            {.bits = bits,
                                             .group_rows = group,
                                             .zero_points = columns == 3,
                                             .group_columns = columns});
        const auto expected = reference::integer_weights(p);
        const index_t blocks = p.groups().grid()[1];
        for_each_kernel_level([&](auto level) {
          const auto w = make_grouped_lut_matrix(p, level);
          good = good && static_cast<index_t>(w.slices().size()) == blocks && w.rows() == rows &&
                 w.depth() == s[1] * s[2] && w.weight_shape() == s;
          index_t begin = 0, block = 0;
          for (const lut_matrix& slice : w.slices()) {
            for (index_t i = 0; i < rows; ++i) {
              const auto g = static_cast<std::size_t>(i / p.block[0] * blocks + block);
              good = good && slice.row_scale(i) == p.scale[g] && slice.level() == level.name;
              for (index_t k = 0; k < slice.depth(); ++k) {
                good = good && slice.weight(i, k) == expected[i * w.depth() + begin + k];
              }
            }
            begin += slice.depth();
            ++block;
          }
          good = good && begin == w.depth();
        });
      }
    }
  }
  CHECK(good);
}

TEST_CASE("grouped_matrix: without rows, tables for every block of columns stand for nothing") {
  random_stream r(3);
  const shape s{0, 7, 2};
  const auto p = test::random_palette(r, s, {.zero_points = true, .group_columns = 3});
  REQUIRE(p.groups().grid() == shape{1, 3, 1});
  const auto w = make_grouped_lut_matrix(p);
  CHECK(w.weight_shape() == s);
  CHECK(w.rows() == 0);
  CHECK(w.depth() == 14);
  CHECK(w.slices().size() == 1);
}

TEST_CASE("grouped_matrix: groups along other axes, bad streams and bad scales are errors") {
  random_stream r(2);
  const auto p = test::random_palette(r, shape{8, 12, 3}, {.group_columns = 5});
  const auto with = [&](auto&& change) {
    packed_palette q = p;
    change(q);
    return make_grouped_lut_matrix(q);
  };
  CHECK(with([](auto&) {}).slices().size() == 3);
  CHECK(with([](auto&) {}).bytes() > 0);
  CHECK_ERROR(with([](auto& q) { q.block = shape{8, 5, 1}; }), unsupported, "0 and 1", "[8, 5, 1]");
  CHECK_ERROR(make_lut_matrix(p), unsupported, "another axis than 0", "axis 1",
              "make_grouped_lut_matrix");
  CHECK_ERROR(with([](auto& q) { q.codes.pop_back(); }), corrupt_data, "codes", "143", "144");
  CHECK_ERROR(with([](auto& q) { q.lut_codes.pop_back(); }), corrupt_data, "lut_codes");
  CHECK_ERROR(with([](auto& q) { q.scale.pop_back(); }), corrupt_data, "scale", "2", "3");
  CHECK_ERROR(with([](auto& q) { q.row_scale = {1.0F}; }), corrupt_data, "row_scale");
  CHECK_ERROR(with([](auto& q) { q.lut_dtype = dtype::float32; }), unsupported, "float32", "int8");
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {0.0F, -1.0F, infinity, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_ERROR(with([&](auto& q) { q.scale[1] = bad; }), corrupt_data, "scale out of range",
                "finite and > 0");
    CHECK_ERROR(with([&](auto& q) {
                  q.row_scale.assign(8, 1.0F);
                  q.row_scale[7] = bad;
                }),
                corrupt_data, "row_scale out of range");
  }
}
