#include <doctest/doctest.h>
#include <lutra/graph/graph_index.hpp>
#include <lutra/graph/index.hpp>

#include "toy_graph.hpp"

using namespace lutra;

TEST_CASE("graph_index: labels of many graph inputs") {
  toy::graph g;
  std::vector<int> inputs;
  for (int i = 0; i < 50; ++i) inputs.push_back(g.input());
  g.outputs = {g.op("cat", inputs)};
  const graph_index i = index_of(g).index;
  for (index_t k = 0; k < 50; ++k)
    CHECK(i.label(i.operands[0][to_size(k)]) == "input " + text_of(k));
}

TEST_CASE("graph_index: nodes by name, operands by slot") {
  toy::graph g;
  const int x = g.input();
  const int a = g.op("add", {x, x});
  g.outputs = {g.op("mul", {a, x}, "", "scaled")};
  const graph_index i = index_of(g).index;
  CHECK(i.node_named("add") == 0);
  CHECK(i.node_named("scaled") == 1);
  CHECK(i.node_named("mul") == graph_index::none);
  CHECK(i.operand(1, 1) == 3);
  CHECK(i.operands.items[to_size(i.operand(1, 1))] == i.operands.items[0]);
}
