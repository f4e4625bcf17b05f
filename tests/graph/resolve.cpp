#include <doctest/doctest.h>
#include <lutra/graph/resolve.hpp>

#include "toy_graph.hpp"

using namespace lutra;

namespace {
using resolver = config_resolver<quantizer_config>;

// Nodes: 0 linear in "inner.linear1", 1 linear in "inner.linear2", 2 add in "inner", 3 relu in "".
struct nested_net : toy::graph {
  nested_net() {
    types = {{"inner", "m.Inner"}, {"inner.linear1", "nn.Linear"}, {"inner.linear2", "nn.Linear"}};
    const int x = input();
    const int a = op("linear", {x, state("inner.linear1.weight")}, "inner.linear1");
    const int b = op("linear", {a, state("inner.linear2.weight")}, "inner.linear2");
    const int c = op("add", {a, b}, "inner");
    outputs = {op("relu", {c})};
  }
};
std::string governs(const quantizer_config& c, index_t node, const toy::graph& g = nested_net()) {
  const graph_index index = index_of(g).index;
  resolver r(c, index);
  return r.describe(r.of(node).source);
}
}  // namespace

TEST_CASE("resolve: name beats type beats global, parents reach children") {
  quantizer_config c;
  CHECK(governs(c, 0) == "global");
  c.module_type_configs = {{"m.Inner", {}}};
  CHECK(governs(c, 0) == "type 'm.Inner'");
  CHECK(governs(c, 2) == "type 'm.Inner'");
  CHECK(governs(c, 3) == "global");
  c.module_type_configs.set("nn.Linear", {});  // later entry wins
  CHECK(governs(c, 0) == "type 'nn.Linear'");
  CHECK(governs(c, 2) == "type 'm.Inner'");
  c.module_name_configs = {{"inner", {}}};  // a name on the parent beats a type on the child
  CHECK(governs(c, 1) == "name 'inner'");
}

TEST_CASE("resolve: within a level the later entry wins, even if it is broader") {
  quantizer_config c{.module_name_configs = {{"inner.linear2", {}}, {"inner", {}}}};
  CHECK(governs(c, 1) == "name 'inner'");
  c.module_name_configs = {{"inner", {}}, {"inner.linear2", {}}};
  CHECK(governs(c, 1) == "name 'inner.linear2'");
  CHECK(governs(c, 0) == "name 'inner'");
  c.module_name_configs = {{".*linear[0-9]", {}}};
  CHECK(governs(c, 0) == "name '.*linear[0-9]'");
  CHECK(governs(c, 2) == "global");
  c.module_name_configs = {{"", {}}};  // the root module: everything
  CHECK(governs(c, 3) == "name ''");
  CHECK(governs(c, 0) == "name ''");
}

TEST_CASE("resolve: op name beats op type, and nothing is merged between levels") {
  quantizer_config c{.global_config = {.op_type_config = {{"linear", {}}, {"relu", {}}},
                                       .op_name_config = {{"linear_1", {}}, {"lin.*_1", {}}}},
                     .module_name_configs = {{"inner.linear1", {}}}};
  CHECK(governs(c, 1) == "global, op name 'lin.*_1'");
  CHECK(governs(c, 3) == "global, op type 'relu'");
  CHECK(governs(c, 0) == "name 'inner.linear1'");  // global's op types do not reach in
}

TEST_CASE("resolve: aliases are matched by any path, nodes are looked up through them") {
  toy::graph g = nested_net();
  g.op("relu", {g.outputs[0]}, "other.linear1");
  g.aliases["inner.linear1"] = {"other.linear1"};
  const quantizer_config c{.module_name_configs = {{"other.linear1", {}}}};
  CHECK(governs(c, 0, g) == "name 'other.linear1'");
  CHECK(governs(c, 4, g) == "name 'other.linear1'");
}

TEST_CASE("resolve: records tell direct matches from inherited ones, later entries first") {
  const graph_index g = index_of<toy::graph>(nested_net()).index;
  const quantizer_config c{.module_name_configs = {{"inner", {}}, {"inner.linear1", {}}}};
  const resolver r(c, g);
  const auto& records = r.records(config_level::name);
  REQUIRE(records.size() == 3);
  CHECK(g.modules.path(records[0].module) == "inner.linear1");
  CHECK(records[0].entry == 1);
  CHECK(records[0].direct);
  CHECK(records[1].direct);
  CHECK_FALSE(records[2].direct);
  CHECK(g.modules.path(records[2].module) == "inner.linear2");
}

TEST_CASE("resolve: module_state finds the owning module, exact names before '*'") {
  toy::graph g;
  const int x = g.input();
  const int w = g.shared_state({"a.weight", "b.tied"});
  g.outputs = {g.op("linear", {x, w}, "c")};
  const graph_index index = index_of(g).index;
  const index_t v = index.operands[0][1];
  const auto found = [&](const quantizer_config& c) {
    const auto hit = resolver(c, index).module_state(v);
    return hit.entry == nullptr ? std::string("none") : hit.entry->key;
  };
  CHECK(found({.module_name_configs = {{"c", {.module_state_spec = {{"*", int8_symmetric}}}}}}) ==
        "none");  // uses it, does not own it
  CHECK(found({.module_name_configs = {{"b", {.module_state_spec = {{"*", int8_symmetric}}}}}}) ==
        "*");
  CHECK(found({.module_name_configs = {{"b", {.module_state_spec = {{"weight", off}}}}}}) ==
        "none");  // its local name there is "tied"
  CHECK(
      found({.module_name_configs = {
                 {"b", {.module_state_spec = {{"tied", int8_symmetric}, {"*", off}}}}}}) == "tied");
  CHECK(found({.module_name_configs = {{"a", {.module_state_spec = {{"weight", off}}}},
                                       {"b", {.module_state_spec = {{"*", off}}}}}}) == "*");
}

TEST_CASE("resolve: entries without effect are reported") {
  const graph_index g = index_of<toy::graph>(nested_net()).index;
  const quantizer_config c{
      .global_config = {.op_type_config = {{"conv2d", {}}}, .op_name_config = {{"lin", {}}}},
      .module_type_configs = {{"nn.Conv2d", {}}},
      .module_name_configs = {{"inner", {}}, {"nothing", {}}, {"inner.*", {}}}};
  resolver r(c, g);
  for (index_t n = 0; n < g.node_count(); ++n) r.of(n);
  const std::vector<std::string> notes = r.unused_keys();
  const auto has = [&](const std::string& text) {
    return std::find(notes.begin(), notes.end(), "config entry " + text) != notes.end();
  };
  CHECK(notes.size() == 5);
  CHECK(has("name 'nothing' matches no module"));
  CHECK(has("name 'inner' is overridden by later entries"));
  CHECK(has("type 'nn.Conv2d' matches no module"));
  CHECK(has("global, op type 'conv2d' matches no node"));
  CHECK(has("global, op name 'lin' matches no node"));
}

TEST_CASE("resolve: a malformed pattern is an error even if no node could use it") {
  const graph_index g = index_of(toy::graph()).index;
  const quantizer_config a{.module_name_configs = {{"(", {}}}};
  CHECK_THROWS_AS(resolver(a, g), error);
  const quantizer_config b{.global_config = {.op_name_config = {{"[", {}}}}};
  CHECK_THROWS_AS(resolver(b, g), error);
}
