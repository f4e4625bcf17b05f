#include <lutra/graph/module_rules.hpp>

#include "plan_helpers.hpp"

using namespace lutra;

namespace {
// Unregistered ops only, so that nothing but module specs quantizes.
struct module_net : toy::graph {
  int x = input(), y = input(), ids = input(false);
  int first, inner, deep, last;
  module_net() {
    first = op("exp", {x}, "before");
    inner = op("where", {ids, first, y}, "m");
    deep = op("exp", {inner}, "m.deep");
    last = op("div", {deep, inner}, "after");
    outputs = {last, deep};
  }
};
quantizer_config boundary(spec_map in, spec_map out, const char* module = "m") {
  return {
      .module_name_configs = {
          {module, {.module_input_spec = std::move(in), .module_output_spec = std::move(out)}}}};
}
}  // namespace

TEST_CASE("module_rules: boundary inputs and outputs are numbered in graph order") {
  const module_net g;
  {
    const looked_at p(g, boundary({{1, a8}}, {}));  // 0 is the integer, 1 first, 2 y
    CHECK(p.in(g.inner, 1) >= 0);
    CHECK(p.in(g.inner, 2) == -1);
    CHECK(p.in_why(g.inner, 1).why == reason::module_boundary);
    CHECK(p.activation_places() == 1);
  }
  {
    const looked_at p(g, boundary({{"*", a8}}, {{1, a4}}));
    CHECK(p.in(g.inner, 0) == -1);  // not float
    CHECK(p.in(g.inner, 2) >= 0);
    CHECK(p.in(g.deep) == -1);  // inside
    CHECK(p.out(g.inner) == -1);
    CHECK(p.bits(p.out(g.deep)) == 4);
    CHECK(p.in(g.last, 0) == p.out(g.deep));
  }
  const looked_at p(g, boundary({{0, a8}, {7, a8}}, {{9, a8}}));
  CHECK(p.has_note("addresses input 1, which is not floating point"));
  CHECK(p.has_note("module_input_spec 7: module 'm' has only 3"));
  CHECK(p.has_note("module_output_spec 9: module 'm' has only 2"));
}

TEST_CASE("module_rules: graph outputs lie outside, also of the root module") {
  const module_net g;
  const looked_at p(g, boundary({}, {{"*", a8}}, ""));
  CHECK(p.out(g.last) >= 0);
  CHECK(p.out(g.deep) >= 0);
  CHECK(p.out(g.inner) == -1);
  CHECK(p.plan.output_place[0] >= 0);
}

TEST_CASE("module_rules: descendants do not inherit module specs") {
  const module_net g;
  const looked_at p(g, boundary({{"*", a8}}, {}, "m"));
  CHECK(p.in(g.deep) == -1);
  CHECK(looked_at(g, boundary({{"*", a8}}, {}, "m.deep")).in(g.deep) >= 0);
}

TEST_CASE("module_rules: an entry overwrites the op level, no match leaves it alone") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("linear", {x, g.state("a.weight")}, "a");
  const int b = g.op("linear", {a, g.state("b.weight")}, "b");
  g.outputs = {b};
  {
    const looked_at p(g, boundary({{0, off}}, {{1, off}}, "a"));
    CHECK(p.in(a) == -1);
    CHECK(p.in_why(a).why == reason::module_boundary);
    CHECK_FALSE(p.in_why(a).on);
    CHECK(p.out(a) >= 0);
  }
  // Another dtype at the boundary than the producer's output: two in series.
  const looked_at p(g, boundary({{"*", a4}}, {}, "b"));
  CHECK(p.bits(p.out(a)) == 8);
  CHECK(p.bits(p.in(b)) == 4);
  CHECK(p.has_note("two fake-quantizers in series"));
  const plan_node& stacked = p.plan.places[to_size(p.plan.operand_place[to_size(p.operand(b))])];
  CHECK(stacked.after == p.plan.value_place[to_size(p.value(a))]);
}

TEST_CASE("module_rules: a name entry overrides a type entry") {
  module_net g;
  g.types["m"] = "t.M";
  const toy::graph& base = g;
  const quantizer_config c{.module_type_configs = {{"t.M", {.module_input_spec = {{"*", a8}}}}},
                           .module_name_configs = {{"m.deep", {.module_input_spec = {{"*", a4}}}}}};
  const looked_at p(base, c);
  CHECK(p.bits(p.in(g.inner, 1)) == 8);
  CHECK(p.bits(p.in(g.deep)) == 4);
}

TEST_CASE("module_rules: state specs of the owner reach every consumer") {
  toy::graph g;
  const int x = g.input();
  const int w = g.shared_state({"own.weight", "own.alias"});
  const int a = g.op("linear", {x, w}, "user");
  const int b = g.op("div", {a, w}, "other");
  const int ids = g.state("own.ids");
  g.values.at(ids).is_float = false;
  const int c = g.op("where", {ids, b, w}, "other");
  g.outputs = {c};
  {
    const looked_at p(g,
                      {.module_name_configs = {{"own", {.module_state_spec = {{"alias", a4}}}}}});
    CHECK(p.bits(p.in(a, 1)) == 4);
    CHECK(p.in(b, 1) == p.in(a, 1));
    CHECK(p.in(c, 2) == p.in(a, 1));
    CHECK(p.in_why(b, 1).why == reason::module_state);
    CHECK(p.weight_places() == 1);
  }
  {
    const looked_at p(g, {.module_name_configs = {{"own", {.module_state_spec = {{"*", off}}}}}});
    CHECK(p.in(a, 1) == -1);
    CHECK(p.in_why(a, 1).why == reason::module_state);
    CHECK(p.has_note("addresses own.ids, which is not floating point"));
  }
  const looked_at p(g, {.module_name_configs = {{"user", {.module_state_spec = {{"*", off}}}}}});
  CHECK(p.in(a, 1) >= 0);  // using is not owning
}

TEST_CASE("module_rules: palettes at a boundary stay as they are") {
  toy::graph g;
  const int x = g.input();
  const int lut = g.packed();
  const int a = g.op("linear", {x, lut}, "a");
  g.outputs = {a};
  const looked_at p(g, boundary({{"*", a8}}, {{"*", a8}}, "a"));
  CHECK(p.in(a, 1) == -1);
  CHECK(p.in(a, 0) >= 0);
}

TEST_CASE("module_rules: entries that lose to a module spec are on record") {
  toy::graph g;
  const int x = g.input();
  const int w = g.state("a.weight");
  const int a = g.op("linear", {x, w}, "a");
  const int b = g.op("linear", {a, w}, "b");
  const int c = g.op("linear", {b, g.state("c.weight")}, "c");
  g.types["a"] = "t.A";
  g.types["c"] = "t.C";
  g.outputs = {c};
  const auto lost = [](const looked_at& p, const decision& d) {
    return d.overridden < 0 ? std::string() : p.plan.sources[to_size(d.overridden)];
  };
  {
    const looked_at p(g, boundary({{0, off}}, {{"*", a8}}, "a"));
    CHECK(lost(p, p.in_why(a)) == "name 'a'");  // its own op-level maps
    CHECK(p.out_why(a).overridden == -1);       // the same word on both levels
  }
  {
    const looked_at p(g, boundary({{"*", a4}}, {{"*", a4}}, "c"));
    CHECK(lost(p, p.in_why(c)) == "name 'c'");
    CHECK(lost(p, p.out_why(c)) == "name 'c'");
  }
  {  // what a producer had said of the operand
    const looked_at p(g, {.module_type_configs = {{"t.C", {.module_input_spec = {{"*", a4}}}}},
                          .module_name_configs = {{"b", {}}}});
    CHECK(p.in_why(c).why == reason::module_boundary);
    CHECK(lost(p, p.in_why(c)) == "name 'b'");
  }
  {
    const looked_at p(g, {.module_type_configs = {{"t.A", {.module_input_spec = {{"*", a4}}}}},
                          .module_name_configs = {{"a", {.module_input_spec = {{"*", a8}}}}}});
    CHECK(p.bits(p.in(a)) == 8);
    CHECK(p.in_why(a).why != reason::none);
  }
  const looked_at p(
      g, {.global_config = {.op_state_spec = {{"weight", a8}}},
          .module_name_configs = {
              {"a", {.op_state_spec = {{"weight", a8}}, .module_state_spec = {{"*", a4}}}}}});
  CHECK(p.bits(p.in(a, 1)) == 4);
  CHECK(lost(p, p.in_why(a, 1)) == "name 'a'");
  CHECK(p.in_why(b, 1).why == reason::module_state);
  CHECK(p.in_why(b, 1).overridden >= 0);
  CHECK_FALSE(p.has_note("matches no tensor"));
}
