#include <lutra/graph/inspect.hpp>
#include <lutra/graph/joint_plan.hpp>
#include <lutra/graph/presets.hpp>

#include "plan_helpers.hpp"
#include "reference_nets.hpp"

using namespace lutra;

namespace {
toy::graph joint_mnist(bool palettes) {
  return toy::mnist_net({}, [&](toy::graph& g, const std::string& name, const shape&) {
    return palettes ? g.packed() : g.state(name);
  });
}
}  // namespace

TEST_CASE("joint_plan: activations are planned as on the palettized graph") {
  joint_config c = presets::p4a8();
  c.activations = presets::w8a8();
  const joint_plan p = plan(joint_mnist(false), c);
  index_t chosen = 0;
  for (const weight_choice& w : p.weights.weights) chosen += w.chosen ? 1 : 0;
  CHECK(chosen == 6);
  const quantization_plan wanted = plan(joint_mnist(true), c.activations);
  CHECK(p.activations.count_places(true) == 0);
  CHECK(p.activations.count_places(false) == 12);
  CHECK(p.activations.operand_place == wanted.operand_place);
  CHECK(p.activations.operand_decision == wanted.operand_decision);
  CHECK(p.activations.value_decision == wanted.value_decision);
}

TEST_CASE("joint_plan: weights that stay dense are the quantizer's") {
  joint_config c = presets::p4a8();
  c.weights.only_for({"conv2d", "linear"});
  c.activations = presets::w8a8();
  const joint_plan p = plan(joint_mnist(false), c);
  CHECK(p.activations.count_places(true) == 2);  // of the transposed convolutions
}

TEST_CASE("joint_plan: a config in braces is a quantizer's, with all three overloads in sight") {
  const toy::graph g = joint_mnist(false);
  CHECK(plan(g, {.global_config = off}).places.empty());
  CHECK(plan(g, {}).count_places(true) == 6);
  CHECK(plan(g, palettizer_config{.global_config = off}).weights.size() == 14);
}

TEST_CASE("joint_plan: inspections of a palettizer's plan and of a joint one") {
  const auto decision_of = [](const graph_inspection& all, const std::string& name) {
    for (const inspected_module& m : all.modules) {
      for (const inspected_op& o : m.ops) {
        for (const inspected_value& v : o.inputs) {
          if (v.name == name) return v.decision + (v.on ? " (on)" : "");
        }
      }
    }
    return std::string("no such operand");
  };
  const toy::graph g = joint_mnist(false);
  joint_config c = presets::p4a8();
  c.weights.without({"conv_transpose2d"});
  const graph_inspection weights = inspect(plan(g, c.weights));
  CHECK(decision_of(weights, "conv1.weight").starts_with("4-bit palette by op_state_spec"));
  CHECK(decision_of(weights, "conv1.weight").ends_with(" (on)"));
  CHECK(decision_of(weights, "conv1.bias") == "no known op reads it as its weight");
  CHECK(decision_of(weights, "input 0").empty());
  for (const inspected_module& m : weights.modules) {
    for (const inspected_op& o : m.ops) CHECK(o.target == weight_of(o.type).has_value());
  }
  const graph_inspection both = inspect(plan(g, c));
  CHECK(decision_of(both, "conv1.weight").starts_with("4-bit palette by op_state_spec"));
  CHECK(decision_of(both, "input 0").starts_with("quantized by its config"));
  const std::string left = decision_of(both, "ct1.weight");
  CHECK(left.starts_with("no palette: the whole config is off (config entry "));
  CHECK(left.find("; quantizer: off: ") != std::string::npos);
  for (const inspected_module& m : both.modules) {
    for (const inspected_op& o : m.ops) {
      for (const inspected_value& v : o.inputs) CHECK_FALSE(v.decision.empty());
    }
  }
}
