// lutra: fold_batch_norm.hpp - batch norms become part of the layers before them.
// SPDX-License-Identifier: Apache-2.0
//
//   const batch_norm_report report = fold_batch_norm(graph);   // then palettize, then quantize
// A layer is a convolution (1-3 axes, grouped or depthwise, transposed) or linear. With
// s = weight / sqrt(variance + eps) per output channel:
//   layer weight' = float(weight * s)          layer bias' = float((bias - mean) * s + batch norm's bias)
// in f64, rounded once; several batch norms in a row count as one. A layer without a bias gets one, named after
// its weight. Readers of the batch norm then read the layer. To be done before palettizing: a palette
// has no weights to scale. The folded graph computes what it did up to rounding. A linear layer
// is folded only if its result is known to be a matrix: else its channels are not those of the batch norm.
//
// What cannot be folded stays as it is, with the reason in the report. Everything is computed before the first
// edit, and edits are journalled: an error leaves the graph as it was. Needs foldable_graph
// (graph/traits.hpp). Linear. One graph belongs to one thread at a time.
#pragma once

#include <lutra/flow/apply.hpp>
#include <lutra/flow/batch_norm_layers.hpp>

namespace lutra::inline LUTRA_ABI {

// Carries out what batch_norm_layers found.
template <foldable_graph G> void fold_layers(journal<G>& edits, const batch_norm_layers<G>& found) {
  const indexed_graph<G>& g = found.indexed();
  const auto handle = [&](index_t v) { return g.values[to_size(v)]; };
  std::vector<node_id_t<G>> dead;
  for (const auto& f : found.layers()) {
    const node_id_t<G>& node = g.nodes[to_size(f.node)];
    edits.set_constant(handle(f.weight), lutra::view(std::as_const(f.made.weight)));
    const tensor_view<const float> bias = lutra::view(std::as_const(f.made.bias));
    if (f.made_bias.empty()) {
      edits.set_constant(handle(f.bias), bias);
    } else {
      edits.set_bias(node, edits.add_state(f.made_bias, bias));
    }
    redirect_uses(edits, g, f.tail, handle(g.index.results[f.node][0]));
    for (const index_t n : f.batch_norms) dead.push_back(g.nodes[to_size(n)]);
  }
  edits.erase_nodes(std::move(dead));
}

// What fold_batch_norm() would do. Touches nothing.
template <editable_graph G> batch_norm_report plan_batch_norm_folding(const G& g) {
  return batch_norm_layers<G>(g).report();
}

// Raises invalid_graph for a graph that is none, and what the adapter raises.
template <editable_graph G>
batch_norm_report fold_batch_norm(G& g, const fold_options& options = {}) {
  const batch_norm_layers<G> found(std::as_const(g));
  batch_norm_report report = found.report();  // before the edits: nothing may fail behind them
  for (const batch_norm_record& r : report.records) {
    if (r.outcome == fold_outcome::folded) continue;
    log(options.log, log_level::warning,
        r.name + ": batch norm not folded, " + std::string(name_of(r.outcome)) +
            (r.detail.empty() ? "" : " (" + r.detail + ")"));
  }
  if constexpr (foldable_graph<G>) {
    if (report.folded() > 0) edit_graph(g, [&](journal<G>& edits) { fold_layers(edits, found); });
  }
  return report;
}

}  // namespace lutra::inline LUTRA_ABI
