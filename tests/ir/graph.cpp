#include <lutra/ir/graph.hpp>

#include <doctest/doctest.h>

#include <unordered_set>

using namespace lutra;

TEST_CASE("graph: ids are ordered, hashable handles, empty by default") {
  CHECK(ir::node_id{}.index == -1);
  CHECK(ir::value_id{1} < ir::value_id{2});
  const std::unordered_set<ir::value_id> values{{1}, {2}, {1}};
  const std::unordered_set<ir::node_id> nodes{{1}, {2}, {1}};
  CHECK(values.size() == 2);
  CHECK(nodes.size() == 2);
}

TEST_CASE("graph: at() reaches nodes and values by id") {
  ir::graph g;
  g.nodes.resize(2);
  g.values.resize(3);
  g.at(ir::node_id{1}).name = "b";
  g.at(ir::value_id{2}).name = "v";
  const ir::graph& c = g;
  CHECK(c.at(ir::node_id{1}).name == "b");
  CHECK(c.at(ir::value_id{2}).name == "v");
  CHECK(c.nodes[1].name == "b");
}

TEST_CASE("graph: names made up are unique, and the same again after they are released") {
  std::vector<ir::node> nodes{{.name = "x"}, {.name = "x_1"}, {.name = ""}, {.name = "y_3"}};
  ir::node_names names;
  CHECK(names.make(nodes, "y") == "y");
  CHECK(names.make(nodes, "x") == "x_2");
  CHECK(names.make(nodes, "x") == "x_3");
  for (const char* expected : {"y_1", "y_2", "y_4"}) CHECK(names.make(nodes, "y") == expected);
  nodes.push_back({.name = "z"});  // added by hand
  CHECK(names.make(nodes, "z") == "z_1");
  names.release("x_3");
  names.release("x_2");
  CHECK(names.make(nodes, "x") == "x_2");
  names.release("y");
  CHECK(names.make(nodes, "y") == "y");
  static_assert(noexcept(names.release(std::string())));  // erasures cannot stop half-way
  for (const char* odd : {"", "_", "x_", "x_99999999999999999999", "nothing_7", "x_0"}) {
    names.release(odd);
  }
  CHECK(names.make(nodes, "x") == "x_3");
}
