#include <lutra/graph/quantization_plan.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

TEST_CASE("quantization_plan: decisions read as sentences") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("fc.weight");
  const int a = g.op("linear", {x, w, g.state("fc.bias")}, "fc");
  const int r = g.op("relu", {a});
  g.outputs = {g.op("softmax", {r})};
  const looked_at p(g);
  const auto text = [&](const decision& d) { return p.plan.describe(d); };
  CHECK(text(p.in_why(a, 0)) == "quantized by its config (config entry global)");
  CHECK(text(p.in_why(a, 2)) == "off: no key of the spec map names it (config entry global)");
  CHECK(text(p.out_why(a)) == "inside the fused pattern that starts at linear");
  CHECK(text(p.out_why(w)) == "decided for each consumer");
  CHECK(text(p.in_why(g.outputs[0])) == "no registered pattern has this op");
  CHECK(p.plan.group_name(p.in(a, 1)) == "fc.weight");
  CHECK(p.plan.on_state(p.plan.places[to_size(p.plan.operand_place[to_size(p.operand(a, 1))])]));
  CHECK(p.plan.count_places(true) == 1);
}

TEST_CASE(
    "quantization_plan: settings of one group change, those of groups that were alike do not") {
  toy::graph g;
  int x = g.input();
  for (int i = 0; i < 3; ++i) x = g.op("add", {x});
  g.outputs = {x};
  looked_at p(g);
  REQUIRE(p.plan.groups.size() == 4);
  CHECK(p.plan.settings.size() == 2);  // of inputs and of outputs
  const auto narrow = [](quantization_spec& s) { s.dtype = dtype::int4; };
  const auto wide = [](quantization_spec& s) { s.dtype = dtype::int8; };
  settings_editor change(p.plan);
  change.spec(1, 0, narrow);
  CHECK(p.plan.settings.size() == 3);
  CHECK(p.bits(0) == 8);
  CHECK(p.bits(1) == 4);
  CHECK(p.bits(2) == 8);
  change.spec(3, 0, narrow);
  CHECK(p.plan.settings.size() == 3);  // the same again
  CHECK(p.bits(3) == 4);
  change.spec(3, 1, wide);
  CHECK(p.bits(3) == 8);
  CHECK(p.bits(1) == 4);
}
