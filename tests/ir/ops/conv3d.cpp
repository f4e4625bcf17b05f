#include <lutra/ir/ops/conv3d.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

struct conv3d_case {
  index_t batch, channels, filters;
  std::array<index_t, 3> input, kernel, stride, padding, dilation;
  index_t groups;
};

// The definition, one rounded operation at a time, in (c, kz, ky, kx) order; padding takes part as 0.
tensor<float> plain(const conv3d_case& c, const tensor<float>& x, const tensor<float>& w,
                    const float* bias) {
  std::array<index_t, 3> out{};
  for (std::size_t a = 0; a < 3; ++a) {
    out[a] =
        (c.input[a] + 2 * c.padding[a] - c.dilation[a] * (c.kernel[a] - 1) - 1) / c.stride[a] + 1;
  }
  tensor<float> y(shape{c.batch, c.filters, out[0], out[1], out[2]});
  const index_t inputs = c.channels / c.groups;
  const index_t window = c.kernel[0] * c.kernel[1] * c.kernel[2];
  for (index_t at = 0; at < y.size(); ++at) {
    const std::array<index_t, 3> position{at / (out[1] * out[2]) % out[0], at / out[2] % out[1],
                                          at % out[2]};
    const index_t filter = at / (out[0] * out[1] * out[2]) % c.filters;
    const index_t n = at / (out[0] * out[1] * out[2]) / c.filters;
    volatile float sum = 0;
    for (index_t k = 0; k < inputs * window; ++k) {
      const std::array<index_t, 3> tap{k % window / (c.kernel[1] * c.kernel[2]),
                                       k / c.kernel[2] % c.kernel[1], k % c.kernel[2]};
      const index_t channel = filter / (c.filters / c.groups) * inputs + k / window;
      index_t from = n * c.channels + channel;
      bool inside = true;
      for (std::size_t a = 0; a < 3; ++a) {
        const index_t i = position[a] * c.stride[a] - c.padding[a] + tap[a] * c.dilation[a];
        inside = inside && i >= 0 && i < c.input[a];
        from = from * c.input[a] + i;
      }
      volatile float product = w[filter * inputs * window + k] * (inside ? x[from] : 0.0F);
      sum = sum + product;
    }
    y[at] = bias != nullptr ? sum + bias[filter] : sum;
  }
  return y;
}

}  // namespace

TEST_CASE("conv3d: the bits of the definition for strides, paddings, dilations and groups") {
  const conv3d_case cases[] = {
      {2, 3, 4, {4, 5, 6}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, 1},
      {1, 4, 6, {5, 7, 9}, {2, 3, 1}, {2, 1, 3}, {0, 2, 1}, {1, 2, 1}, 2},
      {1, 3, 3, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {2, 2, 2}, 3},
      {1, 1, 2, {2, 20, 40}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 1},
      {0, 2, 2, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1},
      {1, 2, 2, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1}};
  std::uint64_t seed = 1;
  for (const conv3d_case& c : cases) {
    const auto x = random_tensor({c.batch, c.channels, c.input[0], c.input[1], c.input[2]}, ++seed);
    const auto w = random_tensor(
        {c.filters, c.channels / c.groups, c.kernel[0], c.kernel[1], c.kernel[2]}, ++seed);
    const auto bias = random_tensor({c.filters}, ++seed);
    const ir::node n = node_of("conv3d", {{"stride", test::attribute(c.stride)},
                                          {"padding", test::attribute(c.padding)},
                                          {"dilation", test::attribute(c.dilation)},
                                          {"groups", {static_cast<double>(c.groups)}}});
    CAPTURE(seed);
    CHECK(test::same_bits(run_op(n, {x, w}), plain(c, x, w, nullptr)));
    CHECK(test::same_bits(run_op(n, {x, w, bias}), plain(c, x, w, bias.data())));
  }
}

TEST_CASE("conv3d: a kernel of depth one is conv2d, slice by slice") {
  const auto x = random_tensor({1, 2, 3, 6, 7}, 1);
  const auto w = random_tensor({4, 2, 1, 3, 3}, 2);
  const auto volume = run_op(node_of("conv3d", {{"padding", {0, 1, 1}}}), {x, w});
  REQUIRE(volume.extents() == shape{1, 4, 3, 6, 7});
  for (index_t z = 0; z < 3; ++z) {
    tensor<float> slice({1, 2, 6, 7});
    for (index_t i = 0; i < slice.size(); ++i) slice[i] = x[(i / 42 * 3 + z) * 42 + i % 42];
    const auto y = run_op(node_of("conv2d", {{"padding", {1}}}), {slice, w.reshaped({4, 2, 3, 3})});
    for (index_t i = 0; i < y.size(); ++i) CHECK(y[i] == volume[(i / 42 * 3 + z) * 42 + i % 42]);
  }
}

TEST_CASE("conv3d: operands that do not fit are refused with their shapes") {
  const auto of = [](const shape& s) { return tensor<float>(s); };
  const auto x = of({1, 4, 5, 5, 5});
  const auto run = [&](const tensor<float>& in, const tensor<float>& w,
                       std::map<std::string, std::vector<double>> literals = {}) {
    return run_op(node_of("conv3d", std::move(literals)), {in, w});
  };
  CHECK_ERROR(run(x, of({2, 3, 3, 3, 3})), shape_mismatch, "node 'n' (conv3d)", "[2, 3, 3, 3, 3]",
              "[1, 4, 5, 5, 5]");
  CHECK_ERROR(run(x, of({2, 4, 3, 3})), shape_mismatch, "weight has the wrong rank");
  CHECK_ERROR(run(of({4, 5, 5, 5}), of({2, 4, 3, 3, 3})), shape_mismatch,
              "input has the wrong rank");
  CHECK_ERROR(run(x, of({2, 4, 3, 6, 3})), shape_mismatch, "does not fit", "axis 3");
  CHECK_ERROR(run(x, of({2, 4, 3, 3, 0})), shape_mismatch, "does not fit", "axis 4");
  CHECK_ERROR(run(x, of({3, 2, 3, 3, 3}), {{"groups", {2}}}), shape_mismatch, "2 groups");
  CHECK_ERROR(run(x, of({2, 4, 3, 3, 3}), {{"stride", {1, 1}}}), invalid_graph, "'stride'");
  CHECK_ERROR(run_op(node_of("conv3d"), {x, of({2, 4, 3, 3, 3}), of({3})}), shape_mismatch,
              "per-channel operand", "[3]", "[2]");
}
