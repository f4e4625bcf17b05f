// lutra: joint_plan.hpp - plan() of the joint flow: weights as palettes first, then activations around them.
// SPDX-License-Identifier: Apache-2.0
//
// The second plan sees the chosen weights as palettes, as the quantizer will after kmeans_palettizer::finalize().
// A plan knows no shapes: a weight whose groups do not fit it is chosen here, and stays float in the flow.
// Pure query; linear apart from name patterns.
#pragma once

#include <lutra/graph/plan.hpp>
#include <lutra/graph/weight_plan.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI {

struct joint_plan {
  palettization_plan weights;
  quantization_plan activations;
};

inline joint_plan plan_index(graph_index index, const joint_config& config,
                             const plan_options& options = {}) {
  joint_plan made{plan_index(std::move(index), config.weights), {}};
  graph_index packed = made.weights.index;
  for (const weight_choice& w : made.weights.weights) {
    if (w.chosen) packed.role[to_size(w.value)] = value_role::packed_state;
  }
  made.activations = plan_index(std::move(packed), config.activations, options);
  return made;
}

// A config in braces is that of a quantizer (graph/plan.hpp).
template <readable_graph G, std::same_as<joint_config> Config>
joint_plan plan(const G& g, const Config& config, const plan_options& options = {}) {
  return plan_index(index_of(g).index, config, options);
}

}  // namespace lutra::inline LUTRA_ABI
