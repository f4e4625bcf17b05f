#include <lutra/ir/ops/integer_volume.hpp>

#include <lutra/ir/builder.hpp>
#include <lutra/ir/layer_parameters.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::attribute;
using test::node_of;

namespace {

using triple = std::array<index_t, 3>;

ir::integer_value volume_codes(const shape& extents, std::uint64_t seed) {
  random_stream random(seed);
  ir::integer_value x(extents);
  for (auto& e : x.elements())
    e = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
  return x;
}
// Codes minus `zero` as floats: small whole numbers, whose sums are exact.
tensor<float> as_floats(const ir::integer_value& x, int zero) {
  tensor<float> y(x.extents());
  for (index_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>(x[i] - zero);
  return y;
}
// A palette whose codes are its int8 weights, plus 128, by rows of two tables.
packed_palette int8_palette(const shape& extents, int axis) {
  packed_palette p{};
  p.weight_shape = extents;
  p.block = extents.with(axis, (extents[axis] + 1) / 2);
  p.n_bits = 8;
  for (int g = 0; g < 2; ++g) {
    for (int i = -128; i < 128; ++i) p.lut_codes.push_back(static_cast<std::uint8_t>(i));
  }
  random_stream random(3);
  for (index_t i = 0; i < extents.size(); ++i) {
    p.codes.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  p.scale = {1.0F, 1.0F};
  p.zero_point = {0, 0};
  return p;
}
tensor<float> weights_of(const packed_palette& p) {
  tensor<float> w(p.weight_shape);
  for (index_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(p.codes[static_cast<std::size_t>(i)]) - 128.0F;
  return w;
}
requantize some_epilogue(index_t rows, const lut_matrix& w, std::int32_t zero) {
  requantize e;
  e.zero_point = 4;
  for (index_t r = 0; r < rows; ++r) {
    e.multiplier.push_back(0.0003F + 0.0001F * static_cast<float>(r));
    e.bias.push_back(
        static_cast<std::int32_t>(1000 * r - static_cast<std::int64_t>(zero) * w.row_sum(r)));
  }
  return e;
}
// What requantizing the sums of the float operation gives, bias included.
void check_codes(const ir::integer_value& codes, const tensor<float>& sums, const requantize& e) {
  REQUIRE(codes.extents() == sums.extents());
  const index_t inner = sums.extents().product(2, 5);
  index_t different = 0, inside = 0;
  for (index_t i = 0; i < codes.size(); ++i) {
    const index_t r = i / inner % sums.extent(1);
    const auto sum = static_cast<std::int32_t>(sums[i]) + static_cast<std::int32_t>(1000 * r);
    const int code = reference::requantize(sum, 0, e.multiplier[static_cast<std::size_t>(r)],
                                           e.zero_point, e.lo, e.hi);
    different += codes[i] == code ? 0 : 1;
    inside += code > -128 && code < 127 ? 1 : 0;
  }
  CHECK(different == 0);
  CHECK(4 * inside > codes.size());  // not all saturated
}
template <class Op> ir::integer_value run_volume(const Op& op, const ir::integer_value& x) {
  const ir::integer_value* const operand = &x;
  return ir::execute(op, {&operand, 1});
}

struct volume_case {
  shape input, weight;  // as the operation has them
  triple stride, padding, dilation;
  index_t groups = 1;
  triple more{0, 0, 0};
};
ir::node node_of_case(const char* op, const volume_case& c) {
  return node_of(op, {{"stride", attribute(c.stride)},
                      {"padding", attribute(c.padding)},
                      {"dilation", attribute(c.dilation)},
                      {"output_padding", attribute(c.more)},
                      {"groups", {static_cast<double>(c.groups)}}});
}

}  // namespace

TEST_CASE("integer_volume: convolutions have the exact sums of the float operation") {
  constexpr int zero = -7;
  for (const volume_case& c :
       {volume_case{{2, 3, 5, 6, 7}, {4, 3, 3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
        {{2, 3, 5, 6, 7}, {4, 3, 3, 2, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
        {{1, 4, 7, 6, 9}, {6, 2, 2, 3, 1}, {2, 1, 3}, {1, 2, 0}, {2, 1, 1}, 2},
        {{1, 6, 4, 5, 5}, {6, 1, 3, 3, 3}, {1, 2, 1}, {2, 1, 1}, {1, 1, 2}, 6},
        {{3, 2, 1, 1, 1}, {3, 2, 1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
        {{1, 2, 1, 4, 4}, {3, 2, 3, 3, 3}, {1, 1, 1}, {4, 1, 1}, {1, 1, 1}}}) {
    const ir::node n = node_of_case("conv3d", c);
    CAPTURE(text_of(c.weight));
    const auto x = volume_codes(c.input, 5);
    const packed_palette p = int8_palette(c.weight, 0);
    const lut_matrix w = make_lut_matrix(ir::as_planes(p));
    const requantize e = some_epilogue(c.weight[0], w, zero);
    const auto windows = ir::volume_windows_of(n);
    const ir::integer_conv3d op{
        {w, {windows.plane.window, c.groups, static_cast<std::int8_t>(zero)}, e, 2, {}},
        windows.depth.window,
        c.weight[2]};
    check_codes(run_volume(op, x), test::run_op(n, {as_floats(x, zero), weights_of(p)}), e);
  }
}

TEST_CASE("integer_volume: transposed convolutions have the exact sums of the float operation") {
  constexpr int zero = 5;
  for (const volume_case& c :
       {volume_case{{2, 3, 3, 4, 3}, {3, 4, 3, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
        {{2, 3, 3, 4, 3}, {3, 4, 2, 3, 2}, {2, 2, 3}, {0, 1, 0}, {1, 1, 1}, 1, {1, 0, 2}},
        {{1, 4, 4, 3, 2}, {4, 2, 3, 2, 3}, {3, 1, 2}, {2, 0, 1}, {2, 1, 2}, 2, {0, 0, 1}},
        {{1, 2, 1, 1, 1}, {2, 2, 1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}}) {
    const ir::node n = node_of_case("conv_transpose3d", c);
    CAPTURE(text_of(c.weight));
    const auto x = volume_codes(c.input, 6);
    const packed_palette p = int8_palette(c.weight, 1);
    const lut_matrix w = make_lut_matrix(ir::as_planes(transposed_palette(p, c.groups)));
    const requantize e = some_epilogue(c.weight[1] * c.groups, w, zero);
    const auto windows = ir::volume_windows_of(n);
    const ir::integer_conv_transpose3d op{
        {w, {windows.plane, c.groups, static_cast<std::int8_t>(zero)}, e, 2, {}},
        windows.depth,
        c.weight[2]};
    check_codes(run_volume(op, x), test::run_op(n, {as_floats(x, zero), weights_of(p)}), e);
  }
}

TEST_CASE("integer_volume: pools are the largest code, and exact means") {
  constexpr int zero = 9;
  const auto x = volume_codes({2, 3, 5, 7, 6}, 7);
  struct geometry {
    triple kernel, stride, padding;
  };
  for (const auto& [k, s, p] : {geometry{{2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
                                {{3, 2, 4}, {1, 2, 3}, {1, 1, 2}},
                                {{1, 3, 3}, {1, 1, 1}, {0, 1, 1}},
                                {{5, 7, 6}, {1, 1, 1}, {0, 0, 0}}}) {
    const ir::literal_map literals{
        {"kernel_size", attribute(k)}, {"stride", attribute(s)}, {"padding", attribute(p)}};
    const ir::integer_pool3d<ir::integer_max_pool> largest{{}, {k, s, p}, {0, 0, 0}};
    const auto best = test::run_op(node_of("max_pool3d", literals), {as_floats(x, 0)});
    CHECK(as_floats(run_volume(largest, x), 0) == best);

    ir::integer_pool3d<ir::integer_mean_pool> mean{{}, {k, s, p}, {0, 0, 0}};
    mean.rows.options.count_padding = true;
    mean.rows.options.zero_point = static_cast<std::int8_t>(zero);
    mean.rows.options.output_zero_point = -3;
    mean.rows.options.multiplier = 0.75F;
    const auto y = run_volume(mean, x);
    const auto average = test::run_op(node_of("avg_pool3d", literals), {as_floats(x, zero)});
    REQUIRE(y.extents() == average.extents());
    const auto count = static_cast<float>(k[0] * k[1] * k[2]);
    for (index_t i = 0; i < y.size(); ++i) {
      const float sum = std::nearbyint(average[i] * count);  // a whole number below 2^24
      const float code = std::nearbyint(sum * (0.75F / count)) - 3.0F;
      CHECK(static_cast<float>(y[i]) == std::min(std::max(code, -128.0F), 127.0F));
    }
  }
}

TEST_CASE("integer_volume: adaptive pools divide the volume, or say that they cannot") {
  const auto x = volume_codes({2, 3, 4, 6, 6}, 8);
  const ir::integer_pool3d<ir::integer_max_pool> op{{}, {}, {2, 3, 1}};
  const auto y = run_volume(op, x);
  const auto expected =
      test::run_op(node_of("adaptive_max_pool3d", {{"output_size", {2, 3, 1}}}), {as_floats(x, 0)});
  CHECK(as_floats(y, 0) == expected);
  const ir::integer_pool3d<ir::integer_max_pool> uneven{{}, {}, {3, 3, 1}};
  CHECK_ERROR(run_volume(uneven, x), unsupported, "windows of different sizes");
  const ir::integer_pool3d<ir::integer_max_pool> high{{}, {{5, 1, 1}, {1, 1, 1}, {}}, {0, 0, 0}};
  CHECK_ERROR(run_volume(high, x), shape_mismatch, "does not fit");
  CHECK_ERROR(run_volume(op, volume_codes({2, 3, 4, 6}, 8)), shape_mismatch, "wrong rank",
              "rank 5");
  CHECK_ERROR(run_volume(op, ir::integer_value({2, 3, 0, 6, 6})), shape_mismatch, "does not fit");
}
