// lutra: journal.hpp - edits of a user's graph that can be taken back.
// SPDX-License-Identifier: Apache-2.0
//
// Every edit of a pass goes through a journal. If the pass ends without commit() (an error, a
// cancellation), the edits are undone in reverse through the same graph_traits. When the adapter's
// own edits do not throw, the graph is then as it was; when an undo throws, the edits that could not be
// undone are listed in the error that is raised instead.
// One journal belongs to one thread.
#pragma once

#include <lutra/graph/traits.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class journal {
 public:
  using traits = graph_traits<G>;
  using node_id = node_id_t<G>;
  using value_id = value_id_t<G>;

  explicit journal(G& g) : graph_(g) {}
  journal(const journal&) = delete;
  journal& operator=(const journal&) = delete;

  const G& graph() const noexcept { return graph_; }

  value_id insert_fake_quant(value_id v, fake_quant_id id) {
    make_room();
    return made(traits::insert_fake_quant(graph_, v, id));
  }
  value_id emit_quantize_dequantize(value_id v, const qparams& q) {
    make_room();
    return made(traits::emit_quantize_dequantize(graph_, v, q));
  }
  value_id emit_palette(value_id v, const packed_palette& p) {
    make_room();
    return made(traits::emit_palette(graph_, v, p));
  }
  value_id emit_affine_constant(value_id v, const affine_constant& c) {
    make_room();
    return made(traits::emit_affine_constant(graph_, v, c));
  }
  void set_operand(node_id n, std::size_t slot, value_id v) {
    const value_id before = at(traits::operands(graph_, n), slot);
    make_room();
    traits::set_operand(graph_, n, slot, v);
    edits_.push_back(operand_edit{n, slot, before});
  }
  void set_output(std::size_t slot, value_id v) {
    const value_id before = at(traits::outputs(graph_), slot);
    make_room();
    traits::set_output(graph_, slot, v);
    edits_.push_back(output_edit{slot, before});
  }
  // `data` replaces the constant; the old elements are kept until commit().
  void set_constant(value_id v, const tensor_view<const float>& data) {
    const tensor_view<const float> old = traits::constant(std::as_const(graph_), v);
    constant_edit replaced{v, old.extents(), to_vector<float>(old)};
    make_room();
    traits::set_constant(graph_, v, data);
    edits_.push_back(std::move(replaced));
  }
  value_id add_state(std::string_view name, const tensor_view<const float>& data) {
    make_room();
    return made(traits::add_state(graph_, name, data));
  }
  value_id emit_arithmetic(const arithmetic& a, std::span<const value_id> operands) {
    make_room();
    return made(traits::emit_arithmetic(graph_, a, operands));
  }
  // Operand 2 of a layer.
  void set_bias(node_id n, std::optional<value_id> bias) {
    const auto& operands = traits::operands(std::as_const(graph_), n);
    std::optional<value_id> before;
    if (std::ranges::distance(operands) > 2) before = at(operands, 2);
    make_room();
    traits::set_bias(graph_, n, bias);
    edits_.push_back(bias_edit{n, before});
  }
  // Erasing cannot be undone: erasures wait until commit().
  void erase(value_id v) { erasures_.push_back({v, false}); }
  // Values each of which was read by those before it: where one stays, the rest does.
  void erase_chain(std::span<const value_id> readers_first) {
    bool behind = false;
    for (const value_id& v : readers_first) {
      erasures_.push_back({v, behind});
      behind = true;
    }
  }
  void erase_nodes(std::vector<node_id> nodes) {
    doomed_.insert(doomed_.end(), nodes.begin(), nodes.end());
  }

  // Keeps the edits and carries out the erasures, nodes first. An exception of the first erasure leaves
  // everything as it was before commit(); later ones leave a dead value behind. Returns how many were left.
  index_t commit() {
    std::size_t erased = 0;
    if constexpr (foldable_graph<G>) {
      if (!doomed_.empty()) {
        traits::erase_nodes(graph_, std::span<const node_id>(doomed_));
        ++erased;
      }
    }
    index_t left = 0;
    bool stayed = false;
    for (const erasure& e : erasures_) {
      stayed = stayed && e.behind_previous;
      if (stayed) {
        ++left;
        continue;
      }
#if LUTRA_HAS_EXCEPTIONS
      try {
        traits::erase(graph_, e.value);
        ++erased;
      } catch (...) {
        if (erased == 0) throw;
        stayed = true;
        ++left;
      }
#else
      traits::erase(graph_, e.value);
      ++erased;
#endif
    }
    erasures_.clear();
    doomed_.clear();
    edits_.clear();
    return left;
  }

  // Takes every edit back, newest first.
  void rollback() {
    erasures_.clear();
    doomed_.clear();
    std::string standing;
    while (!edits_.empty()) {
      const edit e = std::move(edits_.back());
      edits_.pop_back();
#if LUTRA_HAS_EXCEPTIONS
      try {
        undo(e);
      } catch (const std::exception& failure) {
        standing += (standing.empty() ? "" : "; ") + describe(e) + ": " + failure.what();
      } catch (...) {
        standing += (standing.empty() ? "" : "; ") + describe(e);
      }
#else
      undo(e);
#endif
    }
    if (!standing.empty()) {
      raise(errc::invalid_graph, "edits could not be undone", "journal::rollback", standing);
    }
  }

 private:
  struct operand_edit {
    node_id node;
    std::size_t slot;
    value_id before;
  };
  struct output_edit {
    std::size_t slot;
    value_id before;
  };
  struct constant_edit {
    value_id value;
    shape extents;
    std::vector<float> before;
  };
  struct made_edit {
    value_id value;
  };
  struct bias_edit {
    node_id node;
    std::optional<value_id> before;
  };
  struct erasure {
    value_id value;
    bool behind_previous;  // stays if the one before it stays
  };
  using edit = std::variant<operand_edit, output_edit, constant_edit, made_edit, bias_edit>;

  // Before the edit: recording it afterwards must not fail.
  void make_room() {
    if (edits_.size() == edits_.capacity()) edits_.reserve(2 * edits_.size() + 16);
  }
  value_id made(value_id v) {
    edits_.push_back(made_edit{v});
    return v;
  }
  template <class R> static value_id at(R&& range, std::size_t slot) {
    auto it = std::ranges::begin(range);
    std::ranges::advance(it, static_cast<std::ptrdiff_t>(slot));
    return *it;
  }
  void undo(const edit& e) {
    if (const auto* o = std::get_if<operand_edit>(&e)) {
      traits::set_operand(graph_, o->node, o->slot, o->before);
    } else if (const auto* r = std::get_if<output_edit>(&e)) {
      traits::set_output(graph_, r->slot, r->before);
    } else if (const auto* c = std::get_if<constant_edit>(&e)) {
      traits::set_constant(graph_, c->value,
                           tensor_view<const float>(c->before.data(), c->extents));
    } else if (const auto* m = std::get_if<made_edit>(&e)) {
      traits::erase(graph_, m->value);
    }
    if constexpr (foldable_graph<G>) {
      if (const auto* b = std::get_if<bias_edit>(&e)) traits::set_bias(graph_, b->node, b->before);
    }
  }
  static std::string describe(const edit& e) {
    if (const auto* o = std::get_if<operand_edit>(&e)) {
      return "operand " + text_of(static_cast<index_t>(o->slot)) + " of a node";
    }
    if (const auto* r = std::get_if<output_edit>(&e)) {
      return "graph output " + text_of(static_cast<index_t>(r->slot));
    }
    if (std::holds_alternative<bias_edit>(e)) return "the bias of a node";
    return std::holds_alternative<constant_edit>(e) ? "a constant" : "an inserted value";
  }

  G& graph_;
  std::vector<edit> edits_;
  std::vector<erasure> erasures_;
  std::vector<node_id> doomed_;
};

// Runs edit(journal) and commits; whatever leaves it by an exception is rethrown with the graph as it
// was. An adapter that offers begin(g), commit(g) and rollback(g) is asked to take the edits back
// itself. Returns how many values could not be erased (see journal::commit). Without exceptions an error ends the
// program, so there is nothing to take back.
template <editable_graph G, class F> index_t edit_graph(G& g, F&& edit) {
  using traits = graph_traits<G>;
  constexpr bool transactions = requires {
    traits::begin(g);
    traits::commit(g);
    traits::rollback(g);
  };
  journal<G> edits(g);
  index_t left = 0;
  if constexpr (transactions) traits::begin(g);
#if LUTRA_HAS_EXCEPTIONS
  try {
    edit(edits);
    left = edits.commit();
    if constexpr (transactions) traits::commit(g);
  } catch (...) {
    if constexpr (transactions) {
      traits::rollback(g);
    } else {
      edits.rollback();
    }
    throw;
  }
#else
  edit(edits);
  left = edits.commit();
  if constexpr (transactions) traits::commit(g);
#endif
  return left;
}

}  // namespace lutra::inline LUTRA_ABI
