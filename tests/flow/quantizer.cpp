#include <array>
#include <cmath>
#include <limits>
#include <lutra/flow/quantizer.hpp>
#include <lutra/flow/report_text.hpp>
#include <new>

#include "nets.hpp"

using namespace lutra;

namespace {
const quantizer_config activations_only{.global_config = {.op_state_spec = {}}};
using callback = std::function<void(fake_quant_id, tensor_view<const float>, tensor_view<float>)>;
tensor<float> run_float(toy::graph& g, const tensor<float>& x) {
  return graph_traits<toy::graph>::run(g, x, [](auto...) { FAIL("a fake-quant node"); });
}
// quantize/dequantize pairs as a framework would compute them.
struct finalized_runner {
  tensor<float> operator()(toy::graph g, const tensor<float>& x) const {
    std::vector<const qparams*> params;
    for (const int id : g.order) {
      if (g.nodes.at(id).op == "dequantize") {
        params.push_back(&*g.nodes.at(id).quantization);
        g.nodes.at(id).op = "fake_quant";
        g.nodes.at(id).fake_quant = static_cast<int>(params.size()) - 1;
      }
    }
    return graph_traits<toy::graph>::run(
        g, x, [&](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
          fake_quantize(in, *params[to_size(id.index)], out);
        });
  }
};
}  // namespace

TEST_CASE("quantizer: prepare inserts the planned nodes, calibration leaves the float model") {
  toy::graph g = small_net();
  const small_net original;
  toy::graph float_graph = original;
  quantizer q(g, activations_only);
  CHECK(q.plan().places.size() == 5);  // x, relu, pool, flatten, output
  q.prepare();
  CHECK(q.prepared());
  CHECK(g.count("fake_quant") == 5);
  CHECK(q.fake_quantizers().size() == 3);
  // Nothing was observed: activations pass.
  CHECK(q.run(batch(0)) == run_float(float_graph, batch(0)));
  {
    const auto calibrating = q.calibration_mode();
    CHECK(q.run(batch(0)) == run_float(float_graph, batch(0)));
  }
  CHECK_FALSE(q.run(batch(0)) == run_float(float_graph, batch(0)));
}

TEST_CASE("quantizer: a shared fake-quantizer is updated once per node") {
  toy::graph g = small_net();
  quantizer q(g, activations_only);
  q.prepare();
  const std::vector<tensor<float>> batches{batch(0), batch(1)};
  q.calibrate(batches);
  // relu, pool and flatten see the same tensor: three updates of the moving average per batch.
  fake_quantizer expected(int8_symmetric, target::activation);
  toy::graph plain = small_net();
  plain.outputs = {small_net().r};
  for (const auto& b : batches) {
    const tensor<float> relu = run_float(plain, b);
    for (int i = 0; i < 3; ++i) expected.observe(lutra::view(relu));
  }
  const index_t shared = q.applied_plan().places[1].group;
  CHECK(q.fake_quantizers()[to_size(shared)].params() == expected.params());
  CHECK(q.fake_quantizers()[to_size(shared)].samples() == 2 * 3 * 18);
}

TEST_CASE("quantizer: the finalized graph computes what the calibrated one did, bit for bit") {
  toy::graph g = small_net();
  quantizer q(g);  // weights too
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1), batch(2)});
  const tensor<float> simulated = q.run(batch(7));
  const compression_report report = q.finalize();
  CHECK_FALSE(q.prepared());
  CHECK(g.count("fake_quant") == 0);
  CHECK(g.count("quantize") == 7);
  CHECK(finalized_runner()(g, batch(7)) == simulated);

  REQUIRE(report.activations.size() == 3);
  CHECK(report.activations[0].name == "input 0");
  CHECK(report.activations[1].values == std::vector<std::string>{"relu", "max_pool2d", "flatten"});
  CHECK(report.activations[1].samples == 3 * 3 * 18);
  REQUIRE(report.left_float.size() == 1);
  CHECK(report.left_float[0].name == "linear");
  CHECK(report.left_float[0].reason == "inside the fused pattern that starts at linear");
  REQUIRE(report.weights.size() == 3);
  CHECK(report.weights[0].status == tensor_status::compressed);
  CHECK(report.weights[0].n_bits == 8);
  CHECK(report.weights[0].groups == 6);
  CHECK(report.weights[0].sqnr_db() > 35.0);
  CHECK(report.weights[1].name == "fc1.bias");
  CHECK(report.weights[1].status == tensor_status::left_dense);
  CHECK_FALSE(report.weights[1].reason.empty());
}

TEST_CASE("quantizer: prepare with a batch gives a first range and no calibration") {
  toy::graph g = small_net();
  quantizer q(g, activations_only, {.allow_uncalibrated = true});
  q.prepare(batch(0));
  for (const fake_quantizer& fq : q.fake_quantizers()) {
    CHECK(fq.initialized());
    CHECK_FALSE(fq.observer_enabled());
    CHECK(fq.fake_quant_enabled());
  }
  toy::graph plain = small_net();
  CHECK_FALSE(q.run(batch(0)) == run_float(plain, batch(0)));
  CHECK(q.finalize().activations.size() == 3);

  toy::graph strict = small_net();
  quantizer r(strict, activations_only);
  r.prepare(batch(0));
  const error e = error_of([&] { r.finalize(); });
  CHECK(e.code() == errc::invalid_state);
  CHECK(e.problem() == "activations saw no calibration batch");
  CHECK(e.value() == "input 0, relu, linear_1");
  CHECK(strict.count("fake_quant") == 5);  // untouched, may go on
  r.calibrate(std::vector<tensor<float>>{batch(1)});
  r.finalize();
}

TEST_CASE("quantizer: allow_uncalibrated without any data leaves activations float") {
  toy::graph g = small_net();
  quantizer q(g, activations_only, {.allow_uncalibrated = true});
  q.prepare();
  const compression_report report = q.finalize();
  CHECK(g.nodes == small_net().nodes);
  CHECK(g.outputs == small_net().outputs);
  CHECK(report.activations.empty());
  CHECK(report.left_float.size() == 6);
  CHECK(report.left_float[0].reason == "no data was observed");
  CHECK(report.left_float[0].why == reason::no_data);
}

TEST_CASE("quantizer: the calibration scope restores the switches, also after an exception") {
  toy::graph g = small_net();
  quantizer q(g, activations_only);
  q.prepare();
  g.runs_until_failure = 1;
  try {
    auto scope = q.calibration_mode();
    auto moved = std::move(scope);
    for (const fake_quantizer& fq : q.fake_quantizers()) {
      CHECK(fq.observer_enabled());
      CHECK_FALSE(fq.fake_quant_enabled());
    }
    q.run(batch(0));
    q.run(batch(1));
    FAIL("no failure");
  } catch (const toy::failure&) {}
  for (const fake_quantizer& fq : q.fake_quantizers()) {
    CHECK_FALSE(fq.observer_enabled());
    CHECK(fq.fake_quant_enabled());
  }
  g.runs_until_failure = -1;
  q.finalize();  // the batch before the failure counts
}

TEST_CASE("quantizer: calls out of order") {
  toy::graph g = small_net();
  quantizer q(g, activations_only);
  CHECK(error_of([&] { q.finalize(); }).problem() == "prepare() was not called");
  CHECK(error_of([&] { (void)q.calibration_mode(); }).code() == errc::invalid_state);
  CHECK(error_of([&] { q.run(batch(0)); }).where() == "quantizer::run");
  q.prepare();
  CHECK(error_of([&] { q.prepare(); }).problem() == "prepare() was called before");
  {
    const toy::graph before = g;
    quantizer other(g, activations_only);
    const error e = error_of([&] { other.prepare(); });
    CHECK(e.problem() == "the graph is already prepared");
    CHECK(e.value().find("fake_quant") != std::string::npos);
    CHECK(g.same_as(before));
  }
  {
    const auto scope = q.calibration_mode();
    CHECK(error_of([&] { (void)q.calibration_mode(); }).problem() == "a calibration scope is open");
    CHECK(error_of([&] { q.finalize(); }).problem() == "a calibration scope is open");
    q.run(batch(0));
  }
  tensor<float> x({3});
  const error e = error_of([&] { q.on_fake_quant({9}, lutra::view(x), lutra::view(x)); });
  CHECK(e.code() == errc::invalid_argument);
  CHECK(e.allowed() == "0..2");
  q.finalize();

  toy::graph h = small_net();
  quantizer fresh(h, activations_only);
  fresh.prepare();
  tensor<float> y({4});
  CHECK_THROWS_AS(fresh.on_fake_quant({0}, lutra::view(x), lutra::view(y)), error);
  CHECK(fresh.fake_quantizers()[0].fake_quant_enabled());  // off only during the call
  tensor<float> none({0, 3});
  {
    const auto scope = fresh.calibration_mode();
    for (int i = 0; i < 3; ++i) fresh.on_fake_quant({i}, lutra::view(none), lutra::view(none));
  }
  CHECK(error_of([&] { fresh.finalize(); }).problem() == "activations saw no calibration batch");
  CHECK(error_of([&] { q.finalize(); }).problem() == "finalize() was called before");
  CHECK(error_of([&] { q.prepare(); }).code() == errc::invalid_state);
}

TEST_CASE("quantizer: bad weights, graphs and configs leave the graph as it was") {
  {
    small_net net;
    net.values.at(net.w2).data[3] = std::numeric_limits<float>::quiet_NaN();
    toy::graph g = net;
    quantizer q(g);
    const error e = error_of([&] { q.prepare(); });
    CHECK(e.code() == errc::non_finite);
    CHECK(e.where() == "fc2.weight");
    CHECK(e.value() == "1 of 24, first at position 3");
    CHECK(g.nodes == net.nodes);
    CHECK_FALSE(q.prepared());
  }
  {
    small_net net;
    net.maker(net.l1).operands[0] = net.r;
    toy::graph g = net;
    quantizer q(g);
    const error e = error_of([&] { q.prepare(); });
    CHECK(e.code() == errc::invalid_graph);
    CHECK(e.value().find("relu") != std::string::npos);
    CHECK(g.same_as(net));
  }
  {
    small_net net;
    net.maker(net.r).operands[0] = net.add({});
    toy::graph g = net;
    quantizer q(g);
    CHECK(error_of([&] { q.prepare(); }).problem() == "an operand is the result of no node");
    CHECK(g.same_as(net));
  }
  {
    const small_net net;
    toy::graph g = net;
    quantization_spec channels = int8_symmetric;
    channels.granularity = granularity::per_channel(2);
    quantizer q(g, {.global_config = {.op_state_spec = {{"weight", channels}}}});
    const error e = error_of([&] { q.prepare(); });
    CHECK(e.problem() == "axis out of bounds");
    CHECK(e.where() == "fc1.weight");
    CHECK(e.value() == "2");
    CHECK(g.same_as(net));
  }
  toy::graph g = small_net();
  CHECK(error_of([&] {
          quantizer q(g, {.module_type_configs = {{"Linear", {}}}});
        }).value() == "'Linear'");
}

TEST_CASE("quantizer: weights whose blocks do not fit are left alone and reported") {
  toy::graph g = small_net();
  quantization_spec blocks = int8_symmetric;
  blocks.granularity = granularity::per_block(3);  // inputs: 5 does not divide, 6 does
  quantizer q(g, {.global_config = {.op_state_spec = {{"weight", blocks}}}});
  q.prepare();
  CHECK(g.count("fake_quant") == 6);
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  const compression_report report = q.finalize();
  CHECK(report.weights[0].status == tensor_status::left_dense);
  CHECK(report.weights[0].reason.find("does not divide") != std::string::npos);
  CHECK(report.weights[0].why == reason::groups_do_not_fit);
  CHECK(report.weights[2].status == tensor_status::compressed);
  CHECK(report.weights[2].groups == 8);
}

TEST_CASE("quantizer: an activation whose blocks do not fit passes and is taken out") {
  toy::graph g = small_net();
  quantization_spec blocks = int8_symmetric;
  blocks.granularity = granularity::per_block(4, 1);
  quantizer q(g,
              {.global_config = {
                   .op_state_spec = {}, .op_input_spec = {{"*", blocks}}, .op_output_spec = off}});
  q.prepare();
  CHECK(g.count("fake_quant") == 4);
  q.calibrate(std::vector<tensor<float>>{batch(0)});  // 5 columns
  CHECK(q.fake_quantizers()[0].disabled());
  const compression_report report = q.finalize();
  CHECK(g.count("quantize") == 3);  // across flatten the spec is per tensor, which fits anything
  CHECK(report.left_float[0].name == "input 0");
  CHECK(report.left_float[0].reason.find("does not divide") != std::string::npos);
}

TEST_CASE("quantizer: two fake-quantizers in series are replaced in order") {
  toy::graph g = small_net();
  quantization_spec a4 = int8_symmetric;
  a4.dtype = dtype::int4;
  quantizer q(
      g,
      {.global_config = {.op_state_spec = {}},
       .module_name_configs = {{"fc2", {.op_state_spec = {}, .module_input_spec = {{"*", a4}}}}}});
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0), batch(1)});
  const tensor<float> simulated = q.run(batch(2));
  q.finalize();
  CHECK(g.count("dequantize") == 6);
  CHECK(finalized_runner()(g, batch(2)) == simulated);
}

TEST_CASE("quantizer: the joint flow leaves palettes in place") {
  small_net net;
  net.maker(net.l2).operands[1] = net.packed();
  toy::graph g = net;
  quantizer q(g, {.global_config = {.op_state_spec = {{"*", int8_symmetric}}}});
  q.prepare();
  CHECK(g.maker(net.l2).operands[1] == net.maker(net.l2).operands[1]);
  CHECK(g.values.at(g.maker(net.l2).operands[1]).role == value_role::packed_state);
}

TEST_CASE("quantizer: progress and log") {
  toy::graph g = small_net();
  quantizer_options options;
  std::vector<std::pair<index_t, index_t>> seen;
  bool go_on = false;
  options.progress = [&](std::string_view stage, index_t done, index_t total) {
    CHECK(stage == "calibrate");
    seen.emplace_back(done, total);
    return go_on || done < 1;
  };
  std::vector<std::string> log;
  options.log = [&](log_level level, std::string_view m) {
    CHECK(level == log_level::warning);
    log.emplace_back(m);
  };
  quantizer q(g, {.global_config = {.op_state_spec = {}}, .module_name_configs = {{"none", {}}}},
              options);
  q.prepare();
  CHECK(log == std::vector<std::string>{"config entry name 'none' matches no module"});
  const std::array<tensor<float>, 2> batches{batch(0), batch(1)};
  CHECK(error_of([&] { q.calibrate(batches); }).code() == errc::cancelled);
  CHECK_FALSE(q.fake_quantizers()[0].observer_enabled());
  go_on = true;
  seen.clear();
  q.calibrate(batches);
  CHECK(seen == std::vector<std::pair<index_t, index_t>>{{0, 2}, {1, 2}, {2, 2}});
}

TEST_CASE("quantizer: an adapter that throws at any edit leaves the graph as it was") {
  toy::graph probe = small_net();
  quantizer whole(probe);
  whole.prepare();
  const int in_prepare = probe.edits;
  whole.calibrate(std::vector<tensor<float>>{batch(0)});
  whole.finalize();
  const int in_finalize = probe.edits - in_prepare;
  constexpr int erasures = 7;
  for (int k = 0; k < in_prepare; ++k) {
    toy::graph g = small_net();
    const toy::graph before = g;
    g.fail_in = k;
    quantizer q(g);
    CHECK_THROWS_AS(q.prepare(), toy::failure);
    CHECK_MESSAGE(g.same_as(before), "edit " << k);
    q.prepare();
  }
  for (int k = 0; k < in_finalize; ++k) {
    toy::graph g = small_net();
    quantizer q(g);
    q.prepare();
    q.calibrate(std::vector<tensor<float>>{batch(0)});
    const toy::graph before = g;
    g.fail_in = k;
    if (k <= in_finalize - erasures) {  // up to and with the first erasure
      CHECK_THROWS_AS(q.finalize(), toy::failure);
      CHECK_MESSAGE(g.same_as(before), "edit " << k);
      CHECK(q.finalize().notes.empty());
    } else {  // the graph is final by then; a dead node stays and the report says so
      const compression_report report = q.finalize();
      CHECK(report.notes.back() == "1 dead nodes could not be erased from the graph");
      CHECK(g.count("fake_quant") == 1);
    }
    CHECK(g.count("dequantize") == 7);
  }
}

TEST_CASE("quantizer: a failing example run takes the insertion back") {
  toy::graph g = small_net();
  const toy::graph before = g;
  g.runs_until_failure = 0;
  quantizer q(g, activations_only);
  CHECK_THROWS_AS(q.prepare(batch(0)), toy::failure);
  CHECK(g.same_as(before));
  CHECK_FALSE(q.prepared());
  g.runs_until_failure = -1;
  q.prepare(batch(0));
}

TEST_CASE("quantizer: a range that no scale holds leaves its tensor float, the rest goes on") {
  toy::graph g = small_net();
  quantization_spec asymmetric = int8_symmetric;
  asymmetric.qscheme = qscheme::asymmetric;
  std::vector<std::string> log;
  quantizer_options options;
  options.log = [&](log_level level, std::string_view m) {
    CHECK(level == log_level::warning);
    log.emplace_back(m);
  };
  quantizer q(g,
              {.global_config = {.op_state_spec = {},
                                 .op_input_spec = {{"*", asymmetric}},
                                 .op_output_spec = off}},
              options);
  q.prepare();
  CHECK(log.empty());
  tensor<float> diverged = batch(0);
  diverged[0] = 3e38F;
  diverged[1] = -3e38F;
  q.calibrate(std::vector<tensor<float>>{diverged});
  const index_t before = g.count("fake_quant");
  const compression_report report = q.finalize();
  CHECK(g.count("fake_quant") == 0);
  CHECK(g.count("dequantize") == before - 1);
  CHECK(graph_traits<toy::graph>::role_of(g, g.maker(small_net().l1).operands[0]) ==
        value_role::graph_input);
  REQUIRE(log.size() == 1);
  CHECK(log[0].starts_with("input 0: stays float, range is too wide"));
  CHECK(report.notes == log);
  CHECK(report.left_float[0].name == "input 0");
  CHECK(report.left_float[0].reason.starts_with("range is too wide"));
  CHECK(report.left_float[0].why == reason::bad_range);
  CHECK(report.activations.size() >= 1);
}

TEST_CASE("quantizer: a log sink that throws in prepare leaves object and graph as they were") {
  toy::graph g = small_net();
  const toy::graph before = g;
  bool throws = true;
  quantizer_options options;
  options.log = [&](log_level, std::string_view) {
    if (throws) throw toy::failure();
  };
  quantizer q(g, {.module_name_configs = {{"none", {}}}}, options);
  CHECK_THROWS_AS(q.prepare(), toy::failure);
  CHECK(g.same_as(before));
  CHECK_FALSE(q.prepared());
  CHECK(q.applied_plan().places.empty());
  CHECK(q.fake_quantizers().empty());
  CHECK(error_of([&] { q.finalize(); }).problem() == "prepare() was not called");
  CHECK_THROWS_AS(q.prepare(batch(0)), toy::failure);
  CHECK(g.same_as(before));
  throws = false;
  q.prepare();
  CHECK(q.prepared());
}

TEST_CASE("quantizer: refused, failed and cancelled calls leave the graph as it was") {
  toy::graph g = small_net();
  const toy::graph original = g;
  bool cancels = false;
  quantizer_options options;
  options.progress = [&](std::string_view, index_t done, index_t) { return !cancels || done < 1; };
  quantizer q(g, activations_only, options);
  const std::vector<tensor<float>> batches{batch(0), batch(1)};
  CHECK_THROWS_AS(q.finalize(), error);
  CHECK_THROWS_AS(q.calibrate(batches), error);
  CHECK(g.same_as(original));
  q.prepare();
  const toy::graph prepared = g;
  CHECK_THROWS_AS(q.prepare(), error);
  CHECK_THROWS_AS(q.prepare(batch(0)), error);
  CHECK(error_of([&] { q.finalize(); }).problem() == "activations saw no calibration batch");
  CHECK(g.same_as(prepared));
  // The user's framework fails in the second batch.
  g.runs_until_failure = 1;
  CHECK_THROWS_AS(q.calibrate(batches), toy::failure);
  g.runs_until_failure = -1;
  CHECK(g.same_as(prepared));
  CHECK(all(q.fake_quantizers(), false, true));
  cancels = true;
  CHECK(error_of([&] { q.calibrate(batches); }).code() == errc::cancelled);
  CHECK(g.same_as(prepared));
  CHECK(all(q.fake_quantizers(), false, true));
  {
    const auto scope = q.training_mode();
    g.runs_until_failure = 0;
    CHECK_THROWS_AS(q.run(batch(0)), toy::failure);
    g.runs_until_failure = -1;
    CHECK_THROWS_AS(q.finalize(), error);
  }
  CHECK(g.same_as(prepared));
  q.finalize();
  const toy::graph finalized = g;
  CHECK_THROWS_AS(q.finalize(), error);
  CHECK_THROWS_AS(q.prepare(), error);
  CHECK(g.same_as(finalized));
}

namespace {
// Runs out of memory after some more tensors, having taken half of the one that fails.
struct failing_observer : global_min_max {
  static inline int observations_left = -1;
  using global_min_max::global_min_max;
  void observe(tensor_view<const float> x) {
    if (observations_left-- == 0) {
      global_min_max::observe(x);
      throw std::bad_alloc();
    }
    global_min_max::observe(x);
  }
};
}  // namespace

TEST_CASE("quantizer: a calibration batch that fails on its way leaves no statistics") {
  register_observer("failing",
                    [](const quantization_spec& s) { return any_observer(failing_observer(s)); });
  const quantization_spec spec{.qparam_calculator = "failing"};
  const quantizer_config config{.global_config = {.op_state_spec = {},
                                                  .op_input_spec = {{"*", spec}},
                                                  .op_output_spec = {{"*", spec}}}};
  toy::graph g = small_net(), h = small_net();
  quantizer q(g, config), whole(h, config);
  q.prepare();
  whole.prepare();
  failing_observer::observations_left = -1;
  const std::vector<tensor<float>> fails{batch(5)};
  std::vector<std::uint8_t> before = q.save();
  for (const std::uint64_t first : {0U, 1U}) {  // the first batch, and one that meets statistics
    for (int n = 0; n < 5; ++n) {
      failing_observer::observations_left = n;
      CHECK_THROWS_AS(q.calibrate(fails), std::bad_alloc);
      CHECK(q.save() == before);
      failing_observer::observations_left = n;
      {
        const auto scope = q.calibration_mode();
        CHECK_THROWS_AS(q.run(batch(5)), std::bad_alloc);
      }
      CHECK(q.save() == before);
    }
    // Whole batches in front of it stay.
    failing_observer::observations_left = 5 + 4;
    CHECK_THROWS_AS(q.calibrate(std::vector<tensor<float>>{batch(first), batch(5)}),
                    std::bad_alloc);
    failing_observer::observations_left = -1;
    whole.calibrate(std::vector<tensor<float>>{batch(first)});
    before = q.save();
    CHECK(before == whole.save());
  }
  const compression_report report = q.finalize(), expected = whole.finalize();
  CHECK(text_of(report) == text_of(expected));  // of samples too
}

TEST_CASE("quantizer: observers are known when it is made, those of one's own too") {
  const auto named = [](std::string_view key) {
    return quantizer_config{
        .global_config = {.op_state_spec = {},
                          .op_input_spec = {{"*", quantization_spec{.qparam_calculator = key}}},
                          .op_output_spec = {}}};
  };
  toy::graph g = small_net();
  try {
    quantizer q(g, named("observer of a tset"));
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.value() == "'observer of a tset'");
  }
  const quantizer_config config = named("observer of a test");
  register_observer("observer of a test",
                    [](const quantization_spec& s) { return any_observer(global_min_max(s)); });
  quantizer q(g, config);
  q.prepare();
  q.calibrate(std::vector<tensor<float>>{batch(0)});
  CHECK(q.fake_quantizers()[0].initialized());
}
