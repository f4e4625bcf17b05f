#include <lutra/ir/ops/conv_transpose.hpp>
#include <lutra/ir/traits.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

struct transposed_case {
  index_t batch, channels, height, width, filters, kh, kw;  // filters per group
  std::array<index_t, 2> stride, padding, output_padding, dilation;
  index_t groups;
};
constexpr transposed_case transposed_cases[] = {
    {2, 3, 5, 4, 2, 3, 3, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
    {2, 4, 5, 4, 3, 3, 2, {2, 3}, {1, 0}, {1, 2}, {1, 1}, 2},
    {1, 6, 3, 7, 1, 3, 3, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 6},
    {1, 2, 4, 4, 3, 2, 3, {1, 2}, {0, 3}, {0, 1}, {3, 2}, 1},
    {1,
     2,
     6,
     5,
     2,
     3,
     3,
     {3, 1},
     {4, 3},
     {2, 0},
     {1, 1},
     1},  // padding beyond the kernel: cut inputs
    {3, 2, 1, 1, 40, 1, 1, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 1},
    {0, 2, 4, 4, 3, 3, 3, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 1},
};

ir::node node_for(const transposed_case& c) {
  return node_of("conv_transpose2d", {{"stride", test::attribute(c.stride)},
                                      {"padding", test::attribute(c.padding)},
                                      {"output_padding", test::attribute(c.output_padding)},
                                      {"dilation", test::attribute(c.dilation)},
                                      {"groups", {static_cast<double>(c.groups)}}});
}
shape output_shape(const transposed_case& c) {
  const auto extent = [&](std::size_t a, index_t in, index_t k) {
    return (in - 1) * c.stride[a] - 2 * c.padding[a] + c.dilation[a] * (k - 1) +
           c.output_padding[a] + 1;
  };
  return {c.batch, c.filters * c.groups, extent(0, c.height, c.kh), extent(1, c.width, c.kw)};
}
// The definition: every input is scattered through the kernel, in double.
std::vector<double> scattered(const transposed_case& c, const tensor<float>& x,
                              const tensor<float>& w, const float* bias) {
  const shape s = output_shape(c);
  std::vector<double> out(static_cast<std::size_t>(s.size()));
  const index_t inputs = c.channels / c.groups;
  for (index_t at = 0; at < x.size(); ++at) {
    const index_t j = at % c.width, i = at / c.width % c.height;
    const index_t k = at / (c.width * c.height) % c.channels;
    const index_t n = at / (c.width * c.height * c.channels);
    for (index_t o = 0; o < c.filters; ++o) {
      for (index_t a = 0; a < c.kh; ++a) {
        for (index_t b = 0; b < c.kw; ++b) {
          const index_t y = i * c.stride[0] - c.padding[0] + a * c.dilation[0];
          const index_t z = j * c.stride[1] - c.padding[1] + b * c.dilation[1];
          if (y < 0 || y >= s[2] || z < 0 || z >= s[3]) continue;
          const index_t filter = k / inputs * c.filters + o;
          out[static_cast<std::size_t>(((n * s[1] + filter) * s[2] + y) * s[3] + z)] +=
              static_cast<double>(w[((k * c.filters + o) * c.kh + a) * c.kw + b]) *
              static_cast<double>(x[at]);
        }
      }
    }
  }
  for (std::size_t i = 0; bias != nullptr && i < out.size(); ++i) {
    out[i] += static_cast<double>(bias[static_cast<index_t>(i) / (s[2] * s[3]) % s[1]]);
  }
  return out;
}
// The documented order in f32: over c, then the kernel from its last position to its first.
tensor<float> ordered(const transposed_case& c, const tensor<float>& x, const tensor<float>& w,
                      const float* bias) {
  tensor<float> out(output_shape(c));
  const shape& s = out.extents();
  const index_t inputs = c.channels / c.groups;
  for (index_t at = 0; at < out.size(); ++at) {
    const index_t z = at % s[3], y = at / s[3] % s[2], filter = at / (s[3] * s[2]) % s[1];
    const index_t n = at / (s[3] * s[2] * s[1]);
    volatile float sum = 0;
    for (index_t k = 0; k < inputs; ++k) {
      const index_t channel = filter / c.filters * inputs + k;
      for (index_t a = c.kh; a-- > 0;) {
        for (index_t b = c.kw; b-- > 0;) {
          const index_t i = y + c.padding[0] - a * c.dilation[0];
          const index_t j = z + c.padding[1] - b * c.dilation[1];
          float in = 0;
          if (i >= 0 && j >= 0 && i % c.stride[0] == 0 && j % c.stride[1] == 0 &&
              i / c.stride[0] < c.height && j / c.stride[1] < c.width) {
            in = x[((n * c.channels + channel) * c.height + i / c.stride[0]) * c.width +
                   j / c.stride[1]];
          }
          volatile float product =
              w[((channel * c.filters + filter % c.filters) * c.kh + a) * c.kw + b] * in;
          sum = sum + product;
        }
      }
    }
    out[at] = bias != nullptr ? sum + bias[filter] : sum;
  }
  return out;
}

}  // namespace

TEST_CASE("conv_transpose: the scattered definition, and the bits of the documented order") {
  std::uint64_t seed = 1;
  for (const transposed_case& c : transposed_cases) {
    const auto x = random_tensor({c.batch, c.channels, c.height, c.width}, ++seed);
    const auto w = random_tensor({c.channels, c.filters, c.kh, c.kw}, ++seed);
    const auto bias = random_tensor({c.filters * c.groups}, ++seed);
    CAPTURE(seed);
    for (const bool biased : {false, true}) {
      const float* b = biased ? bias.data() : nullptr;
      const auto y = biased ? run_op(node_for(c), {x, w, bias}) : run_op(node_for(c), {x, w});
      CHECK(test::same_bits(y, ordered(c, x, w, b)));
      const auto exact = scattered(c, x, w, b);
      REQUIRE(y.size() == static_cast<index_t>(exact.size()));
      for (index_t i = 0; i < y.size(); ++i) {
        CHECK(std::abs(static_cast<double>(y[i]) - exact[static_cast<std::size_t>(i)]) < 2e-5);
      }
    }
  }
}

TEST_CASE("conv_transpose: 1-D is 2-D of height 1; a prepared weight changes nothing") {
  const auto x = random_tensor({2, 3, 7}, 1);
  const auto w = random_tensor({3, 4, 5}, 2);
  const ir::node n =
      node_of("conv_transpose1d", {{"stride", {2}}, {"padding", {1}}, {"output_padding", {1}}});
  const auto one = run_op(n, {x, w});
  const transposed_case c{2, 3, 1, 7, 4, 1, 5, {1, 2}, {0, 1}, {0, 1}, {1, 1}, 1};
  const auto two = ordered(c, x.reshaped({2, 3, 1, 7}), w.reshaped({3, 4, 1, 5}), nullptr);
  CHECK(one.extents() == shape{2, 4, 16});
  CHECK(one.elements() == two.elements());
  ir::builder b;
  b.output(b.apply("conv_transpose1d", {b.input("x"), b.state("w", w)}, n.literals));
  CHECK(test::same_bits(ir::interpreter(std::move(b).build()).run(x), one));
}

TEST_CASE("conv_transpose: it is the adjoint of the convolution") {
  // <conv(x), y> = <x, conv_transpose(y)> with the same weight.
  const auto w =
      random_tensor({4, 3, 3, 3}, 1);  // a conv from 3 to 4, a transposed one from 4 to 3
  const ir::literal_map o{{"stride", {2}}, {"padding", {1}}};
  const auto x = random_tensor({1, 3, 9, 7}, 2);
  const auto y = random_tensor({1, 4, 5, 4}, 3);
  const auto forward = run_op(node_of("conv2d", o), {x, w});
  const auto back = run_op(node_of("conv_transpose2d", o), {y, w});
  REQUIRE(forward.extents() == y.extents());
  REQUIRE(back.extents() == x.extents());
  double a = 0, b = 0;
  for (index_t i = 0; i < y.size(); ++i)
    a += static_cast<double>(forward[i]) * static_cast<double>(y[i]);
  for (index_t i = 0; i < x.size(); ++i)
    b += static_cast<double>(back[i]) * static_cast<double>(x[i]);
  CHECK(a == doctest::Approx(b).epsilon(1e-5));
}

TEST_CASE("conv_transpose: operands that do not fit are refused with their shapes") {
  const auto of = [](const shape& s) { return tensor<float>(s); };
  const auto x = of({1, 4, 5, 5});
  const auto run = [&](const tensor<float>& in, const tensor<float>& w,
                       std::map<std::string, std::vector<double>> literals = {}) {
    return run_op(node_of("conv_transpose2d", std::move(literals)), {in, w});
  };
  CHECK_ERROR(run(x, of({3, 2, 3, 3})), shape_mismatch, "node 'n' (conv_transpose2d)",
              "[3, 2, 3, 3]", "[1, 4, 5, 5]");
  CHECK_ERROR(run(x, of({4, 2, 3})), shape_mismatch, "weight has the wrong rank");
  CHECK_ERROR(run(of({4, 5, 5}), of({4, 2, 3, 3})), shape_mismatch, "input has the wrong rank");
  CHECK_ERROR(run(x, of({4, 2, 3, 3}), {{"groups", {3}}}), shape_mismatch, "3 groups");
  CHECK_ERROR(run(x, of({4, 2, 3, 3}), {{"padding", {4}}}), shape_mismatch, "nothing is left");
  CHECK_ERROR(run(x, of({4, 2, 0, 3})), shape_mismatch, "nothing is left");
  CHECK_ERROR(run(x, of({4, 2, 3, 3}), {{"output_padding", {1}}}), invalid_argument,
              "output_padding", "got 1", "0..0");
  CHECK_ERROR(run(x, of({4, 2, 3, 3}), {{"stride", {0}}}), invalid_graph, "'stride'");
  CHECK_ERROR(
      run_op(node_of("conv_transpose2d", {{"groups", {2}}}), {x, of({4, 2, 3, 3}), of({2})}),
      shape_mismatch, "per-channel operand", "[2]", "[4]");
  CHECK_ERROR(run_op(node_of("conv_transpose2d"), {x}), invalid_graph, "wrong number of operands");
}
