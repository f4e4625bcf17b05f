// lutra: registry.hpp - the operations of the float interpreter by op type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/ir/ops/conv.hpp>
#include <lutra/ir/ops/elementwise.hpp>
#include <lutra/ir/ops/layout.hpp>
#include <lutra/ir/ops/linear.hpp>
#include <lutra/ir/ops/pool.hpp>
#include <string_view>

namespace lutra::inline LUTRA_ABI::ir {

struct operation {
  std::string_view name;
  tensor<float> (*run)(const call&);
  // What is made once of a constant operand 1; null: nothing.
  std::vector<float> (*prepare)(const float_view& weight) = nullptr;
};

inline constexpr operation operations[] = {
    {"conv1d", conv1d},
    {"conv2d", conv2d},
    {"linear", linear, prepare_linear},
    {"batch_norm", batch_norm},
    {"add", add},
    {"mul", mul},
    {"relu", relu},
    {"relu6", relu6},
    {"softmax", softmax},
    {"max_pool1d", max_pool1d},
    {"max_pool2d", max_pool2d},
    {"avg_pool1d", avg_pool1d},
    {"avg_pool2d", avg_pool2d},
    {"adaptive_avg_pool2d", adaptive_avg_pool2d},
    {"flatten", flatten},
    {"reshape", reshape},
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
