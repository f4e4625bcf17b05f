// lutra: check_order.hpp - refuses a graph whose nodes are not in topological order, and lists its cycle if it has one.
// SPDX-License-Identifier: Apache-2.0
//
// O(nodes + operands); of a graph in order one pass over the operands.
#pragma once

#include <lutra/core/error.hpp>
#include <lutra/graph/graph_index.hpp>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Throws if node order and edges contradict each other. Used by index_of and graph_conformance.
inline void check_order(const graph_index& g) {
  bool ordered = true;
  for (index_t u = 0; u < g.operand_count() && ordered; ++u) {
    const index_t p = g.producer[to_size(g.operands.items[to_size(u)])];
    ordered = p == graph_index::none || p < g.user(u);
  }
  if (ordered) return;
  // Which nodes can run? Those left over lie on a cycle or behind one.
  std::vector<index_t> waiting(g.op_type.size(), 0), ready;
  for (index_t u = 0; u < g.operand_count(); ++u) {
    waiting[to_size(g.user(u))] += g.producer[to_size(g.operands.items[to_size(u)])] >= 0 ? 1 : 0;
  }
  for (index_t n = 0; n < g.node_count(); ++n) {
    if (waiting[to_size(n)] == 0) ready.push_back(n);
  }
  for (std::size_t i = 0; i < ready.size(); ++i) {
    for (const index_t v : g.results[ready[i]]) {
      for (const index_t use : g.uses[v]) {
        const index_t user = g.user(use);
        if (user != graph_index::none && --waiting[to_size(user)] == 0) ready.push_back(user);
      }
    }
  }
  if (static_cast<index_t>(ready.size()) == g.node_count()) {
    raise(errc::invalid_graph, "nodes() lists a consumer before its producer", "graph_traits");
  }
  // Walking back over blocked operands must repeat a node: from there on it is a cycle.
  std::vector<index_t> visited_at(g.op_type.size(), -1), path;
  index_t n = 0;
  while (waiting[to_size(n)] <= 0) ++n;
  while (visited_at[to_size(n)] < 0) {
    visited_at[to_size(n)] = static_cast<index_t>(path.size());
    path.push_back(n);
    for (const index_t v : g.operands[n]) {
      const index_t p = g.producer[to_size(v)];
      if (p >= 0 && waiting[to_size(p)] > 0) {
        n = p;
        break;
      }
    }
  }
  std::string cycle = g.name[to_size(n)];
  constexpr std::size_t most = 50;  // names in the message
  const auto first = to_size(visited_at[to_size(n)]);
  for (std::size_t i = path.size(); i-- > first;) {
    if (path.size() - i > most) {
      cycle += " -> ... (" + text_of(static_cast<index_t>(i - first)) + " more)";
      break;
    }
    cycle += " -> " + g.name[to_size(path[i])];
  }
  raise(errc::invalid_graph, "the graph has a cycle", "graph_traits", cycle, "an acyclic graph");
}

}  // namespace lutra::inline LUTRA_ABI
