// lutra: verify.hpp - whether an ir::graph is one: no cycle, nothing dangling, one producer per value.
// SPDX-License-Identifier: Apache-2.0
//
// O(nodes + operands). Raises errc::invalid_graph naming the node, the operand and what is wrong.
#pragma once

#include <lutra/ir/graph.hpp>

namespace lutra::inline LUTRA_ABI::ir {

// "node 'conv1' (conv2d)", for messages.
inline std::string label(const node& n) { return "node " + text_of(n.name) + " (" + n.op + ")"; }

// While it lives, errors raised on its thread are about this node (core/error.hpp). Whatever works on one node is
// called behind such a place and says itself only what is wrong within the node.
class node_place {
 public:
  explicit node_place(const node& n) : name_(label(n)), place_(name_) {}

 private:
  std::string name_;
  error_place place_;
};

// verify() leaves the number of results open: whoever takes the first one asks here.
inline void need_one_result(const node& n) {
  if (n.results.size() == 1) return;
  raise(errc::invalid_graph, "one result is needed", {}, text_of(n.results.size()), "1");
}

class verifier {
 public:
  explicit verifier(const graph& g) : g_(g), place_(g.nodes.size(), -1), made_(g.values.size()) {}

  void run() {
    for (const value_id v : g_.inputs) {
      check_id(v, "graph input");
      if (g_.at(v).role != value_role::graph_input) {
        bad("listed as a graph input, but has another role", text_of(g_.at(v).name));
      }
      if (made_[index(v)]) bad("graph input listed twice", text_of(g_.at(v).name));
      made_[index(v)] = true;
    }
    for (std::size_t i = 0; i < g_.order.size(); ++i) {
      const node_id n = g_.order[i];
      if (n.index < 0 || n.index >= static_cast<index_t>(g_.nodes.size())) {
        bad("order names a node that does not exist", text_of(n.index));
      }
      if (place_[index(n)] >= 0) bad("order names a node twice", label(g_.at(n)));
      place_[index(n)] = static_cast<index_t>(i);
    }
    for (const node_id n : g_.order) check_node(n);
    for (const value_id v : g_.outputs) {
      check_id(v, "graph output");
      if (!available(v)) bad("graph output has no live producer", text_of(g_.at(v).name));
    }
  }

 private:
  static std::size_t index(node_id n) { return to_size(n.index); }
  static std::size_t index(value_id v) { return to_size(v.index); }
  [[noreturn]] static void bad(const char* what, std::string value) {
    raise(errc::invalid_graph, what, {}, std::move(value));
  }
  void check_id(value_id v, const char* where = "") const {
    if (v.index < 0 || v.index >= static_cast<index_t>(g_.values.size())) {
      raise(errc::invalid_graph, "dangling value id", where, text_of(v.index),
            "0.." + text_of(static_cast<index_t>(g_.values.size()) - 1));
    }
  }
  bool available(value_id v) const { return g_.at(v).role == value_role::state || made_[index(v)]; }
  void check_node(node_id id) {
    const node& n = g_.at(id);
    const node_place here(n);
    for (const value_id v : n.operands) {
      check_id(v);
      if (available(v)) continue;
      const value& operand = g_.at(v);
      const bool produced = operand.producer.index >= 0 &&
                            operand.producer.index < static_cast<index_t>(g_.nodes.size()) &&
                            place_[index(operand.producer)] >= 0;
      bad(produced ? "operand is produced later or by the node itself (cycle or wrong order)"
                   : "dangling operand: it has no live producer",
          text_of(operand.name));
    }
    for (const value_id v : n.results) {
      check_id(v);
      const value& result = g_.at(v);
      const bool role =
          result.role == value_role::result || result.role == value_role::packed_state;
      if (!role || result.producer != id || made_[index(v)]) {
        bad("result belongs to something else too", text_of(result.name));
      }
      made_[index(v)] = true;
    }
  }

  const graph& g_;
  std::vector<index_t> place_;  // of each node in the order; -1 for erased ones
  std::vector<char> made_;      // values available so far
};

inline void verify(const graph& g) { verifier(g).run(); }

}  // namespace lutra::inline LUTRA_ABI::ir
