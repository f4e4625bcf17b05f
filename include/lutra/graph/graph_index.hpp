// lutra: graph_index.hpp - graph_index: a graph in dense numbers; what every pass works on.
// SPDX-License-Identifier: Apache-2.0
//
// Nodes are numbered in the adapter's topological order, values in order of first appearance. Made by index_of()
// (graph/index.hpp). Value type; concurrent reads are safe. Queries are O(1) unless they say otherwise.
#pragma once

#include <algorithm>
#include <lutra/graph/module_tree.hpp>
#include <lutra/graph/op.hpp>
#include <lutra/graph/traits.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Rows of varying length in one array.
struct index_rows {
  std::vector<index_t32> begin{0};
  std::vector<index_t32> items;

  index_t rows() const noexcept { return static_cast<index_t>(begin.size()) - 1; }
  std::span<const index_t32> operator[](index_t row) const noexcept {
    return std::span<const index_t32>(items).subspan(
        to_size(begin[to_size(row)]), to_size(begin[to_size(row) + 1] - begin[to_size(row)]));
  }
  void end_row() { begin.push_back(index_t32(items.size())); }
};

// The same for names; mostly of no length.
struct name_rows {
  std::vector<index_t32> begin{0};
  std::vector<std::string> items;

  std::span<const std::string> operator[](std::size_t row) const noexcept {
    return std::span<const std::string>(items).subspan(to_size(begin[row]),
                                                       to_size(begin[row + 1] - begin[row]));
  }
  void end_row() { begin.push_back(index_t32(items.size())); }
};

struct graph_index {
  static constexpr index_t32 none = -1;

  // Of nodes.
  std::vector<index_t32> op_type;  // in op_types
  std::vector<std::string> name;   // unique; repeats are labelled name#2, name#3
  std::vector<index_t32> module;   // in modules
  std::vector<index_t32> relu6;    // hardtanh nodes with the bounds 0 and 6, ascending
  index_rows operands;             // values in slot order; slot = position in the row
  index_rows results;              // values
  // Of values.
  std::vector<value_role> role;
  std::vector<char> is_float;
  std::vector<index_t32> producer;  // node, or none
  name_rows state_names;            // canonical first
  index_rows
      uses;  // flat operand positions (into operands.items) in graph order; graph outputs follow
             // as operands.items.size() + output slot
  // Of the graph.
  std::vector<std::string> op_types;                   // distinct canonical op types
  std::vector<op_family> families;                     // of op_types
  std::vector<std::optional<weight_operand>> weights;  // of op_types
  std::vector<index_t> outputs;                        // values
  std::vector<index_t> inputs;  // values of role graph_input, in order of first use: ascending
  module_tree modules;

  index_t node_count() const noexcept { return static_cast<index_t>(op_type.size()); }
  const std::string& op(index_t n) const noexcept { return op_types[to_size(op_type[to_size(n)])]; }
  op_family family(index_t n) const noexcept { return families[to_size(op_type[to_size(n)])]; }
  const std::optional<weight_operand>& weight(index_t n) const noexcept {
    return weights[to_size(op_type[to_size(n)])];
  }
  // The flat position of an operand.
  index_t operand(index_t n, std::size_t slot) const noexcept {
    return operands.begin[to_size(n)] + static_cast<index_t>(slot);
  }
  // The node of this name, or none. Linear.
  index_t node_named(std::string_view wanted) const noexcept {
    const auto found = std::find(name.begin(), name.end(), wanted);
    return found == name.end() ? index_t(none) : static_cast<index_t>(found - name.begin());
  }
  // True of a relu6 in either spelling.
  bool is_relu6(index_t n) const noexcept {
    return op(n) == "relu6" || std::binary_search(relu6.begin(), relu6.end(), n);
  }
  // True if node n reads value v as its weight.
  bool is_weight_of(index_t n, index_t v) const noexcept {
    const auto& w = weight(n);
    return w && w->slot < operands[n].size() && operands[n][w->slot] == v;
  }
  index_t value_count() const noexcept { return static_cast<index_t>(role.size()); }
  index_t operand_count() const noexcept { return static_cast<index_t>(operands.items.size()); }
  bool is_state(index_t v) const noexcept {
    return role[to_size(v)] == value_role::state || role[to_size(v)] == value_role::packed_state;
  }
  // The node of a use, or none for a graph output.
  index_t user(index_t use) const noexcept {
    return use < operand_count() ? operand_node[to_size(use)] : none;
  }
  index_t slot(index_t use) const noexcept {
    return use < operand_count() ? use - operands.begin[to_size(user(use))] : use - operand_count();
  }
  // Readable name of a value: state name, producing node, or "input 0".
  std::string label(index_t v) const {
    const auto names = state_names[to_size(v)];
    if (!names.empty()) return names.front();
    const index_t p = producer[to_size(v)];
    if (p == none) {
      const auto at = std::lower_bound(inputs.begin(), inputs.end(), v);
      if (at != inputs.end() && *at == v) return "input " + text_of(index_t(at - inputs.begin()));
      return "value " + text_of(v);
    }
    const auto made = results[p];
    std::string text = name[to_size(p)];
    if (made.size() > 1) {
      index_t i = 0;
      while (made[to_size(i)] != v) ++i;
      text += ":" + text_of(i);
    }
    return text;
  }

  std::vector<index_t32> operand_node;  // flat operand position -> node
};

}  // namespace lutra::inline LUTRA_ABI
