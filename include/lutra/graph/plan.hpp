// lutra: plan.hpp - plan(): what would be quantized, shared and skipped, and why, before anything is touched.
// SPDX-License-Identifier: Apache-2.0
//
// Points that refer to each other, or that stand on one value with equal specs, form a group: one
// fake-quantizer. A group is applied at one or more places (plan_node). Pure query on a readable graph;
// linear in its size apart from name patterns. Concurrent plans of one graph are safe.
#pragma once

#include <lutra/graph/annotate.hpp>
#include <lutra/graph/check_config.hpp>
#include <lutra/graph/place.hpp>

namespace lutra::inline LUTRA_ABI {

struct plan_options {
  pattern_registry patterns = reference_patterns();
};

// The plan of a graph that was already indexed.
inline quantization_plan plan_index(graph_index index, const quantizer_config& config,
                                    const plan_options& options = {}) {
  check(config);
  annotations a = annotator(index, options.patterns, config).run();
  return placer(std::move(index), std::move(a)).run();
}

template <readable_graph G>
quantization_plan plan(const G& g, const quantizer_config& config = {},
                       const plan_options& options = {}) {
  return plan_index(index_of(g).index, config, options);
}

}  // namespace lutra::inline LUTRA_ABI
