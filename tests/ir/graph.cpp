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
