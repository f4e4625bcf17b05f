#include <doctest/doctest.h>
#include <lutra/graph/annotation.hpp>

#include "toy_graph.hpp"

using namespace lutra;

TEST_CASE("annotation: one edge per distinct operand, then one point per value") {
  toy::graph g;
  const int x = g.input();
  const int y = g.input();
  const int a = g.op("add", {x, x});
  const int b = g.op("cat", {x, y, x, a});
  g.outputs = {b};
  const graph_index i = index_of(g).index;
  annotations p(i);
  CHECK(p.edge_count() == 4);  // add: x; cat: x, y, a
  CHECK(p.point_count() == 4 + i.value_count());
  CHECK(p.end_edge(0) - p.first_edge(0) == 1);
  CHECK(p.end_edge(1) - p.first_edge(1) == 3);
  CHECK(p.edge_of(0) == p.edge_of(1));
  CHECK(p.edge_of(2) == p.edge_of(4));
  CHECK(p.edge_of(2) != p.edge_of(3));
  CHECK(p.node_of(p.edge_of(5)) == 1);
  CHECK(p.value_of(p.edge_of(5)) == i.results[0][0]);
  CHECK(p.output_point(0) == 4);
}

TEST_CASE("annotation: specs and sources are numbered once") {
  toy::graph g;
  const int x = g.input();
  g.outputs = {g.op("add", {x, x})};
  const graph_index i = index_of(g).index;
  const quantizer_config config;
  const config_resolver<quantizer_config> configs(config, i);
  annotations p(i);
  const index_t source = p.source_number(configs, {});
  CHECK(p.source_number(configs, {}) == source);
  CHECK(p.sources()[to_size(source)] == "global");
  const quantization_spec spec = int8_symmetric;
  const module_config module{.qat_schedule = lutra::qat_schedule{1, 2, {}}};
  p.set_own(0, &spec, false, module, reason::own_config, source);
  p.set_own(1, &spec, false, module, reason::own_config, source);
  CHECK(p.specs().size() == 1);
  CHECK(p.specs()[0].schedule == module.qat_schedule);
  CHECK(p[0].on());
  p.set_own(1, &spec, true, module, reason::own_config, source);
  CHECK(p.specs().size() == 2);
  p.refer(1, 0, reason::shared_range, 0);
  CHECK(p[1].on());
  CHECK(p[1].target == 0);
  p.turn_off(1, reason::not_float);
  CHECK_FALSE(p[1].on());
  CHECK(p.why(1).why == reason::not_float);
  CHECK_FALSE(p.claimed(0));
  p.claim(0);
  CHECK(p.claimed(0));
}
