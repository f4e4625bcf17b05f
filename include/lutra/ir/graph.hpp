// lutra: graph.hpp - ir::graph: the smallest owning graph, so that the library runs without a framework.
// SPDX-License-Identifier: Apache-2.0
//
// Nodes and values are numbered by the order of their creation; ids stay valid, erased ones are
// never reused. `order` holds the live nodes, producers before consumers. Adapted to the passes
// through graph_traits like any user's graph (ir/traits.hpp); built with ir/builder.hpp; run by
// ir/interpreter.hpp (float) and ir/integer.hpp (integer). Concurrent reads are safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <lutra/affine/constant.hpp>
#include <lutra/graph/traits.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
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
  // Canonical op type; also "fake_quant", "quantize", "dequantize", and what makes packed states: "lut_to_dense",
  // "constexpr_blockwise_shift_scale".
  std::string op{};
  std::string name{};  // for messages and reports: unique as made here, not verified
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
  std::optional<packed_palette> palette{};  // of packed states: this,
  std::optional<affine_constant> affine{};  // or this
};

// Names of nodes that are taken, and the next number to try behind each: what graph_traits keeps so that
// making a name up takes constant time. Reads nodes that were added since, so a graph may be built by hand.
class node_names {
 public:
  // stem, stem_1, stem_2, ...: the first that no node has. Taken from now on.
  std::string make(const std::vector<node>& nodes, const std::string& stem) {
    for (; read_ < nodes.size(); ++read_) {
      if (!nodes[read_].name.empty()) next_.try_emplace(nodes[read_].name, 1);
    }
    const auto [at, fresh] = next_.try_emplace(stem, 1);
    if (fresh) return stem;
    index_t& number = at->second;  // stays where it is when the table grows
    for (;;) {
      std::string name = stem + "_" + text_of(number++);
      if (next_.try_emplace(name, 1).second) return name;
    }
  }
  // The node of this name is gone; the name may be given again.
  void release(std::string&& name) noexcept {
    next_.erase(name);
    const std::size_t bar = name.rfind('_');
    if (bar == std::string::npos || bar + 1 == name.size() || name.size() - bar > 18) return;
    index_t number = 0;
    for (std::size_t i = bar + 1; i < name.size(); ++i) {
      if (name[i] < '0' || name[i] > '9') return;
      number = 10 * number + (name[i] - '0');
    }
    const auto stem = (name.resize(bar), next_.find(name));
    if (stem != next_.end() && number >= 1) stem->second = std::min(stem->second, number);
  }

 private:
  std::unordered_map<std::string, index_t> next_;
  std::size_t read_ = 0;  // nodes whose names are in the table
};

struct graph {
  std::vector<node> nodes;
  std::vector<value> values;
  std::vector<node_id> order;
  std::vector<value_id> inputs;
  std::vector<value_id> outputs;
  std::map<std::string, std::string> module_types;  // module path -> type name
  bool training = false;  // batch norms take the statistics of their batch
  node_names names{};     // of the nodes; derived from them, kept by graph_traits

  node& at(node_id n) { return nodes[to_size(n.index)]; }
  const node& at(node_id n) const { return nodes[to_size(n.index)]; }
  value& at(value_id v) { return values[to_size(v.index)]; }
  const value& at(value_id v) const { return values[to_size(v.index)]; }
};

}  // namespace lutra::inline LUTRA_ABI::ir

template <> struct std::hash<lutra::ir::node_id> {
  std::size_t operator()(lutra::ir::node_id n) const noexcept { return lutra::to_size(n.index); }
};
template <> struct std::hash<lutra::ir::value_id> {
  std::size_t operator()(lutra::ir::value_id v) const noexcept { return lutra::to_size(v.index); }
};
