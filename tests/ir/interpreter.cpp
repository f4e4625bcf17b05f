#include <lutra/ir/builder.hpp>
#include <lutra/ir/interpreter.hpp>
#include <lutra/ir/traits.hpp>

#include "ir/helpers.hpp"

using namespace lutra;
using test::random_tensor;
using traits = graph_traits<ir::graph>;

namespace {

// conv -> relu -> max pool -> flatten -> linear, with a residual add in the middle.
ir::graph small_net() {
  ir::builder b;
  const auto x = b.input("x");
  const auto c = b.relu(b.conv2d(x, b.state("c.weight", random_tensor({4, 1, 3, 3}, 1)),
                                 b.state("c.bias", random_tensor({4}, 2)), {.padding = {1, 1}}));
  const auto d = b.add(c, b.conv2d(c, b.state("d.weight", random_tensor({4, 4, 1, 1}, 3))));
  b.output(b.linear(b.flatten(b.max_pool2d(d)), b.state("fc.weight", random_tensor({5, 36}, 4)),
                    b.state("fc.bias", random_tensor({5}, 5))));
  return std::move(b).build();
}

}  // namespace

TEST_CASE("interpreter: a network equals its operations called by hand") {
  const ir::graph g = small_net();
  const auto x = random_tensor({3, 1, 6, 6}, 7);
  const auto operand = [&](std::size_t node, std::size_t slot) {
    return g.at(g.at(g.order[node]).operands[slot]).data;
  };
  const auto run = [](const char* op, std::vector<tensor<float>> operands,
                      std::map<std::string, std::vector<double>> literals = {}) {
    return test::run_op(test::node_of(op, std::move(literals)), operands);
  };
  const auto c =
      run("relu", {run("conv2d", {x, operand(0, 1), operand(0, 2)}, {{"padding", {1}}})});
  const auto d = run("add", {c, run("conv2d", {c, operand(2, 1)})});
  const auto p = run("max_pool2d", {d}, {{"kernel_size", {2}}, {"stride", {2}}});
  const auto y =
      run("linear", {run("flatten", {p}), random_tensor({5, 36}, 4), random_tensor({5}, 5)});
  CHECK(test::same_bits(ir::interpreter(g).run(x), y));

  std::vector<float> apart(static_cast<std::size_t>(2 * x.size()));  // every other float
  const std::array<index_t, 4> strides = {72, 72, 12, 2};
  const tensor_view<float> strided(apart.data(), x.extents(), strides);
  index_t next = 0;
  for_each_element(strided, [&](float& v) { v = x[next++]; });
  CHECK(test::same_bits(ir::interpreter(g).run(strided), y));
}

TEST_CASE(
    "interpreter: the batch may be cut anywhere, views may be strided, runs may be repeated") {
  const ir::graph g = small_net();
  const ir::interpreter net(g);
  const auto x = random_tensor({4, 1, 6, 6}, 7);
  const auto whole = net.run(x);
  for (index_t i = 0; i < 4; ++i) {
    tensor<float> one({1, 1, 6, 6});
    std::copy_n(x.data() + i * 36, 36, one.data());
    const auto y = net.run(one);
    for (index_t k = 0; k < 5; ++k) CHECK(y[k] == whole[i * 5 + k]);
  }
  // The transpose of a transposed image is the image.
  tensor<float> turned({4, 1, 6, 6});
  for (index_t n = 0; n < 4; ++n) {
    for (index_t i = 0; i < 36; ++i) turned[n * 36 + i % 6 * 6 + i / 6] = x[n * 36 + i];
  }
  const index_t strides[] = {36, 36, 1, 6};
  const ir::float_view turned_back(turned.data(), {4, 1, 6, 6}, strides);
  CHECK(test::same_bits(net.run(std::span(&turned_back, 1))[0], whole));
  CHECK(test::same_bits(net.run(x), whole));
  CHECK(net.run(tensor<float>({0, 1, 6, 6})).extents() == shape{0, 5});
}

TEST_CASE("interpreter: fake-quant nodes call back with their id") {
  ir::graph g = small_net();
  const auto relu = g.at(g.order[1]).results[0];
  const auto fq = traits::insert_fake_quant(g, relu, {3});
  for (const auto n : g.order) {
    for (std::size_t slot = 0; slot < g.at(n).operands.size(); ++slot) {
      if (g.at(n).operands[slot] == relu && g.at(n).op != "fake_quant") {
        traits::set_operand(g, n, slot, fq);
      }
    }
  }
  const auto x = random_tensor({2, 1, 6, 6}, 7);
  int calls = 0;
  const auto y = ir::interpreter(g).run(
      x, [&](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
        ++calls;
        CHECK(id.index == 3);
        CHECK(in.extents() == shape{2, 4, 6, 6});
        for (index_t i = 0; i < in.size(); ++i) out.data()[i] = in.data()[i];
      });
  CHECK(calls == 1);
  CHECK(test::same_bits(y, ir::interpreter(small_net()).run(x)));
  CHECK_ERROR(ir::interpreter(g).run(x), invalid_state, "fake-quant node without a callback",
              "node 'relu_fake_quant' (fake_quant), ");
}

TEST_CASE(
    "interpreter: quantize and dequantize equal fake-quantization, palettes equal their values") {
  ir::graph g = small_net();
  const auto x = random_tensor({2, 1, 6, 6}, 7);
  for (const dtype d : {dtype::int8, dtype::uint8}) {
    qparams q;
    q.dtype = d;
    q.quant_min = info(d).quant_min;
    q.quant_max = info(d).quant_max;
    q.scale = {0.037F};
    q.zero_point = {d == dtype::int8 ? -5 : 121};
    ir::graph finalized = small_net();
    const auto input = finalized.inputs[0];
    const auto pair = traits::emit_quantize_dequantize(finalized, input, q);
    traits::set_operand(finalized, finalized.order[2], 0, pair);
    REQUIRE(finalized.at(finalized.order[2]).op == "conv2d");
    tensor<float> faked(x.extents());
    fake_quantize(lutra::view(x), q, lutra::view(faked));
    CHECK(test::same_bits(ir::interpreter(finalized).run(x), ir::interpreter(g).run(faked)));
  }
  packed_palette p;
  p.weight_shape = {5, 36};
  p.block = {5, 36};
  p.n_bits = 1;
  p.codes.assign(23, 0x55);  // 180 codes 1, 0, 1, 0, ...; the top 4 bits are unused
  p.codes.back() = 0x05;
  p.lut_codes = {static_cast<std::uint8_t>(-100), 90};
  p.scale = {0.01F};
  p.zero_point = {0};
  ir::graph packed = small_net();
  const auto fc = packed.order.back();
  const auto weight = packed.at(fc).operands[1];
  traits::set_operand(packed, fc, 1, traits::emit_palette(packed, weight, p));
  ir::graph dense = small_net();
  traits::set_constant(dense, weight, lutra::view(restore(p)));
  CHECK(test::same_bits(ir::interpreter(packed).run(x), ir::interpreter(dense).run(x)));
}

TEST_CASE("interpreter: what cannot run is refused before anything runs") {
  ir::builder b;
  b.output(b.apply("einsum", {b.input("x")}));
  const ir::graph unknown = std::move(b).build();
  CHECK_ERROR(ir::interpreter(unknown), unsupported, "'einsum'", "conv2d, conv3d");
  ir::graph cycle = small_net();
  cycle.at(cycle.order[0]).operands[0] = cycle.outputs[0];
  CHECK_ERROR(ir::interpreter(cycle), invalid_graph, "cycle");
  const ir::graph g = small_net();
  CHECK_ERROR(ir::interpreter(g).run(std::vector<tensor<float>>{}), invalid_argument,
              "wrong number of inputs", "got 0", "allowed: 1");
  CHECK_ERROR(ir::interpreter(g).run(random_tensor({1, 1, 5, 5}, 1)), shape_mismatch,
              "node 'linear' (linear)", "[5, 36]", "[1, 16]");
  ir::graph typed = small_net();
  const auto pair = traits::emit_quantize_dequantize(
      typed, typed.inputs[0], {.scale = {1.0F}, .zero_point = {0}, .minval = {}});
  const auto codes = typed.at(typed.at(pair).producer).operands[0];
  traits::set_operand(typed, typed.order[2], 0, codes);
  CHECK_ERROR(ir::interpreter(typed).run(random_tensor({1, 1, 6, 6}, 1)), invalid_graph,
              "quantized codes where a float tensor is needed", "'conv2d'");
}
