#include <lutra/ir/ops/integer_grouped.hpp>

#include <lutra/palette/palettize.hpp>

#include "ir/helpers.hpp"

using namespace lutra;

namespace {
// A palette with `block` inputs per table, its integer weights and the scale of each.
struct grouped_weights {
  packed_palette palette;
  std::vector<std::int32_t> codes;
  std::vector<float> scales;

  grouped_weights(const shape& extents, index_t block) {
    palettization_spec spec{.n_bits = 3, .lut_qspec = int8_symmetric_with_clipping};
    spec.granularity = granularity::per_grouped_channel(block, 1);
    palette = pack(palettize(test::random_tensor(extents, 1), spec));
    std::vector<std::uint8_t> at(static_cast<std::size_t>(extents.size()));
    unpack_bits(palette.codes, palette.n_bits, at);
    const index_t inner = extents.product(2, extents.rank());
    for (std::size_t i = 0; i < at.size(); ++i) {
      const auto input = static_cast<index_t>(i) / inner % extents[1];
      const auto group = static_cast<std::size_t>(input / block);
      codes.push_back(static_cast<std::int8_t>(palette.lut_codes[group * 8 + at[i]]));
      scales.push_back(palette.scale[group]);
    }
  }
};
ir::grouped_finish grouped_finish_for(std::size_t rows) {
  ir::grouped_finish f{{0.05F, 3}, {{}, 0.11F, -7}, {}};
  for (std::size_t r = 0; r < rows; ++r) f.output.real.bias.push_back(0.3F - static_cast<float>(r));
  f.output.lo = -100;
  f.output.hi = 90;
  return f;
}
ir::integer_value codes_at_random(const shape& extents) {
  random_stream random(2);
  ir::integer_value x(extents);
  for (std::int8_t& c : x.elements()) c = static_cast<std::int8_t>(random.below(256));
  return x;
}
// The documented end of a sum of floats.
std::int8_t grouped_code(const ir::grouped_finish& f, float sum, std::size_t row) {
  const float scaled = sum * f.input.scale;
  const float y = scaled + f.output.real.bias[row];
  const float q = std::nearbyint(y / f.output.scale) + static_cast<float>(f.output.zero_point);
  return static_cast<std::int8_t>(
      std::min(std::max(q, static_cast<float>(f.output.lo)), static_cast<float>(f.output.hi)));
}
template <class Op> ir::integer_value run_grouped_layer(const Op& op, const ir::integer_value& x) {
  const ir::integer_value* const operand = &x;
  return ir::execute(op, {&operand, 1});
}
}  // namespace

TEST_CASE("integer_grouped: a linear layer equals plain loops in every code") {
  for (const index_t block : {1, 4, 5, 16}) {  // the last block is short, or all
    const grouped_weights w({6, 13}, block);
    const ir::integer_value x = codes_at_random({2, 3, 13});
    const ir::integer_grouped_linear op{make_grouped_lut_matrix(w.palette), grouped_finish_for(6)};
    const ir::integer_value out = run_grouped_layer(op, x);
    REQUIRE(out.extents() == shape{2, 3, 6});
    for (index_t i = 0; i < out.size(); ++i) {
      const index_t row = i % 6;
      float sum = 0;
      for (index_t begin = 0; begin < 13; begin += block) {
        std::int32_t exact = 0;
        float scale = 0;
        for (index_t k = begin; k < std::min<index_t>(begin + block, 13); ++k) {
          const auto at = static_cast<std::size_t>(row * 13 + k);
          exact += w.codes[at] * (x[i / 6 * 13 + k] - 3);
          scale = w.scales[at];
        }
        const float part = static_cast<float>(exact) * scale;
        sum = sum + part;
      }
      CHECK(out[i] == grouped_code(op.finish, sum, static_cast<std::size_t>(row)));
    }
  }
  const ir::integer_grouped_linear op{make_grouped_lut_matrix(grouped_weights({6, 13}, 4).palette),
                                      grouped_finish_for(6)};
  CHECK_ERROR(run_grouped_layer(op, codes_at_random({2, 12})), shape_mismatch, "last axis", "13");
}

TEST_CASE("integer_grouped: a convolution equals plain loops in every code") {
  const index_t block = 2;
  const grouped_weights w({4, 3, 3, 3}, block);
  const ir::integer_value x = codes_at_random({2, 3, 5, 6});
  const ir::integer_grouped_conv op{make_grouped_lut_matrix(w.palette),
                                    {window2d::symmetric({1, 2}, {1, 1}), 1, 3},
                                    grouped_finish_for(4)};
  const ir::integer_value out = run_grouped_layer(op, x);
  REQUIRE(out.extents() == shape{2, 4, 5, 3});
  for (index_t i = 0; i < out.size(); ++i) {
    const index_t column = i % 3 * 2, line = i / 3 % 5, filter = i / 15 % 4, image = i / 60;
    float sum = 0;
    for (index_t begin = 0; begin < 3; begin += block) {
      std::int32_t exact = 0;
      float scale = 0;
      for (index_t k = begin * 9; k < std::min<index_t>(begin + block, 3) * 9; ++k) {
        const index_t r = line + k % 9 / 3 - 1, c = column + k % 3 - 1;
        const auto at = static_cast<std::size_t>(filter * 27 + k);
        scale = w.scales[at];
        if (r < 0 || r >= 5 || c < 0 || c >= 6) continue;  // the zero point: nothing
        exact += w.codes[at] * (x[((image * 3 + k / 9) * 5 + r) * 6 + c] - 3);
      }
      const float part = static_cast<float>(exact) * scale;
      sum = sum + part;
    }
    CHECK(out[i] == grouped_code(op.finish, sum, static_cast<std::size_t>(filter)));
  }
}

TEST_CASE("integer_grouped: other activations are computed on the sums") {
  const grouped_weights w({6, 13}, 4);
  const ir::integer_value x = codes_at_random({5, 13});
  ir::integer_grouped_linear op{make_grouped_lut_matrix(w.palette), grouped_finish_for(6)};
  tensor<float> sums({5, 6});
  gemm_scaled(op.weight, lutra::view(x), op.finish.input, op.finish.output.real, lutra::view(sums));
  op.finish.activation = test::node_of("tanh");
  const tensor<float> expected = test::run_op(*op.finish.activation, {sums});
  const ir::integer_value out = run_grouped_layer(op, x);
  for (index_t i = 0; i < out.size(); ++i) {
    const float q = std::nearbyint(expected[i] / 0.11F) - 7.0F;
    CHECK(static_cast<float>(out[i]) == q);
  }
}
