#include <doctest/doctest.h>

#include <limits>
#include <lutra/runtime/grouped_matrix.hpp>
#include <lutra/runtime/reference.hpp>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

TEST_CASE("lut_matrix: every weight, row sum and scale survives the layout of every level") {
  random_stream r(1);
  bool good = true;
  for (int bits = 1; bits <= 8; ++bits) {
    for (const index_t group : {0, 1, 3, 4, 8, 20}) {
      const index_t rows = test::pick(r, 1, 90);
      const shape s{rows, test::pick(r, 1, 4), test::pick(r, 1, 5)};
      auto p = test::random_palette(r, s,
                                    {.bits = bits, .group_rows = group, .zero_points = group == 3});
      if (bits % 2 == 0) {
        for (index_t i = 0; i < rows; ++i) p.row_scale.push_back(static_cast<float>(r.uniform()));
      }
      const auto w = reference::integer_weights(p);
      for_each_kernel_level([&](auto level) {
        const lut_matrix m = make_lut_matrix(p, level, {.three_bits_from = 0});
        good = good && m.rows() == rows && m.depth() == s[1] * s[2] && m.n_bits() == bits &&
               m.weight_shape() == s && m.level() == decltype(level)::name;
        for (index_t row = 0; row < rows; ++row) {
          std::int32_t sum = 0;
          for (index_t k = 0; k < m.depth(); ++k) {
            good = good && m.weight(row, k) == w[row * m.depth() + k];
            sum += w[row * m.depth() + k];
          }
          const auto g = static_cast<std::size_t>(row / p.block[0]);
          const float scale = p.row_scale.empty()
                                  ? p.scale[g]
                                  : p.scale[g] * p.row_scale[static_cast<std::size_t>(row)];
          good = good && m.row_sum(row) == sum && m.row_scale(row) == scale &&
                 m.zero_point(row) == p.zero_point[g];
        }
      });
    }
  }
  CHECK(good);
}

TEST_CASE("lut_matrix: codes stay packed where the level can look them up") {
  random_stream r(2);
  for_each_kernel_level([&](auto level) {
    constexpr bool lookup = has_byte_lookup(level);
    const auto made = [&](int bits, index_t group) {
      return make_lut_matrix(
          test::random_palette(r, shape{256, 512}, {.bits = bits, .group_rows = group}), level,
          {.three_bits_from = 256 * 512 / 2 - 1});
    };
    const auto bits = [&](int n, index_t group) { return made(n, group).layout().bits; };
    CHECK(bits(1, 0) == (lookup ? 2 : 8));
    CHECK(bits(2, 0) == (lookup ? 2 : 8));
    CHECK(bits(3, 0) == (lookup ? 3 : 8));
    CHECK(bits(4, 0) == (lookup ? 4 : 8));
    CHECK(bits(2, 4) == (lookup ? 4 : 8));
    CHECK(bits(4, 4) == (lookup ? 4 : 8));
    CHECK(bits(4, 2) == 8);
    CHECK(bits(5, 0) == (has_long_lookup(level) ? 6 : 8));
    CHECK(bits(6, 4) == 8);
    CHECK(bits(7, 0) == 8);
    for (const int n : {2, 3, 4, 6, 8}) {
      const index_t bytes = made(n, 0).bytes();
      CHECK(bytes >= 256 * 512 * bits(n, 0) / 8);
      CHECK(bytes < 256 * 512 * bits(n, 0) / 8 + 1024);
    }
    const auto three = test::random_palette(r, shape{256, 512}, {.bits = 3});
    CHECK(make_lut_matrix(three, level).layout().bits == (lookup ? 4 : 8));
    CHECK(make_lut_matrix(three, level, {.three_bits_from = 256 * 512 / 2}).layout().bits ==
          (lookup ? 4 : 8));
    // A short depth would be mostly padding.
    CHECK(make_lut_matrix(test::random_palette(r, shape{8, 9}, {.bits = 3}), level,
                          {.three_bits_from = 0})
              .layout()
              .bits == (lookup ? 4 : 8));
  });
}

#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
TEST_CASE("lut_matrix: weights of convolutions are decoded in the order of tiles") {
  random_stream r(5);
  for (const shape& s : {shape{37, 40, 3, 2}, shape{16, 64, 1, 3}, shape{5, 22, 3, 3}}) {
    const auto p = test::random_palette(r, s, {.bits = 3, .group_rows = 3});
    const lut_matrix m = make_lut_matrix(p, simd::amx_int8{});
    const line_layout l(s);
    CHECK(m.has_line_tiles());
    const lut_matrix without = make_lut_matrix(p, simd::amx_int8{}, {.decode_convolutions = false});
    CHECK(!without.has_line_tiles());
    CHECK(m.bytes() - without.bytes() >= m.strips() * l.strip_bytes());
    // gemm does not read them, and chooses by how much it reads.
    CHECK(m.product_bytes() == without.bytes());
    CHECK(without.product_bytes() == without.bytes());
    bool good = true;
    for (index_t row = 0; row < s[0]; ++row) {
      const std::int8_t* strip = m.line_tiles(row / tile_rows * tile_rows);
      for (index_t a = 0; a < s[2]; ++a) {
        for (index_t k = 0; k < l.parts() * tile_depth; ++k) {
          const index_t c = k % s[1], b = k / s[1];
          const std::int32_t expected =
              b < s[3] ? m.weight(row, (c * s[2] + a) * s[3] + b) + m.zero_point(row) : 0;
          good = good && strip[l.offset(a, b, c) + row % tile_rows * 4] == expected;
        }
      }
    }
    CHECK(good);
  }
}
#endif

TEST_CASE("lut_matrix: depth limits follow from the largest products") {
  random_stream r(3);
  auto p = test::random_palette(r, shape{2, 4}, {});
  CHECK(make_lut_matrix(p).max_depth<std::int8_t>() == 131071);
  CHECK(make_lut_matrix(p).max_depth<std::uint8_t>() == 65793);
  p.zero_point = {127};  // weights from -255 on
  CHECK(make_lut_matrix(p).max_depth<std::int8_t>() == 65793);
  CHECK(make_lut_matrix(p).max_depth<std::uint8_t>() == 33025);
  CHECK(make_lut_matrix(test::random_palette(r, shape{2, 4}, {.lowest = -127})).small_weights());
  p.lut_codes[3] = 0x80;
  CHECK(!make_lut_matrix(p).small_weights());
}

TEST_CASE("lut_matrix: what cannot be a matrix of int8 tables is refused") {
  random_stream r(4);
  const auto good = test::random_palette(r, shape{8, 6}, {.group_rows = 3});
  const auto with = [&](auto change) {
    auto p = good;
    change(p);
    return p;
  };
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.lut_dtype = dtype::float32; })), unsupported,
              "int8 tables", "float32", "lut_qspec");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.lut_dtype = dtype::uint8; })), unsupported,
              "uint8");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) {
                p.block = shape{8, 3};
              })),
              unsupported, "another axis", "[8, 3]");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.block = shape{8}; })), shape_mismatch, "rank");
  for (const float s : {0.0F, -1.0F, std::numeric_limits<float>::infinity(),
                        std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_ERROR(make_lut_matrix(with([&](auto& p) { p.scale[2] = s; })), corrupt_data,
                "scale out of range (make_lut_matrix): got " + text_of(s) + " in group 2",
                std::string("finite and > 0"));
    CHECK_ERROR(make_lut_matrix(with([&](auto& p) {
                  p.row_scale.assign(8, 1.0F);
                  p.row_scale[7] = s;
                })),
                corrupt_data, std::string("row_scale out of range"), text_of(s) + " in row 7");
  }
  for (const float s : {1e30F, 1e-30F}) {
    CHECK_ERROR(make_lut_matrix(with([&](auto& p) {
                  p.scale.assign(p.scale.size(), s);
                  p.row_scale.assign(8, s);
                })),
                corrupt_data, "scale times row scale", "row 0");
  }
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.n_bits = 9; })), corrupt_data, "n_bits", "9");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.codes.pop_back(); })), corrupt_data, "codes",
              "23", "24");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.lut_codes.pop_back(); })), corrupt_data,
              "lut_codes", "47", "48");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.scale.pop_back(); })), corrupt_data, "scale");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.zero_point.pop_back(); })), corrupt_data,
              "zero_point");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.zero_point[1] = 128; })), corrupt_data,
              "zero_point", "128");
  CHECK_ERROR(make_lut_matrix(with([](auto& p) { p.row_scale = {1.0F}; })), corrupt_data,
              "row_scale", "8");
  const auto with_outlier = with([](auto& p) { p.outliers = {{3}, {9.0F}}; });
  CHECK_ERROR(make_lut_matrix(with_outlier), unsupported, "no outliers", "1 outliers");
  CHECK_ERROR(make_grouped_lut_matrix(with_outlier), unsupported, "no outliers");
  packed_palette scalar;
  scalar.weight_shape = shape{};
  scalar.block = shape{};
  CHECK_ERROR(make_lut_matrix(scalar), shape_mismatch, "at least one axis", "got []",
              "allowed: [rows, ..]");
}
