// lutra: optional_edits.hpp - optional_edit_checker: folding, arithmetic, transactions, training, where they are.
// SPDX-License-Identifier: Apache-2.0
//
// A part of graph/conformance.hpp: tries what an adapter has beyond an editable_graph, and takes it back. Linear in the
// graph. One checker belongs to one thread.
#pragma once

#include <lutra/graph/conformance/probe.hpp>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class optional_edit_checker : edit_probe<G> {
 public:
  explicit optional_edit_checker(G& g) : edit_probe<G>(g) {}

  std::vector<std::string> run() {
    const auto before = index_of(this->graph());
    // What an unsound edit leaves is no graph to try the next one on.
    const auto sound = [&] { return this->problems_.empty(); };
    for (const index_t v : this->samples_of(before.index)) {
      if constexpr (foldable_graph<G>) {
        if (sound()) try_erase_nodes(before, v);
      }
      if constexpr (arithmetic_graph<G>) {
        if (sound()) try_arithmetic(before, v);
      }
      if (sound()) try_transaction(before, v);
    }
    if constexpr (foldable_graph<G>) {
      if (sound()) try_bias(before);
    }
    try_training();
    return std::move(this->problems_);
  }

 private:
  using base = edit_probe<G>;
  using base::g_;
  using base::problem;
  using typename base::node_id;
  using typename base::picture;
  using typename base::traits;
  using typename base::value_id;

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
          traits::constant(this->graph(), before.values[to_size(operands[slot])]);
      return data.extents();
    };
    if (operands.size() == 3) return stored(2) ? extents(2).size() : 0;
    const int axis = i.weight(layer)->channel_axis;
    if (!stored(1) || extents(1).rank() <= axis) return 0;
    index_t groups = 1;
    if constexpr (requires(const node_id_t<G>& n) {
                    traits::literal(std::declval<const G&>(), n, "groups");
                  }) {
      const auto given = traits::literal(this->graph(), before.nodes[to_size(layer)], "groups");
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
    const std::string_view name = "lutra_edit_conformance";
    const value_id made = traits::add_state(
        g_, name, tensor_view<const float>(data.data(), shape{index_t(data.size())}));
    if (traits::role_of(this->graph(), made) != value_role::state || this->elements(made) != data) {
      problem("add_state: the new value is not a state of these elements");
    }
    check_name(made, name);
    const picture was = this->snapshot();
    const node_id& node = before.nodes[to_size(layer)];
    std::optional<value_id> old;
    if (i.operands[layer].size() == 3) old = before.values[to_size(i.operands[layer][2])];
    traits::set_bias(g_, node, std::optional<value_id>(made));
    const auto& operands = traits::operands(this->graph(), node);
    if (std::ranges::distance(operands) != 3 || !(base::at(operands, 2) == made)) {
      problem("set_bias: operand 2 of the layer is not the new state");
    }
    traits::set_bias(g_, node, old);
    if (!(this->snapshot() == was)) {
      problem("set_bias: the old bias does not come back");
      return;
    }
    traits::erase(g_, made);
  }
  void check_name(const value_id& made, std::string_view wanted) {
    if constexpr (requires { traits::state_names(this->graph(), made); }) {
      for (auto&& given : traits::state_names(this->graph(), made)) {
        if (std::string_view(given) == wanted) return;
      }
      problem("add_state: state_names of the new state do not have its name");
    }
  }
  // Two nodes of which one reads the other, both at once.
  void try_erase_nodes(const indexed_graph<G>& before, index_t v) {
    const picture was = this->snapshot();
    const value_id source = before.values[to_size(v)];
    const value_id first = traits::insert_fake_quant(g_, source, fake_quant_id{0});
    const value_id second = traits::insert_fake_quant(g_, first, fake_quant_id{1});
    std::vector<node_id> nodes;
    for (const value_id& made : {first, second}) {
      if (const auto n = this->maker_of(made)) nodes.push_back(*n);
    }
    traits::erase_nodes(g_, std::span<const node_id>(nodes));
    this->check_back(was, "erase_nodes", "insert_fake_quant");
  }
  // Every kind of node, each reading the one before: ((sqrt(v + 0.5) + .) * .) / ., in the shape of v if that is known.
  void try_arithmetic(const indexed_graph<G>& before, index_t v) {
    using kind_t = arithmetic::kind_t;
    const picture was = this->snapshot();
    std::vector<value_id> made{before.values[to_size(v)]};
    const auto emit = [&](const arithmetic& a, bool two) {
      std::vector<value_id> operands{made.back()};
      if (two) operands.push_back(made[made.size() - 2]);
      const value_id result = traits::emit_arithmetic(g_, a, std::span<const value_id>(operands));
      for (const value_id& o : operands) this->check_reads(result, o, "emit_arithmetic");
      made.push_back(result);
    };
    emit({.kind = kind_t::add_scalar, .scalar = 0.5}, false);
    emit({.kind = kind_t::sqrt}, false);
    for (const kind_t kind : {kind_t::add, kind_t::mul, kind_t::div}) emit({.kind = kind}, true);
    if (const std::optional<shape> known = shape_of(made[0])) {
      emit({.kind = kind_t::reshape, .extents = shape{known->size()}}, false);
    }
    for (std::size_t i = 1; i < made.size(); ++i) {
      this->check_made(before, v, made[i], value_role::result, "emit_arithmetic");
    }
    for (; made.size() > 1; made.pop_back()) traits::erase(g_, made.back());
    this->check_back(was, "erase", "emit_arithmetic");
  }
  std::optional<shape> shape_of(const value_id& v) const {
    if constexpr (requires { traits::shape_of(this->graph(), v); }) {
      return traits::shape_of(this->graph(), v);
    } else if (traits::role_of(this->graph(), v) == value_role::state) {
      return tensor_view<const float>(traits::constant(this->graph(), v)).extents();
    }
    return std::nullopt;
  }
  // Edits of a transaction go with rollback(), and stay with commit().
  void try_transaction(const indexed_graph<G>& before, index_t v) {
    if constexpr (requires {
                    traits::begin(g_);
                    traits::commit(g_);
                    traits::rollback(g_);
                  }) {
      const picture was = this->snapshot();
      const value_id source = before.values[to_size(v)];
      traits::begin(g_);
      this->redirect(before, v, traits::insert_fake_quant(g_, source, fake_quant_id{0}), "begin");
      traits::rollback(g_);
      if (!(this->snapshot() == was)) {
        problem("rollback: the graph differs from what it was at begin");
        return;
      }
      traits::begin(g_);
      const value_id made = traits::insert_fake_quant(g_, source, fake_quant_id{0});
      traits::commit(g_);
      if (!this->maker_of(made)) problem("commit: the edits are gone");
      traits::erase(g_, made);
      this->check_back(was, "erase", "begin and commit");
    }
  }
  void try_training() {
    if constexpr (requires { traits::set_training(g_, true); }) {
      const bool was = traits::set_training(g_, true);
      if (!traits::set_training(g_, false) || traits::set_training(g_, was)) {
        problem("set_training: it does not return what was set before");
      }
    }
  }
};

}  // namespace lutra::inline LUTRA_ABI
