// lutra: conformance.hpp - graph_conformance(g): is this graph_traits specialisation telling the truth?
// SPDX-License-Identifier: Apache-2.0
//
// Returns one sentence per problem (at most a hundred), none if the adapter is sound.
//   graph_conformance(g)  reading: order, cycles, results, operands, outputs, roles, names, constants, batch norms
//   edit_conformance(g)   also editing: every edit that the adapter has, optional ones too, is tried on one value and
//                         taken back; the graph is as before afterwards, if the adapter is sound
// Linear in the graph.
#pragma once

#include <lutra/graph/conformance/edits.hpp>
#include <lutra/graph/conformance/optional_edits.hpp>

namespace lutra::inline LUTRA_ABI {

template <readable_graph G> std::vector<std::string> graph_conformance(const G& g) {
  return graph_checker<G>(g).run();
}

template <editable_graph G> std::vector<std::string> edit_conformance(G& g) {
  std::vector<std::string> problems = graph_conformance(std::as_const(g));
  if (problems.empty()) problems = edit_checker<G>(g).run();
  if (problems.empty()) problems = optional_edit_checker<G>(g).run();
  return problems;
}

}  // namespace lutra::inline LUTRA_ABI
