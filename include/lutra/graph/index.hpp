// lutra: index.hpp - index_of(): a graph is read once into dense numbers.
// SPDX-License-Identifier: Apache-2.0
//
// Defaults of the optional traits live here. Reading checks the graph: a result made twice, an operand nobody makes, a
// cycle (its nodes are listed) and a wrong order are errc::invalid_graph; more nodes, operands or values than 2^30
// are errc::unsupported. O(nodes + operands).
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <lutra/graph/check_order.hpp>
#include <lutra/graph/graph_index.hpp>
#include <lutra/graph/numbering.hpp>
#include <lutra/graph/traits.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// A graph_index and the adapter's handles of its nodes and values.
template <class G> struct indexed_graph {
  graph_index index;
  std::vector<node_id_t<G>> nodes;
  std::vector<value_id_t<G>> values;
};

// Reads `g`. The work of one construction, cut into steps.
template <readable_graph G> class graph_reader {
 public:
  // Points of a plan are operands and values: half of the numbers for each.
  static constexpr std::size_t most_items = std::numeric_limits<index_t32>::max() / 2;

  // `most`: nodes, operands, values and state names each, for tests.
  explicit graph_reader(const G& g, std::size_t most = most_items) : g_(g), most_(most) {}

  indexed_graph<G> read() {
    read_nodes();
    read_outputs();
    value_number_ = {};
    index().role.reserve(result_.values.size());
    index().is_float.reserve(result_.values.size());
    index().state_names.begin.reserve(result_.values.size() + 1);
    for (index_t v = 0; v < index_t(result_.values.size()); ++v) read_value(v);
    read_uses();
    read_modules();
    check_order(index());
    return std::move(result_);
  }

 private:
  using traits = graph_traits<G>;
  graph_index& index() { return result_.index; }

  // Room for what can be known beforehand.
  template <class Nodes> void reserve(const Nodes& all) {
    if constexpr (std::ranges::sized_range<const Nodes>) {
      const auto nodes = static_cast<std::size_t>(std::ranges::size(all));
      if (nodes > most_) refuse_too_many(most_, "nodes");  // before anything is read
      result_.nodes.reserve(nodes);
      result_.values.reserve(nodes);
      index().op_type.reserve(nodes);
      index().name.reserve(nodes);
      index().module.reserve(nodes);
      index().operands.begin.reserve(nodes + 1);
      index().results.begin.reserve(nodes + 1);
      index().operands.items.reserve(nodes);
      index().operand_node.reserve(nodes);
      index().results.items.reserve(nodes);
      index().producer.reserve(nodes);
      value_number_.reserve(nodes);
    }
  }
  // Before the number after `count` is given.
  void refuse_too_many(std::size_t count, const char* what) const {
    if (count < most_) return;
    raise(errc::unsupported, "the graph is too large to be numbered", "graph_traits",
          "more than " + text_of(count) + " " + what, "<= " + text_of(most_));
  }
  index_t32 number(const value_id_t<G>& v) {
    std::vector<value_id_t<G>>& values = result_.values;
    const auto next = index_t32(values.size());
    values.push_back(v);
    const index_t32 found = value_number_.find_or_add(
        next, [&](index_t32 i) { return std::hash<value_id_t<G>>{}(values[to_size(i)]); },
        [&](index_t32 i, index_t32 j) { return values[to_size(i)] == values[to_size(j)]; });
    if (found == next) {
      refuse_too_many(to_size(next), "values");
      index().producer.push_back(graph_index::none);
    } else {
      values.pop_back();
    }
    return found;
  }
  void read_nodes() {
    std::vector<index_t> repeats;  // of op types, for default names
    auto&& all = traits::nodes(g_);
    reserve(all);
    for (auto&& n : all) {
      refuse_too_many(result_.nodes.size(), "nodes");
      const auto node = index_t32(result_.nodes.size());
      result_.nodes.push_back(n);
      const index_t32 op = op_number(canonical_op(traits::op_type(g_, n)));
      index().op_type.push_back(op);
      if constexpr (requires { traits::name(g_, n); }) {
        index().name.emplace_back(traits::name(g_, n));
      } else {
        repeats.resize(index().op_types.size());
        const index_t repeat = repeats[to_size(op)]++;
        std::string& made = index().name.emplace_back(index().op_types[to_size(op)]);
        if (repeat > 0) made.append("_").append(text_of(repeat));
      }
      if (index().op_types[to_size(op)] == "hardtanh" && clamps_to_six(n)) {
        index().relu6.push_back(node);
      }
      for (auto&& v : traits::operands(g_, n)) {
        refuse_too_many(index().operands.items.size(), "operands");
        index().operands.items.push_back(number(v));
        index().operand_node.push_back(node);
      }
      index().operands.end_row();
      for (auto&& v : traits::results(g_, n)) make_result(node, number(v));
      index().results.end_row();
    }
    label_repeated_names();
  }
  index_t32 op_number(std::string_view op) {
    if (last_op_ >= 0 && index().op_types[to_size(last_op_)] == op) return last_op_;
    const auto [found, inserted] =
        op_number_.try_emplace(std::string(op), index_t32(index().op_types.size()));
    if (inserted) {
      index().op_types.emplace_back(op);
      index().families.push_back(family_of(op));
      index().weights.push_back(weight_of(op));
    }
    return last_op_ = found->second;
  }
  bool clamps_to_six([[maybe_unused]] const node_id_t<G>& n) const {
    if constexpr (requires { traits::literal(g_, n, "min_val"); }) {
      const std::optional<double> low = traits::literal(g_, n, "min_val");
      const std::optional<double> high = traits::literal(g_, n, "max_val");
      return low == 0.0 && high == 6.0;
    }
    return false;
  }
  // Whether a default name can be that of another op type: "conv_2" is, if there is an op type "conv".
  bool default_names_may_meet() const {
    const std::vector<std::string>& types = result_.index.op_types;
    return std::any_of(types.begin(), types.end(), [](const std::string& op) {
      const std::size_t end = op.find_last_not_of("0123456789");
      return end != std::string::npos && end + 1 < op.size() && op[end] == '_';
    });
  }
  void label_repeated_names() {
    if constexpr (!requires(const node_id_t<G>& n) { traits::name(g_, n); }) {
      if (!default_names_may_meet()) return;
    }
    const std::vector<std::string>& name = index().name;
    numbering first;  // nodes by their names
    first.reserve(name.size());
    std::unordered_map<index_t32, index_t> count;  // of a first node with its name: repeats
    std::vector<std::pair<std::size_t, index_t>> repeated;  // node, which repeat
    for (std::size_t n = 0; n < name.size(); ++n) {
      const index_t32 found = first.find_or_add(
          index_t32(n), [&](index_t32 i) { return std::hash<std::string>{}(name[to_size(i)]); },
          [&](index_t32 i, index_t32 j) { return name[to_size(i)] == name[to_size(j)]; });
      if (to_size(found) != n)
        repeated.emplace_back(n, ++count.try_emplace(found, 1).first->second);
    }
    for (const auto& [n, again] : repeated) index().name[n].append("#").append(text_of(again));
  }
  void make_result(index_t32 node, index_t32 v) {
    index_t32& producer = index().producer[to_size(v)];
    if (producer != graph_index::none) {
      raise(
          errc::invalid_graph, "a value is the result of two nodes", "graph_traits::results",
          text_of(index().name[to_size(producer)]) + " and " + text_of(index().name[to_size(node)]),
          "a new value of every node, of one that works in place too");
    }
    producer = node;
    index().results.items.push_back(v);
  }
  void read_outputs() {
    for (auto&& v : traits::outputs(g_)) {
      refuse_too_many(index().operands.items.size() + index().outputs.size(),
                      "operands and outputs");
      index().outputs.push_back(number(v));
    }
  }
  void read_value(index_t v) {
    const value_id_t<G>& id = result_.values[to_size(v)];
    const value_role role = traits::role_of(g_, id);
    index().role.push_back(role);
    index().is_float.push_back(traits::is_float(g_, id) ? 1 : 0);
    if (role == value_role::state) {
      if constexpr (requires { traits::state_names(g_, id); }) {
        for (const auto& name : traits::state_names(g_, id)) {
          refuse_too_many(index().state_names.items.size(), "state names");
          index().state_names.items.emplace_back(name);
        }
      }
    }
    index().state_names.end_row();
    if (role == value_role::graph_input) index().inputs.push_back(v);
  }
  void read_uses() {
    const index_t operands = index().operand_count();
    const index_t total = operands + index_t(index().outputs.size());
    const auto value_of = [&](index_t use) {
      return use < operands ? index().operands.items[to_size(use)]
                            : index().outputs[to_size(use - operands)];
    };
    std::vector<index_t32>& begin = index().uses.begin;
    begin.assign(result_.values.size() + 1, 0);
    for (index_t use = 0; use < total; ++use) ++begin[to_size(value_of(use)) + 1];
    for (std::size_t v = 1; v < begin.size(); ++v) begin[v] += begin[v - 1];
    index().uses.items.resize(to_size(total));
    std::vector<index_t32> next(begin.begin(), begin.end() - 1);
    for (index_t use = 0; use < total; ++use) {
      const index_t v = value_of(use);
      if (index().role[to_size(v)] == value_role::result &&
          index().producer[to_size(v)] == graph_index::none) {
        const index_t user = index().user(use);
        raise(errc::invalid_graph, "an operand is the result of no node", "graph_traits::operands",
              (user == graph_index::none ? "graph output "
                                         : text_of(index().name[to_size(user)]) + " operand ") +
                  text_of(index().slot(use)),
              "a result listed by results(), a graph input or a state");
      }
      index().uses.items[to_size(next[to_size(v)]++)] = index_t32(use);
    }
  }
  void read_modules() {
    module_tree& modules = index().modules;
    if constexpr (requires { traits::module_paths(g_); }) {
      for (const auto& path : traits::module_paths(g_)) modules.add(path);
    }
    index_t32 last = 0;  // nodes of one module are often neighbours
    for (auto&& n : result_.nodes) {
      if constexpr (requires { traits::module_path(g_, n); }) {
        const auto& path = traits::module_path(g_, n);
        if (modules.path(last) != path) last = index_t32(modules.add(path));
      }
      index().module.push_back(last);
    }
    for (const std::string& name : index().state_names.items) {
      modules.add(module_tree::parent_path(name));
    }
    for (index_t m = 0; m < modules.size(); ++m) {
      if constexpr (requires { traits::module_aliases(g_, modules.path(m)); }) {
        for (const auto& alias : traits::module_aliases(g_, modules.path(m))) {
          modules.add_alias(m, alias);
        }
      }
      if constexpr (requires { traits::module_type(g_, modules.path(m)); }) {
        modules.set_type(m, traits::module_type(g_, modules.path(m)));
      }
    }
    for (index_t32& m : index().module) m = index_t32(modules.canonical(m));
  }

  const G& g_;
  std::size_t most_;
  indexed_graph<G> result_;
  numbering value_number_;
  std::unordered_map<std::string, index_t32> op_number_;
  index_t32 last_op_ = -1;
};

template <readable_graph G> indexed_graph<G> index_of(const G& g) {
  return graph_reader<G>(g).read();
}

}  // namespace lutra::inline LUTRA_ABI
