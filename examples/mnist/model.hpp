// lutra examples: mnist/model.hpp - the networks as graphs, and what is done to them.
// SPDX-License-Identifier: Apache-2.0
//
// mnist_cnn: conv2d(1->32, 3x3, padding 1) -> relu -> max_pool2d(2) -> flatten -> linear(6272 -> 10)
// mnist_bn:  conv2d(1->16, 3x3, padding 1) -> bn -> relu6 -> max_pool2d(2)
//            -> depthwise conv2d(16, 3x3, padding 1) -> bn -> relu6 -> conv2d(16->32, 1x1) -> bn -> relu6 -> max_pool2d(2)
//            -> conv_transpose2d(32->32, 3x3, padding 1) -> bn -> relu6 -> flatten
//            -> linear(1568->32) -> bn -> relu -> linear(32->10)
// Which of them a file holds is told by its tensors.
#pragma once

#include <common/safetensors.hpp>
#include <lutra/flow/fold_batch_norm.hpp>
#include <lutra/flow/palettizer.hpp>
#include <lutra/flow/quantizer.hpp>
#include <lutra/ir/traits.hpp>
#include <mnist/options.hpp>

namespace lutra_examples {

inline lutra::ir::graph mnist_cnn_graph(safetensors_reader& file) {
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

// Writes the layers of mnist_bn one after the other.
class mnist_bn_builder {
 public:
  explicit mnist_bn_builder(safetensors_reader& file) : file_(file) {}

  lutra::ir::graph build() {
    auto x = b_.input("input");
    layer("conv1", "nn.Conv2d");
    x = b_.conv2d(x, state("weight"), {}, {.padding = {1, 1}});
    x = b_.max_pool2d(b_.relu6(batch_norm("bn1", "nn.BatchNorm2d", x)));
    layer("conv2", "nn.Conv2d");
    x = b_.conv2d(x, state("weight"), {}, {.padding = {1, 1}, .groups = 16});
    x = b_.relu6(batch_norm("bn2", "nn.BatchNorm2d", x));
    layer("conv3", "nn.Conv2d");
    x = b_.conv2d(x, state("weight"), state("bias"));
    x = b_.max_pool2d(b_.relu6(batch_norm("bn3", "nn.BatchNorm2d", x)));
    layer("conv_transpose4", "nn.ConvTranspose2d");
    x = b_.conv_transpose2d(x, state("weight"), state("bias"), {.padding = {1, 1}});
    x = b_.flatten(b_.relu6(batch_norm("bn4", "nn.BatchNorm2d", x)));
    layer("fc5", "nn.Linear");
    x = b_.linear(x, state("weight"), state("bias"));
    x = b_.relu(batch_norm("bn5", "nn.BatchNorm1d", x));
    layer("fc6", "nn.Linear");
    b_.output(b_.linear(x, state("weight"), state("bias")));
    return std::move(b_).build();
  }

 private:
  void layer(const std::string& path, const char* type) {
    path_ = path;
    b_.module(path, type);
  }
  lutra::ir::value_id state(const char* name) {
    const std::string full = path_ + "." + name;
    return b_.state(full, file_.read<float>(full));
  }
  // The operations behind it belong to the network itself.
  lutra::ir::value_id batch_norm(const char* path, const char* type, lutra::ir::value_id x) {
    layer(path, type);
    const auto weight = state("weight");
    const auto bias = state("bias");
    const auto mean = state("running_mean");
    x = b_.batch_norm(x, weight, bias, mean, state("running_var"), 1e-3);
    b_.module("");
    return x;
  }

  safetensors_reader& file_;
  lutra::ir::builder b_;
  std::string path_;
};

inline lutra::ir::graph mnist_graph(safetensors_reader& file) {
  return file.find("bn1.weight") != nullptr ? mnist_bn_builder(file).build()
                                            : mnist_cnn_graph(file);
}

// All conv and linear weights: k-means optimum, tables quantized to int8.
inline lutra::palettizer_config mnist_palettes(const mnist_options& o) {
  lutra::palettization_spec spec{.n_bits = o.bits, .lut_qspec = {.qscheme = o.lut_scheme}};
  if (o.group_size > 0) {
    spec.granularity = lutra::granularity::per_grouped_channel(o.group_size);  // output channels
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
