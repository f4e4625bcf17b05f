#include <lutra/ir/ops/integer_table.hpp>

#include <lutra/affine/quantize.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include "ir/helpers.hpp"

using namespace lutra;

namespace {

tensor<float> some_rows(index_t rows, index_t width) {
  return test::random_tensor({rows, width}, 11);
}
const qparams table_codes{.scale = {0.02F}, .zero_point = {-5}, .minval = {}};
ir::integer_embedding embedding_of(const packed_palette& p) {
  return {p, table_values(p), unit_of(table_codes, 0)};
}

}  // namespace

TEST_CASE("integer_table: an embedding is the restored palette, quantized, for every width") {
  // 7 columns: rows begin inside of bytes.
  const auto weight = some_rows(20, 7);
  const tensor<float> indices({2, 3}, {19.0F, 0.0F, 7.0F, 7.0F, 12.0F, 1.0F});
  for (int bits = 1; bits <= 8; ++bits) {
    for (const palettization_spec& spec :
         {palettization_spec{.n_bits = bits, .lut_qspec = int8_symmetric_with_clipping},
          palettization_spec{.n_bits = bits,
          .lut_qspec = int8_symmetric,
          .granularity = granularity::per_grouped_channel(5, 0)},
          palettization_spec{.n_bits = bits, .granularity = granularity::per_grouped_channel(7, 1)},
          palettization_spec{.n_bits = bits,
          .lut_qspec = int8_symmetric,
          .granularity = granularity::per_grouped_channel(4, 0),
          .enable_per_channel_scale = true}}) {
      CAPTURE(bits);
      const packed_palette p = pack(palettize(weight, spec));
      const tensor<float> dense = restore(p);
      ir::integer_value all(dense.extents());
      quantize(lutra::view(dense), table_codes, lutra::view(all));
      const auto y = ir::look_up(embedding_of(p), lutra::view(indices));
      REQUIRE(y.extents() == shape{2, 3, 7});
      for (index_t i = 0; i < y.size(); ++i) {
        CHECK(y[i] == all[static_cast<index_t>(indices[i / 7]) * 7 + i % 7]);
      }
    }
  }
}

TEST_CASE("integer_table: blocks of columns have their own tables") {
  packed_palette p{};
  p.weight_shape = {3, 5};
  p.block = {2, 3};
  p.n_bits = 3;
  p.lut_dtype = dtype::float32;
  for (int i = 0; i < 4 * 8; ++i) p.lut.push_back(static_cast<float>(i) * 0.07F - 1.0F);
  std::vector<std::uint8_t> codes;
  for (int i = 0; i < 15; ++i) codes.push_back(static_cast<std::uint8_t>(i * 5 % 8));
  p.codes.resize(static_cast<std::size_t>(packed_bytes(15, 3)));
  pack_bits(codes, 3, p.codes);
  check(p, "test");
  const tensor<float> dense = restore(p);
  ir::integer_value all(dense.extents());
  quantize(lutra::view(dense), table_codes, lutra::view(all));
  const tensor<float> order({3}, {0.0F, 1.0F, 2.0F});
  CHECK(ir::look_up(embedding_of(p), lutra::view(order)) == all);
}

TEST_CASE("integer_table: numbers that are no rows are named, empty lists are fine") {
  const auto e = embedding_of(
      pack(palettize(some_rows(20, 7), {.n_bits = 4, .lut_qspec = int8_symmetric_with_clipping})));
  const auto at = [&](float index) {
    const tensor<float> indices({2}, {3.0F, index});
    return ir::look_up(e, lutra::view(indices));
  };
  CHECK(at(19.0F).extents() == shape{2, 7});
  CHECK_ERROR(at(20.0F), invalid_argument, "20 at position 1", "0..19");
  CHECK_ERROR(at(-1.0F), invalid_argument, "-1 at position 1");
  CHECK_ERROR(at(1.5F), invalid_argument, "1.5 at position 1");
  const tensor<float> none({0, 4});
  CHECK(ir::look_up(e, lutra::view(none)).extents() == shape{0, 4, 7});
}

TEST_CASE("integer_table: every channel looks up its own table") {
  ir::integer_channel_map map;
  map.tables.resize(3);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 256; ++i) {
      map.tables[c][i] = static_cast<std::int8_t>((i * (2 * c + 1) + c) % 256 - 128);
    }
  }
  ir::integer_value x({2, 3, 4});
  for (index_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::int8_t>(i * 11 - 128);
  const ir::integer_value* const operand = &x;
  const auto y = ir::execute(map, {&operand, 1});
  for (index_t i = 0; i < x.size(); ++i) {
    const index_t c = i / 4 % 3;
    CHECK(int{y[i]} == ((x[i] + 128) * (2 * c + 1) + c) % 256 - 128);
  }
  const ir::integer_value other({2, 4});
  const ir::integer_value* const wrong = &other;
  CHECK_ERROR(ir::execute(map, {&wrong, 1}), shape_mismatch, "other channels", "[2, 4]",
              "3 on axis 1");
}
