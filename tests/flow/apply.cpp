#include <lutra/flow/apply.hpp>
#include <lutra/graph/plan.hpp>

#include "nets.hpp"

using namespace lutra;

TEST_CASE("apply: insertion follows the plan, replacement leaves pairs in its place") {
  small_net net;
  net.outputs.push_back(net.r);  // a quantized value is also an output
  toy::graph g = net;
  const auto indexed = index_of(g);
  const quantization_plan p = plan(g);
  std::vector<fake_quantizer> fakes;
  for (index_t i = 0; i < index_t(p.groups.size()); ++i) {
    const group_settings& group = p.settings_of(i);
    fakes.emplace_back(group.spec, group.weight ? target::weight : target::activation);
  }
  const tensor<float> data = batch(0);
  for (fake_quantizer& fq : fakes) {
    if (fq.spec().granularity.kind() == granularity_kind::per_tensor) fq.observe(lutra::view(data));
  }
  fakes[1].observe(graph_traits<toy::graph>::constant(g, net.w1));
  std::vector<placed_fake_quant<toy::graph>> placed;
  edit_graph(g, [&](auto& edits) { placed = insert_fake_quants(edits, indexed, p, fakes); });
  CHECK(placed.size() == p.places.size());
  for (std::size_t u = 0; u < p.operand_place.size(); ++u) {
    const int node = indexed.nodes[to_size(p.index.operand_node[u])];
    const auto slot = to_size(p.index.slot(static_cast<index_t>(u)));
    const index_t place = p.operand_place[u];
    const int original = indexed.values[to_size(p.index.operands.items[u])];
    CHECK(g.nodes.at(node).operands[slot] ==
          (place < 0 ? original : placed[to_size(place)].result));
  }
  CHECK(g.outputs[1] == placed[to_size(p.output_place[1])].result);
  const auto again = index_of(g);
  const final_parameters parameters = final_parameters::from(fakes, p);
  edit_graph(g, [&](auto& edits) { replace_fake_quants(edits, again, placed, parameters); });
  CHECK(g.count("fake_quant") == 0);
  int with_parameters = 0;
  for (const auto& at : placed) with_parameters += fakes[to_size(at.group)].initialized() ? 1 : 0;
  CHECK(g.count("dequantize") == with_parameters);
  CHECK(with_parameters < static_cast<int>(placed.size()));  // one weight was not observed
  CHECK(g.maker(net.l2).operands[1] == net.w2);              // and is read directly again
  CHECK(graph_traits<toy::graph>::op_type(g, g.producer(g.outputs[1])) == "dequantize");
}

TEST_CASE("apply: a fake-quant node that disappeared is an error") {
  toy::graph g = small_net();
  const auto indexed = index_of(g);
  const final_parameters none{{std::nullopt}, {reason::no_data}, {"no data was observed"}, {}};
  const std::vector<placed_fake_quant<toy::graph>> placed{{0, 0, 12345}};
  const error e = error_of([&] {
    edit_graph(g, [&](auto& edits) { replace_fake_quants(edits, indexed, placed, none); });
  });
  CHECK(e.code() == errc::invalid_graph);
  CHECK(e.problem() == "a fake-quant node is no longer in the graph");
}
