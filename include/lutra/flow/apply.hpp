// lutra: apply.hpp - carries out a quantization_plan: inserts fake-quant nodes, later replaces them.
// SPDX-License-Identifier: Apache-2.0
//
// Only edits; every check and every number comes from the plan and the fake-quantizers. All edits go
// through a journal. Linear in the plan. One graph belongs to one thread at a time.
#pragma once

#include <lutra/flow/final_parameters.hpp>
#include <lutra/flow/journal.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <lutra/pack/affine_constant.hpp>
#include <unordered_map>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// A fake-quant node in the graph.
template <class G> struct placed_fake_quant {
  index_t group;
  value_id_t<G> source;
  value_id_t<G> result;
  target observed = target::activation;
};

// Every use of value `v` (its number in `g`) reads `to`.
template <editable_graph G>
void redirect_uses(journal<G>& edits, const indexed_graph<G>& g, index_t v,
                   const value_id_t<G>& to) {
  for (const index_t use : g.index.uses[v]) {
    const index_t user = g.index.user(use);
    if (user >= 0) {
      edits.set_operand(g.nodes[to_size(user)], to_size(g.index.slot(use)), to);
    } else {
      edits.set_output(to_size(g.index.slot(use)), to);
    }
  }
}

// The numbers of an indexed graph's values.
template <readable_graph G>
std::unordered_map<value_id_t<G>, index_t> value_numbers(const indexed_graph<G>& g) {
  std::unordered_map<value_id_t<G>, index_t> number;
  for (std::size_t v = 0; v < g.values.size(); ++v) number.emplace(g.values[v], index_t(v));
  return number;
}

// Inserts the places of `plan`, made for `g`; those of disabled fake-quantizers are left out. A value (by number)
// with a stand-in is read through that already.
template <editable_graph G>
std::vector<placed_fake_quant<G>> insert_fake_quants(
    journal<G>& edits, const indexed_graph<G>& g, const quantization_plan& plan,
    const std::vector<fake_quantizer>& fakes,
    const std::unordered_map<index_t, value_id_t<G>>& stand_ins = {}) {
  const auto handle = [&](index_t v) {
    const auto at = stand_ins.find(v);
    return at == stand_ins.end() ? g.values[to_size(v)] : at->second;
  };
  std::vector<placed_fake_quant<G>> placed;
  std::vector<value_id_t<G>> result;  // of each place; its source if it was left out
  for (const plan_node& p : plan.places) {
    const value_id_t<G> source = p.after >= 0 ? result[to_size(p.after)] : handle(p.value);
    if (fakes[to_size(p.group)].disabled()) {
      result.push_back(source);
      continue;
    }
    result.push_back(edits.insert_fake_quant(source, fake_quant_id{p.group}));
    placed.push_back({p.group, source, result.back(), fakes[to_size(p.group)].target()});
  }
  // True if reading `place` instead of `value` is a change.
  const auto differs = [&](index_t place, index_t value) {
    return place >= 0 && !(result[to_size(place)] == handle(value));
  };
  const graph_index& index = g.index;
  for (index_t u = 0; u < index.operand_count(); ++u) {
    const index_t place = plan.operand_place[to_size(u)];
    if (!differs(place, index.operands.items[to_size(u)])) continue;
    edits.set_operand(g.nodes[to_size(index.user(u))], to_size(index.slot(u)),
                      result[to_size(place)]);
  }
  for (std::size_t i = 0; i < index.outputs.size(); ++i) {
    const index_t place = plan.output_place[i];
    if (differs(place, index.outputs[i])) edits.set_output(i, result[to_size(place)]);
  }
  return placed;
}

// What stands for a fake-quant node on `source` in the end: codes for a stored weight, where the adapter takes them,
// else a quantize/dequantize pair.
template <editable_graph G>
value_id_t<G> emit_quantized(journal<G>& edits, const value_id_t<G>& source, const qparams& q,
                             target observed) {
  // A misspelled signature would otherwise count as none.
  if constexpr (requires { &graph_traits<G>::emit_affine_constant; }) {
    static_assert(affine_constant_graph<G>);
  }
  if constexpr (affine_constant_graph<G>) {
    const G& g = edits.graph();
    if (observed == target::weight && graph_traits<G>::role_of(g, source) == value_role::state) {
      const tensor_view<const float> data = graph_traits<G>::constant(g, source);
      return edits.emit_affine_constant(source, quantize_constant(data, q));
    }
  }
  return edits.emit_quantize_dequantize(source, q);
}

// Puts what emit_quantized() makes in place of every fake-quant node; one without parameters is taken out. `g` indexes
// the graph as it is now.
template <editable_graph G>
void replace_fake_quants(journal<G>& edits, const indexed_graph<G>& g,
                         const std::vector<placed_fake_quant<G>>& placed,
                         const final_parameters& parameters) {
  const auto number = value_numbers(g);
  std::unordered_map<value_id_t<G>, value_id_t<G>>
      replaced;  // fake-quant result -> what stands for it
  for (const placed_fake_quant<G>& p : placed) {
    const auto below = replaced.find(p.source);
    const value_id_t<G> source = below == replaced.end() ? p.source : below->second;
    const std::optional<qparams>& q = parameters.of[to_size(p.group)];
    const value_id_t<G> made = q ? emit_quantized(edits, source, *q, p.observed) : source;
    replaced.emplace(p.result, made);
    const auto at = number.find(p.result);
    if (at == number.end()) {
      raise(errc::invalid_graph, "a fake-quant node is no longer in the graph",
            "quantizer::finalize", "fake-quantizer " + text_of(p.group));
    }
    redirect_uses(edits, g, at->second, made);
    edits.erase(p.result);
  }
}

}  // namespace lutra::inline LUTRA_ABI
