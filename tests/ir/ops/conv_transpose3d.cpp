#include <lutra/ir/ops/conv_transpose3d.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::node_of;
using test::random_tensor;
using test::run_op;

namespace {

struct transposed3d_case {
  index_t batch, channels, filters;  // filters per group
  std::array<index_t, 3> input, kernel, stride, padding, output_padding, dilation;
  index_t groups;
};
constexpr transposed3d_case cases3d[] = {
    {2, 3, 2, {3, 4, 5}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1},
    {1, 4, 3, {2, 5, 4}, {2, 3, 2}, {2, 1, 3}, {0, 2, 1}, {1, 0, 2}, {1, 2, 1}, 2},
    {1, 3, 1, {3, 3, 3}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}, 3},
    {1, 2, 2, {5, 5, 4}, {2, 2, 2}, {2, 1, 1}, {3, 2, 0}, {0, 0, 0}, {1, 1, 1}, 1}};

ir::node node_for(const transposed3d_case& c) {
  return node_of("conv_transpose3d", {{"stride", test::attribute(c.stride)},
                                      {"padding", test::attribute(c.padding)},
                                      {"output_padding", test::attribute(c.output_padding)},
                                      {"dilation", test::attribute(c.dilation)},
                                      {"groups", {static_cast<double>(c.groups)}}});
}
// Every input scattered through the kernel, in double.
std::vector<double> scattered(const transposed3d_case& c, const tensor<float>& x,
                              const tensor<float>& w, const shape& out) {
  std::vector<double> y(static_cast<std::size_t>(out.size()));
  const index_t inputs = c.channels / c.groups;
  const index_t window = c.kernel[0] * c.kernel[1] * c.kernel[2];
  const index_t volume = c.input[0] * c.input[1] * c.input[2];
  for (index_t at = 0; at < x.size(); ++at) {
    const std::array<index_t, 3> i{at / (c.input[1] * c.input[2]) % c.input[0],
                                   at / c.input[2] % c.input[1], at % c.input[2]};
    const index_t channel = at / volume % c.channels;
    const index_t n = at / volume / c.channels;
    for (index_t k = 0; k < c.filters * window; ++k) {
      const std::array<index_t, 3> tap{k % window / (c.kernel[1] * c.kernel[2]),
                                       k / c.kernel[2] % c.kernel[1], k % c.kernel[2]};
      index_t to = n * out[1] + channel / inputs * c.filters + k / window;
      bool inside = true;
      for (std::size_t a = 0; a < 3; ++a) {
        const index_t o = i[a] * c.stride[a] - c.padding[a] + tap[a] * c.dilation[a];
        const index_t extent = out[static_cast<int>(a) + 2];
        inside = inside && o >= 0 && o < extent;
        to = to * extent + o;
      }
      if (!inside) continue;
      y[static_cast<std::size_t>(to)] +=
          static_cast<double>(w[channel * c.filters * window + k]) * static_cast<double>(x[at]);
    }
  }
  return y;
}

}  // namespace

TEST_CASE("conv_transpose3d: the scattered definition") {
  std::uint64_t seed = 1;
  for (const transposed3d_case& c : cases3d) {
    const auto x = random_tensor({c.batch, c.channels, c.input[0], c.input[1], c.input[2]}, ++seed);
    const auto w =
        random_tensor({c.channels, c.filters, c.kernel[0], c.kernel[1], c.kernel[2]}, ++seed);
    const auto bias = random_tensor({c.filters * c.groups}, ++seed);
    CAPTURE(seed);
    const auto y = run_op(node_for(c), {x, w});
    for (int a = 0; a < 3; ++a) {
      const auto u = static_cast<std::size_t>(a);
      CHECK(y.extent(a + 2) == (c.input[u] - 1) * c.stride[u] - 2 * c.padding[u] +
                                   c.dilation[u] * (c.kernel[u] - 1) + c.output_padding[u] + 1);
    }
    const auto exact = scattered(c, x, w, y.extents());
    for (index_t i = 0; i < y.size(); ++i) {
      CHECK(std::abs(static_cast<double>(y[i]) - exact[static_cast<std::size_t>(i)]) < 2e-5);
    }
    const auto biased = run_op(node_for(c), {x, w, bias});
    const index_t plane = y.extent(2) * y.extent(3) * y.extent(4);
    for (index_t i = 0; i < y.size(); ++i) CHECK(biased[i] == y[i] + bias[i / plane % bias.size()]);
    const auto prepared = ir::prepare_conv_transpose(node_for(c), lutra::view(w));
    const ir::node n = node_for(c);
    const std::vector<ir::float_view> operands{lutra::view(x), lutra::view(w)};
    CHECK(test::same_bits(ir::conv_transpose3d({n, operands, prepared}), y));
  }
}

TEST_CASE("conv_transpose3d: of depth one it has the bits of the 2-D one") {
  const auto x = random_tensor({2, 3, 1, 4, 5}, 1);
  const auto w = random_tensor({3, 2, 1, 3, 2}, 2);
  const auto volume = run_op(node_of("conv_transpose3d", {{"stride", {1, 2, 3}}}), {x, w});
  const auto plane = run_op(node_of("conv_transpose2d", {{"stride", {2, 3}}}),
                            {x.reshaped({2, 3, 4, 5}), w.reshaped({3, 2, 3, 2})});
  CHECK(volume.elements() == plane.elements());
}

TEST_CASE("conv_transpose3d: operands that do not fit are refused with their shapes") {
  const auto of = [](const shape& s) { return tensor<float>(s); };
  const auto x = of({1, 4, 5, 5, 5});
  const auto run = [&](const tensor<float>& in, const tensor<float>& w,
                       std::map<std::string, std::vector<double>> literals = {}) {
    return run_op(node_of("conv_transpose3d", std::move(literals)), {in, w});
  };
  CHECK_ERROR(run(x, of({3, 2, 3, 3, 3})), shape_mismatch, "[3, 2, 3, 3, 3]", "[1, 4, 5, 5, 5]");
  CHECK_ERROR(run(x, of({4, 2, 3, 3})), shape_mismatch, "weight has the wrong rank");
  CHECK_ERROR(run(of({4, 5, 5}), of({4, 2, 3, 3, 3})), shape_mismatch, "input has the wrong rank");
  CHECK_ERROR(run(x, of({4, 2, 3, 3, 3}), {{"padding", {0, 4, 0}}}), shape_mismatch, "axis 3");
  CHECK_ERROR(run(x, of({4, 2, 3, 3, 3}), {{"groups", {3}}}), shape_mismatch, "3 groups");
  CHECK_ERROR(run(x, of({4, 2, 3, 3, 3}), {{"output_padding", {1}}}), invalid_argument,
              "output_padding", "0..0");
}
