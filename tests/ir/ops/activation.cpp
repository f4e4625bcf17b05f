#include <lutra/ir/ops/activation.hpp>

#include <cmath>
#include <limits>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::run_op;

namespace {

// Values over every magnitude, both signs, zero.
tensor<float> spread_values() {
  std::vector<float> x{0.0F};
  for (float v = 1e-30F; v < 200.0F; v *= 1.07F) {
    x.push_back(v);
    x.push_back(-v);
  }
  const auto n = static_cast<index_t>(x.size());
  return {{n}, std::move(x)};
}

// Distance of y from the exact value in units of the float's last place.
double ulps(float y, double exact) {
  const auto nearest = static_cast<float>(exact);
  const float next = std::nextafter(std::abs(nearest), std::numeric_limits<float>::infinity());
  const double unit = static_cast<double>(next) - static_cast<double>(std::abs(nearest));
  return std::abs(static_cast<double>(y) - exact) / unit;
}

template <class F> void follows(const ir::node& n, F&& exact) {
  const tensor<float> x = spread_values();
  const tensor<float> y = run_op(n, {x});
  REQUIRE(y.extents() == x.extents());
  double worst = 0;
  for (index_t i = 0; i < x.size(); ++i) {
    const double e = exact(static_cast<double>(x[i]));
    // Below the smallest normal float units are fixed: 2^-149.
    worst = std::max(worst, ulps(y[i], e));
  }
  CAPTURE(n.op);
  CHECK(worst <= 0.500001);
}

}  // namespace

TEST_CASE("activation: transcendental ones are the nearest floats of a double-precision oracle") {
  follows(node_of("sigmoid"), [](double x) { return 1 / (1 + std::exp(-x)); });
  follows(node_of("tanh"), [](double x) { return std::tanh(x); });
  follows(node_of("silu"), [](double x) { return x / (1 + std::exp(-x)); });
  follows(node_of("gelu"), [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
  follows(node_of("gelu", {{"approximate", {1}}}), [](double x) {
    const double u = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
    return x / (1 + std::exp(-2 * u));  // 0.5 (1 + tanh u), without its cancellation
  });
  follows(node_of("elu"), [](double x) { return x < 0 ? std::expm1(x) : x; });
  follows(node_of("elu", {{"alpha", {0.3}}}),
          [](double x) { return x < 0 ? 0.3 * std::expm1(x) : x; });
}

TEST_CASE("activation: doubles inside agree with the maths library") {
  for (double x = -40; x < 40; x += 0.0173) {
    CHECK(ir::sigmoid_of(x) == doctest::Approx(1 / (1 + std::exp(-x))).epsilon(1e-14));
    CHECK(ir::tanh_of(x) == doctest::Approx(std::tanh(x)).epsilon(1e-13));
    CHECK(ir::normal_distribution(x) ==
          doctest::Approx(0.5 * std::erfc(-x / std::sqrt(2.0))).epsilon(1e-12));
    if (x < 0) CHECK(ir::expm1_of_negative(x) == doctest::Approx(std::expm1(x)).epsilon(1e-14));
  }
  CHECK(ir::expm1_of_negative(-1e-300) == -1e-300);
}

TEST_CASE("activation: piecewise linear ones, each float operation rounded") {
  const tensor<float> x = spread_values();
  const auto leaky = run_op(node_of("leaky_relu"), {x});
  const auto steep = run_op(node_of("leaky_relu", {{"negative_slope", {0.25}}}), {x});
  const auto clamp = run_op(node_of("hardtanh"), {x});
  const auto wide = run_op(node_of("hardtanh", {{"min_val", {-0.5}}, {"max_val", {7}}}), {x});
  const auto gate = run_op(node_of("hardsigmoid"), {x});
  const auto swish = run_op(node_of("hardswish"), {x});
  for (index_t i = 0; i < x.size(); ++i) {
    CHECK(leaky[i] == (x[i] < 0 ? 0.01F * x[i] : x[i]));
    CHECK(steep[i] == (x[i] < 0 ? 0.25F * x[i] : x[i]));
    CHECK(clamp[i] == std::min(std::max(x[i], -1.0F), 1.0F));
    CHECK(wide[i] == std::min(std::max(x[i], -0.5F), 7.0F));
    volatile float sixth = x[i] / 6.0F;
    CHECK(gate[i] == std::min(std::max(sixth + 0.5F, 0.0F), 1.0F));
    volatile float product = x[i] * std::min(std::max(x[i] + 3.0F, 0.0F), 6.0F);
    CHECK(swish[i] == product / 6.0F);
  }
  CHECK_ERROR(run_op(node_of("hardtanh", {{"min_val", {2}}}), {x}), invalid_graph, "min_val",
              "got 2", "<= 1");
}

TEST_CASE("activation: infinities have their limits, NaN passes") {
  const float inf = std::numeric_limits<float>::infinity();
  const tensor<float> x({3}, {-inf, inf, std::numeric_limits<float>::quiet_NaN()});
  const struct {
    const char* op;
    float low, high;
  } cases[] = {{"sigmoid", 0, 1},   {"tanh", -1, 1},       {"silu", 0, inf},
               {"gelu", 0, inf},    {"elu", -1, inf},      {"leaky_relu", -inf, inf},
               {"hardtanh", -1, 1}, {"hardsigmoid", 0, 1}, {"hardswish", 0, inf}};
  for (const auto& c : cases) {
    CAPTURE(std::string(c.op));
    const auto y = run_op(node_of(c.op), {x});
    CHECK(y[0] == c.low);
    CHECK(y[1] == c.high);
    CHECK(std::isnan(y[2]));
    CHECK_ERROR(run_op(node_of(c.op), {x, x}), invalid_graph, "wrong number of operands");
  }
  const auto y = run_op(node_of("gelu", {{"approximate", {1}}}), {x});
  CHECK(y[0] == 0.0F);
  CHECK(y[1] == inf);
  CHECK(std::isnan(y[2]));
}
