// lutra: weight_plan.hpp - plan() of the palettizer: which stored tensors become palettes, and why.
// SPDX-License-Identifier: Apache-2.0
//
// Weights are chosen by role: the weight operand of a known op (convolutions, transposed ones, linear,
// embedding), looked up under its local name, then under its role "weight", then "*". A
// module_state_spec reaches any float state its module owns. A shared weight is decided once: by
// module_state_spec, else by the first op in graph order. Pure query; linear apart from name patterns.
#pragma once

#include <lutra/graph/check_config.hpp>
#include <lutra/graph/index.hpp>
#include <lutra/graph/resolve.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// One float state (or packed state) of the graph.
struct weight_choice {
  index_t value;
  std::string name;
  bool chosen = false;
  std::string why;  // which config entry chose it, or why it stays as it is
  palettization_spec spec;
  index_t node = -1;  // that reads it as its weight, or -1
};

struct palettization_plan {
  graph_index index;
  std::vector<weight_choice> weights;  // in order of first use
  std::vector<std::string> notes;
};

class weight_planner {
 public:
  using resolver = config_resolver<palettizer_config>;

  weight_planner(const graph_index& g, const palettizer_config& config)
      : g_(g), resolver_(config, g) {}

  palettization_plan run() {
    palettization_plan plan;
    // The op that reads a value as its weight, first in graph order.
    std::vector<index_t> reader(g_.role.size(), -1);
    for (index_t n = 0; n < g_.node_count(); ++n) {
      const auto weight = g_.weight(n);
      if (!weight || weight->slot >= g_.operands[n].size()) continue;
      index_t& first = reader[to_size(g_.operands[n][weight->slot])];
      if (first < 0) first = n;
    }
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (!g_.is_state(v)) continue;
      weight_choice w;
      w.value = v;
      w.name = g_.label(v);
      w.node = reader[to_size(v)];
      choose(w);
      plan.weights.push_back(std::move(w));
    }
    plan.notes = resolver_.unmatched();
    unused_keys(plan.notes);
    return plan;
  }

 private:
  void choose(weight_choice& w) {
    if (g_.role[to_size(w.value)] == value_role::packed_state) {
      w.why = "already a palette";
      return;
    }
    if (g_.is_float[to_size(w.value)] == 0) {
      w.why = "not floating point";
      return;
    }
    const resolver::state_hit hit = resolver_.module_state(w.value);
    if (hit.entry != nullptr) {
      resolver_.use(hit.entry);
      return take(w, hit.entry->value,
                  "module_state_spec " + text_of(std::string_view(hit.entry->key)) + " of " +
                      resolver_.describe(hit.source));
    }
    if (w.node < 0) {
      w.why = "not the weight operand of a known op";
      return;
    }
    const resolver::choice c = resolver_.of(w.node);
    const std::string where = resolver_.describe(c.source);
    if (!c.enabled()) {
      w.why = "off: the whole config is off (config entry " + where + ")";
      return;
    }
    const palette_spec_map& map = c.op != nullptr ? c.op->op_state_spec : c.module->op_state_spec;
    const auto* e = lookup(map, w.value);
    if (e == nullptr) {
      w.why = std::string(map.empty() ? "off: the spec map is empty" : "off: no key names it") +
              " (config entry " + where + ")";
      return;
    }
    resolver_.use(e);
    take(w, e->value, "op_state_spec " + text_of(std::string_view(e->key)) + " of " + where);
  }
  const palette_spec_map::entry* lookup(const palette_spec_map& map, index_t value) const {
    for (const std::string& name : g_.state_names[to_size(value)]) {
      if (const auto* e = map.find(module_tree::local_name(name))) return e;
    }
    if (const auto* e = map.find("weight")) return e;
    return map.find("*");
  }
  // State names that never decided anything, but those that every config has unless it says otherwise.
  void unused_keys(std::vector<std::string>& notes) const {
    const auto in_map = [&](const palette_spec_map& map, const std::string& where,
                            const char* what) {
      for (const auto& e : map) {
        const bool stock =
            (e.key == "weight" || e.key == "in_proj_weight") && e.value == palettization_spec{};
        if (resolver_.used(&e) || e.key == "*" || stock) continue;
        notes.push_back("config entry " + where + ", " + what + " " +
                        text_of(std::string_view(e.key)) + " matches no tensor");
      }
    };
    const auto in_module = [&](const palettizer_module_config& m, const std::string& where) {
      in_map(m.op_state_spec, where, "op_state_spec");
      for (const auto& e : m.op_type_config) {
        in_map(e.value.op_state_spec, where + ", op type " + text_of(std::string_view(e.key)),
               "op_state_spec");
      }
      for (const auto& e : m.op_name_config) {
        in_map(e.value.op_state_spec, where + ", op name " + text_of(std::string_view(e.key)),
               "op_state_spec");
      }
      in_map(m.module_state_spec, where, "module_state_spec");
    };
    const palettizer_config& config = resolver_.config();
    in_module(config.global_config, "global");
    for (const auto& e : config.module_type_configs) {
      in_module(e.value, "type " + text_of(std::string_view(e.key)));
    }
    for (const auto& e : config.module_name_configs) {
      in_module(e.value, "name " + text_of(std::string_view(e.key)));
    }
  }
  void take(weight_choice& w, const palettization_spec& spec, std::string source) {
    w.chosen = spec.enabled;
    w.why = (spec.enabled ? "" : "off: ") + std::move(source);
    w.spec = spec;
    if (w.node >= 0) {
      w.spec.granularity = spec.granularity.with_axis(g_.weight(w.node)->channel_axis);
    }
  }

  const graph_index& g_;
  resolver resolver_;
};

inline palettization_plan plan_index(graph_index index, const palettizer_config& config) {
  check(config);
  palettization_plan plan = weight_planner(index, config).run();
  plan.index = std::move(index);
  return plan;
}

template <readable_graph G> palettization_plan plan(const G& g, const palettizer_config& config) {
  return plan_index(index_of(g).index, config);
}

}  // namespace lutra::inline LUTRA_ABI
