#include <lutra/ir/ops/integer.hpp>

#include "ir/helpers.hpp"

using namespace lutra;

namespace {

ir::integer_value random_codes(const shape& extents, std::uint64_t seed) {
  random_stream random(seed);
  ir::integer_value x(extents);
  for (auto& e : x.elements())
    e = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
  return x;
}
template <class Op>
ir::integer_value run(const Op& op, std::vector<const ir::integer_value*> operands) {
  return ir::execute(op, operands);
}
unit_params unit(float scale, int zero_point, int lo = -128, int hi = 127) {
  return unit_of({.quant_min = static_cast<float>(lo),
                  .quant_max = static_cast<float>(hi),
                  .scale = {scale},
                  .zero_point = {zero_point},
                  .minval = {}},
                 0);
}

// The integer mode holds no float tensor: nothing else fits the type of its values.
static_assert(std::is_same_v<ir::integer_value, tensor<std::int8_t>>);
static_assert(!std::is_constructible_v<ir::integer_value, tensor<float>>);
static_assert(!std::is_assignable_v<ir::integer_value&, tensor<float>>);

}  // namespace

TEST_CASE("integer: add equals quantize(dequantize + dequantize), for every pair of codes") {
  ir::integer_value a({256, 256});
  ir::integer_value b({256, 256});
  for (index_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::int8_t>(i / 256 - 128);
    b[i] = static_cast<std::int8_t>(i % 256 - 128);
  }
  const ir::integer_add op{unit(0.05F, 3), unit(0.021F, -7), unit(0.06F, 5, -100, 90)};
  const auto y = run(op, {&a, &b});
  bool same = true;
  for (index_t i = 0; i < a.size(); ++i) {
    volatile float left = static_cast<float>(a[i] - 3) * 0.05F;
    volatile float right = static_cast<float>(b[i] + 7) * 0.021F;
    volatile float sum = left + right;
    const float q = std::nearbyint(sum / 0.06F) + 5.0F;
    same = same && static_cast<float>(y[i]) == std::min(std::max(q, -100.0F), 90.0F);
  }
  CHECK(same);
  const auto other = random_codes({256}, 1);
  const auto rows = run(op, {&a, &other});  // repeats as the float operation does
  REQUIRE(rows.extents() == a.extents());
  for (index_t i = 0; i < 512; ++i) CHECK(rows[i] == y[i / 256 * 256 + other[i % 256] + 128]);
  const auto misfit = random_codes({255}, 1);
  CHECK_ERROR(run(op, {&a, &misfit}), shape_mismatch, "differ in shape", "[255]", "[256, 256]");
}

TEST_CASE("integer: an activation behind a product needs its one multiplier") {
  const auto a = random_codes({3, 4}, 1), b = random_codes({4, 5}, 2);
  ir::integer_matmul op;
  op.activated = ir::activated_sums{{{0.001F}, {}}, test::node_of("silu"), unit(0.05F, 3)};
  CHECK(run(op, {&a, &b}).extents() == shape{3, 5});
  op.activated->sums.multiplier = {};
  CHECK_ERROR(run(op, {&a, &b}), shape_mismatch, "multiplier needs one entry");
  op.activated->sums.multiplier = {-1.0F};
  CHECK_ERROR(run(op, {&a, &b}), invalid_argument, "positive finite");
}

TEST_CASE("integer: map looks every code up") {
  ir::integer_map op;
  for (std::size_t i = 0; i < 256; ++i)
    op.table[i] = static_cast<std::int8_t>(127 - static_cast<int>(i));
  const auto x = random_codes({3, 7}, 2);
  const auto y = run(op, {&x});
  CHECK(y.extents() == x.extents());
  for (index_t i = 0; i < x.size(); ++i) CHECK(y[i] == -1 - x[i]);
}

TEST_CASE("integer: max pools in one and two dimensions take the largest code") {
  const auto x = random_codes({2, 3, 4, 6}, 3);
  const ir::integer_max_pool two{{{2, 3}, window2d::symmetric({2, 3}, {0, 0})}};
  const auto y = run(two, {&x});
  REQUIRE(y.extents() == shape{2, 3, 2, 2});
  for (index_t i = 0; i < y.size(); ++i) {
    int best = -128;
    for (index_t k = 0; k < 6; ++k) {
      const index_t row = i / 4 * 4 + i / 2 % 2 * 2 + k / 3;
      best = std::max<int>(best, x[row * 6 + i % 2 * 3 + k % 3]);
    }
    CHECK(y[i] == best);
  }
  const auto line = random_codes({2, 3, 8}, 4);
  const ir::integer_max_pool one{{{1, 2}, window2d::symmetric({1, 2}, {0, 0})}, {0, 0}, 1};
  const auto z = run(one, {&line});
  REQUIRE(z.extents() == shape{2, 3, 4});
  for (index_t i = 0; i < z.size(); ++i) CHECK(z[i] == std::max(line[2 * i], line[2 * i + 1]));
  const auto flat = random_codes({2, 3}, 4);
  CHECK_ERROR(run(two, {&flat}), shape_mismatch, "wrong rank", "[2, 3]", "rank 4");
  CHECK_ERROR(run(two, {&line}), shape_mismatch, "wrong rank", "[2, 3, 8]", "rank 4");
  CHECK_ERROR(run(one, {&x}), shape_mismatch, "wrong rank", "rank 3");
  const auto small = random_codes({1, 1, 1, 1}, 4);
  CHECK_ERROR(run(two, {&small}), shape_mismatch, "does not fit");
}

TEST_CASE("integer: adaptive mean pools have windows of one size, or are refused") {
  const auto x = random_codes({1, 2, 4, 6}, 5);
  ir::integer_mean_pool op;
  op.adaptive = {2, 3};
  op.options.count_padding = true;
  op.options.multiplier = 0.5F;
  op.options.zero_point = 4;
  op.options.output_zero_point = -2;
  const auto y = run(op, {&x});
  REQUIRE(y.extents() == shape{1, 2, 2, 3});
  for (index_t i = 0; i < y.size(); ++i) {
    int sum = 0;
    for (index_t k = 0; k < 4; ++k) {
      const index_t row = i / 6 * 4 + i / 3 % 2 * 2 + k / 2;
      sum += x[row * 6 + i % 3 * 2 + k % 2] - 4;
    }
    CHECK(y[i] == static_cast<int>(std::nearbyint(static_cast<float>(sum) * (0.5F / 4.0F))) - 2);
  }
  op.adaptive = {3, 3};
  CHECK_ERROR(run(op, {&x}), unsupported, "different sizes", "got 4", "multiple of 3");
}

TEST_CASE("integer: layout and concatenation move codes unchanged") {
  const auto a = random_codes({2, 3, 2}, 6);
  const auto b = random_codes({2, 1, 2}, 7);
  CHECK(run(ir::integer_layout{test::node_of("flatten")}, {&a}) == a.reshaped({2, 6}));
  CHECK(run(ir::integer_layout{test::node_of("reshape", {{"shape", {3, -1}}})}, {&a}) ==
        a.reshaped({3, 4}));
  const auto y = run(ir::integer_concat{1}, {&a, &b});
  REQUIRE(y.extents() == shape{2, 4, 2});
  CHECK(y[6] == b[0]);
  CHECK(y[8] == a[6]);
  CHECK_ERROR(run(ir::integer_concat{0}, {&a, &b}), shape_mismatch, "[2, 1, 2]");
}

TEST_CASE("integer: a linear layer refuses another depth") {
  packed_palette p;
  p.weight_shape = {2, 3};
  p.block = {2, 3};
  p.n_bits = 1;
  p.codes = {0x2A};
  p.lut_codes = {1, 2};
  p.scale = {1.0F};
  p.zero_point = {0};
  const ir::integer_linear op{make_lut_matrix(p), {.multiplier = {1.0F, 1.0F}, .bias = {}}};
  const ir::integer_value x({2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const auto y = run(op, {&x});
  REQUIRE(y.extents() == shape{2, 2, 2});
  // Rows of weights: 1 2 1 and 2 1 2.
  CHECK(y.elements() == std::vector<std::int8_t>{8, 10, 20, 25, 32, 40, 44, 55});
  const ir::integer_value bad({2, 2});
  CHECK_ERROR(run(op, {&bad}), shape_mismatch, "[2, 2]", "allowed: 3");
}
