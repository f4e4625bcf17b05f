// What users hand in that is odd or wrong: everything either works or is refused with the graph as it was.
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/flow/report_json.hpp>
#include <lutra/graph/inspect.hpp>
#include <lutra/graph/presets.hpp>

#include <algorithm>
#include <sstream>

#include "errors.hpp"
#include "nets.hpp"

using namespace lutra;

namespace {
constexpr std::size_t long_name = 200'000;

// Palettes, then activations, with both states saved and loaded into a second run of the same graph.
struct both_flows {
  toy::graph first, second;
  compression_report weights, activations;

  explicit both_flows(const toy::graph& g, const joint_config& config = presets::p4a8(),
                      bool run = true)
      : first(g), second(g) {
    kmeans_palettizer p(first, config.weights);
    p.prepare();
    const std::vector<std::uint8_t> palettes = p.save();
    weights = p.finalize();
    kmeans_palettizer again(second, config.weights);
    again.load(palettes);
    CHECK(again.save() == palettes);
    again.finalize();
    quantizer q(first, config.activations);
    q.prepare();
    if (run) {
      const auto scope = q.calibration_mode();
      q.run(batch(1));
    }
    const std::vector<std::uint8_t> ranges = q.save();
    activations = q.finalize();
    quantizer later(second, config.activations);
    later.prepare();
    later.load(ranges);
    CHECK(later.save() == ranges);
    later.finalize();
    CHECK(first.same_as(second));
  }
};

const weight_record& weight_of_report(const compression_report& r, const std::string& name) {
  for (const weight_record& w : r.weights) {
    if (w.name == name) return w;
  }
  FAIL("no record of " << name);
  return r.weights.front();
}
}  // namespace

TEST_CASE("bad_input: graphs without nodes, and without anything") {
  const both_flows nothing{toy::graph(), presets::p4a8(), false};
  CHECK(nothing.weights.weights.empty());
  CHECK(nothing.activations.activations.empty());
  toy::graph wire;
  wire.outputs = {wire.input()};
  const both_flows through(wire);
  CHECK(through.first.same_as(wire));
  toy::graph constant;
  constant.outputs = {constant.state("a.weight", random_tensor({2, 2}, 1))};
  const both_flows kept(constant);
  CHECK(kept.first.same_as(constant));
  CHECK(weight_of_report(kept.weights, "a.weight").reason == "no known op reads it as its weight");
  CHECK(text_of(inspect(plan(wire))) == "nothing a config can target\n");
}

TEST_CASE("bad_input: weights that are not floating point are left alone, with the reason") {
  small_net net;
  net.values.at(net.w1).is_float = false;
  net.values.at(net.w1).data = {};  // nobody reads it
  toy::graph g = net;
  kmeans_palettizer p(g);
  p.prepare();
  const compression_report r = p.finalize();
  CHECK(weight_of_report(r, "fc1.weight").status != tensor_status::compressed);
  CHECK(weight_of_report(r, "fc1.weight").reason == "not floating point");
  CHECK(weight_of_report(r, "fc2.weight").status == tensor_status::compressed);
  CHECK(g.maker(net.l1).operands[1] == net.w1);
  toy::graph h = net;
  quantizer q(h);
  q.prepare();
  CHECK(q.applied_plan().count_places(true) == 1);
  const quantization_plan& applied = q.applied_plan();
  CHECK(applied.operand_decision[1].why == reason::not_float);
  // Named on purpose: a note says that it has no effect.
  const quantization_plan named = plan(
      h, {.global_config = {.op_state_spec = {{"weight", int8_symmetric}, {"*", int8_symmetric}}}});
  CHECK(std::any_of(named.notes.begin(), named.notes.end(), [](const std::string& note) {
    return note.find("addresses fc1.weight") != std::string::npos;
  }));
}

TEST_CASE("bad_input: float weights that the adapter cannot give are refused") {
  for (const shape& extents : {shape{}, shape{5}, shape{6, 5, 1}}) {
    small_net net;
    net.values.at(net.w2).data = random_tensor(extents, 1);
    toy::graph g = net;
    kmeans_palettizer p(g);
    CHECK_ERROR(p.prepare(), shape_mismatch, "fc2.weight");
    CHECK(g.same_as(net));
    CHECK_ERROR(p.finalize(), invalid_state, "prepare() was not called");
    quantizer q(g, presets::w4_per_block(4));  // the default axis of a linear is 1
    if (extents.rank() > 1) continue;
    CHECK_ERROR(q.prepare(), invalid_argument, "axis out of bounds");
    CHECK(g.same_as(net));
    CHECK_ERROR(q.finalize(), invalid_state, "prepare() was not called");
  }
}

TEST_CASE("bad_input: names of 200,000 letters") {
  const std::string letters(long_name, 'n');
  toy::graph g;
  const int x = g.input();
  const int w = g.state(letters + ".weight", random_tensor({6, 5}, 1));
  const int a = g.op("linear", {x, w}, letters, letters + "linear");
  const int b = g.op("op" + letters, {a}, letters, letters);
  const int c = g.op("relu", {b}, "", letters);  // the same name again
  g.types[letters] = "a." + letters;
  g.outputs = {g.op("linear", {c, g.state("fc.weight", random_tensor({4, 6}, 2))}, "fc")};
  joint_config config = presets::p4a8();
  config.activations
      .set_module_name(letters, module_config{.op_state_spec = off})  // as it is
      .set_module_name("n*x|" + letters + "n", off)                   // matches nothing
      .set_module_type("a." + letters, module_config{.op_state_spec = off})
      .set_op_name("(" + letters + "|[n-z]*)linear", op_config{.op_state_spec = off});
  config.weights.set_module_name("(n|m)+", {});
  const both_flows flows(g, config);
  CHECK(weight_of_report(flows.weights, letters + ".weight").status == tensor_status::compressed);
  CHECK_FALSE(flows.activations.activations.empty());
  const quantization_plan planned = plan(g, config.activations);
  CHECK(json_of(inspect(planned)).dump().find(letters + "#2") != std::string::npos);
  std::istringstream lines(text_of(inspect(planned)));  // readable in a terminal all the same
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= terminal_columns);
}

TEST_CASE("bad_input: configs that are refused leave the graph as it was") {
  const small_net net;
  toy::graph g = net;
  const auto refused = [&](const joint_config& c) {
    CHECK_THROWS_AS(kmeans_palettizer(g, c.weights).prepare(), error);
    CHECK_THROWS_AS(quantizer(g, c.activations).prepare(), error);
    CHECK_THROWS_AS(plan(g, c.activations), error);
    CHECK_THROWS_AS(plan(g, c.weights), error);
    CHECK(g.same_as(net));
    CHECK(g.edits == 0);
  };
  for (const std::string& pattern :
       {std::string("("), std::string(long_name, '('), std::string(long_name, '*'),
        "[" + std::string(long_name, 'a'), std::string(long_name, 'a') + "\\",
        std::string(long_name, 'a') + "{2}"}) {
    joint_config c;
    c.weights.set_module_name(pattern, {});
    c.activations.set_module_name(pattern, {});
    refused(c);
    joint_config ops;
    ops.weights.set_op_name(pattern, {});
    ops.activations.set_op_name(pattern, {});
    refused(ops);
  }
  joint_config values;
  values.weights.global_config.op_state_spec = {{"weight", {.n_bits = 9}}};
  values.activations.global_config.op_input_spec = {
      {"*", quantization_spec{.averaging_constant = 0}}};
  refused(values);
  joint_config types;
  types.weights.set_module_type(std::string(long_name, 'T'), {});
  types.activations.set_module_type("NoDot", {});
  refused(types);
  joint_config boundary;
  boundary.weights.global_config.module_state_spec = {{"weight", palettization_spec{}}};
  boundary.activations.global_config.module_state_spec = {{"weight", int8_symmetric}};
  refused(boundary);
}
