// lutra: module_rules.hpp - module-level rules: boundary specs and state specs, on top of the op-level ones.
// SPDX-License-Identifier: Apache-2.0
//
// They overwrite what the op level decided, whether the ops are registered or not; tensors that are not
// floating point are left alone. Boundary inputs are the pairs (outside producer, inside consumer), and
// outputs the results read outside, both numbered in graph order. Cost: the sizes of the modules that
// have such specs. Internal to plan().
#pragma once

#include <algorithm>
#include <lutra/graph/annotation.hpp>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class module_rules {
 public:
  using resolver = annotations::resolver;

  module_rules(const graph_index& g, resolver& configs, annotations& a)
      : g_(g), configs_(configs), a_(a) {}

  void run() {
    boundary_specs(config_level::type);
    boundary_specs(config_level::name);
    state_specs();
  }

 private:
  struct boundary {
    const module_config& config;
    index_t source;
    std::vector<index_t> members;  // nodes, ascending

    bool inside(index_t node) const {
      return node >= 0 && std::binary_search(members.begin(), members.end(), node);
    }
  };

  void boundary_specs(config_level level) {
    for (const resolver::record& r : configs_.records(level)) {
      const module_config& m = configs_.module_config(level, r.entry);
      if (!r.direct || !m.enabled) continue;
      if (m.module_input_spec.empty() && m.module_output_spec.empty()) continue;
      config_source source;
      source.level = level;
      source.entry = r.entry;
      apply({m, a_.source_number(configs_, source), members_of(r.module)}, r.module);
    }
  }
  // Nodes of a module and of everything below it.
  std::vector<index_t> members_of(index_t module) {
    if (nodes_of_.empty()) {
      nodes_of_.resize(to_size(g_.modules.size()));
      for (index_t n = 0; n < g_.node_count(); ++n) {
        nodes_of_[to_size(g_.module[to_size(n)])].push_back(n);
      }
    }
    std::vector<index_t> members;
    g_.modules.for_each_below(module, [&](index_t m) {
      const auto& own = nodes_of_[to_size(m)];
      members.insert(members.end(), own.begin(), own.end());
      return true;
    });
    std::sort(members.begin(), members.end());
    members.erase(std::unique(members.begin(), members.end()), members.end());
    return members;
  }
  void apply(const boundary& b, index_t module) {
    index_t inputs = 0, outputs = 0;
    for (const index_t n : b.members) {
      for (index_t e = a_.first_edge(n); e < a_.end_edge(n); ++e) {
        const index_t v = a_.value_of(e);
        if (g_.is_state(v) || b.inside(g_.producer[to_size(v)])) continue;
        overwrite(e, v, b, b.config.module_input_spec, inputs++);
      }
      for (const index_t v : g_.results[n]) {
        if (g_.is_state(v)) continue;  // a palette is never quantized again
        const auto uses = g_.uses[v];
        const bool stays = std::all_of(uses.begin(), uses.end(),
                                       [&](index_t use) { return b.inside(g_.user(use)); });
        if (!stays) {
          overwrite(a_.output_point(v), v, b, b.config.module_output_spec, outputs++);
        }
      }
    }
    note_beyond(b, b.config.module_input_spec, inputs, "module_input_spec", module);
    note_beyond(b, b.config.module_output_spec, outputs, "module_output_spec", module);
  }
  // Positions the module does not have.
  void note_beyond(const boundary& b, const spec_map& map, index_t count, const char* what,
                   index_t module) {
    for (const auto& e : map) {
      if (!e.key.is_position() || e.key.position() < count) continue;
      a_.note("config entry " + a_.sources()[to_size(b.source)] + ", " + what + " " +
              text_of(e.key) + ": module " + text_of(std::string_view(g_.modules.path(module))) +
              " has only " + text_of(count));
    }
  }
  void overwrite(index_t point, index_t v, const boundary& b, const spec_map& map,
                 index_t position) {
    const auto* e = map.find(operand_key(static_cast<int>(position)));
    const bool explicit_key = e != nullptr;
    if (e == nullptr) e = map.find(any_operand());
    if (e == nullptr) return;
    configs_.use(e);
    if (g_.is_float[to_size(v)] == 0) {
      if (explicit_key) note_not_float(v, b.source);
    } else if (e->value.enabled) {
      a_.set_own(point, &e->value, false, b.config, reason::module_boundary, b.source,
                 a_.entry_lost_to(point, &e->value));
    } else {
      a_.turn_off(point, reason::module_boundary, b.source, -1, a_.entry_lost_to(point, nullptr));
    }
  }
  void note_not_float(index_t v, index_t source) {
    a_.note("config entry " + a_.sources()[to_size(source)] + ": a module spec addresses " +
            g_.label(v) + ", which is not floating point");
  }

  // The module that owns a state decides for all its consumers.
  void state_specs() {
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (g_.role[to_size(v)] != value_role::state) continue;
      const resolver::state_hit hit = configs_.module_state(v);
      if (hit.entry == nullptr) continue;
      configs_.use(hit.entry);
      const index_t source = a_.source_number(configs_, hit.source);
      if (g_.is_float[to_size(v)] == 0) {
        note_not_float(v, source);
        continue;
      }
      const quantization_spec* spec = hit.entry->value.enabled ? &hit.entry->value : nullptr;
      for (const index_t use : g_.uses[v]) {
        if (g_.user(use) < 0) continue;
        const index_t edge = a_.edge_of(use);
        if (a_.why(edge).why == reason::module_state) continue;  // an op that reads it twice
        const index_t lost = a_.entry_lost_to(edge, spec);
        if (spec != nullptr) {
          a_.set_own(edge, spec, true, configs_.module_config(hit.source.level, hit.source.entry),
                     reason::module_state, source, lost);
        } else {
          a_.turn_off(edge, reason::module_state, source, -1, lost);
        }
      }
    }
  }

  const graph_index& g_;
  resolver& configs_;
  annotations& a_;
  std::vector<std::vector<index_t>> nodes_of_;  // module -> nodes
};

}  // namespace lutra::inline LUTRA_ABI
