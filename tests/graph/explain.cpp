#include <lutra/graph/explain.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

TEST_CASE("explain: ops without a pattern, activations alone, broken chains") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("add", {x, x});
  const int r = g.op("relu", {a});
  const int t = g.op("tanh", {a});
  const int s = g.op("softmax", {t});
  const int alone = g.op("relu", {s});
  const int n = g.op("batch_norm", {alone, g.state("n.weight")});
  g.outputs = {r, n};
  const looked_at p(g);
  CHECK(p.in_why(r).why == reason::chain_broken);
  CHECK(p.plan.describe(p.in_why(r)) == "not fused with add: its result has another consumer");
  CHECK(p.out_why(t).why == reason::chain_broken);
  CHECK(p.out_why(s).why == reason::unregistered_op);
  CHECK(p.out_why(alone).why == reason::activation_alone);
  CHECK(p.out_why(n).why == reason::activation_alone);
  CHECK(p.in_why(n, 1).why == reason::activation_alone);
  CHECK(p.out_why(x).why == reason::decided_by_readers);
  // What a consumer did not ask for may still be quantized by its producer.
  CHECK(p.in(r) == p.out(a));
  CHECK_FALSE(p.in_why(r).on);
}

TEST_CASE("explain: not float and packed beat other reasons") {
  toy::graph g;
  const int x = g.input(false);
  const int a = g.op("softmax", {x, g.packed()});
  g.values.at(a).is_float = false;
  g.outputs = {a};
  const looked_at p(g);
  CHECK(p.in_why(a, 0).why == reason::not_float);
  CHECK(p.in_why(a, 1).why == reason::packed_state);
  CHECK(p.out_why(a).why == reason::not_float);
  CHECK(p.out_why(x).why == reason::not_float);
}

TEST_CASE("explain: keys that address nothing are reported, defaults and '*' are not") {
  toy::graph g;
  const int x = g.input();
  g.outputs = {g.op("add", {x, x})};
  CHECK(looked_at(g).plan.notes.empty());
  const looked_at p(g,
                    {.global_config = {.op_state_spec = {{"kernel", a8}, {"*", a8}},
                                       .op_input_spec = {{0, a8}, {3, a8}},
                                       .op_type_config = {{"add", {.op_output_spec = {{0, a8}}}}}},
                     .module_name_configs = {{"", {.module_state_spec = {{"gone", a8}}}}}});
  CHECK(p.has_note("config entry global, op_state_spec 'kernel' matches no tensor"));
  CHECK(p.has_note("config entry global, op_input_spec 3 matches no tensor"));
  CHECK(p.has_note("config entry global, op_input_spec 0 matches no tensor"));  // all under name ''
  CHECK(p.has_note("config entry name '', module_state_spec 'gone' matches no tensor"));
  CHECK(p.has_note("config entry global, op type 'add' matches no node"));
}
