// lutra: spec_lookup.hpp - what the op config that governs a node says of one of its operands or results.
// SPDX-License-Identifier: Apache-2.0
//
// Inputs and outputs are asked for by position, exact ones before "*"; states by their local names, then "*", and one
// without a name by its role. What answers is marked as used. Internal to plan(). Cost: the sizes of the maps.
#pragma once

#include <lutra/graph/config.hpp>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/graph_index.hpp>
#include <lutra/graph/resolve.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

struct spec_answer {
  const quantization_spec* spec = nullptr;  // null: off
  reason why = reason::config_off;
  bool explicit_key = false;  // not through "*"
};

class spec_lookup {
 public:
  using resolver = config_resolver<quantizer_config>;
  using choice = resolver::choice;

  spec_lookup(const graph_index& g, resolver& configs) : g_(g), configs_(configs) {}

  static const spec_map& input_map(const choice& c) {
    return c.op != nullptr ? c.op->op_input_spec : c.module->op_input_spec;
  }
  static const spec_map& output_map(const choice& c) {
    return c.op != nullptr ? c.op->op_output_spec : c.module->op_output_spec;
  }

  // `map`: input_map(c) or output_map(c).
  spec_answer by_position(const choice& c, const spec_map& map, index_t position) {
    if (!c.enabled()) return {};
    if (const auto* e = map.find(operand_key(static_cast<int>(position)))) return found(e, true);
    if (const auto* e = map.find(any_operand())) return found(e, false);
    return {nullptr, configs_.why_none(c, map.empty()), false};
  }
  spec_answer by_name(const choice& c, index_t state, bool weight_role) {
    if (!c.enabled()) return {};
    const state_spec_map& map = c.op != nullptr ? c.op->op_state_spec : c.module->op_state_spec;
    const auto names = g_.state_names[to_size(state)];
    for (const std::string& name : names) {
      if (const auto* e = map.find(module_tree::local_name(name))) return found(e, true);
    }
    // A state the adapter has no name for is called by its role.
    if (names.empty() && weight_role) {
      if (const auto* e = map.find("weight")) return found(e, true);
    }
    if (const auto* e = map.find("*")) return found(e, false);
    return {nullptr, configs_.why_none(c, map.empty()), false};
  }

 private:
  template <class Entry> spec_answer found(const Entry* e, bool explicit_key) {
    configs_.use(e);
    if (!e->value.enabled) return {nullptr, reason::off_by_config, explicit_key};
    return {&e->value, reason::own_config, explicit_key};
  }

  const graph_index& g_;
  resolver& configs_;
};

}  // namespace lutra::inline LUTRA_ABI
