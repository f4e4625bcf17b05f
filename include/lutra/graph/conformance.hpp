// lutra: conformance.hpp - graph_conformance(g): is this graph_traits specialisation telling the truth?
// SPDX-License-Identifier: Apache-2.0
//
// Returns one sentence per problem (at most a hundred), none if the adapter is sound.
//   graph_conformance(g)  reading: order, cycles, results, operands, outputs, roles, names, constants
//   edit_conformance(g)   also editing: each edit is tried on one value and taken back
// Linear in the graph.
#pragma once

#include <array>
#include <lutra/graph/index.hpp>
#include <lutra/graph/traits.hpp>
#include <optional>
#include <string>
#include <unordered_map>
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
};

template <readable_graph G> std::vector<std::string> graph_conformance(const G& g) {
  return graph_checker<G>(g).run();
}

// Tries every edit on the first float value that a node or an output reads, and takes it back.
template <editable_graph G> class edit_checker {
 public:
  explicit edit_checker(G& g) : g_(g) {}

  std::vector<std::string> run() {
    const auto before = index_of(std::as_const(g_));
    const graph_index& i = before.index;
    for (index_t v = 0; v < i.value_count(); ++v) {
      const bool usable = i.is_float[to_size(v)] != 0 && !i.uses[v].empty() &&
                          i.role[to_size(v)] != value_role::packed_state;
      if (!usable) continue;
      const bool state = i.role[to_size(v)] == value_role::state;
      bool& tried = state ? tried_state_ : tried_value_;
      if (tried) continue;
      tried = true;
      if (state) try_constant(before.values[to_size(v)]);
      try_insertion(before, v);
      try_pair(before, v);
      if constexpr (arithmetic_graph<G>) try_arithmetic(before, v);
    }
    if constexpr (foldable_graph<G>) try_bias(before);
    return std::move(problems_);
  }

 private:
  using traits = graph_traits<G>;
  using value_id = value_id_t<G>;

  void problem(std::string text) { problems_.push_back(std::move(text)); }

  void try_constant(const value_id& v) {
    const tensor_view<const float> data = traits::constant(std::as_const(g_), v);
    const shape extents = data.extents();
    const std::vector<float> old = to_vector<float>(data);
    std::vector<float> changed = old;
    for (float& x : changed) x += 1.0F;
    traits::set_constant(g_, v, tensor_view<const float>(changed.data(), extents));
    if (to_vector<float>(tensor_view<const float>(traits::constant(std::as_const(g_), v))) !=
        changed) {
      problem("set_constant: constant() does not return the new elements");
    }
    traits::set_constant(g_, v, tensor_view<const float>(old.data(), extents));
    if (to_vector<float>(tensor_view<const float>(traits::constant(std::as_const(g_), v))) != old) {
      problem("set_constant: the old elements cannot be put back");
    }
  }
  // Output channels of a layer with two or three operands; 0 if they are not known, or there are none.
  index_t channels_of(const indexed_graph<G>& before, index_t layer) const {
    const graph_index& i = before.index;
    const auto operands = i.operands[layer];
    if (i.family(layer) != op_family::weighted || (operands.size() != 2 && operands.size() != 3)) {
      return 0;
    }
    const auto stored = [&](std::size_t slot) {
      return i.role[to_size(operands[slot])] == value_role::state &&
             i.is_float[to_size(operands[slot])] != 0;
    };
    const auto extents = [&](std::size_t slot) {
      const tensor_view<const float> data =
          traits::constant(std::as_const(g_), before.values[to_size(operands[slot])]);
      return data.extents();
    };
    if (operands.size() == 3) return stored(2) ? extents(2).size() : 0;
    const int axis = i.weight(layer)->channel_axis;
    if (!stored(1) || extents(1).rank() <= axis) return 0;
    index_t groups = 1;
    if constexpr (requires(const node_id_t<G>& n) { traits::literal(g_, n, "groups"); }) {
      const auto given = traits::literal(std::as_const(g_), before.nodes[to_size(layer)], "groups");
      if (given && axis == 1) groups = static_cast<index_t>(*given);
    }
    return extents(1)[axis] * groups;
  }
  // A new state as the bias of the first layer, and the old one back.
  void try_bias(const indexed_graph<G>& before) {
    const graph_index& i = before.index;
    index_t layer = 0;
    while (layer < i.node_count() && channels_of(before, layer) == 0) ++layer;
    if (layer == i.node_count()) return;
    std::vector<float> data(to_size(channels_of(before, layer)), 1.0F);
    data.back() = -2.5F;
    const value_id made =
        traits::add_state(g_, "lutra_edit_conformance",
                          tensor_view<const float>(data.data(), shape{index_t(data.size())}));
    if (traits::role_of(std::as_const(g_), made) != value_role::state ||
        to_vector<float>(tensor_view<const float>(traits::constant(std::as_const(g_), made))) !=
            data) {
      problem("add_state: the new value is not a state of these elements");
    }
    const node_id_t<G>& node = before.nodes[to_size(layer)];
    std::optional<value_id> old;
    if (i.operands[layer].size() == 3) old = before.values[to_size(i.operands[layer][2])];
    traits::set_bias(g_, node, std::optional<value_id>(made));
    const auto& operands = traits::operands(std::as_const(g_), node);
    if (std::ranges::distance(operands) != 3 || !(at(operands, 2) == made)) {
      problem("set_bias: operand 2 of the layer is not the new state");
    }
    traits::set_bias(g_, node, old);
    if (!(snapshot() == snapshot_of(before))) {
      problem("set_bias: the old bias does not come back");
      return;
    }
    traits::erase(g_, made);
  }
  void try_insertion(const indexed_graph<G>& before, index_t v) {
    const value_id source = before.values[to_size(v)];
    const value_id made = traits::insert_fake_quant(g_, source, fake_quant_id{0});
    check_inserted(source, made);
    check_unrewired(before, v, "insert_fake_quant");
    if (traits::role_of(std::as_const(g_), made) != value_role::result) {
      problem("insert_fake_quant: role_of the new value is not result");
    }
    if (!traits::is_float(std::as_const(g_), made)) {
      problem("insert_fake_quant: the new value is not float");
    }
    redirect(before, v, made, "insert_fake_quant");
    redirect(before, v, source, "set_operand back");
    traits::erase(g_, made);
    if (!(snapshot() == snapshot_of(before))) {
      problem("erase: the graph differs from what it was before insert_fake_quant");
    }
  }
  void try_pair(const indexed_graph<G>& before, index_t v) {
    const picture was = snapshot();
    qparams q;
    q.scale = {0.5F};
    q.zero_point = {0};
    q.minval = {-64.0F};
    const value_id source = before.values[to_size(v)];
    const value_id made = traits::emit_quantize_dequantize(g_, source, std::as_const(q));
    if (!check_unrewired(before, v, "emit_quantize_dequantize")) {
      redirect(before, v, source, "set_operand back");
    }
    if (traits::role_of(std::as_const(g_), made) != value_role::result ||
        !traits::is_float(std::as_const(g_), made)) {
      problem("emit_quantize_dequantize: the new value is not a float result");
    }
    traits::erase(g_, made);
    if (!(snapshot() == was)) {
      problem("erase: the graph differs from what it was before emit_quantize_dequantize");
    }
  }
  // v + 0.5, and the root of it.
  void try_arithmetic(const indexed_graph<G>& before, index_t v) {
    const picture was = snapshot();
    const value_id source = before.values[to_size(v)];
    const auto emit = [&](arithmetic::kind_t kind, const value_id& operand) {
      const std::array<value_id, 1> operands{operand};
      return traits::emit_arithmetic(g_, arithmetic{.kind = kind, .scalar = 0.5},
                                     std::span<const value_id>(operands));
    };
    const value_id sum = emit(arithmetic::kind_t::add_scalar, source);
    const value_id root = emit(arithmetic::kind_t::sqrt, sum);
    check_reads(sum, source, "emit_arithmetic");
    check_reads(root, sum, "emit_arithmetic");
    if (!check_unrewired(before, v, "emit_arithmetic")) {
      redirect(before, v, source, "set_operand back");
    }
    if (traits::role_of(std::as_const(g_), root) != value_role::result ||
        !traits::is_float(std::as_const(g_), root)) {
      problem("emit_arithmetic: the new value is not a float result");
    }
    for (const std::string& p : graph_conformance(std::as_const(g_))) {
      problem("emit_arithmetic: " + p);
    }
    traits::erase(g_, root);
    traits::erase(g_, sum);
    if (!(snapshot() == was)) {
      problem("erase: the graph differs from what it was before emit_arithmetic");
    }
  }
  // Who read v still does.
  bool check_unrewired(const indexed_graph<G>& before, index_t v, const char* what) {
    const graph_index& i = before.index;
    bool sound = true;
    for (const index_t use : i.uses[v]) {
      const auto slot = to_size(i.slot(use));
      const value_id now =
          i.user(use) < 0
              ? at(traits::outputs(std::as_const(g_)), slot)
              : at(traits::operands(std::as_const(g_), before.nodes[to_size(i.user(use))]), slot);
      if (!(now == before.values[to_size(v)])) {
        sound = false;
        problem(std::string(what) + ": it changes what slot " + text_of(i.slot(use)) +
                " of a reader reads; passes redirect readers themselves");
      }
    }
    return sound;
  }
  static bool same(const value_id& a, const value_id& b) { return a == b; }
  // The new node is listed, and reads the source; null if it is not listed.
  std::optional<node_id_t<G>> check_reads(const value_id& made, const value_id& source,
                                          const char* what) {
    for (auto&& n : traits::nodes(std::as_const(g_))) {
      bool makes = false, reads = false;
      for (auto&& v : traits::results(std::as_const(g_), n)) makes = makes || same(v, made);
      if (!makes) continue;
      for (auto&& v : traits::operands(std::as_const(g_), n)) reads = reads || same(v, source);
      if (!reads) problem(std::string(what) + ": the new node does not read the value");
      return n;
    }
    problem(std::string(what) + ": no node of nodes() lists the new value in results()");
    return std::nullopt;
  }
  // And says what it is.
  void check_inserted(const value_id& source, const value_id& made) {
    const auto n = check_reads(made, source, "insert_fake_quant");
    if (!n) return;
    const std::string op(traits::op_type(std::as_const(g_), *n));
    if (op != "fake_quant") {
      problem("insert_fake_quant: op_type of the new node is " + text_of(std::string_view(op)) +
              ", not 'fake_quant'");
    }
  }
  // Makes every use of v read `to`, and looks whether it does.
  void redirect(const indexed_graph<G>& before, index_t v, const value_id& to, const char* what) {
    const graph_index& i = before.index;
    for (const index_t use : i.uses[v]) {
      const auto slot = to_size(i.slot(use));
      const bool output = i.user(use) < 0;
      if (output) {
        traits::set_output(g_, slot, to);
      } else {
        traits::set_operand(g_, before.nodes[to_size(i.user(use))], slot, to);
      }
      const bool reads =
          output ? at(traits::outputs(std::as_const(g_)), slot) == to
                 : at(traits::operands(std::as_const(g_), before.nodes[to_size(i.user(use))]),
                      slot) == to;
      if (!reads) {
        problem(std::string(what) + (output ? ": set_output" : ": set_operand") +
                " has no effect on slot " + text_of(i.slot(use)));
      }
    }
  }
  template <class R> static value_id at(R&& range, std::size_t slot) {
    auto it = std::ranges::begin(range);
    std::ranges::advance(it, static_cast<std::ptrdiff_t>(slot));
    return *it;
  }
  // Node ids with operands, and outputs: enough to see a difference.
  struct picture {
    std::vector<node_id_t<G>> nodes;
    std::vector<value_id> values;
    friend bool operator==(const picture&, const picture&) = default;
  };
  picture snapshot() const { return snapshot_of(index_of(std::as_const(g_))); }
  static picture snapshot_of(const indexed_graph<G>& g) {
    picture p{g.nodes, {}};
    for (const index_t v : g.index.operands.items) p.values.push_back(g.values[to_size(v)]);
    for (const index_t v : g.index.outputs) p.values.push_back(g.values[to_size(v)]);
    return p;
  }

  G& g_;
  bool tried_state_ = false;
  bool tried_value_ = false;
  std::vector<std::string> problems_;
};

// Reading and editing. The graph is as before afterwards, if the adapter is sound.
template <editable_graph G> std::vector<std::string> edit_conformance(G& g) {
  std::vector<std::string> problems = graph_conformance(std::as_const(g));
  if (problems.empty()) problems = edit_checker<G>(g).run();
  return problems;
}

}  // namespace lutra::inline LUTRA_ABI
