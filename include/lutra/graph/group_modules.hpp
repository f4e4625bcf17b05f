// lutra: group_modules.hpp - which module every fake-quantizer of a plan belongs to.
// SPDX-License-Identifier: Apache-2.0
//
// It is the module of its first reader that has one, else of its first producer that has one, else the root.
// Linear in the plan. Thread-safe.
#pragma once

#include <lutra/graph/quantization_plan.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Numbers in plan.index.modules, by group.
inline std::vector<index_t> modules_of_groups(const quantization_plan& plan) {
  const graph_index& g = plan.index;
  constexpr index_t root = 0;
  std::vector<index_t> module(plan.groups.size(), root);
  const auto claim = [&](index_t place, index_t node) {
    if (place < 0 || node < 0) return;
    index_t& of_group = module[to_size(plan.places[to_size(place)].group)];
    if (of_group == root) of_group = g.module[to_size(node)];
  };
  for (index_t u = 0; u < g.operand_count(); ++u) claim(plan.operand_place[to_size(u)], g.user(u));
  for (std::size_t p = 0; p < plan.places.size(); ++p) {
    claim(index_t(p), g.producer[to_size(plan.places[p].value)]);
  }
  return module;
}

// By group: whether it belongs to the module at `path` or to one below it. Raises invalid_argument if there is
// no such module.
inline std::vector<char> groups_below(const quantization_plan& plan, std::string_view path,
                                      std::string_view where) {
  const module_tree& modules = plan.index.modules;
  const index_t top = modules.find(path);
  if (top < 0) {
    std::string known;
    for (index_t m = 0; m < modules.size(); ++m) {
      known += (m > 0 ? ", " : "") + text_of(std::string_view(modules.path(m)));
    }
    raise(errc::invalid_argument, "no such module", std::string(where), text_of(path), known);
  }
  std::vector<char> below(to_size(modules.size()), 0);
  modules.for_each_below(modules.canonical(top), [&](index_t m) {
    const bool first = below[to_size(m)] == 0;
    below[to_size(m)] = 1;
    return first;
  });
  std::vector<char> chosen;
  for (const index_t m : modules_of_groups(plan)) chosen.push_back(below[to_size(m)]);
  return chosen;
}

}  // namespace lutra::inline LUTRA_ABI
