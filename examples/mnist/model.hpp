// lutra examples: mnist/model.hpp - the network as a graph, and what is done to it.
// SPDX-License-Identifier: Apache-2.0
//
// conv2d(1->32, 3x3, padding 1) -> relu -> max_pool2d(2) -> flatten -> linear(6272 -> 10)
#pragma once

#include <common/safetensors.hpp>
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/ir/traits.hpp>
#include <mnist/options.hpp>

namespace lutra_examples {

inline lutra::ir::graph mnist_graph(safetensors_reader& file) {
  lutra::ir::builder b;
  const auto state = [&](const char* name) { return b.state(name, file.read<float>(name)); };
  const auto x = b.input("input");
  b.module("conv1", "nn.Conv2d");
  const auto conv = b.conv2d(x, state("conv1.weight"), state("conv1.bias"), {.padding = {1, 1}});
  b.module("");
  const auto features = b.flatten(b.max_pool2d(b.relu(conv)));
  b.module("fc", "nn.Linear");
  b.output(b.linear(features, state("fc.weight"), state("fc.bias")));
  return std::move(b).build();
}

// All conv and linear weights: k-means optimum, tables quantized to int8.
inline lutra::palettizer_config mnist_palettes(const mnist_options& o) {
  lutra::palettization_spec spec{.n_bits = o.bits, .lut_qspec = {.qscheme = o.lut_scheme}};
  if (o.group_size > 0) {
    spec.granularity = lutra::granularity::per_grouped_channel(o.group_size, 0);
  }
  lutra::palettizer_config config;
  config.global_config.op_state_spec = {{"weight", spec}};
  return config;
}

// Activations int8 symmetric per tensor, moving average; weights are palettes already.
inline lutra::quantizer_config mnist_activations() {
  lutra::quantizer_config config;
  config.global_config.op_state_spec = lutra::off;
  return config;
}

}  // namespace lutra_examples
