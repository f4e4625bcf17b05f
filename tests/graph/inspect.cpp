#include <lutra/graph/inspect.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

namespace {
toy::graph net() {
  toy::graph g;
  const int x = g.input();
  const int v = g.op("linear", {x, g.state("fc1.weight")}, "fc1");
  g.outputs = {g.op("linear", {g.op("dropout", {g.op("relu", {v})}), g.packed()}, "fc2")};
  return g;
}
const inspected_op& op_named(const graph_inspection& i, const std::string& name) {
  for (const inspected_module& m : i.modules) {
    for (const inspected_op& o : m.ops) {
      if (o.name == name) return o;
    }
  }
  FAIL("no op " << name);
  return i.modules[0].ops[0];
}
}  // namespace

TEST_CASE("inspect: every module, op, operand and result of the graph") {
  const toy::graph g = net();
  const graph_inspection i = inspect(g);
  const graph_index index = index_of(g).index;
  CHECK(index_t(i.modules.size()) == index.modules.size());
  CHECK(i.modules[0].path.empty());
  CHECK(i.modules[0].depth == 0);
  index_t ops = 0, operands = 0, results = 0;
  for (const inspected_module& m : i.modules) {
    for (const inspected_op& o : m.ops) {
      ++ops;
      operands += index_t(o.inputs.size());
      results += index_t(o.outputs.size());
    }
  }
  CHECK(ops == index.node_count());
  CHECK(operands == index.operand_count());
  CHECK(results == index_t(index.results.items.size()));
  CHECK(i.notes.empty());
}

TEST_CASE("inspect: targets are the ops patterns start with") {
  const graph_inspection i = inspect(net());
  for (const inspected_module& m : i.modules) {
    for (const inspected_op& o : m.ops) CHECK(o.target == (o.type == "linear"));
  }
  const graph_inspection t = targets_of(i);
  index_t ops = 0;
  for (const inspected_module& m : t.modules) ops += index_t(m.ops.size());
  CHECK(ops == 2);
  for (const inspected_module& m : t.modules) {
    CHECK(std::any_of(i.modules.begin(), i.modules.end(),
                      [&](const inspected_module& all) { return all.path == m.path; }));
  }
  toy::graph none;
  none.outputs = {none.op("dropout", {none.input()})};
  CHECK(text_of(targets_of(inspect(none))) == "nothing a config can target\n");
}

TEST_CASE("inspect: parents of a kept module are kept, its siblings are not") {
  graph_inspection i;
  const auto module = [&](const char* path, int depth, bool target) {
    i.modules.push_back({path, "", depth, {{"op", "linear", target, {}, {}}}});
  };
  module("", 0, false);
  module("a", 1, false);
  module("a.x", 2, false);
  module("a.y", 2, true);
  module("b", 1, false);
  std::vector<std::string> paths;
  for (const inspected_module& m : targets_of(i).modules) paths.push_back(m.path);
  CHECK(paths == std::vector<std::string>{"", "a", "a.y"});
}

TEST_CASE("inspect: a plan adds the decision of every operand and result") {
  const quantization_plan p = plan(net());
  const graph_inspection i = inspect(p);
  for (const inspected_module& m : i.modules) {
    for (const inspected_op& o : m.ops) {
      for (const inspected_value& v : o.inputs) CHECK_FALSE(v.decision.empty());
      for (const inspected_value& v : o.outputs) CHECK_FALSE(v.decision.empty());
    }
  }
  const inspected_op& fc1 = op_named(i, "linear");
  CHECK(fc1.inputs[0].state == "input");
  CHECK(fc1.inputs[0].on);
  CHECK(fc1.inputs[1].state == "state");
  CHECK(fc1.inputs[1].name == "fc1.weight");
  CHECK_FALSE(fc1.outputs[0].on);
  CHECK(fc1.outputs[0].decision == "inside the fused pattern that starts at linear");
  const inspected_op& fc2 = op_named(i, "linear_1");
  CHECK(fc2.inputs[1].state == "palette");
  CHECK(fc2.inputs[1].decision == "already compressed");
}

TEST_CASE("inspect: the text has a line for everything, indented by module") {
  const std::string text = text_of(inspect(plan(net())));
  CHECK(text.starts_with("<root>"));
  for (const char* part :
       {"\n    linear, can be targeted\n", "\n    linear_1: linear, can", "  in 0  input 0",
        "  in 1  fc1.weight", "(palette)", "already compressed", "dropout\n", "  out   relu"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE(
    "inspect: the text leaves out modules without ops, and says a result shares its op's own "
    "range") {
  toy::graph g;
  const int v = g.op("linear", {g.input(), g.state("empty.weight")}, "full");
  g.types["empty"] = "nn.Nothing";
  g.outputs = {g.op("flatten", {g.op("relu", {v})})};
  const graph_inspection i = inspect(plan(g));
  CHECK(op_named(i, "flatten").inputs[0].decision == "shares the range of relu");
  CHECK(op_named(i, "flatten").outputs[0].decision == "shares the range of its op's input");
  const std::string text = text_of(i);
  CHECK(text.find("full") != std::string::npos);
  CHECK(text.find("nn.Nothing") == std::string::npos);
}

TEST_CASE("inspect: an operand that is off and reads a quantized tensor says so") {
  const quantization_plan p = plan(net());
  const graph_inspection whole = inspect(p);
  const inspected_op& dropout = op_named(whole, "dropout");
  CHECK(dropout.inputs[0].on);
  CHECK(dropout.inputs[0].decision ==
        "quantized where relu is made; for itself: no registered pattern has this op");
  CHECK_FALSE(dropout.outputs[0].on);
  // A boundary that is off does not make its op read float.
  toy::graph g;
  const int a = g.op("linear", {g.input(), g.state("a.weight")}, "a");
  g.outputs = {g.op("linear", {a, g.state("b.weight")}, "b")};
  const graph_inspection i =
      inspect(plan(g, {.module_name_configs = {{"b", {.module_input_spec = {{0, off}}}}}}));
  CHECK(op_named(i, "linear_1")
            .inputs[0]
            .decision.starts_with(
                "quantized where linear is made; for itself: off by a module boundary spec"));
  for (const inspected_module& m : i.modules) {
    for (const inspected_op& o : m.ops) {
      for (const inspected_value& v : o.inputs) {
        CHECK((v.on && v.decision.starts_with("off")) == false);
      }
    }
  }
}

TEST_CASE("inspect: the text keeps to 100 columns, however long the names and deep the modules") {
  toy::graph g;
  const std::string long_name(3000, 'n');
  std::string module = "m";
  for (int depth = 0; depth < 40; ++depth) module += ".m";
  const int a = g.op("linear", {g.input(), g.state(long_name + ".weight")}, module, long_name);
  g.outputs = {g.op(long_name, {a, g.packed()}, module)};
  g.types[module] = long_name;
  const std::string text = text_of(
      inspect(plan(g, {.module_name_configs = {{long_name, {}}, {".*", {.op_input_spec = off}}}})));
  std::size_t longest = 0, length = 0;
  for (const char c : text) {
    length = c == '\n' ? 0 : length + 1;
    longest = std::max(longest, length);
  }
  CHECK(longest <= 100);
  CHECK(longest > 80);
}
