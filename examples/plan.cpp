// What would be compressed, and why, before anything is touched: the plan of a small network.
#include <cstdio>
#include <lutra/graph/inspect.hpp>
#include <lutra/graph/presets.hpp>
#include <lutra/ir/builder.hpp>
#include <lutra/ir/traits.hpp>

namespace {
lutra::ir::graph network() {
  lutra::ir::builder b;
  const auto weight = [&](const char* name, const lutra::shape& extents) {
    return b.state(name, lutra::tensor<float>(extents));
  };
  const auto x = b.input("x");
  const auto c = b.relu(b.conv2d(x, weight("conv.weight", {8, 3, 3, 3})));
  b.output(b.linear(b.flatten(c), weight("fc.weight", {10, 512}), weight("fc.bias", {10})));
  return std::move(b).build();
}
}  // namespace

int main() {
  const lutra::ir::graph graph = network();
  lutra::joint_config config = lutra::presets::p4a8();  // 4-bit palettes, int8 activations
  config.weights.only_for({"linear"});
  const lutra::joint_plan plan = lutra::plan(graph, config);

  for (const lutra::weight_choice& w : plan.weights.weights) {
    std::printf("%-12s %s%s\n", w.name.c_str(), w.chosen ? "palette by " : "", w.why.c_str());
  }
  const lutra::quantization_plan& a = plan.activations;
  const lutra::index_t flatten = a.index.node_named("flatten");
  const lutra::decision& d = a.operand_decision[lutra::to_size(a.index.operand(flatten, 0))];
  std::printf("input of flatten: %s\n\nevery operand and result:\n", a.describe(d).c_str());
  std::fputs(lutra::text_of(lutra::inspect(plan)).c_str(), stdout);  // everything, as a tree
  return d.why == lutra::reason::shared_range && plan.weights.weights[0].chosen == false ? 0 : 1;
}
