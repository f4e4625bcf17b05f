#include <lutra/ir/lower.hpp>

#include <set>

#include "ir/finalized.hpp"

using namespace lutra;
using test::check_agreement;
using test::finalized;
using test::random_tensor;
using traits = graph_traits<ir::graph>;

namespace {

// Everything integer mode knows, in one network of 2-D operations. Means are of three codes: a mean of two
// is often a tie, which integers round to even and the simulation either way.
ir::graph wide_net() {
  ir::builder b;
  const auto x = b.input("x");
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  const auto c = b.relu6(b.conv2d(x, w("c.weight", {8, 2, 3, 3}, 1), w("c.bias", {8}, 2),
                                  {.stride = {2, 1}, .padding = {1, 1}}));
  const auto depthwise = b.conv2d(c, w("d.weight", {8, 1, 3, 3}, 3), w("d.bias", {8}, 4),
                                  {.padding = {2, 2}, .dilation = {2, 2}, .groups = 8});
  const auto residual = b.relu(b.add(c, depthwise));
  const auto joined = b.concat({residual, residual});
  const auto pooled = b.avg_pool2d(b.max_pool2d(joined, {.kernel = {2, 3}}), {.kernel = {1, 3}});
  b.output(b.linear(b.reshape(b.adaptive_avg_pool2d(pooled, {1, 1}), {-1, 16}),
                    w("fc.weight", {10, 16}, 5), w("fc.bias", {10}, 6)));
  return std::move(b).build();
}

// Transposed and depthwise convolutions of every kind, 2-D.
ir::graph upsampling_net() {
  ir::builder b;
  const auto x = b.input("x");
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  const auto d = b.relu6(b.conv2d(x, w("d.weight", {4, 1, 3, 3}, 1), w("d.bias", {4}, 2),
                                  {.padding = {1, 1}, .groups = 4}));
  const auto t = b.relu(b.conv_transpose2d(d, w("t.weight", {4, 6, 3, 2}, 3), w("t.bias", {6}, 4),
                                           {.stride = {2, 1}, .padding = {1, 1}}));
  const auto u = b.conv_transpose2d(
      t, w("u.weight", {6, 2, 2, 3}, 5), {},
      {.stride = {1, 2}, .output_padding = {0, 1}, .dilation = {2, 1}, .groups = 3});
  b.output(
      b.linear(b.flatten(b.max_pool2d(u, {.kernel = {3, 3}})), w("fc.weight", {10, 6 * 4 * 4}, 6)));
  return std::move(b).build();
}

// Gates, products, differences, means and layouts: what integer mode runs beside its layers.
ir::graph gated_net() {
  ir::builder b;
  const auto x = b.input("x");
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  const auto c = b.relu6(
      b.conv2d(x, w("c.weight", {8, 4, 3, 3}, 1), w("c.bias", {8}, 2), {.padding = {1, 1}}));
  const auto p = b.max_pool2d(c);
  const auto gated = b.apply("gelu", {b.mul(p, b.apply("sigmoid", {p}))});
  const auto s = b.sub(gated, p);
  const auto rows = b.reshape(s, {-1, 8, 12});
  const auto product = b.relu(b.matmul(rows, b.permute(rows, {0, 2, 1})));
  const auto top = b.apply("adaptive_max_pool2d", {s}, {{"output_size", {1, 2}}});
  const auto mean = b.apply("mean", {s}, {{"dim", {2, 3}}});
  const auto a = b.linear(b.flatten(product), w("a.weight", {10, 64}, 3));
  const auto d = b.linear(b.flatten(top), w("d.weight", {10, 16}, 4));
  b.output(b.add(b.add(a, d), b.linear(mean, w("e.weight", {10, 8}, 5))));
  return std::move(b).build();
}

ir::graph line_net() {
  ir::builder b;
  const auto x = b.input("x");
  const auto c =
      b.relu(b.conv1d(x, b.state("c.weight", random_tensor({6, 3, 5}, 1)),
                      b.state("c.bias", random_tensor({6}, 2)), {.stride = 2, .padding = 2}));
  const auto p = b.apply("max_pool1d", {c}, {{"kernel_size", {2}}, {"stride", {2}}});
  b.output(b.linear(b.flatten(p), b.state("fc.weight", random_tensor({20, 24}, 3))));
  return std::move(b).build();
}

}  // namespace

TEST_CASE("lower: integers follow the simulation for every operation, scheme and grouping") {
  const auto x = random_tensor({40, 2, 12, 9}, 11);
  for (const int group : {0, 3}) {
    check_agreement(finalized(wide_net(), x, {}, group), x, 0.06, 2);
    check_agreement(finalized(wide_net(), x, {dtype::uint8, qscheme::asymmetric}, group), x, 0.06,
                    2);
    check_agreement(finalized(wide_net(), x, {dtype::int8, qscheme::asymmetric}, group), x, 0.06,
                    2);
  }
}

TEST_CASE("lower: transposed and depthwise convolutions, tables by output channels") {
  const auto x = random_tensor({30, 4, 6, 7}, 11);
  for (const int group : {0, 2}) {
    // Output channels of a transposed convolution are axis 1: the granularity takes the op's axis.
    check_agreement(finalized(upsampling_net(), x, {}, group), x, 0.06, 2);
    check_agreement(finalized(upsampling_net(), x, {dtype::uint8, qscheme::asymmetric}, group), x,
                    0.06, 2);
  }
  const ir::graph g = finalized(upsampling_net(), x, {}, 2);
  for (const auto& v : g.values) {
    if (v.name == "t.weight" && v.palette) CHECK(v.palette->block == shape{4, 2, 3, 2});
    if (v.name == "d.weight" && v.palette) CHECK(v.palette->block == shape{2, 1, 3, 3});
  }
}

TEST_CASE("lower: gates, products, differences, means and layouts follow the simulation") {
  const auto x = random_tensor({30, 4, 6, 8}, 11);
  check_agreement(finalized(gated_net(), x), x, 0.1, 2);
  check_agreement(finalized(gated_net(), x, {dtype::uint8, qscheme::asymmetric}), x, 0.1, 2);
}

TEST_CASE("lower: operations between two quantizers equal the simulation in every code") {
  const auto codes = [](float scale, std::int32_t zero_point) {
    return qparams{.scale = {scale}, .zero_point = {zero_point}, .minval = {}};
  };
  const auto x = random_tensor({7, 6, 5}, 3);
  const ir::literal_map swap{{"dim0", {1}}, {"dim1", {2}}};
  const ir::literal_map one{{"output_size", {1}}};
  for (const char* op :
       {"relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu", "hardtanh", "hardsigmoid",
        "hardswish", "softmax", "transpose", "mul", "sub", "adaptive_max_pool1d"}) {
    ir::builder b;
    const auto in = b.input("x");
    const std::string_view name = op;
    const bool binary = name == "mul" || name == "sub";
    b.output(b.apply(op, binary ? std::vector<ir::value_id>{in, in} : std::vector<ir::value_id>{in},
                     name == "transpose"             ? swap
                     : name == "adaptive_max_pool1d" ? one
                                                     : ir::literal_map{}));
    ir::graph g = std::move(b).build();
    const auto result = g.outputs[0];
    const auto read = traits::emit_quantize_dequantize(g, in, codes(0.021F, 3));
    for (std::size_t slot = 0; slot < (binary ? 2U : 1U); ++slot) {
      traits::set_operand(g, g.at(result).producer, slot, read);
    }
    traits::set_output(g, 0, traits::emit_quantize_dequantize(g, result, codes(0.017F, -9)));
    const ir::integer_program program = ir::lower(g);
    const auto simulated = ir::interpreter(g).run(x);
    CAPTURE(std::string(op));
    CHECK(program.run(x).extents() == simulated.extents());
    CHECK(program.run(x) == simulated);
  }
}

TEST_CASE("lower: layers with a fused activation equal the simulation in every code") {
  // Scales are powers of two: the simulation's sums are exact, too.
  const auto codes = [](float scale, std::int32_t zero_point) {
    return qparams{.scale = {scale}, .zero_point = {zero_point}, .minval = {}};
  };
  struct layer_case {
    const char* op;
    shape input, weight;
    index_t channels;
  };
  const layer_case cases[] = {{"linear", {9, 12}, {7, 12}, 7},
                              {"conv1d", {3, 4, 9}, {5, 4, 3}, 5},
                              {"conv2d", {2, 3, 7, 6}, {4, 3, 3, 2}, 4},
                              {"conv_transpose1d", {3, 4, 6}, {4, 5, 3}, 5},
                              {"conv_transpose2d", {2, 3, 4, 5}, {3, 4, 2, 3}, 4},
                              {"conv3d", {2, 3, 4, 5, 4}, {4, 3, 2, 3, 2}, 4},
                              {"conv_transpose3d", {2, 3, 3, 2, 4}, {3, 4, 2, 3, 2}, 4},
                              {"matmul", {6, 6}, {}, 0}};
  const ir::literal_map window{{"min_val", {-0.5}}, {"max_val", {0.75}}};
  for (const layer_case& c : cases) {
    for (const char* activation : {"relu", "relu6", "hardtanh", "leaky_relu", "elu", "sigmoid",
                                   "tanh", "silu", "gelu", "hardsigmoid", "hardswish"}) {
      CAPTURE(std::string(c.op) + " " + activation);
      ir::builder b;
      const auto in = b.input("x");
      const bool product = c.op == std::string_view("matmul");
      ir::value_id w{}, y{};
      if (product) {
        y = b.matmul(in, in);
      } else {
        w = b.state("w", tensor<float>(c.weight));
        tensor<float> bias({c.channels});
        for (index_t i = 0; i < c.channels; ++i) bias[i] = static_cast<float>(i - 2) * 0x1p-9F;
        y = b.apply(c.op, {in, w, b.state("bias", std::move(bias))});
      }
      const auto act = b.apply(activation, {y}, window);
      b.output(act);
      ir::graph g = std::move(b).build();
      const ir::node_id layer = g.at(y).producer;
      const auto read = traits::emit_quantize_dequantize(g, in, codes(0x1p-5F, 3));
      traits::set_operand(g, layer, 0, read);
      if (product) {
        traits::set_operand(g, layer, 1, read);
      } else {
        packed_palette p{};
        p.weight_shape = p.block = c.weight;
        p.n_bits = 8;
        random_stream random(5);
        for (int i = 0; i < 256; ++i) p.lut_codes.push_back(static_cast<std::uint8_t>(i));
        for (index_t i = 0; i < c.weight.size(); ++i) {
          p.codes.push_back(static_cast<std::uint8_t>(random.below(256)));
        }
        p.scale = {0x1p-4F * 0x1p-3F};
        p.zero_point = {0};
        traits::set_operand(g, layer, 1, traits::emit_palette(g, w, p));
      }
      traits::set_output(g, 0, traits::emit_quantize_dequantize(g, act, codes(0.037F, -9)));
      const ir::integer_program program = ir::lower(g);
      CHECK(program.steps().size() == 1);
      const auto x = random_tensor(c.input, 21);
      test::check_executor(program, x);
      const auto simulated = ir::interpreter(g).run(x);
      CHECK(program.run(x) == simulated);
      const std::set<float> values(simulated.elements().begin(), simulated.elements().end());
      CHECK(values.size() > 5);
    }
  }
}

TEST_CASE("lower: networks whose activations are no clamps follow the simulation") {
  ir::builder b;
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  auto x = b.apply("silu",
                   {b.conv2d(b.input("x"), w("a.weight", {8, 2, 3, 3}, 1), w("a.bias", {8}, 2))});
  x = b.max_pool2d(x);  // not part of the convolution: silu is not monotone
  x = b.apply("gelu", {b.conv_transpose2d(x, w("b.weight", {8, 4, 2, 2}, 3))});
  x = b.add(x, b.apply("hardtanh", {x}));
  b.output(b.apply("leaky_relu", {b.linear(b.flatten(x), w("c.weight", {10, 4 * 6 * 4}, 4))}));
  const ir::graph net = std::move(b).build();
  auto batch = random_tensor({30, 2, 12, 8}, 11);
  for (float& v : batch.elements()) v *= 0.1F;
  check_agreement(finalized(net, batch), batch, 0.1, 2);
  check_agreement(finalized(net, batch, {dtype::uint8, qscheme::asymmetric}), batch, 0.1, 2);
}

TEST_CASE("lower: 1-D transposed convolutions run as images of height 1") {
  ir::builder b;
  const auto t = b.apply("conv_transpose1d",
                         {b.input("x"), b.state("t.weight", random_tensor({3, 4, 5}, 1)),
                          b.state("t.bias", random_tensor({4}, 2))},
                         {{"stride", {2}}, {"padding", {1}}, {"output_padding", {1}}});
  b.output(b.linear(b.flatten(t), b.state("fc.weight", random_tensor({20, 4 * 34}, 3))));
  const auto x = random_tensor({50, 3, 16}, 12);
  check_agreement(finalized(std::move(b).build(), x), x, 0.03);
}

TEST_CASE("lower: 1-D networks run as images of height 1") {
  const auto x = random_tensor({50, 3, 16}, 12);
  check_agreement(finalized(line_net(), x), x, 0.02);
  check_agreement(finalized(line_net(), x, {dtype::uint8, qscheme::asymmetric}), x, 0.02);
  check_agreement(finalized(line_net(), x, {dtype::int8, qscheme::symmetric_with_clipping}), x,
                  0.02);
}

TEST_CASE("lower: a linear layer of exact sums agrees with the simulation in every code") {
  ir::builder b;
  const auto x = b.input("x");
  b.output(b.linear(x, b.state("w.weight", random_tensor({7, 9}, 1)),
                    b.state("w.bias", random_tensor({7}, 2))));
  const auto batch = random_tensor({64, 9}, 3);
  check_agreement(finalized(std::move(b).build(), batch), batch, 0.02);
}

TEST_CASE("lower: the same codes whichever way the batch is cut, run after run") {
  const auto x = random_tensor({6, 2, 12, 9}, 11);
  const ir::integer_program program = ir::lower(finalized(wide_net(), x));
  const auto whole = program.run_codes(lutra::view(x));
  for (index_t i = 0; i < 6; ++i) {
    const tensor_view<const float> one(x.data() + i * 216, {1, 2, 12, 9});
    const auto codes = program.run_codes(one);
    for (index_t k = 0; k < 10; ++k) CHECK(codes[k] == whole[i * 10 + k]);
  }
  CHECK(program.run_codes(lutra::view(x)) == whole);
}

TEST_CASE("lower: a 2 x 2 max pool becomes part of the convolution that only it reads") {
  const auto x = random_tensor({5, 2, 11, 12}, 13);
  const auto net = [](const ir::pool2d_options& pool, bool read_twice) {
    ir::builder b;
    const auto y =
        b.relu(b.conv2d(b.input("x"), b.state("c.weight", random_tensor({6, 2, 3, 3}, 1)),
                        b.state("c.bias", random_tensor({6}, 2)), {.padding = {1, 1}}));
    const auto z = b.max_pool2d(y, pool);
    b.output(read_twice ? b.concat({z, b.max_pool2d(y, pool)}) : z);
    return std::move(b).build();
  };
  const ir::integer_program program = ir::lower(finalized(net({.kernel = {2, 2}}, false), x));
  REQUIRE(program.steps().size() == 1);
  REQUIRE(std::get<ir::integer_conv>(program.steps()[0].operation).options.pool);
  const auto codes = program.run_codes(lutra::view(x));
  CHECK(codes.extents() == shape{5, 6, 5, 6});

  // The same bits as the two steps one after the other.
  const auto two_steps = ir::lower(finalized(net({.kernel = {2, 2}}, true), x));
  CHECK(two_steps.steps().size() == 4);  // conv, two pools, cat
  const auto twice = two_steps.run_codes(lutra::view(x));
  for (index_t k = 0; k < codes.size(); ++k) {
    CHECK(codes[k] == twice[k / 180 * 360 + k % 180]);
  }
  for (const ir::pool2d_options& other : {ir::pool2d_options{.kernel = {3, 3}, .stride = {2, 2}},
                                          {.kernel = {2, 3}, .stride = {2, 2}},
                                          {.kernel = {2, 2}, .stride = {1, 1}},
                                          {.kernel = {2, 2}, .stride = {2, 1}},
                                          {.kernel = {2, 2}, .padding = {0, 1}}}) {
    CHECK(ir::lower(finalized(net(other, false), x)).steps().size() == 2);
  }
  CHECK_ERROR(program.run(random_tensor({1, 2, 1, 9}, 1)), shape_mismatch, "does not fit",
              "conv2d");
}

TEST_CASE("lower: a convolution that is the output keeps it, whatever pools it") {
  const auto x = random_tensor({3, 2, 6, 8}, 14);
  const auto net = [](bool pooled) {
    ir::builder b;
    const auto y = b.conv2d(b.input("x"), b.state("c.weight", random_tensor({6, 2, 3, 3}, 1)),
                            b.state("c.bias", random_tensor({6}, 2)), {.padding = {1, 1}});
    if (pooled) b.max_pool2d(y, {.kernel = {2, 2}});
    b.output(y);
    return std::move(b).build();
  };
  const auto codes = ir::lower(finalized(net(true), x)).run_codes(lutra::view(x));
  CHECK(codes.extents() == shape{3, 6, 6, 8});
  CHECK(codes == ir::lower(finalized(net(false), x)).run_codes(lutra::view(x)));
}

TEST_CASE("lower: bias and multiplier are as documented") {
  const auto x = random_tensor({30, 3, 16}, 12);
  const ir::graph g = finalized(line_net(), x, {dtype::uint8, qscheme::asymmetric});
  const ir::integer_program program = ir::lower(g);
  const auto* conv = std::get_if<ir::integer_conv>(&program.steps().front().operation);
  REQUIRE(conv != nullptr);
  const ir::node* first = nullptr;
  const ir::node* second = nullptr;
  const ir::node* layer = nullptr;
  for (const auto n : g.order) {
    if (g.at(n).op == "conv1d") layer = &g.at(n);
    if (g.at(n).op != "quantize") continue;
    (first == nullptr ? first : second == nullptr ? second : first) = &g.at(n);
    if (second != nullptr) break;
  }
  REQUIRE(layer != nullptr);
  REQUIRE(second != nullptr);
  const auto& bias = g.at(layer->operands[2]).data;
  for (index_t r = 0; r < 6; ++r) {
    const double unit = static_cast<double>(first->quantization->scale[0]) *
                        static_cast<double>(conv->weight.row_scale(r));
    const double z = first->quantization->zero_point[0] - 128;
    const double expected = std::nearbyint(static_cast<double>(bias[r]) / unit) -
                            z * static_cast<double>(conv->weight.row_sum(r));
    const auto i = static_cast<std::size_t>(r);
    CHECK(conv->finish.bias[i] == static_cast<std::int32_t>(expected));
    CHECK(conv->finish.multiplier[i] ==
          static_cast<float>(unit / static_cast<double>(second->quantization->scale[0])));
  }
  CHECK(conv->options.padding_value == first->quantization->zero_point[0] - 128);
  // The relu: nothing below the code of zero.
  CHECK(conv->finish.lo == second->quantization->zero_point[0] - 128);
}

TEST_CASE("lower: graphs that integer mode cannot run are refused by name") {
  const auto x = random_tensor({4, 3, 16}, 12);
  CHECK_ERROR(ir::lower(line_net()), unsupported, "quantized value", "'relu'");
  ir::graph dense = finalized(line_net(), x);
  for (const auto n : dense.order) {
    if (dense.at(n).op != "linear") continue;
    traits::set_operand(dense, n, 1, dense.at(n).operands[1]);
    for (std::size_t v = 0; v < dense.values.size(); ++v) {
      if (dense.values[v].name == "fc.weight" && dense.values[v].role == value_role::state) {
        traits::set_operand(dense, n, 1, {static_cast<index_t>(v)});
      }
    }
  }
  CHECK_ERROR(ir::lower(dense), unsupported, "palettized weight", "node 'linear'", "'fc.weight'");

  ir::builder b;
  const auto scores = b.linear(b.input("x"), b.state("w.weight", random_tensor({4, 4}, 1)));
  b.output(b.batch_norm(scores, b.state("m", random_tensor({4}, 1)),
                        b.state("v", tensor<float>({4}, {1, 1, 1, 1}))));
  const auto batch = random_tensor({4, 4}, 2);
  const ir::graph norm = finalized(std::move(b).build(), batch);
  CHECK_ERROR(ir::lower(norm), unsupported, "batch norm of quantized values only", "'batch_norm'",
              "fold_batch_norm() before palettizing");

  ir::builder averaged;  // 2-D only: the axes are those of an image
  averaged.output(averaged.apply("mean", {averaged.input("x")}, {{"dim", {-2, -1}}}));
  const auto program = ir::lower(finalized(std::move(averaged).build(), x));
  CHECK_ERROR(program.run(x), shape_mismatch, "wrong rank", "[4, 3, 16]", "rank 4");

  // Scales whose product no float can hold.
  for (const float s : {1e20F, 1e-30F}) {
    ir::builder squares;
    const auto input = squares.input("x");
    squares.output(squares.matmul(input, input));
    ir::graph square = std::move(squares).build();
    const qparams huge{.scale = {s}, .zero_point = {0}, .minval = {}};
    const qparams one{.scale = {1.0F}, .zero_point = {0}, .minval = {}};
    const auto node = square.order[0];
    const auto quantized =
        traits::emit_quantize_dequantize(square, square.at(node).operands[0], huge);
    traits::set_operand(square, node, 0, quantized);
    traits::set_operand(square, node, 1, quantized);
    traits::set_output(square, 0, traits::emit_quantize_dequantize(square, square.outputs[0], one));
    CHECK_ERROR(ir::lower(square), unsupported, "normal multiplier", "'matmul'");
  }

  ir::builder means;
  means.output(means.apply("mean", {means.relu(means.input("x"))}, {{"dim", {1}}}));
  ir::graph rows = std::move(means).build();
  const qparams half{.scale = {0.5F}, .zero_point = {0}, .minval = {}};
  for (const auto n : std::vector<ir::node_id>(rows.order)) {
    traits::set_operand(rows, n, 0,
                        traits::emit_quantize_dequantize(rows, rows.at(n).operands[0], half));
  }
  traits::set_output(rows, 0, traits::emit_quantize_dequantize(rows, rows.outputs[0], half));
  CHECK_ERROR(ir::lower(rows), unsupported, "means of whole images", "[1]", "'mean'");

  ir::graph prepared = line_net();
  quantizer<ir::graph> q(prepared, {.global_config = {.op_state_spec = off}});
  q.prepare();
  CHECK_ERROR(ir::lower(prepared), invalid_state, "not finalized", "fake_quant");

  ir::builder two;
  two.output(two.add(two.input("x"), two.input("y")));
  CHECK_ERROR(ir::lower(std::move(two).build()), unsupported, "one input and one output",
              "2 and 1");

  ir::graph wrong = finalized(line_net(), x);
  for (const auto n : wrong.order) {
    if (wrong.at(n).op == "conv1d") wrong.at(wrong.at(n).operands[2]).data = tensor<float>({5});
  }
  CHECK_ERROR(ir::lower(wrong), shape_mismatch, "'conv1d'", "[5]", "[6]");

  ir::graph channels = finalized(line_net(), x);
  for (const auto n : channels.order) {
    if (channels.at(n).op != "quantize") continue;
    channels.at(n).quantization->scale = {1.0F, 1.0F};
    channels.at(n).quantization->zero_point = {0, 0};
    break;
  }
  CHECK_ERROR(ir::lower(channels), unsupported, "per-tensor", "2 scales");

  ir::graph floats = finalized(line_net(), x);
  for (const auto n : floats.order) {
    if (floats.at(n).op != "linear") continue;
    packed_palette& p = *floats.at(floats.at(n).operands[1]).palette;
    p.lut_dtype = dtype::float32;
    p.lut.assign(p.lut_codes.size(), 0.5F);
    p.scale.clear();
    p.lut_codes.clear();
    p.zero_point.clear();
  }
  CHECK_ERROR(ir::lower(floats), unsupported,
              "the integer kernels need int8 tables (node 'linear' (linear), ");

  ir::graph disagree = finalized(line_net(), x);
  for (const auto n : disagree.order) {
    if (disagree.at(n).op == "dequantize") disagree.at(n).quantization->scale = {0.5F};
  }
  CHECK_ERROR(ir::lower(disagree), invalid_graph, "disagree", "dequantize");

  ir::graph huge = finalized(line_net(), x);
  for (const auto n : huge.order) {
    if (huge.at(n).op == "conv1d") huge.at(huge.at(n).operands[2]).data[3] = 3e38F;
  }
  CHECK_ERROR(ir::lower(huge), unsupported, "bias is no finite float", "row 3");
}

namespace {
// Where lowering the network fails after edit(graph, node) of its first node of this op.
template <class F> std::string refused_at(std::string_view op, errc code, F&& edit) {
  ir::graph g = finalized(line_net(), random_tensor({4, 3, 16}, 12));
  const auto at = std::ranges::find(g.order, op, [&](ir::node_id n) { return g.at(n).op; });
  REQUIRE(at != g.order.end());
  edit(g, g.at(*at));
  try {
    ir::lower(g);
  } catch (const error& e) {
    CAPTURE(std::string(e.what()));
    CHECK(e.code() == code);
    CHECK(e.where().find("node '") == e.where().rfind("node '"));  // one node, once
    return e.where();
  }
  return "not refused";
}
}  // namespace

TEST_CASE("lower: every kind of refusal begins with the node it is about, once") {
  const std::string conv = "node 'conv1d' (conv1d)";
  const auto literal = [](std::string key, std::vector<double> numbers) {
    return [=](ir::graph&, ir::node& n) { n.literals.insert_or_assign(key, numbers); };
  };
  const auto palette = [](auto change) {
    return [=](ir::graph& g, ir::node& n) { change(*g.at(n.operands[1]).palette); };
  };
  const auto parameters = [](auto change) {
    return [=](ir::graph&, ir::node& n) { change(n.quantization); };
  };
  using palette_t = packed_palette;
  using parameters_t = std::optional<qparams>;
  // Literals, of a layer and of a pool.
  CHECK(refused_at("conv1d", errc::invalid_graph, literal("stride", {0})) == conv);
  CHECK(refused_at("conv1d", errc::invalid_graph, literal("stride", {1, 1})) == conv);
  CHECK(refused_at("conv1d", errc::invalid_graph, literal("groups", {0})) == conv);
  CHECK(refused_at("max_pool1d", errc::invalid_graph, literal("kernel_size", {0})) ==
        "node 'max_pool1d' (max_pool1d)");
  CHECK(refused_at("max_pool1d", errc::invalid_graph, [](ir::graph&, ir::node& n) {
          n.literals.clear();
        }) == "node 'max_pool1d' (max_pool1d)");
  // Operations.
  CHECK(refused_at("flatten", errc::unsupported,
                   [](ir::graph&, ir::node& n) { n.op = "custom"; }) == "node 'flatten' (custom)");
  CHECK(refused_at("flatten", errc::invalid_state, [](ir::graph&, ir::node& n) {
          n.op = "fake_quant";
        }) == "node 'flatten' (fake_quant)");
  // Weights.
  const std::string linear = "node 'linear' (linear)";
  CHECK(refused_at("linear", errc::corrupt_data, palette([](palette_t& p) { p.codes.pop_back(); }))
            .starts_with(linear));
  CHECK(refused_at("conv1d", errc::corrupt_data, palette([](palette_t& p) { p.scale.clear(); }))
            .starts_with(conv));
  CHECK(refused_at("linear", errc::corrupt_data, palette([](palette_t& p) { p.n_bits = 9; }))
            .starts_with(linear));
  // Biases.
  CHECK(refused_at("conv1d", errc::shape_mismatch, [](ir::graph& g, ir::node& n) {
          g.at(n.operands[2]).data = tensor<float>({5});
        }).starts_with(conv));
  CHECK(refused_at("conv1d", errc::unsupported, [](ir::graph& g, ir::node& n) {
          g.at(n.operands[2]).data[3] = 3e38F;
        }).starts_with(conv));
  // Parameters of values.
  CHECK(refused_at("quantize", errc::invalid_graph, parameters([](parameters_t& q) { q.reset(); }))
            .starts_with("node '"));
  CHECK(refused_at("quantize", errc::unsupported, parameters([](parameters_t& q) {
                     q->dtype = dtype::int4;
                     q->quant_min = -8;
                     q->quant_max = 7;
                   }))
            .starts_with("node '"));
  CHECK(refused_at("dequantize", errc::invalid_graph,
                   parameters([](parameters_t& q) { q->scale = {0.5F}; }))
            .find(" (dequantize)") != std::string::npos);
  // An activation within the layer's step.
  const std::string clamp = refused_at("relu", errc::invalid_graph, [](ir::graph&, ir::node& n) {
    n.op = "hardtanh";
    n.literals = {{"min_val", {1}}, {"max_val", {-1}}};
  });
  CHECK(clamp.find("node 'relu' (hardtanh)") != std::string::npos);
}
