#include <doctest/doctest.h>
#include <lutra/graph/index.hpp>

#include "errors.hpp"
#include "toy_graph.hpp"

using namespace lutra;

namespace {
template <class G> error index_error(const G& g) {
  try {
    index_of(g);
  } catch (const error& e) {
    return e;
  }
  FAIL("no error");
  return error(errc::io_error, "", "", "", "");
}
}  // namespace

// Nodes without names; each makes its own value and reads none.
struct nameless {
  std::vector<std::string> ops;
};
template <> struct lutra::graph_traits<nameless> {
  using node_id = int;
  using value_id = int;
  static std::vector<int> nodes(const nameless& g) {
    std::vector<int> all(g.ops.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    return all;
  }
  static const std::string& op_type(const nameless& g, int n) {
    return g.ops.at(static_cast<std::size_t>(n));
  }
  static std::vector<int> operands(const nameless&, int) { return {}; }
  static std::vector<int> results(const nameless&, int n) { return {n}; }
  static std::vector<int> outputs(const nameless&) { return {}; }
  static value_role role_of(const nameless&, int) { return value_role::result; }
  static bool is_float(const nameless&, int) { return true; }
};

TEST_CASE("index: dense numbers, uses in graph order, labels") {
  toy::graph g;
  const int x = g.input();
  const int w = g.shared_state({"fc.weight", "tied.weight"});
  const int a = g.op("linear", {x, w}, "fc");
  const int b = g.op("add_", {a, a});
  const int c = g.op("relu", {a}, "act", "relu");
  g.outputs = {b, a};
  (void)c;
  const auto indexed = index_of(g);
  const graph_index& i = indexed.index;
  REQUIRE(i.node_count() == 3);
  CHECK(i.op(1) == "add");  // canonical
  CHECK(i.operands[1].size() == 2);
  const index_t va = i.results[0][0];
  CHECK(indexed.values[to_size(va)] == a);
  REQUIRE(i.uses[va].size() == 4);
  CHECK(i.user(i.uses[va][0]) == 1);
  CHECK(i.slot(i.uses[va][1]) == 1);
  CHECK(i.user(i.uses[va][2]) == 2);
  CHECK(i.user(i.uses[va][3]) == graph_index::none);  // graph output 1
  CHECK(i.slot(i.uses[va][3]) == 1);
  CHECK(i.label(va) == "linear");
  CHECK(i.label(i.operands[0][0]) == "input 0");
  CHECK(i.label(i.operands[0][1]) == "fc.weight");
  CHECK(i.is_state(i.operands[0][1]));
  CHECK(i.modules.path(i.module[0]) == "fc");
  CHECK(i.modules.find("tied") > 0);  // owners of states are modules too
}

TEST_CASE("index: duplicate node names are labelled, several results too") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("relu", {x}, "", "same");
  const int b = g.op("chunk", {a}, "", "same");
  g.maker(b).results.push_back(g.add({}));
  g.outputs = {b};
  const graph_index i = index_of(g).index;
  CHECK(i.name[1] == "same#2");
  CHECK(i.label(i.results[1][1]) == "same#2:1");
}

TEST_CASE("index: empty graphs") {
  const toy::graph g;
  const graph_index i = index_of(g).index;
  CHECK(i.node_count() == 0);
  CHECK(i.value_count() == 0);
  CHECK(i.modules.size() == 1);
}

TEST_CASE("index: dangling operands, double results, wrong order") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("relu", {x}, "", "a");
  const int b = g.op("relu", {a}, "", "b");
  g.outputs = {b};
  {
    toy::graph bad = g;
    bad.maker(b).operands[0] = bad.add({});  // a result of nobody
    const error e = index_error(bad);
    CHECK(e.code() == errc::invalid_graph);
    CHECK(e.value() == "'b' operand 0");
  }
  {
    toy::graph bad = g;
    bad.outputs = {bad.add({})};
    CHECK(index_error(bad).value() == "graph output 0");
  }
  {
    toy::graph bad = g;
    bad.maker(b).results.push_back(a);
    const error e = index_error(bad);
    CHECK(e.problem() == "a value is the result of two nodes");
    CHECK(e.value() == "'a' and 'b'");
  }
  {
    toy::graph bad = g;
    std::swap(bad.order[0], bad.order[1]);
    CHECK(index_error(bad).problem() == "nodes() lists a consumer before its producer");
  }
}

TEST_CASE("index: module aliases lead nodes to one module") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("relu", {x}, "first");
  const int b = g.op("relu", {a}, "second");
  g.outputs = {b};
  g.aliases["first"] = {"second"};
  const graph_index i = index_of(g).index;
  CHECK(i.module[0] == i.module[1]);
  CHECK(i.modules.path(i.module[1]) == "first");
}

TEST_CASE("index: graphs with more of anything than can be numbered are refused while it is read") {
  toy::graph g;
  const int x = g.input();
  const int s = g.shared_state({"a.w", "b.w", "c.w", "d.w", "e.w"});
  const int a = g.op("add", {x, s});
  const int b = g.op("cat", {a, x, a});
  g.outputs = {b, a, x};
  // 2 nodes, 5 operands, 4 values, 5 names, 3 outputs
  CHECK_NOTHROW(graph_reader<toy::graph>(g, 8).read());
  CHECK_ERROR(graph_reader<toy::graph>(g, 7).read(), unsupported, "too large to be numbered",
              "more than 7 operands and outputs");
  CHECK_ERROR(graph_reader<toy::graph>(g, 4).read(), unsupported, "more than 4 operands");
  CHECK_ERROR(graph_reader<toy::graph>(g, 2).read(), unsupported, "more than 2 ");
  CHECK_ERROR(graph_reader<toy::graph>(g, 1).read(), unsupported, "more than 1 nodes");
  toy::graph two;
  two.outputs = {two.op("relu", {two.input()})};
  CHECK_NOTHROW(graph_reader<toy::graph>(two, 2).read());  // 2 values
  CHECK_ERROR(graph_reader<toy::graph>(two, 1).read(), unsupported, "more than 1 values");
  toy::graph four;
  const int parts = four.op("split", {four.input()});
  four.maker(parts).results.push_back(four.add({}));
  four.maker(parts).results.push_back(four.add({}));
  four.outputs = {parts};
  CHECK_NOTHROW(graph_reader<toy::graph>(four, 4).read());
  CHECK_ERROR(graph_reader<toy::graph>(four, 3).read(), unsupported, "more than 3 values");
  four.outputs = {parts, parts, parts};  // known values at the limit
  CHECK_NOTHROW(graph_reader<toy::graph>(four, 4).read());
  toy::graph names;
  names.outputs = {names.shared_state({"a.w", "b.w", "c.w"})};
  CHECK_ERROR(graph_reader<toy::graph>(names, 2).read(), unsupported, "more than 2 state names");
}

TEST_CASE("index: default names that would meet are told apart") {
  const auto names = [](const std::vector<std::string>& ops) {
    nameless g;
    g.ops = ops;
    return index_of(g).index.name;
  };
  CHECK(names({"conv", "conv", "relu"}) == std::vector<std::string>{"conv", "conv_1", "relu"});
  CHECK(names({"conv", "conv_1", "conv"}) ==
        std::vector<std::string>{"conv", "conv_1", "conv_1#2"});
  CHECK(names({"conv_", "7", "_7", "7"}) == std::vector<std::string>{"conv", "7", "_7", "7_1"});
}
