#include <chrono>
#include <cstdlib>
#include <lutra/graph/plan.hpp>
#include <set>

#include "plan_helpers.hpp"
#include "reference_nets.hpp"

using namespace lutra;

namespace {
int plain(toy::graph& g, const std::string& name, const shape&) { return g.state(name); }
toy::graph mnist(bool palettized = false) {
  return toy::mnist_net({}, [&](toy::graph& g, const std::string& name, const shape& extents) {
    const bool transposed = name.starts_with("ct");
    return palettized && !transposed ? g.packed() : plain(g, name, extents);
  });
}
toy::graph resnet50() { return toy::resnet50_net({}, plain); }
toy::graph branches() {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("add", {x, g.state("offset")});
  const int r = g.op("relu", {a});
  const int s = g.op("sub", {a, r});
  const int e = g.op("embedding", {g.state("table.weight"), g.op("argmax", {s})}, "table");
  g.values.at(g.maker(e).operands[1]).is_float = false;
  g.outputs = {g.op("cat", {g.op("gelu", {s}), e}), r};
  return g;
}

void count_reasons(const looked_at& p, std::set<reason>& seen) {
  for (const auto* list : {&p.plan.operand_decision, &p.plan.value_decision}) {
    for (const decision& d : *list) {
      CHECK(d.why != reason::none);
      CHECK_FALSE(p.plan.describe(d).empty());
      seen.insert(d.why);
    }
  }
  CHECK(p.plan.operand_decision.size() == p.plan.index.operands.items.size());
  CHECK(p.plan.value_decision.size() == p.indexed.values.size());
}
}  // namespace

TEST_CASE("plan: totals of the reference's networks") {
  const looked_at m(mnist());
  CHECK(m.weight_places() == 6);
  CHECK(m.activation_places() == 12);
  const looked_at joint(mnist(true), {.global_config = {.op_state_spec = {}}});
  CHECK(joint.weight_places() == 0);
  CHECK(joint.activation_places() == 12);
  const looked_at r(resnet50());
  CHECK(r.weight_places() == 54);
  CHECK(r.activation_places() == 74);
}

TEST_CASE("plan: every operand and value has a reason, every reason occurs") {
  std::set<reason> seen;
  count_reasons(looked_at(mnist()), seen);
  count_reasons(looked_at(mnist(true)), seen);
  count_reasons(looked_at(resnet50()), seen);
  count_reasons(looked_at(branches()), seen);
  count_reasons(looked_at(branches(), {.global_config = off}), seen);
  count_reasons(looked_at(branches(), {.global_config = {.op_input_spec = {{"*", off}}}}), seen);
  count_reasons(
      looked_at(branches(),
                {.global_config = {.op_state_spec = {{"nothing", a8}}, .op_input_spec = off},
                 .module_name_configs = {{"table",
                                          {.op_output_spec = {{0, off}},
                                           .module_output_spec = {{"*", a8}},
                                           .module_state_spec = {{"weight", a8}}}}}}),
      seen);
  {
    toy::graph g;  // a shared weight, and a consumer that decides first
    const int w = g.state("w.weight");
    const int a = g.op("linear", {g.input(), w}, "a");
    g.outputs = {g.op("linear", {a, w}, "b")};
    count_reasons(looked_at(g, {.module_name_configs = {{"b", {}}}}), seen);
  }
  {
    toy::graph g;  // two results
    g.outputs = {g.op("linear", {g.input(), g.state("w.weight")})};
    g.outputs.push_back(g.add({}));
    g.maker(g.outputs[0]).results.push_back(g.outputs[1]);
    count_reasons(looked_at(g), seen);
    plan_options custom;
    custom.patterns.add({"linear", pattern_kind::custom, {{"linear"}}, [](pattern_annotator&) {}});
    count_reasons(looked_at(g, {}, custom), seen);
  }
  count_reasons(looked_at(branches(), quantizer_config{}.only_for({"sub"})), seen);
  // The others are of palettizers and of reports: tests/flow/reasons.cpp.
  std::set<reason> of_plans;
  for (int i = 1; i <= static_cast<int>(reason::decided_by_readers); ++i) {
    of_plans.insert(static_cast<reason>(i));
  }
  of_plans.insert(reason::not_in_only_for);
  for (const reason r : of_plans) CHECK_MESSAGE(seen.count(r) == 1, name_of(r));
  CHECK(seen == of_plans);
}

TEST_CASE("plan: the input graph is not touched, and plans are repeatable") {
  const toy::graph g = mnist();
  const toy::graph before = g;
  const quantization_plan a = plan(g);
  const quantization_plan b = plan(g);
  CHECK(g.same_as(before));
  CHECK(g.edits == 0);
  CHECK(a.operand_place == b.operand_place);
  CHECK(a.value_decision == b.value_decision);
}

TEST_CASE("plan: empty graphs and configs that contradict themselves") {
  CHECK(plan(toy::graph()).places.empty());
  CHECK_THROWS_AS(plan(mnist(), {.module_type_configs = {{"NoDot", {}}}}), error);
  CHECK_THROWS_AS(plan(mnist(), {.module_name_configs = {{"(", {}}}}), error);
}

TEST_CASE("plan: sequences of shared ranges do not recurse, ladders do not explode") {
  // 2^n paths through n diamonds; a chain of pools; both as long as a stack would not like.
  graph_index unused;
  const int length = std::getenv("LUTRA_TEST_QUICK") != nullptr ? 2000 : 20000;
  const auto build = [&](bool ladder) {
    // toy::graph's helpers are quadratic: names are given, nodes are placed by hand.
    toy::graph g;
    int v = g.input();
    for (int i = 0; i < length; ++i) {
      const auto add = [&](const char* op, std::vector<int> operands) {
        const int result = g.add({});
        const int id = g.next++;
        g.nodes[id] = {op, "n" + std::to_string(id), "", std::move(operands), {result}, -1, {}};
        g.order.push_back(id);
        return result;
      };
      if (ladder) {
        const int left = add("max_pool2d", {v});
        const int right = add("mean", {v});
        v = add("cat", {left, right});
      } else {
        v = add("max_pool2d", {v});
      }
    }
    g.outputs = {v};
    return g;
  };
  const quantization_plan chain = plan(build(false));
  CHECK(chain.groups.size() == 1);
  CHECK(chain.places.size() == static_cast<std::size_t>(length) + 1);
  const quantization_plan ladder = plan(build(true));
  CHECK(ladder.groups.size() == 1);
  CHECK(ladder.places.size() == 3 * static_cast<std::size_t>(length) + 1);
}

TEST_CASE("plan: a misspelled observer is an error, though no tensor would use it") {
  const quantizer_config wrong{
      .module_name_configs = {
          {"head", {.op_input_spec = {{"*", quantization_spec{.qparam_calculator = "statc"}}}}}}};
  try {
    plan(mnist(), wrong);
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::invalid_argument);
    CHECK(e.value() == "'statc'");
    CHECK(e.allowed().ends_with("did you mean 'static'?"));
  }
}
