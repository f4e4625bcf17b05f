// lutra: reading.hpp - graph_checker: does a graph_traits specialisation tell one story when it is read?
// SPDX-License-Identifier: Apache-2.0
//
// A part of graph/conformance.hpp. Linear in the graph. One checker belongs to one thread.
#pragma once

#include <lutra/graph/index.hpp>
#include <lutra/graph/op.hpp>
#include <lutra/graph/traits.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// What a reader finds in a graph, without stopping at the first problem.
template <readable_graph G> class graph_checker {
 public:
  explicit graph_checker(const G& g) : g_(g) {}

  std::vector<std::string> run() {
    check_nodes();
    check_uses();
    check_names();
    check_batch_norms();
    if (problems_.empty()) check_order_of_nodes();
    return std::move(problems_);
  }

 private:
  using traits = graph_traits<G>;
  using node_id = node_id_t<G>;
  using value_id = value_id_t<G>;

  void problem(std::string text) {
    constexpr std::size_t most = 100;
    if (problems_.size() < most) problems_.push_back(std::move(text));
  }
  std::string node_text(const node_id& n) const {
    std::string text =
        "node " + text_of(position_.at(n)) + " (" + std::string(traits::op_type(g_, n)) + ")";
    if constexpr (requires { traits::name(g_, n); }) {
      text += " " + text_of(std::string_view(traits::name(g_, n)));
    }
    return text;
  }
  void check_nodes() {
    for (auto&& n : traits::nodes(g_)) {
      if (!position_.emplace(n, index_t(order_.size())).second) {
        problem("nodes() lists " + node_text(n) + " twice");
        continue;
      }
      order_.push_back(n);
    }
    for (const node_id& n : order_) {
      if (std::string_view(traits::op_type(g_, n)).empty()) {
        problem(node_text(n) + " has an empty op_type");
      }
      for (auto&& v : traits::results(g_, n)) {
        const auto [maker, inserted] = producer_.emplace(v, n);
        if (!inserted) {
          problem("a value is listed as a result of " + node_text(maker->second) + " and of " +
                  node_text(n) + " (an op that works in place makes a new value)");
        }
        const value_role role = traits::role_of(g_, v);
        if (role == value_role::graph_input || role == value_role::state) {
          problem("a result of " + node_text(n) + " has role_of graph_input or state");
        }
      }
    }
  }
  void check_uses() {
    for (const node_id& n : order_) {
      index_t slot = 0;
      for (auto&& v : traits::operands(g_, n)) {
        check_use(v, node_text(n) + ", operand " + text_of(slot++));
      }
    }
    index_t slot = 0;
    for (auto&& v : traits::outputs(g_)) check_use(v, "graph output " + text_of(slot++));
  }
  void check_use(const value_id& v, const std::string& where) {
    const value_role role = traits::role_of(g_, v);
    if (role == value_role::result && producer_.find(v) == producer_.end()) {
      problem(where + ": role_of says result, but no node lists it in results()");
    }
    if (role != value_role::state) return;
    check_state_names(v, where);
    if constexpr (editable_graph<G>) {
      if (!traits::is_float(g_, v)) return;
      const tensor_view<const float> data = traits::constant(g_, v);
      if (data.size() > 0 && data.data() == nullptr) problem(where + ": constant() has no data");
      if constexpr (requires { traits::shape_of(g_, v); }) {
        const auto known = traits::shape_of(g_, v);
        if (known && !(*known == data.extents())) {
          problem(where + ": shape_of says " + text_of(*known) + ", constant() has " +
                  text_of(data.extents()));
        }
      }
    }
  }
  // Configs, sensitivities and saved states know a state by its names.
  void check_state_names(const value_id& v, const std::string& where) {
    if constexpr (requires { traits::state_names(g_, v); }) {
      if (!named_.emplace(v, true).second) return;
      for (auto&& given : traits::state_names(g_, v)) {
        const std::string_view name(given);
        const auto [owner, fresh] = state_of_.emplace(name, v);
        if (fresh || owner->second == v) continue;
        problem(where + ": the state is called " + text_of(name) +
                ", as another one is (state_names)");
      }
    }
  }
  // What folding would read.
  void check_batch_norms() {
    if constexpr (foldable_graph<G>) {
      for (const node_id& n : order_) {
        if (canonical_op(std::string_view(traits::op_type(g_, n))) != "batch_norm") continue;
        const std::optional<batch_norm_operands<value_id>> norm = traits::batch_norm_of(g_, n);
        if (!norm) continue;
        const auto parameter = [&](const char* what, const value_id& v) {
          if (traits::role_of(g_, v) == value_role::state && traits::is_float(g_, v)) return;
          problem(node_text(n) + ": batch_norm_of gives a " + what + " that is no float state");
        };
        parameter("mean", norm->mean);
        parameter("variance", norm->variance);
        if (norm->weight) parameter("weight", *norm->weight);
        if (norm->bias) parameter("bias", *norm->bias);
        if (!(norm->eps >= 0)) {
          problem(node_text(n) + ": batch_norm_of gives an eps of " + text_of(norm->eps));
        }
      }
    }
  }
  void check_names() {
    if constexpr (requires(const node_id& n) { traits::name(g_, n); }) {
      for (const node_id& n : order_) {
        if (std::string_view(traits::name(g_, n)).empty()) {
          problem(node_text(n) + " has an empty name");
        }
      }
    }
  }
  void check_order_of_nodes() {
#if LUTRA_HAS_EXCEPTIONS
    try {
      index_of(g_);
    } catch (const error& e) {
      problem(e.what());
    }
#else
    index_of(g_);  // an error ends the program
#endif
  }

  const G& g_;
  std::vector<std::string> problems_;
  std::vector<node_id> order_;
  std::unordered_map<node_id, index_t> position_;
  std::unordered_map<value_id, node_id> producer_;
  std::unordered_map<value_id, bool> named_;  // states that were looked at
  std::unordered_map<std::string, value_id> state_of_;
};

}  // namespace lutra::inline LUTRA_ABI
