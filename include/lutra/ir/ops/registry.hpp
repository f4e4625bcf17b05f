// lutra: registry.hpp - the operations of the float interpreter by op type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/ir/ops/activation.hpp>
#include <lutra/ir/ops/conv_transpose3d.hpp>
#include <lutra/ir/ops/embedding.hpp>
#include <lutra/ir/ops/layout.hpp>
#include <lutra/ir/ops/linear.hpp>
#include <lutra/ir/ops/matmul.hpp>
#include <lutra/ir/ops/pool3d.hpp>
#include <string_view>

namespace lutra::inline LUTRA_ABI::ir {

struct operation {
  std::string_view name;
  tensor<float> (*run)(const call&);
  // What is made once of a constant operand 1; null: nothing.
  std::vector<float> (*prepare)(const node&, const float_view& weight) = nullptr;
};

inline constexpr operation operations[] = {
    {"conv1d", conv1d},
    {"conv2d", conv2d},
    {"conv3d", conv3d},
    {"conv_transpose1d", conv_transpose1d, prepare_conv_transpose},
    {"conv_transpose2d", conv_transpose2d, prepare_conv_transpose},
    {"conv_transpose3d", conv_transpose3d, prepare_conv_transpose},
    {"linear", linear, prepare_linear},
    {"matmul", matmul},
    {"embedding", embedding},
    {"batch_norm", batch_norm},
    {"add", add},
    {"sub", sub},
    {"mul", mul},
    {"div", div},
    {"sqrt", square_root},
    {"relu", relu},
    {"relu6", relu6},
    {"leaky_relu", leaky_relu},
    {"elu", elu},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"silu", silu},
    {"gelu", gelu},
    {"hardtanh", hardtanh},
    {"hardsigmoid", hardsigmoid},
    {"hardswish", hardswish},
    {"softmax", softmax},
    {"max_pool1d", max_pool1d},
    {"max_pool2d", max_pool2d},
    {"max_pool3d", max_pool3d},
    {"avg_pool1d", avg_pool1d},
    {"avg_pool2d", avg_pool2d},
    {"avg_pool3d", avg_pool3d},
    {"adaptive_avg_pool1d", adaptive_avg_pool1d},
    {"adaptive_avg_pool2d", adaptive_avg_pool2d},
    {"adaptive_avg_pool3d", adaptive_avg_pool3d},
    {"adaptive_max_pool1d", adaptive_max_pool1d},
    {"adaptive_max_pool2d", adaptive_max_pool2d},
    {"adaptive_max_pool3d", adaptive_max_pool3d},
    {"mean", mean},
    {"flatten", flatten},
    {"reshape", reshape},
    {"permute", permute},
    {"transpose", permute},
    {"cat", concat},
};

// Null for an op type that the interpreter does not have.
inline const operation* find_operation(std::string_view name) {
  for (const operation& o : operations) {
    if (o.name == name) return &o;
  }
  return nullptr;
}

}  // namespace lutra::inline LUTRA_ABI::ir
