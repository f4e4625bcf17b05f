// lutra: mixed_precision.hpp - the choice of a bit_search as a config for the ordinary palettizer.
// SPDX-License-Identifier: Apache-2.0
//
//   layer_table table = layer_choices_of(graph, config);
//   measure_layers(graph, table, output_error, {}, executor);
//   const bit_allocation found = allocate_bits(table, target_bytes);
//   kmeans_palettizer palettizer(graph, mixed_config(graph, config, table, found.choice));
#pragma once

#include <lutra/flow/bit_search.hpp>
#include <lutra/flow/measure_layers.hpp>
#include <unordered_map>

namespace lutra::inline LUTRA_ABI {

// A name as a pattern that matches it alone (graph/name_pattern.hpp).
inline std::string literal_pattern(std::string_view name) {
  std::string pattern;
  for (const char c : name) {
    if (std::string_view(R"(.[]()|*+?\^${})").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// A config that palettizes exactly the weights of the table, each with the spec chosen for it. `config` is the
// one the table was made with (layer_choices_of). Weights of a known op are named by the first op that reads
// them (op_name_config), others by module and state (module_name_configs). Raises invalid_argument for a choice
// that is none, incompatible for a table of another graph or config.
template <readable_graph G>
palettizer_config mixed_config(const G& graph, const palettizer_config& config,
                               const layer_table& table, std::span<const index_t> choice) {
  cost_of(table, choice);  // checks the choice
  const std::string where = "mixed_config";
  const palettization_plan plan = plan_index(index_of(graph).index, config);
  std::unordered_map<std::string_view, const weight_choice*> chosen;
  for (const weight_choice& w : plan.weights) {
    if (w.chosen) chosen.emplace(w.name, &w);
  }
  palettizer_module_config ops{.op_state_spec = off};
  named_map<palette_spec_map> states;  // by module path
  for (std::size_t l = 0; l < table.size(); ++l) {
    const palettization_spec& spec = table[l].choices[to_size(choice[l])].spec;
    const auto at = chosen.find(table[l].name);
    const std::string name = text_of(std::string_view(table[l].name));
    if (at == chosen.end()) {
      raise(errc::incompatible, "the config palettizes no such weight", where, name);
    }
    const weight_choice& w = *at->second;
    if (w.node >= 0) {
      ops.op_name_config.set(literal_pattern(plan.index.name[to_size(w.node)]),
                             {.op_state_spec = {{"*", spec}}});
    } else {
      const std::string module(module_tree::parent_path(w.name));
      const auto* entry = states.find(module);
      palette_spec_map specs = entry != nullptr ? entry->value : palette_spec_map();
      specs.set(std::string(module_tree::local_name(w.name)), spec);
      states.set(module, std::move(specs));
    }
  }
  palettizer_config mixed{.global_config = ops};
  // Parents first: an entry reaches what lies below its module, and the later one wins.
  for (index_t m = 0; m < plan.index.modules.size(); ++m) {
    const auto* entry = states.find(plan.index.modules.path(m));
    if (entry == nullptr) continue;
    palettizer_module_config module = ops;
    module.module_state_spec = entry->value;
    mixed.module_name_configs.set(literal_pattern(entry->key), std::move(module));
  }
  return mixed;
}

}  // namespace lutra::inline LUTRA_ABI
