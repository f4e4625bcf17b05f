#include <lutra/ir/builder.hpp>
#include <lutra/ir/verify.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

using namespace lutra;

namespace {

// input -> relu -> relu_1 -> output
ir::graph chain() {
  ir::builder b;
  b.output(b.relu(b.relu(b.input("x"))));
  return std::move(b).build();
}

}  // namespace

TEST_CASE("verify: accepts graphs, the empty one too") {
  CHECK_NOTHROW(ir::verify(chain()));
  CHECK_NOTHROW(ir::verify(ir::graph{}));
}

TEST_CASE("verify: a cycle or a wrong order names the node and the operand") {
  ir::graph cycle = chain();
  cycle.at(cycle.order[0]).operands[0] = cycle.at(cycle.order[1]).results[0];
  CHECK_ERROR(ir::verify(cycle), invalid_graph, "cycle", "node 'relu' (relu)", "'relu_1'");
  ir::graph itself = chain();
  itself.at(itself.order[0]).operands[0] = itself.at(itself.order[0]).results[0];
  CHECK_ERROR(ir::verify(itself), invalid_graph, "cycle", "'relu'");
  ir::graph swapped = chain();
  std::swap(swapped.order[0], swapped.order[1]);
  CHECK_ERROR(ir::verify(swapped), invalid_graph, "wrong order", "'relu_1'");
}

TEST_CASE("verify: dangling operands, ids and outputs are named") {
  ir::graph erased = chain();
  erased.order.erase(erased.order.begin());
  CHECK_ERROR(ir::verify(erased), invalid_graph, "dangling operand", "'relu'", "'relu_1'");
  ir::graph far = chain();
  far.at(far.order[0]).operands[0] = {99};
  CHECK_ERROR(ir::verify(far), invalid_graph, "dangling value id", "got 99", "0..2");
  ir::graph none = chain();
  none.at(none.order[0]).operands[0] = {};
  CHECK_ERROR(ir::verify(none), invalid_graph, "dangling value id", "got -1");
  ir::graph output = chain();
  output.order.pop_back();
  CHECK_ERROR(ir::verify(output), invalid_graph, "output has no live producer", "'relu_1'");
  ir::graph node = chain();
  node.order.push_back({7});
  CHECK_ERROR(ir::verify(node), invalid_graph, "node that does not exist", "got 7");
  ir::graph input = chain();
  input.inputs.clear();
  CHECK_ERROR(ir::verify(input), invalid_graph, "dangling operand", "'x'");
}

TEST_CASE("verify: one producer per value, one place per node") {
  ir::graph twice = chain();
  twice.order.push_back(twice.order[0]);
  CHECK_ERROR(ir::verify(twice), invalid_graph, "node twice", "'relu'");
  ir::graph shared = chain();
  shared.at(shared.order[1]).results = shared.at(shared.order[0]).results;
  CHECK_ERROR(ir::verify(shared), invalid_graph, "belongs to something else", "'relu'");
  ir::graph role = chain();
  role.inputs.push_back(role.outputs[0]);
  CHECK_ERROR(ir::verify(role), invalid_graph, "another role", "'relu_1'");
  ir::graph input = chain();
  input.inputs.push_back(input.inputs[0]);
  CHECK_ERROR(ir::verify(input), invalid_graph, "graph input listed twice", "'x'");
  ir::graph state = chain();
  state.at(state.at(state.order[0]).results[0]).role = value_role::state;
  CHECK_ERROR(ir::verify(state), invalid_graph, "belongs to something else");
}
