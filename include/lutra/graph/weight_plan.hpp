// lutra: weight_plan.hpp - plan() of the palettizer: which stored tensors become palettes, and why.
// SPDX-License-Identifier: Apache-2.0
//
// Weights are chosen by role: the weight operand of a known op (convolutions, transposed ones, linear,
// embedding), looked up under its local name, then under its role "weight", then "*". A
// module_state_spec reaches any float state its module owns. A shared weight is decided once: by
// module_state_spec, else by the first op in graph order; entries that had no say are recorded. Pure query;
// linear apart from name patterns.
#pragma once

#include <concepts>
#include <lutra/graph/check_config.hpp>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/index.hpp>
#include <lutra/graph/resolve.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// One state (or packed state) of the graph.
struct weight_choice {
  index_t value;
  std::string name;
  bool chosen = false;
  std::string why;  // one sentence: palettization_plan::describe(cause)
  palettization_spec spec;
  index_t node = -1;  // that reads it as its weight, first in graph order; or -1
  decision cause;     // on: chosen
};

struct palettization_plan {
  graph_index index;
  std::vector<weight_choice> weights;  // in order of first use
  std::vector<std::string> sources;    // texts of config entries
  std::vector<std::string> notes;

  // One sentence.
  std::string describe(const decision& d) const {
    std::string text = reason_text(d);
    if (d.overridden >= 0) {
      text += "; overridden: config entry " + sources[to_size(d.overridden)];
    }
    return text;
  }

 private:
  std::string reason_text(const decision& d) const {
    const std::string entry = d.source >= 0 ? sources[to_size(d.source)] : std::string();
    switch (d.why) {
      case reason::own_config:
      case reason::module_state:
        return (d.on ? "" : "off: ") + entry;
      case reason::off_by_config:
        return "off: " + entry;
      case reason::config_off:
        return "off: the whole config is off (config entry " + entry + ")";
      case reason::group_off:
        return "off: the spec map is empty (config entry " + entry + ")";
      case reason::not_in_only_for:
        return "off: only_for chose other op types (config entry " + entry + ")";
      case reason::no_matching_key:
        return "off: no key names it (config entry " + entry + ")";
      case reason::packed_state:
        return "already compressed";
      case reason::not_float:
        return "not floating point";
      case reason::not_a_weight:
        return "no known op reads it as its weight";
      default:
        return std::string(name_of(d.why));
    }
  }
};

class weight_planner {
 public:
  using resolver = config_resolver<palettizer_config>;

  weight_planner(const graph_index& g, const palettizer_config& config)
      : g_(g), resolver_(config, g) {}

  palettization_plan run() {
    // The ops that read a value as their weight, in graph order: the first, and the next after each.
    first_.assign(g_.role.size(), -1);
    next_.assign(to_size(g_.node_count()), -1);
    for (index_t n = g_.node_count(); n-- > 0;) {
      const auto weight = g_.weight(n);
      if (!weight || weight->slot >= g_.operands[n].size()) continue;
      index_t32& first = first_[to_size(g_.operands[n][weight->slot])];
      next_[to_size(n)] = std::exchange(first, index_t32(n));
    }
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (!g_.is_state(v)) continue;
      weight_choice w;
      w.value = v;
      w.name = g_.label(v);
      w.node = first_[to_size(v)];
      choose(w);
      w.chosen = w.cause.on;
      w.why = plan_.describe(w.cause);
      plan_.weights.push_back(std::move(w));
    }
    plan_.notes = resolver_.unused_keys();
    return std::move(plan_);
  }

 private:
  // What an op's config says of a weight it reads; spec null: off.
  struct verdict {
    const palettization_spec* spec = nullptr;
    reason why = reason::config_off;
    index_t source = -1;
  };

  void choose(weight_choice& w) {
    if (g_.role[to_size(w.value)] == value_role::packed_state) {
      w.cause = {reason::packed_state, false};
      return;
    }
    if (g_.is_float[to_size(w.value)] == 0) {
      w.cause = {reason::not_float, false};
      return;
    }
    verdict decided;
    index_t lower = w.node;  // the first op that has no say
    const resolver::state_hit hit = resolver_.module_state(w.value);
    if (hit.entry != nullptr) {
      resolver_.use(hit.entry);
      decided = {hit.entry->value.enabled ? &hit.entry->value : nullptr, reason::module_state,
                 source("module_state_spec " + text_of(std::string_view(hit.entry->key)) + " of " +
                        resolver_.describe(hit.source))};
      w.spec = hit.entry->value;
    } else if (w.node >= 0) {
      decided = ask(w.node, w.value);
      lower = next_[to_size(w.node)];
    } else {
      w.cause = {reason::not_a_weight, false};
      return;
    }
    if (decided.spec != nullptr) w.spec = *decided.spec;
    if (w.node >= 0) {
      w.spec.granularity = w.spec.granularity.with_axis(g_.weight(w.node)->channel_axis);
    }
    w.cause = {decided.why, decided.spec != nullptr, -1, decided.source, -1};
    for (; lower >= 0; lower = next_[to_size(lower)]) {
      const verdict other = ask(lower, w.value);
      const bool agrees = other.spec == nullptr || decided.spec == nullptr
                              ? other.spec == decided.spec
                              : *other.spec == *decided.spec;
      if (!agrees && w.cause.overridden < 0) w.cause.overridden = index_t32(other.source);
    }
  }
  verdict ask(index_t node, index_t value) {
    const resolver::choice c = resolver_.of(node);
    const std::string where = resolver_.describe(c.source);
    if (!c.enabled()) return {nullptr, reason::config_off, source(where)};
    const palette_spec_map& map = c.op != nullptr ? c.op->op_state_spec : c.module->op_state_spec;
    const auto* e = lookup(map, value);
    if (e == nullptr) return {nullptr, resolver::why_none(c, map.empty()), source(where)};
    resolver_.use(e);
    const index_t entry =
        source("op_state_spec " + text_of(std::string_view(e->key)) + " of " + where);
    if (!e->value.enabled) return {nullptr, reason::off_by_config, entry};
    return {&e->value, reason::own_config, entry};
  }
  // The number of a text in sources.
  index_t source(const std::string& text) {
    const auto [found, inserted] = source_number_.try_emplace(text, index_t(plan_.sources.size()));
    if (inserted) plan_.sources.push_back(text);
    return found->second;
  }
  const palette_spec_map::entry* lookup(const palette_spec_map& map, index_t value) const {
    for (const std::string& name : g_.state_names[to_size(value)]) {
      if (const auto* e = map.find(module_tree::local_name(name))) return e;
    }
    if (const auto* e = map.find("weight")) return e;
    return map.find("*");
  }

  const graph_index& g_;
  resolver resolver_;
  palettization_plan plan_;
  std::vector<index_t32> first_;  // value -> first op that reads it as its weight, or -1
  std::vector<index_t32> next_;   // such an op -> the next one of the same value, or -1
  std::unordered_map<std::string, index_t> source_number_;
};

inline palettization_plan plan_index(graph_index index, const palettizer_config& config) {
  check(config);
  palettization_plan plan = weight_planner(index, config).run();
  plan.index = std::move(index);
  return plan;
}

// The config must be named as such: one in braces is that of a quantizer (graph/plan.hpp).
template <readable_graph G, std::same_as<palettizer_config> Config>
palettization_plan plan(const G& g, const Config& config) {
  return plan_index(index_of(g).index, config);
}

}  // namespace lutra::inline LUTRA_ABI
