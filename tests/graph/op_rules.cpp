#include <lutra/graph/op_rules.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

TEST_CASE("op_rules: inputs and states on the first op of a chain, output on the last") {
  toy::graph g;
  const int x = g.input();
  const int c = g.op("conv2d", {x, g.state("c.weight"), g.state("c.bias")}, "c");
  const int b = g.op("batch_norm", {c, g.state("bn.weight")}, "bn");
  const int r = g.op("relu", {b});
  g.outputs = {r};
  const looked_at p(g);
  CHECK(p.in(c, 0) >= 0);
  CHECK(p.in(c, 1) >= 0);
  CHECK(p.in(c, 2) == -1);
  CHECK(p.in_why(c, 2).why == reason::no_matching_key);
  CHECK(p.out(c) == -1);
  CHECK(p.out_why(c).why == reason::inside_pattern);
  CHECK(p.in_why(b, 1).why == reason::inside_pattern);
  CHECK(p.out(r) >= 0);
  CHECK(p.out_why(r).why == reason::own_config);
  CHECK(p.plan.settings_of(p.in(c, 1)).weight);
  CHECK_FALSE(p.plan.settings_of(p.in(c, 0)).weight);
  CHECK(p.activation_places() == 2);
  CHECK(p.weight_places() == 1);
}

TEST_CASE("op_rules: of a node with several results the first is the pattern's") {
  toy::graph g;
  const int y = g.op("linear", {g.input(), g.state("l.weight")}, "l");
  const int more = g.add({});
  g.maker(y).results.push_back(more);
  const int r = g.op("relu", {more});
  g.outputs = {r};
  const looked_at p(g);
  CHECK(p.out(y) >= 0);  // not fused: relu reads another result
  CHECK(p.out_why(y).why == reason::own_config);
  CHECK(p.out_why(more).why == reason::extra_result);
  CHECK(p.plan.describe(p.out_why(more)) == "only the first result of an op is quantized");
  CHECK(p.in(r) == -1);
  CHECK(p.out_why(r).why == reason::activation_alone);
}

TEST_CASE("op_rules: a producer decided first gives its spec, and the override is recorded") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("a.weight")}, "a");
  const int b = g.op("linear", {a, g.state("b.weight")}, "b");
  g.outputs = {b};
  const quantizer_config c{
      .module_name_configs = {
          {"a|b", {.op_input_spec = {{"*", a4}}, .op_output_spec = {{"*", a8}}}}}};
  const looked_at p(g, c);
  CHECK(p.bits(p.in(b)) == 8);
  CHECK(p.in_why(b).why == reason::from_producer);
  REQUIRE(p.in_why(b).overridden >= 0);
  CHECK(p.plan.describe(p.in_why(b)) ==
        "quantized by the output spec of linear; overridden: config entry name 'a|b'");
  // The same word on both sides is no override.
  CHECK(looked_at(g).in_why(b).overridden == -1);
}

TEST_CASE("op_rules: a consumer of higher priority gives its spec") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("a.weight")}, "a");
  const int b = g.op("linear", {a, g.state("b.weight")}, "b");
  g.outputs = {b};
  const looked_at p(g, {.module_name_configs = {{"b", {.op_input_spec = {{"*", a4}}}}}});
  CHECK(p.bits(p.out(a)) == 4);
  CHECK(p.in(b) == p.out(a));
  CHECK(p.out_why(a).why == reason::from_consumer);
  CHECK(p.out_why(a).overridden >= 0);
}

TEST_CASE("op_rules: states are decided once, packed states never") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("w.weight");
  const int a = g.op("linear", {x, w}, "a");
  const int b = g.op("linear", {a, w}, "b");
  const int c = g.op("linear", {b, g.packed()}, "c");
  g.outputs = {c};
  quantizer_config config{
      .global_config = {.op_state_spec = {{"*", a8}}},
      .module_name_configs = {{"a", {.op_state_spec = {{"weight", a4}}}}, {"b", {}}}};
  {
    const looked_at p(g, config);
    CHECK(p.bits(p.in(a, 1)) == 4);
    CHECK(p.in(b, 1) == p.in(a, 1));
    CHECK(p.in_why(b, 1).why == reason::shared_state);
    CHECK(p.in_why(b, 1).on);
    CHECK(p.in(c, 1) == -1);
    CHECK(p.in_why(c, 1).why == reason::packed_state);
  }
  config.module_name_configs.set("a", {.op_state_spec = {{"weight", off}}});
  const looked_at p(g, config);
  CHECK(p.in(b, 1) == -1);
  CHECK(p.in_why(a, 1).why == reason::off_by_config);
  CHECK(p.in_why(b, 1).why == reason::shared_state);
  CHECK_FALSE(p.in_why(b, 1).on);
}

TEST_CASE("op_rules: a state without a name is called by its role") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.shared_state({}), g.shared_state({})});
  g.outputs = {a};
  const looked_at p(g);
  CHECK(p.in(a, 1) >= 0);
  CHECK(p.in(a, 2) == -1);
}

TEST_CASE("op_rules: states addressed by position, tensors that are not float") {
  toy::graph g;
  const int x = g.input();
  const int ids = g.input(false);
  const int e = g.op("embedding", {g.state("e.weight"), ids}, "e");
  const int l = g.op("linear", {x, g.state("l.weight")}, "l");
  g.outputs = {e, l};
  try {
    looked_at(g,
              {.global_config = {.op_type_config = {{"linear", {.op_input_spec = {{1, off}}}}}}});
    FAIL("no error");
  } catch (const error& err) {
    CHECK(err.code() == errc::invalid_argument);
    CHECK(err.where() == "node 'linear', config entry global, op type 'linear'");
    CHECK(err.value() == "op_input_spec 1 = l.weight");
  }
  const looked_at p(
      g, {.global_config = {.op_type_config = {{"embedding", {.op_input_spec = {{1, a8}}}}}}});
  CHECK(p.in(e, 1) == -1);
  CHECK(p.in_why(e, 1).why == reason::not_float);
  CHECK(p.has_note("addresses input 0 at embedding, which is not floating point"));
  CHECK_FALSE(looked_at(g).has_note("not floating point"));  // "*" does not warn
}

TEST_CASE("op_rules: ranges flow through pools and flatten, breadth first") {
  toy::graph g;
  const int x = g.input();
  const int c = g.op("conv2d", {x, g.state("c.weight")});
  const int r = g.op("relu", {c});
  const int m = g.op("max_pool2d", {r});
  const int f = g.op("flatten", {m});
  const int s = g.op("mean", {r});
  const int l = g.op("linear", {f, g.state("l.weight")});
  g.outputs = {l, s};
  const looked_at p(g);
  CHECK(p.out(m) == p.out(r));
  CHECK(p.out(f) == p.out(r));
  CHECK(p.out(s) == p.out(r));
  CHECK(p.in(l) == p.out(r));
  CHECK(p.in_why(m).why == reason::shared_range);
  CHECK(p.out_why(f).why == reason::shared_range);
  CHECK(p.activation_places() == 6);  // x, relu, pool, flatten, mean, linear
  CHECK(p.plan.groups.size() == 5);   // x, shared, linear, and two weights
}

TEST_CASE("op_rules: a pool on its own turn shares its last quantized operand") {
  toy::graph g;
  const int x = g.input();
  const int y = g.input();
  const int k = g.op("cat", {x, y});
  const int d = g.op("div", {k, y});
  g.outputs = {d};
  {
    const looked_at p(
        g, {.global_config = {.op_input_spec = {{0, a8}, {1, a4}}, .op_output_spec = off}});
    CHECK(p.bits(p.in(k, 0)) == 4);
    CHECK(p.in(k, 1) == p.in(k, 0));
    CHECK(p.out(k) == p.in(k, 0));  // whatever op_output_spec says
  }
  {
    const looked_at p(g, {.global_config = {.op_input_spec = off}});  // output only
    CHECK(p.in(k, 0) == -1);
    CHECK(p.out(k) >= 0);
  }
  const looked_at p(g, {.global_config = {.op_input_spec = off, .op_output_spec = off}});
  CHECK(p.plan.places.empty());
}

TEST_CASE("op_rules: concatenation: the first producer decides for all branches") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("a.weight")}, "a");
  const int b = g.op("linear", {x, g.state("b.weight")}, "b");
  const int k = g.op("cat", {a, b});
  const int l = g.op("linear", {k, g.state("l.weight")}, "l");
  g.outputs = {l};
  const looked_at p(g,
                    {.module_name_configs = {{"a", {.op_output_spec = {{"*", a4}}}}, {"b", {}}}});
  CHECK(p.bits(p.out(a)) == 4);
  CHECK(p.out(b) == p.out(a));
  CHECK(p.out(k) == p.out(a));
  CHECK(p.in(l) == p.out(a));
  CHECK(p.out_why(b).why == reason::from_consumer);
}

TEST_CASE("op_rules: shape ops share on request, also over several results") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("a.weight")});
  const int s = g.op("split", {a});
  const int second = g.add({});
  g.maker(s).results.push_back(second);
  const int l = g.op("linear", {second, g.state("l.weight")});
  g.outputs = {l, s};
  CHECK(looked_at(g).out(s) == -1);
  plan_options o;
  o.patterns.add(shape_patterns());
  const looked_at p(g, {}, o);
  CHECK(p.out(s) == p.out(a));
  CHECK(p.out(second) == p.out(a));
  CHECK(p.in(l) == p.out(a));
}

TEST_CASE(
    "op_rules: entries that a shared state did not follow are on record, and not called unused") {
  toy::graph g;
  const int w = g.state("w.weight");
  const int a = g.op("linear", {g.input(), w}, "a");
  const int b = g.op("linear", {a, w}, "b");
  g.outputs = {b};
  const auto two = [&](const state_spec_map& of_a, const state_spec_map& of_b) {
    return looked_at(g, {.module_name_configs = {{"a", {.op_state_spec = of_a}},
                                                 {"b", {.op_state_spec = of_b}}}});
  };
  {
    const looked_at p = two({{"weight", a4}}, {{"weight", a8}});
    CHECK(p.bits(p.in(b, 1)) == 4);
    CHECK(p.in_why(b, 1).why == reason::shared_state);
    CHECK(p.in_why(a, 1).overridden == -1);
    CHECK(p.plan.describe(p.in_why(b, 1)) ==
          "quantized: the state was decided at linear; overridden: config entry name 'b'");
    CHECK(p.plan.sources[to_size(p.in_why(b, 1).source)] == "name 'a'");
    CHECK_FALSE(p.has_note("matches no tensor"));
  }
  CHECK(two({{"weight", a4}}, {{"weight", a4}}).in_why(b, 1).overridden == -1);
  CHECK(two({{"weight", off}}, off).in_why(b, 1).overridden == -1);
  CHECK(two({{"weight", off}}, {{"weight", a8}}).in_why(b, 1).overridden >= 0);
  CHECK(two({{"weight", a8}}, off).in_why(b, 1).overridden >= 0);
}

TEST_CASE("op_rules: entries of ops that take a range over are on record, and not called unused") {
  toy::graph g;
  const int r = g.op("relu", {g.op("linear", {g.input(), g.state("a.weight")}, "a")});
  const int m = g.op("max_pool2d", {r}, "pool");
  g.outputs = {m};
  const auto pool = [&](const spec_map& in, const spec_map& out) {
    return looked_at(g, {.module_name_configs = {
                             {"a", {}}, {"pool", {.op_input_spec = in, .op_output_spec = out}}}});
  };
  const looked_at p = pool({{0, a4}}, {{0, off}});
  CHECK(p.in(m) == p.out(r));
  CHECK(p.out(m) == p.out(r));
  CHECK(p.in_why(m).why == reason::shared_range);
  REQUIRE(p.in_why(m).overridden >= 0);
  CHECK(p.plan.sources[to_size(p.in_why(m).overridden)] == "name 'pool'");
  CHECK(p.out_why(m).overridden == p.in_why(m).overridden);
  CHECK_FALSE(p.has_note("matches no tensor"));
  const looked_at same = pool({{0, a8}}, {{"*", a8}});
  CHECK(same.in_why(m).overridden == -1);
  CHECK(same.out_why(m).overridden == -1);
}

TEST_CASE("op_rules: what lost against the last operand of a concatenation, or against its first") {
  toy::graph g;
  const int x = g.input(), y = g.input();
  const int k = g.op("cat", {x, y});
  g.outputs = {k};
  const looked_at p(
      g, {.global_config = {.op_input_spec = {{0, a8}, {1, a4}}, .op_output_spec = off}});
  CHECK(p.bits(p.in(k, 0)) == 4);
  CHECK(p.in_why(k, 0).overridden >= 0);
  CHECK(p.in_why(k, 1).overridden == -1);
  CHECK(p.out_why(k).overridden >= 0);
  // A branch that follows the range of another one, given by reference.
  toy::graph two;
  const int in = two.input();
  const int a = two.op("linear", {in, two.state("a.weight")}, "a");
  const int b = two.op("linear", {in, two.state("b.weight")}, "b");
  two.outputs = {two.op("cat", {a, b})};
  const auto branches = [&](const quantization_spec& of_a) {
    return looked_at(
        two, {.module_name_configs = {{"a", {.op_output_spec = {{"*", of_a}}}}, {"b", {}}}});
  };
  CHECK(branches(a4).out_why(b).overridden >= 0);
  CHECK(branches(a8).out_why(b).overridden == -1);
}

TEST_CASE("op_rules: what only_for did not choose has a reason of its own") {
  toy::graph g;
  const int a = g.op("conv2d", {g.input(), g.state("a.weight")});
  const int b = g.op("linear", {a, g.state("b.weight")});
  g.outputs = {b};
  const looked_at p(g, quantizer_config{}.only_for({"conv2d"}));
  CHECK(p.in(a, 1) >= 0);
  CHECK(p.in_why(b, 1).why == reason::not_in_only_for);
  CHECK(p.out_why(b).why == reason::not_in_only_for);
  CHECK(p.plan.describe(p.out_why(b)) ==
        "off: only_for chose other op types (config entry global)");
  // Nothing said of any op is not that.
  const looked_at none(g, {.global_config = {.op_state_spec = off,
                                             .op_input_spec = off,
                                             .op_output_spec = off,
                                             .op_type_config = {{"conv2d", off}}}});
  CHECK(none.out_why(b).why == reason::group_off);
}
