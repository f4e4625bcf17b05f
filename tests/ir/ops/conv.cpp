#include <lutra/ir/ops/conv.hpp>

#include "ir/helpers.hpp"
#include "levels.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

struct conv_case {
  index_t batch, channels, height, width, filters, kh, kw;
  std::array<index_t, 2> stride, padding, dilation;
  index_t groups;
};

// The definition, one rounded operation at a time, in (c, ky, kx) order; padding takes part as 0.
tensor<float> plain_conv(const conv_case& c, const tensor<float>& x, const tensor<float>& w,
                         const float* bias) {
  const index_t oh =
      (c.height + 2 * c.padding[0] - c.dilation[0] * (c.kh - 1) - 1) / c.stride[0] + 1;
  const index_t ow =
      (c.width + 2 * c.padding[1] - c.dilation[1] * (c.kw - 1) - 1) / c.stride[1] + 1;
  const index_t depth = c.channels / c.groups;
  tensor<float> out({c.batch, c.filters, oh, ow});
  index_t at = 0;
  for (index_t n = 0; n < c.batch; ++n) {
    for (index_t o = 0; o < c.filters; ++o) {
      const index_t first = o / (c.filters / c.groups) * depth;
      for (index_t y = 0; y < oh; ++y) {
        for (index_t z = 0; z < ow; ++z) {
          volatile float sum = 0;
          for (index_t k = 0; k < depth; ++k) {
            for (index_t a = 0; a < c.kh; ++a) {
              for (index_t b = 0; b < c.kw; ++b) {
                const index_t i = y * c.stride[0] - c.padding[0] + a * c.dilation[0];
                const index_t j = z * c.stride[1] - c.padding[1] + b * c.dilation[1];
                const bool inside = i >= 0 && i < c.height && j >= 0 && j < c.width;
                const float in =
                    inside ? x[((n * c.channels + first + k) * c.height + i) * c.width + j] : 0.0F;
                volatile float product = w[((o * depth + k) * c.kh + a) * c.kw + b] * in;
                sum = sum + product;
              }
            }
          }
          out[at++] = bias != nullptr ? sum + bias[o] : sum;
        }
      }
    }
  }
  return out;
}

ir::node conv_node(const conv_case& c) {
  return node_of("conv2d", {{"stride", test::attribute(c.stride)},
                            {"padding", test::attribute(c.padding)},
                            {"dilation", test::attribute(c.dilation)},
                            {"groups", {static_cast<double>(c.groups)}}});
}

}  // namespace

TEST_CASE(
    "conv: conv2d gives the bits of the definition for strides, paddings, dilations and groups") {
  const conv_case cases[] = {
      {2, 1, 28, 28, 32, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},
      {1, 3, 9, 11, 5, 3, 2, {2, 3}, {1, 0}, {1, 1}, 1},
      {2, 4, 7, 8, 6, 3, 3, {1, 2}, {2, 3}, {2, 1}, 2},
      {1, 6, 5, 5, 6, 3, 3, {1, 1}, {1, 1}, {1, 1}, 6},
      {3, 2, 4, 300, 4, 1, 1, {1, 1}, {0, 0}, {1, 1}, 1},
      {1, 2, 1, 1, 3, 1, 1, {1, 1}, {0, 0}, {1, 1}, 1},
      {1, 2, 6, 6, 3, 6, 6, {1, 1}, {0, 0}, {1, 1}, 1},
      {0, 2, 6, 6, 3, 2, 2, {1, 1}, {0, 0}, {1, 1}, 1},
      {1, 1, 3, 3, 2, 3, 3, {1, 1}, {4, 4}, {3, 3}, 1},
  };
  std::uint64_t seed = 1;
  for (const conv_case& c : cases) {
    const auto x = random_tensor({c.batch, c.channels, c.height, c.width}, ++seed);
    const auto w = random_tensor({c.filters, c.channels / c.groups, c.kh, c.kw}, ++seed);
    const auto bias = random_tensor({c.filters}, ++seed);
    CAPTURE(seed);
    CHECK(test::same_bits(run_op(conv_node(c), {x, w}), plain_conv(c, x, w, nullptr)));
    CHECK(test::same_bits(run_op(conv_node(c), {x, w, bias}), plain_conv(c, x, w, bias.data())));
  }
}

TEST_CASE("conv: every level gives the same bits") {
  const conv_case c{1, 4, 9, 13, 6, 3, 3, {2, 1}, {1, 1}, {1, 1}, 2};
  const auto x = random_tensor({1, 4, 9, 13}, 1);
  const auto w = random_tensor({6, 2, 3, 3}, 2);
  const auto bias = random_tensor({6}, 3);
  const auto expected = plain_conv(c, x, w, bias.data());
  const ir::conv_shape s = ir::conv_shape_of(conv_node(c), 2, x.extents(), w.extents());
  for_each_level([&](auto level) {
    tensor<float> out(expected.extents());
    ir::convolve_image<decltype(level)>(s, x.data(), w.data(), bias.data(), out.data());
    CHECK_MESSAGE(test::same_bits(out, expected), std::string(level.name));
  });
}

TEST_CASE("conv: conv1d is conv2d of height 1") {
  const auto x = random_tensor({2, 3, 17}, 1);
  const auto w = random_tensor({4, 3, 5}, 2);
  const auto bias = random_tensor({4}, 3);
  const auto one = run_op(node_of("conv1d", {{"stride", {2}}, {"padding", {2}}}), {x, w, bias});
  const conv_case c{2, 3, 1, 17, 4, 1, 5, {1, 2}, {0, 2}, {1, 1}, 1};
  const auto two = plain_conv(c, x.reshaped({2, 3, 1, 17}), w.reshaped({4, 3, 1, 5}), bias.data());
  CHECK(one.extents() == shape{2, 4, 9});
  CHECK(one.elements() == two.elements());
}

TEST_CASE("conv: one number stands for both axes; absent literals have their defaults") {
  const auto x = random_tensor({1, 1, 5, 5}, 1);
  const auto w = random_tensor({1, 1, 3, 3}, 2);
  CHECK(run_op(node_of("conv2d", {{"padding", {1}}}), {x, w}).extents() == shape{1, 1, 5, 5});
  CHECK(run_op(node_of("conv2d"), {x, w}).extents() == shape{1, 1, 3, 3});
}

TEST_CASE("conv: a weight that does not fit its op is refused with both shapes") {
  const auto x = random_tensor({1, 4, 5, 5}, 1);
  const auto run = [&](const tensor<float>& in, const tensor<float>& w,
                       std::map<std::string, std::vector<double>> literals = {}) {
    return run_op(node_of("conv2d", std::move(literals)), {in, w});
  };
  const auto of = [](const shape& s) { return tensor<float>(s); };
  CHECK_ERROR(run(x, of({2, 3, 3, 3})), shape_mismatch, "node 'n' (conv2d)", "[2, 3, 3, 3]",
              "[1, 4, 5, 5]");
  CHECK_ERROR(run(x, of({2, 4, 3})), shape_mismatch, "weight has the wrong rank", "[2, 4, 3]");
  CHECK_ERROR(run(of({4, 5, 5}), of({2, 4, 3, 3})), shape_mismatch, "input has the wrong rank");
  CHECK_ERROR(run(x, of({2, 4, 6, 3})), shape_mismatch, "window does not fit", "[1, 4, 5, 5]");
  CHECK_ERROR(run(x, of({2, 4, 0, 3})), shape_mismatch, "window does not fit");
  CHECK_ERROR(run(x, of({3, 2, 3, 3}), {{"groups", {2}}}), shape_mismatch, "groups do not divide");
  CHECK_ERROR(run(x, of({2, 4, 3, 3}), {{"stride", {0}}}), invalid_graph, "'stride'", "got 0");
  CHECK_ERROR(run(x, of({2, 4, 3, 3}), {{"padding", {1, 1, 1}}}), invalid_graph, "'padding'");
  CHECK_ERROR(run(x, of({2, 4, 3, 3}), {{"dilation", {1.5}}}), invalid_graph, "got 1.5");
  CHECK_ERROR(run_op(node_of("conv2d"), {x, of({2, 4, 3, 3}), of({3})}), shape_mismatch,
              "per-channel operand", "[3]", "[2]");
  CHECK_ERROR(run_op(node_of("conv2d"), {x}), invalid_graph, "wrong number of operands", "got 1");
}
