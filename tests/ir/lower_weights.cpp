// Weights of integer mode beside palettes of output channels: with groups of inputs, and affine ones.
#include <lutra/graph/presets.hpp>
#include <lutra/ir/saved.hpp>

#include "ir/finalized.hpp"

using namespace lutra;
using test::check_agreement;
using test::random_tensor;
using traits = graph_traits<ir::graph>;

namespace {

ir::graph branching_images() {
  ir::builder b;
  const auto w = [&](const char* name, const shape& s, std::uint64_t seed) {
    return b.state(name, random_tensor(s, seed));
  };
  const auto c = b.relu6(b.conv2d(b.input("x"), w("c.weight", {8, 4, 3, 3}, 1), w("c.bias", {8}, 2),
                                  {.padding = {1, 1}}));
  const auto g = b.apply(
      "silu", {b.conv2d(b.max_pool2d(c), w("g.weight", {6, 4, 1, 2}, 3), {}, {.groups = 2})});
  const auto t = b.relu(b.conv_transpose2d(g, w("t.weight", {6, 5, 2, 2}, 4), w("t.bias", {5}, 5),
                                           {.stride = {2, 1}}));
  b.output(b.linear(b.flatten(t), w("fc.weight", {10, 5 * 6 * 4}, 6), w("fc.bias", {10}, 7)));
  return std::move(b).build();
}
ir::graph branching_rows() {
  ir::builder b;
  const auto c = b.conv1d(b.input("x"), b.state("c.weight", random_tensor({6, 4, 3}, 1)));
  const auto t = b.apply("conv_transpose1d", {c, b.state("t.weight", random_tensor({6, 4, 3}, 2))});
  b.output(b.linear(t, b.state("fc.weight", random_tensor({12, 9}, 3))));
  return std::move(b).build();
}

struct quantized_net {
  ir::graph g;
  tensor<float> simulated;
  compression_report report;

  quantized_net(ir::graph net, const tensor<float>& x, const quantizer_config& config)
      : g(std::move(net)) {
    quantizer q(g, config);
    q.prepare();
    {
      const auto scope = q.calibration_mode();
      q.run(x);
    }
    simulated = q.run(x).at(0);
    report = q.finalize();
  }
};
quantizer_config weights_by(const quantization_spec& spec) {
  quantizer_config config = presets::w8a8();
  config.global_config.op_state_spec = {{"weight", spec}};
  return config;
}
const affine_constant* codes_of_weight(const ir::graph& g, const std::string& name) {
  for (const ir::node_id n : g.order) {
    for (const ir::value_id v : g.at(n).operands) {
      if (g.at(v).name == name && g.at(v).affine) return &*g.at(v).affine;
    }
  }
  return nullptr;
}

// One linear layer and perhaps a relu. Biases from none to far above the products; or such that after the relu one
// output of each row is left, a hundredth of the products: a step of the output is then a small part of a unit of sums.
struct single_layer {
  ir::graph g;
  tensor<float> x;
};
single_layer random_layer(random_stream& r, int number) {
  const auto rows = 1 + static_cast<index_t>(r.below(9));
  const auto depth = 1 + static_cast<index_t>(r.below(40));
  const bool nearly_dead = number % 3 == 0;
  auto x = random_tensor({8, depth}, r.next());
  const auto w = random_tensor({rows, depth}, r.next());
  tensor<float> bias({rows});
  for (index_t row = 0; row < rows; ++row) {
    double largest = 0;
    for (index_t m = 0; m < 8; ++m) {
      double sum = 0;
      for (index_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(w[row * depth + k]) * static_cast<double>(x[m * depth + k]);
      }
      largest = std::max(largest, sum);
    }
    const double scattered = r.normal() * std::pow(10.0, 3 * r.uniform() - 2);
    bias[row] = static_cast<float>(nearly_dead ? -0.99 * largest : scattered);
  }
  ir::builder b;
  const auto y = b.linear(b.input("x"), b.state("a.weight", w), b.state("a.bias", bias));
  b.output(nearly_dead || r.below(2) == 0 ? b.relu(y) : y);
  return {std::move(b).build(), std::move(x)};
}

struct exact_comparison {
  index_t codes = 0, wrong = 0, near_ties = 0;  // those are not compared
};
// Codes of a finalized single_layer and of its formula in double on the codes of input and weight.
void compare_with_exact(const ir::graph& g, const tensor<float>& x, exact_comparison& c) {
  const auto first = [&](std::string_view op) -> const ir::node& {
    return g.at(*std::ranges::find(g.order, op, [&](ir::node_id n) { return g.at(n).op; }));
  };
  const ir::integer_program program = ir::lower(g);
  const auto codes = program.run_codes(lutra::view(x));
  const qparams& out = program.output_parameters();
  const qparams in = ir::parameters_of(first("quantize"));
  const ir::node& layer = first("linear");
  tensor<std::int8_t> q(x.extents());
  quantize(lutra::view(x), in, lutra::view(q));
  const packed_palette p = ir::palette_of(g, layer, 2);
  const auto w = reference::integer_weights(p);
  const index_t rows = w.extent(0), depth = w.extent(1);
  const bool relu =
      std::ranges::any_of(g.order, [&](ir::node_id n) { return g.at(n).op == "relu"; });
  for (index_t i = 0; i < codes.size(); ++i) {
    const index_t row = i % rows, m = i / rows;
    std::int64_t sum = 0;
    for (index_t k = 0; k < depth; ++k) {
      sum += std::int64_t{w[row * depth + k]} * (q[m * depth + k] - in.zero_point[0]);
    }
    double unit = static_cast<double>(in.scale[0]) *
                  static_cast<double>(p.scale[static_cast<std::size_t>(row / p.block[0])]);
    if (!p.row_scale.empty()) {
      unit *= static_cast<double>(p.row_scale[static_cast<std::size_t>(row)]);
    }
    double y =
        static_cast<double>(sum) * unit + static_cast<double>(g.at(layer.operands[2]).data[row]);
    if (relu) y = std::max(y, 0.0);
    const double steps = y / static_cast<double>(out.scale[0]);
    ++c.codes;
    if (std::fabs(steps - std::floor(steps) - 0.5) < 0x1p-13) {
      ++c.near_ties;
      continue;
    }
    const double code =
        std::clamp(std::nearbyint(steps) + static_cast<double>(out.zero_point[0]),
                   static_cast<double>(out.quant_min), static_cast<double>(out.quant_max));
    c.wrong += static_cast<double>(codes[i]) == code ? 0 : 1;
  }
}

}  // namespace

TEST_CASE(
    "lower_weights: codes are those of exact arithmetic, whatever the bias, but next to ties") {
  random_stream r(21);
  exact_comparison c;
  for (int i = 0; i < 240; ++i) {
    CAPTURE(i);
    single_layer layer = random_layer(r, i);
    const test::activation_choice a{r.below(2) == 0 ? dtype::int8 : dtype::uint8,
                                    r.below(2) == 0 ? qscheme::symmetric : qscheme::asymmetric};
    if (i % 4 == 0) {
      compare_with_exact(test::finalized(std::move(layer.g), layer.x, a), layer.x, c);
      continue;
    }
    constexpr dtype types[] = {dtype::int8, dtype::uint4, dtype::int4, dtype::int3};
    quantizer_config config = weights_by(
        {.dtype = types[r.below(4)],
         .qscheme = r.below(2) == 0 ? qscheme::symmetric : qscheme::asymmetric,
         .granularity = r.below(2) == 0 ? granularity::per_tensor() : granularity::per_channel()});
    const quantization_spec activations{.dtype = a.dtype, .qscheme = a.scheme};
    config.global_config.op_input_spec = {{"*", activations}};
    config.global_config.op_output_spec = {{"*", activations}};
    const quantized_net q(std::move(layer.g), layer.x, config);
    compare_with_exact(q.g, layer.x, c);
  }
  CHECK(c.codes > 5000);
  CHECK(c.wrong == 0);
  CHECK(100 * c.near_ties < c.codes);
}

TEST_CASE("lower_weights: biases far beyond int32 units of the sums are not refused") {
  ir::builder b;
  b.output(b.linear(b.input("x"), b.state("a.weight", tensor<float>({3, 2}, {1, -1, 2, 1, 1, 1})),
                    b.state("a.bias", tensor<float>({3}, {1e12F, -5e11F, 3e9F}))));
  const tensor<float> x({2, 2}, {1, -1, -0.5F, 0.25F});
  const ir::graph g = test::finalized(std::move(b).build(), x);
  CHECK(ir::lower(g).run(x) == ir::interpreter(g).run(x));
}

TEST_CASE("lower_weights: sums that int32 may not hold are refused") {
  constexpr index_t depth = 100000;
  const auto layer = [](float weight, float least) {
    tensor<float> w({1, depth}), x({2, depth});
    std::ranges::fill(w.elements(), weight);
    std::fill_n(x.data(), depth, 1.0F);
    std::fill_n(x.data() + depth, depth, least);
    ir::builder b;
    b.output(b.linear(b.input("x"), b.state("a.weight", w)));
    return std::pair(test::finalized(std::move(b).build(), x,
                                     {.dtype = dtype::int8, .scheme = qscheme::asymmetric}),
                     x);
  };
  // Products of up to 128^2 * depth, and a zero point of -64 or -112.
  CHECK_ERROR(ir::lower(layer(1, -1.0F / 3).first), unsupported,
              "products with the zero point do not fit int32", "in row 0", "allowed: -");
  CHECK_ERROR(ir::lower(layer(-1, -1.0F / 15).first), unsupported, "in row 0");
  const auto [g, x] = layer(1, -0.8F);  // of about -14
  CHECK(ir::lower(g).run(x) == ir::interpreter(g).run(x));
}

TEST_CASE("lower_weights: palettes with groups of inputs follow the simulation") {
  const auto x = random_tensor({20, 4, 6, 8}, 11);
  for (const int block : {1, 2, 3, 4}) {
    for (const test::activation_choice a :
         {test::activation_choice{}, {dtype::uint8, qscheme::asymmetric}}) {
      check_agreement(test::finalized(branching_images(), x, a, block, 1), x, 0.06, 2);
    }
  }
  const auto rows = random_tensor({20, 4, 9}, 12);
  check_agreement(test::finalized(branching_rows(), rows, {}, 2, 1), rows, 0.03, 2);
  // Along axis 0, which transposed convolutions have their inputs on.
  check_agreement(test::finalized(branching_rows(), rows, {}, 2, 0), rows, 0.03, 2);
  // Volumes have no such kernel.
  ir::builder b;
  b.output(
      b.apply("conv3d", {b.input("x"), b.state("v.weight", random_tensor({4, 4, 2, 2, 2}, 1))}));
  const auto volumes = random_tensor({2, 4, 3, 3, 3}, 13);
  CHECK_ERROR(ir::lower(test::finalized(std::move(b).build(), volumes, {}, 2, 1)), unsupported,
              "one table per row", "'conv3d'");
}

TEST_CASE("lower_weights: affine weights are stored as codes, and both modes run them") {
  const auto x = random_tensor({20, 4, 6, 8}, 11);
  std::vector<quantization_spec> specs;
  for (const dtype d : {dtype::int8, dtype::uint8, dtype::int4, dtype::uint4, dtype::int3}) {
    for (const qscheme s : {qscheme::symmetric, qscheme::asymmetric}) {
      for (const granularity& g :
           {granularity::per_tensor(), granularity::per_channel(), granularity::per_block(2)}) {
        specs.push_back({.dtype = d, .qscheme = s, .granularity = g});
      }
    }
  }
  for (const quantization_spec& spec : specs) {
    const quantized_net q(branching_images(), x, weights_by(spec));
    CHECK(test::same_bits(ir::interpreter(q.g).run(x), q.simulated));
    for (const char* name : {"c.weight", "g.weight", "t.weight", "fc.weight"}) {
      const affine_constant* c = codes_of_weight(q.g, name);
      REQUIRE(c != nullptr);
      const auto record =
          std::ranges::find(q.report.weights, std::string(name), &weight_record::name);
      CHECK(record->bytes_after == c->bytes());
      CHECK(record->status == tensor_status::compressed);
    }
    check_agreement(q.g, x, 0.06, 2);
    const ir::graph loaded = ir::load(ir::save(q.g));
    CHECK(ir::save(loaded) == ir::save(q.g));
    CHECK(*codes_of_weight(loaded, "t.weight") == *codes_of_weight(q.g, "t.weight"));
    CHECK(test::same_bits(ir::interpreter(loaded).run(x), q.simulated));
    CHECK(ir::lower(loaded).run_codes(lutra::view(x)) == ir::lower(q.g).run_codes(lutra::view(x)));
  }
}

namespace {

// Codes, scales and zero points of every kind, in blocks of channels.
affine_constant random_blocks(random_stream& r, const shape& s, const shape& block) {
  affine_constant c;
  c.extents = s;
  qparams& q = c.parameters;
  q.dtype = std::array{dtype::int4, dtype::uint4, dtype::int8, dtype::uint8}[r.below(4)];
  q.quant_min = info(q.dtype).quant_min;
  q.quant_max = info(q.dtype).quant_max;
  q.granularity = granularity::per_block(block.extents());
  for (index_t i = 0; i < block_grid(s, block).count(); ++i) {
    q.scale.push_back(static_cast<float>(0.01 + r.uniform()));
    q.zero_point.push_back(static_cast<int>(q.quant_min) +
                           static_cast<int>(r.below(1U << c.n_bits())));
  }
  c.codes.resize(to_size(packed_bytes(s.size(), c.n_bits())));
  for (std::uint8_t& x : c.codes) x = static_cast<std::uint8_t>(r.below(256));
  return c;
}
qparams random_codes(random_stream& r, double scale) {
  return {.scale = {static_cast<float>(scale)},
          .zero_point = {static_cast<int>(r.below(256)) - 128},
          .minval = {}};
}

}  // namespace

TEST_CASE("lower_weights: blocks of inputs give the codes of exact sums, but for float roundings") {
  // Stride 2, padding 1: tap k of a kernel joins position j of the short side to 2 j - 1 + k of the long one.
  constexpr index_t ins = 6, outs = 4, kernel = 3, short_side = 5, long_side = 9;  // of 2 groups
  random_stream r(3);
  for (int number = 0; number < 100; ++number) {
    const bool transposed = number % 2 == 1;
    const auto in_block = 1 + static_cast<index_t>(r.below(transposed ? 3 : 5));  // or one is short
    const index_t out_block = index_t{1} << r.below(3);
    const shape s = transposed ? shape{2 * ins, outs, kernel} : shape{2 * outs, ins, kernel};
    const shape block{transposed ? in_block : out_block, transposed ? out_block : in_block, kernel};
    const affine_constant w = random_blocks(r, s, block);
    const tensor<float> dense = restore(w);
    const qparams in = random_codes(r, 0x1p-5);
    tensor<float> x({2, 2 * ins, transposed ? short_side : long_side}), bias({2 * outs});
    for (float& v : x.elements()) {
      v = static_cast<float>(static_cast<int>(r.below(256)) - 128 - in.zero_point[0]) * 0x1p-5F;
    }
    for (float& v : bias.elements()) v = static_cast<float>(20 * r.normal());

    const index_t length = transposed ? long_side : short_side;
    std::vector<double> y(to_size(2 * 2 * outs * length)), sums(y.size());
    for (index_t i = 0; i < static_cast<index_t>(y.size()) / length * ins * short_side; ++i) {
      const index_t j = i % short_side, c = i / short_side % ins, row = i / short_side / ins;
      const index_t o = row % (2 * outs), in_row = row / outs * ins + c;  // of all images
      const index_t at = transposed ? in_row % (2 * ins) * outs + o % outs : o * ins + c;
      for (index_t k = 0; k < kernel; ++k) {
        const index_t far = 2 * j - 1 + k;
        if (far < 0 || far >= long_side) continue;
        const auto weight = static_cast<double>(dense[at * kernel + k]);
        const auto value = transposed ? x[in_row * short_side + j] : x[in_row * long_side + far];
        const auto to = to_size(row * length + (transposed ? far : j));
        y[to] += weight * static_cast<double>(value);
        sums[to] += std::abs(weight * static_cast<double>(value));
      }
    }
    const qparams out = random_codes(r, *std::ranges::max_element(sums) / 1000);
    const auto step = static_cast<double>(out.scale[0]);

    ir::builder b;
    const auto input = b.input("x"), weight = b.state("w", dense);
    b.output(b.apply(transposed ? "conv_transpose1d" : "conv1d",
                     {input, weight, b.state("b", bias)},
                     {{"stride", {2}}, {"padding", {1}}, {"groups", {2}}}));
    ir::graph g = std::move(b).build();
    const ir::node_id layer = g.at(g.outputs[0]).producer;
    traits::set_operand(g, layer, 0, traits::emit_quantize_dequantize(g, input, in));
    traits::set_operand(g, layer, 1, traits::emit_affine_constant(g, weight, w));
    traits::set_output(g, 0, traits::emit_quantize_dequantize(g, g.outputs[0], out));
    const auto codes = ir::lower(g).run_codes(lutra::view(x));
    REQUIRE(codes.size() == static_cast<index_t>(y.size()));
    CAPTURE(text_of(s) + " in blocks " + text_of(block));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double real =
          y[i] + static_cast<double>(bias[static_cast<index_t>(i) / length % (2 * outs)]);
      const double code = std::clamp(real / step + out.zero_point[0], -128.0, 127.0);
      const double rounding =
          16 * 0x1p-24 * (sums[i] + std::abs(real)) / step;  // of up to 6 blocks
      CHECK(std::abs(codes[static_cast<index_t>(i)] - code) <= 0.5 + 0x1p-13 + rounding);
    }
  }
}

TEST_CASE("lower_weights: float codes and minvals run in float mode, integer mode says why not") {
  const auto x = random_tensor({8, 4, 9}, 12);
  for (const quantization_spec& spec :
       {quantization_spec{.dtype = dtype::float8_e4m3fn},
        quantization_spec{.dtype = dtype::float4_e2m1fn, .granularity = granularity::per_channel()},
        quantization_spec{.qscheme = qscheme::asymmetric, .qformulation = qformulation::minval}}) {
    const quantized_net q(branching_rows(), x, weights_by(spec));
    CHECK(test::same_bits(ir::interpreter(q.g).run(x), q.simulated));
    CHECK(test::same_bits(ir::interpreter(ir::load(ir::save(q.g))).run(x), q.simulated));
    CHECK_ERROR(ir::lower(q.g), unsupported, "integer codes with zero points", "'conv1d'");
  }
}

TEST_CASE("lower_weights: a saved graph holds the bytes of the report") {
  ir::builder b;
  b.output(b.linear(b.input("x"), b.state("w", random_tensor({64, 100}, 1))));
  const auto x = random_tensor({8, 100}, 2);
  quantizer_config config = presets::affine_w4();
  config.global_config.op_state_spec = {
      {"*", {.dtype = dtype::int4, .granularity = granularity::per_channel()}}};
  const quantized_net q(std::move(b).build(), x, config);
  REQUIRE(q.report.weights.size() == 1);
  CHECK(q.report.weights[0].bytes_after == 3200 + 4 * 64);
  const auto bytes = static_cast<index_t>(ir::save(q.g).size());
  CHECK(bytes > q.report.weights[0].bytes_after);
  CHECK(bytes < q.report.weights[0].bytes_after + 500);  // names, shapes, counts
}

TEST_CASE("lower_weights: packed states without codes are refused") {
  const auto x = random_tensor({8, 4, 9}, 12);
  quantized_net q(branching_rows(), x, presets::w8a8());
  for (ir::value& v : q.g.values) {
    if (v.affine) v.palette = packed_palette();
  }
  CHECK_ERROR(ir::save(q.g), invalid_graph, "or with both");
  for (ir::value& v : q.g.values) {
    v.affine.reset();
    v.palette.reset();
  }
  CHECK_ERROR(ir::save(q.g), invalid_graph, "without a palette or codes");
  CHECK_ERROR(ir::interpreter(q.g), invalid_graph, "no codes to restore",
              "constexpr_blockwise_shift_scale");
  CHECK_ERROR(ir::lower(q.g), unsupported, "palettized weight", "or integer codes");
}
