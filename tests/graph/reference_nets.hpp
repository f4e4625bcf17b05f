// Networks for which the reference states how many fake-quantizers it inserts.
#pragma once

#include <string>
#include <vector>

#include "graph/toy_graph.hpp"

namespace toy {

// The MNIST reference architecture: convolutions, batch norm, transposed convolutions, linears. `weight(name,
// extents)` makes the stored tensor of a layer; inputs are [n, 5], for toy execution.
template <class Weight> graph mnist_net(graph g, Weight&& weight) {
  const int x = g.input();
  const auto layer = [&](const std::string& op, int in, const std::string& name,
                         const lutra::shape& extents, bool bn) {
    int v = g.op(op, {in, weight(g, name + ".weight", extents), g.state(name + ".bias")}, name);
    if (bn) v = g.op("batch_norm", {v, g.state(name + "_bn.weight")}, name + "_bn");
    return g.op("relu6", {v});
  };
  const lutra::shape kernel{4, 3, 3, 3};
  int v = g.op("max_pool2d", {layer("conv2d", x, "conv1", kernel, true)});
  v = g.op("max_pool2d", {layer("conv2d", v, "conv2", kernel, false)});
  v = g.op("max_pool2d", {layer("conv_transpose2d", v, "ct1", kernel, true)});
  v = g.op("flatten", {layer("conv_transpose2d", v, "ct2", kernel, false)});
  v = g.op("dropout", {layer("linear", v, "dense1", {6, 5}, false)});
  v = g.op("linear", {v, weight(g, "dense2.weight", {4, 6}), g.state("dense2.bias")}, "dense2");
  g.outputs = {g.op("log_softmax", {v})};
  return g;
}

// ResNet-50: bottlenecks of three convolutions with batch norm, a residual add and relu.
template <class Weight> graph resnet50_net(graph g, Weight&& weight) {
  int count = 0;
  const auto conv = [&](int in, bool act) {
    const std::string name = "c" + std::to_string(count++);
    int v = g.op("conv2d", {in, weight(g, name + ".weight", {4, 2, 1, 1})}, name);
    v = g.op("batch_norm", {v, g.state(name + "_bn.weight")}, name + "_bn");
    return act ? g.op("relu", {v}) : v;
  };
  int v = g.op("max_pool2d", {conv(g.input(), true)});
  for (const int blocks : {3, 4, 6, 3}) {
    for (int b = 0; b < blocks; ++b) {
      const int main = conv(conv(conv(v, true), true), false);
      const int skip = b == 0 ? conv(v, false) : v;
      v = g.op("relu", {g.op("add", {main, skip})});
    }
  }
  v = g.op("flatten", {g.op("adaptive_avg_pool2d", {v})});
  g.outputs = {g.op("linear", {v, weight(g, "fc.weight", {4, 5})}, "fc")};
  return g;
}

}  // namespace toy
