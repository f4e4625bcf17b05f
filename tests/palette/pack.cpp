#include <lutra/core/random.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "errors.hpp"
#include "palette/normal_weight.hpp"

namespace {

using lutra::dtype;
using lutra::packed_palette;
using lutra::palette;

palette<float> make(int bits, const lutra::quantization_spec& lut, bool row_scale = false) {
  return lutra::palettize(test::normal_weight({6, 7}, 3),
                          {.n_bits = bits,
                           .lut_qspec = lut,
                           .granularity = lutra::granularity::per_grouped_channel(4, 0),
                           .enable_per_channel_scale = row_scale});
}

TEST_CASE("pack: unpack gives back tables, codes and scales for every width and table type") {
  for (int bits = 1; bits <= 8; ++bits) {
    for (const lutra::quantization_spec& q :
         {lutra::quantization_spec(lutra::off), lutra::int8_symmetric,
          lutra::quantization_spec{.dtype = dtype::uint8, .qscheme = lutra::qscheme::asymmetric},
          lutra::quantization_spec{.dtype = dtype::float8_e4m3fn},
          lutra::quantization_spec{.dtype = dtype::float8_e5m2}}) {
      for (const bool scaled : {false, true}) {
        const palette<float> p = make(bits, q, scaled);
        const packed_palette packed = lutra::pack(p);
        lutra::check(packed, "test");
        CHECK(std::ssize(packed.codes) == (42 * bits + 7) / 8);
        const palette<float> back = lutra::unpack(packed);
        CHECK(back.weight_shape == p.weight_shape);
        CHECK(back.block == p.block);
        CHECK(back.n_bits == bits);
        CHECK(back.lut == p.lut);
        CHECK(back.codes == p.codes);
        CHECK(back.lut_dtype == p.lut_dtype);
        CHECK(back.lut_codes == p.lut_codes);
        CHECK(back.scale == p.scale);
        CHECK(back.zero_point == p.zero_point);
        CHECK(back.row_scale == p.row_scale);
        CHECK(lutra::pack(back) == packed);
      }
    }
  }
}

TEST_CASE("pack: an empty weight packs to a table of zeros") {
  const palette<float> p = lutra::palettize(lutra::tensor<float>({0, 3}), {});
  const packed_palette packed = lutra::pack(p);
  lutra::check(packed, "test");
  CHECK(packed.codes.empty());
  CHECK(packed.lut == std::vector<float>(16, 0.0F));
  CHECK(packed.bytes() == 16 * 4);
  CHECK(lutra::unpack(packed).codes.empty());
  CHECK(lutra::unpack(packed).lut == packed.lut);
  packed_palette spoiled = packed;
  spoiled.lut.clear();
  CHECK_ERROR(lutra::check(spoiled, "file"), corrupt_data, "file", "lut");
}

// `change` spoils a valid palette.
template <class F> void expect_corrupt(const palette<float>& good, F&& change, const char* field) {
  packed_palette p = lutra::pack(good);
  change(p);
  CHECK_ERROR(lutra::check(p, "file"), corrupt_data, "file", field);
  CHECK_ERROR(lutra::unpack(p), corrupt_data, field);
}

TEST_CASE("pack: check finds everything a corrupt file can get wrong") {
  const palette<float> i8 = make(3, lutra::int8_symmetric, true);
  const palette<float> f32 = make(3, lutra::off);
  const palette<float> fp8 = make(3, {.dtype = dtype::float8_e4m3fn});
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  using p = packed_palette&;
  expect_corrupt(
      i8, [](p x) { x.n_bits = 0; }, "n_bits");
  expect_corrupt(
      i8, [](p x) { x.n_bits = 9; }, "n_bits");
  expect_corrupt(
      i8, [](p x) { x.n_bits = 4; }, "code stream");
  expect_corrupt(
      i8, [](p x) { x.lut_dtype = dtype::int4; }, "lut_dtype");
  expect_corrupt(
      i8, [](p x) { x.block = {4}; }, "block rank");
  expect_corrupt(
      i8,
      [](p x) {
        x.block = {4, 0};
      },
      "block extent");
  expect_corrupt(
      i8,
      [](p x) {
        x.block = {1, 7};
      },
      "table codes");
  expect_corrupt(
      i8,
      [](p x) {
        x.weight_shape = {6, 8};
      },
      "code stream");
  expect_corrupt(
      i8,
      [](p x) {
        x.weight_shape = {lutra::max_size, 1};
        x.block = {1, 1};
      },
      "overflows");
  expect_corrupt(
      i8, [](p x) { x.codes.pop_back(); }, "code stream");
  expect_corrupt(
      i8, [](p x) { x.codes.back() = 0xFF; }, "unused bits");
  expect_corrupt(
      i8, [](p x) { x.lut_codes.push_back(0); }, "table codes");
  expect_corrupt(
      i8, [](p x) { x.lut.push_back(0); }, "float table");
  expect_corrupt(
      i8, [](p x) { x.scale.pop_back(); }, "scales");
  expect_corrupt(
      i8, [](p x) { x.scale[0] = 0; }, "scale");
  expect_corrupt(
      i8, [](p x) { x.scale[1] = -1; }, "scale");
  expect_corrupt(
      i8, [=](p x) { x.scale[1] = nan; }, "scale");
  expect_corrupt(
      i8, [](p x) { x.scale[1] = 3e38F; }, "table entry");
  expect_corrupt(
      i8, [](p x) { x.zero_point.clear(); }, "zero points");
  expect_corrupt(
      i8, [](p x) { x.zero_point[0] = 128; }, "zero point");
  expect_corrupt(
      i8, [](p x) { x.zero_point[0] = -129; }, "zero point");
  expect_corrupt(
      i8, [](p x) { x.row_scale.pop_back(); }, "row scales");
  expect_corrupt(
      i8, [=](p x) { x.row_scale[2] = nan; }, "row scale");
  expect_corrupt(
      f32, [](p x) { x.lut.pop_back(); }, "float table");
  expect_corrupt(
      f32, [=](p x) { x.lut[5] = nan; }, "table entry");
  expect_corrupt(
      f32, [](p x) { x.scale.push_back(1); }, "scales");
  expect_corrupt(
      f32, [](p x) { x.zero_point.push_back(1); }, "zero points");
  expect_corrupt(
      fp8, [](p x) { x.lut_codes[0] = 0x7F; }, "table entry");  // the NaN code
  expect_corrupt(
      fp8, [](p x) { x.zero_point.assign(2, 0); }, "zero points");
}

TEST_CASE("pack: row scales need an axis") {
  packed_palette p =
      lutra::pack(lutra::palettize(lutra::tensor<float>(lutra::shape{}, {2.0F}), {}));
  lutra::check(p, "test");
  p.row_scale = {1.0F};
  CHECK_ERROR(lutra::check(p, "file"), corrupt_data, "row scales");
}

}  // namespace
