#include <lutra/flow/train_batch_norm.hpp>

#include <cmath>
#include <lutra/flow/fold_batch_norm.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/ir/traits.hpp>
#include <map>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {

using ir_traits = graph_traits<ir::graph>;

struct normed_layer {
  const char* op;
  shape input, weight;
  index_t channels;
  index_t groups;
};
const normed_layer normed_layers[] = {
    {"conv1d", {2, 3, 9}, {4, 3, 5}, 4, 1},
    {"conv2d", {3, 2, 6, 5}, {6, 2, 3, 3}, 6, 1},
    {"conv2d", {2, 8, 4, 4}, {8, 1, 3, 3}, 8, 8},  // depthwise
    {"conv3d", {2, 3, 3, 4, 3}, {2, 3, 2, 2, 2}, 2, 1},
    {"linear", {6, 7}, {5, 7}, 5, 1},
    {"conv_transpose1d", {2, 3, 4}, {3, 4, 5}, 4, 1},
    {"conv_transpose2d", {2, 3, 4, 3}, {3, 4, 2, 2}, 4, 1},
    {"conv_transpose2d", {2, 6, 3, 3}, {6, 2, 2, 3}, 6, 3},  // grouped: 3 x (2 inputs, 2 outputs)
    {"conv_transpose2d", {2, 4, 3, 3}, {4, 1, 3, 3}, 4, 4},  // depthwise
    {"conv_transpose3d", {2, 4, 2, 2, 3}, {4, 3, 2, 1, 2}, 6, 2},
};

tensor<float> positive(tensor<float> t) {
  for (float& v : t.elements()) v = v * v + 0.2F;
  return t;
}
// [flatten ->] layer -> batch norm -> relu
ir::graph normed_graph(const normed_layer& c, bool biased, bool affine, bool second = false) {
  ir::builder b;
  auto x = b.input("x");
  if (c.op == std::string_view("linear")) x = b.flatten(x);
  std::vector<ir::value_id> operands{x, b.state("a.weight", random_tensor(c.weight, 1))};
  if (biased) operands.push_back(b.state("a.bias", random_tensor({c.channels}, 2)));
  x = b.apply(c.op, operands, {{"groups", {static_cast<double>(c.groups)}}});
  for (const std::string name : {"bn", "second"}) {
    if (name == "second" && !second) break;
    const auto mean = b.state(name + ".running_mean", random_tensor({c.channels}, 3));
    const auto variance = b.state(name + ".running_var", positive(random_tensor({c.channels}, 4)));
    if (affine) {
      const auto gamma = b.state(name + ".weight", random_tensor({c.channels}, 5));
      const auto beta = b.state(name + ".bias", random_tensor({c.channels}, 6));
      x = b.batch_norm(x, gamma, beta, mean, variance, 1e-3);
    } else {
      x = b.batch_norm(x, mean, variance, 1e-3);
    }
  }
  b.output(b.relu(x));
  return std::move(b).build();
}
tensor<float>& stored(ir::graph& g, const std::string& name) {
  for (ir::value& v : g.values) {
    if (v.role == value_role::state && v.name == name) return v.data;
  }
  FAIL("no state " << name);
  return g.values[0].data;
}
int count_of(const ir::graph& g, const std::string& op) {
  return static_cast<int>(
      std::ranges::count_if(g.order, [&](ir::node_id n) { return g.at(n).op == op; }));
}
// Live nodes: op and operands, by name of what they read.
std::string listing(const ir::graph& g) {
  std::string text;
  for (const ir::node_id n : g.order) {
    text += g.at(n).op + "(";
    for (const ir::value_id v : g.at(n).operands) {
      const ir::value& x = g.at(v);
      text += (x.producer.index < 0 ? x.name : g.at(x.producer).op) + ",";
    }
    text += ") ";
  }
  return text;
}
template <class F> void each_case(F&& f) {
  for (const normed_layer& c : normed_layers) {
    for (const bool biased : {true, false}) {
      for (const bool affine : {true, false}) {
        CAPTURE(std::string(c.op) + text_of(c.weight) + (biased ? " biased" : "") +
                (affine ? " affine" : ""));
        f(c, biased, affine);
      }
    }
  }
}
// Largest difference, in units of the largest element of `b`.
double distance(const tensor<float>& a, const tensor<float>& b) {
  REQUIRE(a.extents() == b.extents());
  double most = 0, largest = 0;
  for (index_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return most / largest;
}
const quantizer_config nothing{
    .global_config = {.op_state_spec = {}, .op_input_spec = {}, .op_output_spec = {}}};
const quantizer_config weights_only{.global_config = {.op_input_spec = {}, .op_output_spec = {}}};
const quantizer_options live_norms{.allow_uncalibrated = true, .train_batch_norms = true};

// What training would change, by hand.
void move_parameters(ir::graph& g, bool biased, bool affine) {
  std::uint64_t seed = 30;
  const auto move = [&](const char* name, float by) {
    tensor<float>& data = stored(g, name);
    const tensor<float> step = random_tensor(data.extents(), ++seed);
    for (index_t i = 0; i < data.size(); ++i) data[i] += by * std::abs(step[i]);
  };
  move("a.weight", 0.5F);
  move("bn.running_mean", 0.3F);
  move("bn.running_var", 0.7F);
  if (biased) move("a.bias", 0.2F);
  if (affine) move("bn.weight", -0.4F);
  if (affine) move("bn.bias", 0.6F);
}

}  // namespace

TEST_CASE("train_batch_norm: without quantization the form computes what the graph did") {
  each_case([](const normed_layer& c, bool biased, bool affine) {
    ir::graph g = normed_graph(c, biased, affine);
    const auto x = random_tensor(c.input, 9);
    const ir::graph before = g;
    quantizer q(g, nothing, live_norms);
    q.prepare();
    CHECK(q.batch_norms().folded() == 1);
    CHECK_NOTHROW(ir::verify(g));
    CHECK(count_of(g, "batch_norm") == 1);
    CHECK(count_of(g, "sqrt") == 1);
    for (const bool training : {false, true}) {
      ir::graph plain = before;
      plain.training = g.training = training;
      CHECK(distance(ir::interpreter(g).run(x), ir::interpreter(plain).run(x)) <= 1e-6);
    }
    g.training = false;
    q.finalize();
    ir::graph folded = before;
    CHECK(fold_batch_norm(folded).folded() == 1);
    CHECK(listing(g) == listing(folded));
    CHECK(distance(ir::interpreter(g).run(x), ir::interpreter(folded).run(x)) <= 1e-6);
  });
}

TEST_CASE("train_batch_norm: trained values are folded to the bits that the fake-quantizer saw") {
  each_case([](const normed_layer& c, bool biased, bool affine) {
    const auto x = random_tensor(c.input, 9);
    ir::graph g = normed_graph(c, biased, affine);
    quantizer q(g, weights_only, live_norms);
    q.prepare();
    REQUIRE(q.fake_quantizers().size() == 1);
    const qparams at_first = q.fake_quantizers()[0].params();
    move_parameters(g, biased, affine);
    {
      const auto training = q.training_mode();
      CHECK(g.training);
      q.run(x);
      q.step();
    }
    CHECK_FALSE(g.training);
    const qparams trained = q.fake_quantizers()[0].params();
    CHECK_FALSE(trained == at_first);
    CHECK(index_t(trained.scale.size()) == c.weight[0]);
    tensor<float> seen, rounded;
    const auto before = ir_traits::run(
        g, x, [&](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
          q.on_fake_quant(id, in, out);
          seen = tensor<float>::copy_of(in);
          rounded = tensor<float>::copy_of(tensor_view<const float>(out));
        })[0];

    // The same values, folded statically.
    ir::graph folded = normed_graph(c, biased, affine);
    move_parameters(folded, biased, affine);
    CHECK(fold_batch_norm(folded).folded() == 1);

    const compression_report report = q.finalize();
    CHECK_NOTHROW(ir::verify(g));
    CHECK(count_of(g, "batch_norm") == 0);
    const tensor<float>& weight = stored(g, "a.weight");
    CHECK(weight == seen);
    for (index_t i = 0; i < weight.size(); ++i) {
      const float expected = stored(folded, "a.weight")[i];
      CHECK(std::abs(weight[i] - expected) <= 0x1p-22F * std::abs(expected));
    }
    const tensor<float>& bias = stored(g, "a.bias");
    CHECK(distance(bias, stored(folded, "a.bias")) <= 1e-6);
    REQUIRE(report.weights.size() >= 1);
    CHECK(report.weights[0].name == "a.weight");
    double error = 0;
    for (index_t i = 0; i < weight.size(); ++i) {
      const double d = static_cast<double>(weight[i]) - static_cast<double>(rounded[i]);
      error += d * d;
    }
    CHECK(report.weights[0].error == doctest::Approx(error).epsilon(1e-9));
    CHECK(distance(ir::interpreter(g).run(x), before) <= 2e-6);
    // The same nodes as quantizing the folded graph gives.
    quantizer statically(folded, weights_only, {.allow_uncalibrated = true});
    statically.prepare();
    statically.finalize();
    CHECK(listing(g) == listing(folded));
  });
}

TEST_CASE(
    "train_batch_norm: activations are quantized behind the batch norm, then behind the layer") {
  const normed_layer& c = normed_layers[1];
  const auto x = random_tensor(c.input, 9);
  ir::graph g = normed_graph(c, true, true);
  quantizer q(g, {}, {.train_batch_norms = true});
  q.prepare(x);
  CHECK(count_of(g, "fake_quant") == 3);  // weight, input, result of the relu
  {
    const auto training = q.training_mode();
    q.run(x);
  }
  const auto saved = q.save();
  ir::graph h = normed_graph(c, true, true);
  quantizer r(h, {}, {.train_batch_norms = true});
  r.prepare();
  r.load(saved);
  const auto simulated = q.run(x)[0];
  CHECK(r.run(x)[0] == simulated);
  q.finalize();
  CHECK(count_of(g, "quantize") == 2);
  CHECK(count_of(g, "constexpr_blockwise_shift_scale") == 1);  // the folded weight as codes
  CHECK(count_of(g, "conv2d") == 1);
  CHECK(g.order.size() == 2 * 2 + 1 + 2);
  CHECK(distance(ir::interpreter(g).run(x), simulated) <= 1.01 / 127);  // one step of the last one
}

TEST_CASE("train_batch_norm: what keeps its batch norm, and why") {
  const auto outcome = [](ir::graph g, const quantizer_config& config, const std::string& detail) {
    const std::string before = listing(g);
    quantizer q(g, config, live_norms);
    q.prepare();
    const batch_norm_report report = q.batch_norms();
    CHECK(report.records.at(0).detail == detail);
    CHECK(count_of(g, "sqrt") == 0);
    bool noted = false;
    for (const std::string& n : q.applied_plan().notes) {
      noted = noted || n.starts_with("batch_norm: batch norm stays, ");
    }
    CHECK(noted);
    q.finalize();
    CHECK(count_of(g, "batch_norm") == 1);
    return report.records[0].outcome;
  };
  using o = fold_outcome;
  const normed_layer& c = normed_layers[1];
  ir::graph zero = normed_graph(c, true, true);
  stored(zero, "bn.weight")[4] = 0;
  CHECK(outcome(zero, nothing, "output channel 4, 0") == o::zero_scale);
  stored(zero, "bn.weight")[4] = 1e-38F;
  stored(zero, "bn.running_var")[4] = 1e6F;
  CHECK(outcome(zero, nothing, "output channel 4, 1e-41") == o::zero_scale);
  stored(zero, "bn.weight")[4] = -1e30F;
  stored(zero, "bn.running_var")[4] = 1.0F - 1e-3F;
  CHECK(outcome(zero, nothing, "output channel 4, -1e+30") == o::zero_scale);
  ir::graph broken = normed_graph(c, true, true);
  stored(broken, "bn.running_var")[2] = -1;
  CHECK(outcome(broken, nothing, "output channel 2") == o::not_finite);
  quantizer_config bias = nothing;
  bias.global_config.op_state_spec = {{"bias", quantization_spec{}}};
  CHECK(outcome(normed_graph(c, true, true), bias, "the layer's bias") == o::quantized_between);
  // Another reader of the layer: its result is not the batch norm's alone.
  ir::graph shared = normed_graph(c, true, true);
  shared.outputs.push_back(shared.at(shared.order[0]).results[0]);
  CHECK(outcome(shared, nothing, "2 readers") == o::read_elsewhere);

  // Of two in a row the first has the form, the second stays.
  ir::graph two = normed_graph(c, true, true, true);
  const auto x = random_tensor(c.input, 9);
  const auto before = ir::interpreter(two).run(x);
  quantizer q(two, nothing, live_norms);
  q.prepare();
  CHECK(q.batch_norms().folded() == 1);
  CHECK(q.batch_norms().records.at(1).outcome == o::no_layer);
  q.finalize();
  CHECK(count_of(two, "batch_norm") == 1);
  CHECK(distance(ir::interpreter(two).run(x), before) <= 1e-6);
}

TEST_CASE("train_batch_norm: adapters without arithmetic are told so") {
  toy::graph g = small_net();
  const toy::graph before = g;
  {
    quantizer q(g, {}, live_norms);
    CHECK_ERROR(q.prepare(), unsupported, "arithmetic_graph", "emit_arithmetic");
    CHECK_FALSE(q.prepared());
  }
  CHECK(g.same_as(before));
}

TEST_CASE("train_batch_norm: a layer that training broke stays, the others are folded") {
  ir::builder b;
  const auto w = [&](const std::string& name, const shape& extents, std::uint64_t seed) {
    return b.state(name, random_tensor(extents, seed));
  };
  auto y = b.input("x");
  for (const std::string n : {"a", "b"}) {
    y = b.conv2d(y, w(n + ".weight", {3, 3, 1, 1}, 1), w(n + ".bias", {3}, 2));
    const auto mean = w(n + ".mean", {3}, 3);
    y = b.relu(b.batch_norm(y, w(n + ".gamma", {3}, 4), w(n + ".beta", {3}, 5), mean,
                            b.state(n + ".variance", positive(random_tensor({3}, 6)))));
  }
  b.output(y);
  ir::graph g = std::move(b).build();
  std::vector<std::string> log;
  quantizer_options options = live_norms;
  options.log = [&](log_level level, std::string_view m) {
    CHECK(level == log_level::warning);
    log.emplace_back(m);
  };
  quantizer q(g, weights_only, options);
  q.prepare();
  CHECK(q.batch_norms().folded() == 2);
  CHECK(log.empty());
  stored(g, "b.variance")[1] = -2;
  const std::string why = "batch norm stays, output channel 1 is no longer finite";
  const auto x = random_tensor({2, 3, 4, 4}, 9);
  const auto before = q.run(x)[0];
  const compression_report report = q.finalize();
  CHECK_NOTHROW(ir::verify(g));
  CHECK(log == std::vector<std::string>{"b.weight: " + why});
  CHECK(report.notes == log);
  CHECK(count_of(g, "batch_norm") == 1);
  CHECK(count_of(g, "sqrt") == 1);
  CHECK(count_of(g, "fake_quant") == 0);
  for (const weight_record& r : report.weights) {
    if (r.name == "a.weight") CHECK(r.status == tensor_status::compressed);
    if (r.name != "b.weight") continue;
    CHECK(r.status == tensor_status::left_dense);
    CHECK(r.why == reason::not_folded);
    CHECK(r.reason == why);
    CHECK(r.bytes_after == r.bytes_before);
  }
  // One weight is stored as codes; a pair reads the product that is left of the form.
  std::vector<std::string> sources;
  for (const ir::node_id n : g.order) {
    if (g.at(n).op != "quantize") continue;
    const ir::value& read = g.at(g.at(n).operands[0]);
    sources.push_back(read.producer.index < 0 ? read.name : g.at(read.producer).op);
  }
  CHECK(sources == std::vector<std::string>{"mul"});
  CHECK(count_of(g, "constexpr_blockwise_shift_scale") == 1);
  // All but the broken channel compute what they did.
  const auto after = ir::interpreter(g).run(x);
  for (index_t i = 0; i < after.size(); ++i) {
    if (i / 16 % 3 == 1) continue;
    CHECK(std::abs(after[i] - before[i]) <= 1e-5F * (1 + std::abs(before[i])));
  }
}

TEST_CASE("train_batch_norm: a scale that training makes 0 gives the bias, no NaN, and folds") {
  each_case([](const normed_layer& c, bool biased, bool affine) {
    if (!affine) return;
    ir::graph g = normed_graph(c, biased, affine);
    const auto x = random_tensor(c.input, 9);
    quantizer q(g, weights_only, live_norms);
    q.prepare();
    for (const float gamma : {0.0F, -0.0F, 1e-45F, 1e-30F, 1e-20F, 1e20F}) {
      CAPTURE(gamma);
      stored(g, "bn.weight")[1] = gamma;
      {
        const auto training = q.training_mode();
        const auto y = q.run(x)[0];
        CHECK(std::ranges::all_of(y.elements(), [](float v) { return std::isfinite(v); }));
      }
    }
    stored(g, "bn.weight")[1] = 0;
    const auto before = q.run(x)[0];
    const index_t inner = before.extents().product(2, before.rank());
    const float beta = std::max(stored(g, "bn.bias")[1], 0.0F);
    for (index_t i = 0; i < before.size(); ++i) {
      if (i / inner % c.channels == 1) CHECK(before[i] == beta);
    }
    CHECK(q.finalize().notes.empty());
    CHECK(count_of(g, "batch_norm") == 0);
    CHECK(distance(ir::interpreter(g).run(x), before) <= 2e-6);
  });
}

TEST_CASE("train_batch_norm: modes set and restore what the graph was in") {
  ir::graph g = normed_graph(normed_layers[1], true, true);
  const auto x = random_tensor(normed_layers[1].input, 9);
  g.training = true;
  {
    ir::graph broken = g;  // an error restores it too
    stored(broken, "a.weight")[0] = std::numeric_limits<float>::infinity();
    quantizer q(broken, {}, live_norms);
    CHECK_ERROR(q.prepare(), non_finite, "a.weight");
    CHECK(broken.training);
    CHECK(q.batch_norms().records.empty());
    quantizer p(g, nothing, live_norms);
    p.prepare();  // as the graph is in use: its batch norms have their parameters
    CHECK(p.batch_norms().records.at(0).outcome == fold_outcome::folded);
    CHECK(g.training);
  }
  ir::graph h = normed_graph(normed_layers[1], true, true);
  quantizer q(h, {}, live_norms);
  h.training = false;
  q.prepare(x);
  CHECK_FALSE(h.training);
  h.training = true;
  {
    const auto scope = q.calibration_mode();
    CHECK_FALSE(h.training);
  }
  CHECK(h.training);
  {
    const auto scope = q.training_mode();
    CHECK(h.training);
    CHECK_ERROR((void)q.calibration_mode(), invalid_state, "training scope");
    CHECK(h.training);
  }
  CHECK(h.training);
}
