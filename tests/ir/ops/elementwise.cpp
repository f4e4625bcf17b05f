#include <lutra/ir/ops/elementwise.hpp>

#include <cmath>
#include <limits>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

TEST_CASE("elementwise: relu and relu6 clamp, and let NaN through") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const tensor<float> x({7}, {-inf, -1.0F, 0.0F, 5.5F, 6.5F, inf, nan});
  const auto relu = run_op(node_of("relu"), {x});
  const auto relu6 = run_op(node_of("relu6"), {x});
  const float expected[] = {0, 0, 0, 5.5F, 6.5F, inf};
  for (index_t i = 0; i < 6; ++i) {
    CHECK(relu[i] == expected[i]);
    CHECK(relu6[i] == std::min(expected[i], 6.0F));
  }
  CHECK(std::isnan(relu[6]));
  CHECK(std::isnan(relu6[6]));
  CHECK_ERROR(run_op(node_of("relu"), {x, x}), invalid_graph, "wrong number of operands", "got 2");
}

TEST_CASE("elementwise: add and mul take equal shapes or one element") {
  const auto a = random_tensor({2, 3}, 1);
  const auto b = random_tensor({2, 3}, 2);
  const tensor<float> one({1}, {3.0F});
  const auto sum = run_op(node_of("add"), {a, b});
  const auto product = run_op(node_of("mul"), {a, b});
  const auto left = run_op(node_of("mul"), {one, a});
  const auto right = run_op(node_of("add"), {a, one});
  for (index_t i = 0; i < 6; ++i) {
    CHECK(sum[i] == a[i] + b[i]);
    CHECK(product[i] == a[i] * b[i]);
    CHECK(left[i] == 3.0F * a[i]);
    CHECK(right[i] == a[i] + 3.0F);
  }
  CHECK(left.extents() == a.extents());
  CHECK_ERROR(run_op(node_of("add"), {a, random_tensor({3, 2}, 1)}), shape_mismatch, "[3, 2]",
              "[2, 3]");
}

TEST_CASE("elementwise: shapes broadcast from the last axis on") {
  const struct {
    shape a, b, out;
  } cases[] = {{{2, 3, 4}, {4}, {2, 3, 4}},    {{2, 3, 4}, {3, 1}, {2, 3, 4}},
               {{2, 1, 4}, {3, 1}, {2, 3, 4}}, {{3, 1}, {2, 1, 4}, {2, 3, 4}},
               {{1, 1}, {2}, {1, 2}},          {{}, {2, 2}, {2, 2}},
               {{2, 0, 3}, {1, 3}, {2, 0, 3}}, {{2, 3, 4, 5}, {2, 3, 1, 1}, {2, 3, 4, 5}}};
  std::uint64_t seed = 0;
  for (const auto& c : cases) {
    const auto a = random_tensor(c.a, ++seed);
    const auto b = random_tensor(c.b, ++seed);
    const auto y = run_op(node_of("sub"), {a, b});
    REQUIRE(y.extents() == c.out);
    // The element of `x` at the multi-index of flat position i of the result.
    const auto element = [&](const tensor<float>& x, index_t i) {
      index_t at = 0, step = 1;
      for (int axis = c.out.rank(); axis-- > 0; i /= std::max<index_t>(c.out[axis], 1)) {
        const int own = axis - (c.out.rank() - x.rank());
        if (own < 0) continue;
        if (x.extent(own) != 1) at += i % c.out[axis] * step;
        step *= x.extent(own);
      }
      return x[at];
    };
    for (index_t i = 0; i < y.size(); ++i) CHECK(y[i] == element(a, i) - element(b, i));
  }
  CHECK_ERROR(run_op(node_of("mul"), {random_tensor({2, 3}, 1), random_tensor({2}, 2)}),
              shape_mismatch, "operands differ in shape", "[2]", "[2, 3]");
}

TEST_CASE("elementwise: quotients, roots, and a literal as second operand") {
  const auto a = random_tensor({2, 3}, 1);
  const auto b = random_tensor({3}, 2);
  const auto q = run_op(node_of("div"), {a, b});
  const auto root = run_op(node_of("sqrt"), {run_op(node_of("mul"), {a, a})});
  const auto sum = run_op(node_of("add", {{"other", {0.1}}}), {a});
  const auto ratio = run_op(node_of("div", {{"other", {3}}}), {a});
  for (index_t i = 0; i < a.size(); ++i) {
    CHECK(q[i] == a[i] / b[i % 3]);
    volatile float square = a[i] * a[i];
    CHECK(root[i] == std::sqrt(square));
    CHECK(sum[i] == a[i] + 0.1F);
    CHECK(ratio[i] == a[i] / 3.0F);
  }
  CHECK_ERROR(run_op(node_of("div"), {a}), invalid_graph, "wrong number of operands");
  CHECK_ERROR(run_op(node_of("add", {{"other", {1}}}), {a, b}), invalid_graph, "wrong number");
}

TEST_CASE("elementwise: batch norm in training takes mean and variance of its batch") {
  const auto x = random_tensor({3, 2, 5}, 1);
  const auto weight = random_tensor({2}, 2), bias = random_tensor({2}, 3);
  const auto unused = random_tensor({2}, 4);
  const std::vector<ir::float_view> operands{lutra::view(x), lutra::view(weight), lutra::view(bias),
                                             lutra::view(unused), lutra::view(unused)};
  const ir::node n = node_of("batch_norm", {{"eps", {1e-3}}});
  const auto y = ir::batch_norm({n, operands, {}, true});
  for (index_t c = 0; c < 2; ++c) {
    double mean = 0, spread = 0;
    for (index_t i = 0; i < 15; ++i)
      mean += static_cast<double>(x[(i / 5 * 2 + c) * 5 + i % 5]) / 15;
    for (index_t i = 0; i < 15; ++i) {
      const double d = static_cast<double>(x[(i / 5 * 2 + c) * 5 + i % 5]) - mean;
      spread += d * d / 15;
    }
    for (index_t i = 0; i < 15; ++i) {
      const index_t at = (i / 5 * 2 + c) * 5 + i % 5;
      const double expected = (static_cast<double>(x[at]) - mean) / std::sqrt(spread + 1e-3) *
                                  static_cast<double>(weight[c]) +
                              static_cast<double>(bias[c]);
      CHECK(static_cast<double>(y[at]) == doctest::Approx(expected).epsilon(1e-5));
    }
  }
}

TEST_CASE("elementwise: batch norm without affine parameters has weight 1 and bias 0") {
  const auto x = random_tensor({2, 3, 4}, 1);
  const auto mean = random_tensor({3}, 4);
  const tensor<float> variance({3}, {0.25F, 1.5F, 0.0F});
  const tensor<float> one({3}, {1, 1, 1}), zero({3});
  CHECK(test::same_bits(run_op(node_of("batch_norm"), {x, mean, variance}),
                        run_op(node_of("batch_norm"), {x, one, zero, mean, variance})));
  CHECK_ERROR(run_op(node_of("batch_norm"), {x, mean, variance, zero}), invalid_graph,
              "wrong number of operands", "got 4");
}

TEST_CASE("elementwise: batch norm, each step rounded") {
  const auto x = random_tensor({2, 3, 4, 5}, 1);
  const auto weight = random_tensor({3}, 2);
  const auto bias = random_tensor({3}, 3);
  const auto mean = random_tensor({3}, 4);
  const tensor<float> variance({3}, {0.25F, 1.5F, 0.0F});
  const auto y =
      run_op(node_of("batch_norm", {{"eps", {1e-3}}}), {x, weight, bias, mean, variance});
  for (index_t i = 0; i < x.size(); ++i) {
    const index_t c = i / 20 % 3;
    const float root = std::sqrt(variance[c] + 1e-3F);
    const float s = weight[c] / root;
    volatile float centred = x[i] - mean[c];
    volatile float scaled = centred * s;
    CHECK(y[i] == scaled + bias[c]);
  }
  CHECK_ERROR(run_op(node_of("batch_norm"), {x, weight, bias, mean, random_tensor({4}, 1)}),
              shape_mismatch, "[4]", "[3]");
}

TEST_CASE("elementwise: exp_of_negative agrees with the maths library to 4e-15 relative") {
  for (double x = 0; x > -700; x = x * 1.01 - 0.0137) {
    CHECK(ir::exp_of_negative(x) == doctest::Approx(std::exp(x)).epsilon(4e-15));
  }
  CHECK(ir::exp_of_negative(0) == 1);
  CHECK(ir::exp_of_negative(-1e6) == 0);
  CHECK(ir::exp_of_negative(-std::numeric_limits<double>::infinity()) == 0);
  CHECK(std::isnan(ir::exp_of_negative(std::numeric_limits<double>::quiet_NaN())));
}

TEST_CASE("elementwise: softmax along any axis sums to one and follows the definition") {
  const auto x = random_tensor({3, 4, 5}, 9);
  for (const int axis : {0, 1, 2, -1}) {
    const auto y = run_op(node_of("softmax", {{"dim", {static_cast<double>(axis)}}}), {x});
    const int a = axis < 0 ? axis + 3 : axis;
    const auto strides = row_major_strides(x.extents());
    const index_t step = strides[static_cast<std::size_t>(a)];
    for (index_t i = 0; i < x.size(); ++i) {
      const index_t first = i - i / step % x.extent(a) * step;
      double sum = 0;
      for (index_t k = 0; k < x.extent(a); ++k) {
        sum += std::exp(static_cast<double>(x[first + k * step]) - static_cast<double>(x[i]));
      }
      CHECK(static_cast<double>(y[i]) == doctest::Approx(1 / sum).epsilon(1e-6));
    }
  }
  const tensor<float> large({2}, {1000.0F, 1001.0F});
  const auto y = run_op(node_of("softmax"), {large});
  CHECK(y[0] + y[1] == doctest::Approx(1.0));
  CHECK_ERROR(run_op(node_of("softmax", {{"dim", {3}}}), {x}), invalid_argument, "axis", "got 3");
}
