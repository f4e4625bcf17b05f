// lutra: plan.hpp - plan(): what would be quantized, shared and skipped, and why, before anything is touched.
// SPDX-License-Identifier: Apache-2.0
//
// Points that refer to each other, or that stand on one value with equal specs, form a group: one
// fake-quantizer. A group is applied at one or more places (plan_node). Pure query on a readable graph;
// linear in its size apart from name patterns. Concurrent plans of one graph are safe.
#pragma once

#include <lutra/graph/check_config.hpp>
#include <lutra/graph/explain.hpp>
#include <lutra/graph/known_range.hpp>
#include <lutra/graph/module_rules.hpp>
#include <lutra/graph/op_rules.hpp>
#include <lutra/graph/place.hpp>

namespace lutra::inline LUTRA_ABI {

struct plan_options {
  pattern_registry patterns = reference_patterns();  // add shape_patterns() to share over reshapes
  lutra::known_range known_range = lutra::known_range::ignored;
};

// The plan of a graph that was already indexed. Raises what check_to_use(config) does: a misspelled observer is found
// here.
inline quantization_plan plan_index(graph_index index, const quantizer_config& config,
                                    const plan_options& options = {}) {
  check_to_use(config);
  annotations a(index);
  {
    config_resolver<quantizer_config> configs(config, index);
    op_rules(index, options.patterns, configs, a).run();
    module_rules(index, configs, a).run();
    explainer(index, configs, a).run();
  }
  quantization_plan made = placer(std::move(index), std::move(a)).run();
  apply_known_ranges(made, options.known_range);
  return made;
}

template <readable_graph G>
quantization_plan plan(const G& g, const quantizer_config& config = {},
                       const plan_options& options = {}) {
  graph_index index = index_of(g).index;  // the adapter's handles are not needed
  return plan_index(std::move(index), config, options);
}

}  // namespace lutra::inline LUTRA_ABI
