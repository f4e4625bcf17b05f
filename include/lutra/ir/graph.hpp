// lutra: graph.hpp - ir::graph: the smallest owning graph, so that the library runs without a framework.
// SPDX-License-Identifier: Apache-2.0
//
// Nodes and values are numbered by the order of their creation; ids stay valid, erased ones are
// never reused. `order` holds the live nodes, producers before consumers. Adapted to the passes
// through graph_traits like any user's graph (ir/traits.hpp); built with ir/builder.hpp; run by
// ir/interpreter.hpp (float) and ir/integer.hpp (integer). Concurrent reads are safe.
#pragma once

#include <cstddef>
#include <functional>
#include <lutra/affine/qparams.hpp>
#include <lutra/graph/traits.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI::ir {

struct node_id {
  index_t index = -1;
  friend constexpr auto operator<=>(node_id, node_id) = default;
};
struct value_id {
  index_t index = -1;
  friend constexpr auto operator<=>(value_id, value_id) = default;
};

// Every member has an initialiser, so designated initialisers may leave any of them out.
struct node {
  std::string
      op{};  // canonical op type; also "fake_quant", "quantize", "dequantize", "lut_to_dense"
  std::string name{};  // unique
  std::string module_path{};
  std::vector<value_id> operands{};
  std::vector<value_id> results{};
  std::map<std::string, std::vector<double>> literals{};  // stride, padding, groups, eps, ...
  fake_quant_id fake_quant{};                             // of "fake_quant"
  std::optional<qparams> quantization{};                  // of "quantize" and "dequantize"
};

struct value {
  std::string name{};  // states: full dotted name
  value_role role = value_role::result;
  bool is_float = true;
  node_id producer{};                       // of results and packed states
  tensor<float> data{};                     // of states
  std::optional<packed_palette> palette{};  // of packed states
};

struct graph {
  std::vector<node> nodes;
  std::vector<value> values;
  std::vector<node_id> order;
  std::vector<value_id> inputs;
  std::vector<value_id> outputs;
  std::map<std::string, std::string> module_types;  // module path -> type name

  node& at(node_id n) { return nodes[static_cast<std::size_t>(n.index)]; }
  const node& at(node_id n) const { return nodes[static_cast<std::size_t>(n.index)]; }
  value& at(value_id v) { return values[static_cast<std::size_t>(v.index)]; }
  const value& at(value_id v) const { return values[static_cast<std::size_t>(v.index)]; }
};

}  // namespace lutra::inline LUTRA_ABI::ir

template <> struct std::hash<lutra::ir::node_id> {
  std::size_t operator()(lutra::ir::node_id n) const noexcept {
    return static_cast<std::size_t>(n.index);
  }
};
template <> struct std::hash<lutra::ir::value_id> {
  std::size_t operator()(lutra::ir::value_id v) const noexcept {
    return static_cast<std::size_t>(v.index);
  }
};
