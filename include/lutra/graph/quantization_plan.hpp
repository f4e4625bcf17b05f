// lutra: quantization_plan.hpp - what plan() returns: fake-quantizers, their places, and a reason for everything.
// SPDX-License-Identifier: Apache-2.0
//
// Positions: nodes and values as in graph_index; an operand is a flat position in index.operands.items.
// Value type; concurrent reads are safe.
#pragma once

#include <algorithm>
#include <lutra/graph/config.hpp>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/index.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// How a fake-quantizer works; many of a plan do alike.
struct group_settings {
  quantization_spec spec;  // axes resolved
  bool weight = false;     // observes weights (else activations)
  // Of the module config that gave the first point its spec; absent: always on in training.
  std::optional<qat_schedule> schedule{};
};
// One fake-quantizer.
struct plan_group {
  index_t32 settings;  // position in quantization_plan::settings
  index_t32 value;     // the first one it observes, and which gives it its name
};
// One place where it is applied: it reads `value`, or the output of the earlier place `after`.
struct plan_node {
  index_t32 group;
  index_t32 value;       // the original tensor at the root
  index_t32 after = -1;  // place it is stacked on, or -1
};

struct quantization_plan {
  graph_index index;
  std::vector<plan_group> groups;
  std::vector<group_settings> settings;    // of groups; some may be of none
  std::vector<plan_node> places;           // in the order of insertion
  std::vector<index_t32> operand_place;    // flat operand position -> place it reads, or -1
  std::vector<index_t32> output_place;     // graph output -> place it reads, or -1
  std::vector<index_t32> value_place;      // value -> place of its own output, or -1
  std::vector<decision> operand_decision;  // flat operand position
  std::vector<decision> value_decision;
  std::vector<std::string> sources;  // texts of config entries and custom patterns
  std::vector<std::string> notes;    // overrides, merges, entries without effect

  const group_settings& settings_of(index_t group) const {
    return settings[to_size(groups[to_size(group)].settings)];
  }
  std::string group_name(index_t group) const { return index.label(groups[to_size(group)].value); }
  bool on_state(const plan_node& p) const { return index.is_state(p.value) && p.after < 0; }
  index_t count_places(bool weights) const {
    return static_cast<index_t>(std::count_if(
        places.begin(), places.end(), [&](const auto& p) { return on_state(p) == weights; }));
  }
  // True for an operand that asks for nothing, or is off, and reads what its producer's fake-quantizer made.
  bool quantized_by_producer(index_t operand) const {
    return operand_place[to_size(operand)] >= 0 && !operand_decision[to_size(operand)].on;
  }
  // One sentence; of an operand or a value, the two below know more.
  std::string describe(const decision& d) const {
    std::string text = reason_text(d);
    if (d.overridden < 0) return text;
    const std::string& lost = sources[to_size(d.overridden)];
    return text + "; overridden: " + (lost.starts_with("pattern ") ? "" : "config entry ") + lost;
  }
  std::string describe_operand(index_t operand) const {
    const decision& own = operand_decision[to_size(operand)];
    if (!quantized_by_producer(operand)) return describe(own);
    const index_t value = places[to_size(operand_place[to_size(operand)])].value;
    return "quantized where " + index.label(value) + " is made; for itself: " + describe(own);
  }
  // Of a value, which may take part in the range of its own op's operand.
  std::string describe_value(index_t value) const {
    const decision& d = value_decision[to_size(value)];
    const bool own = d.why == reason::shared_range && d.node >= 0 &&
                     d.node == index.producer[to_size(value)] && d.overridden < 0;
    return own ? "shares the range of its op's input" : describe(d);
  }

 private:
  std::string reason_text(const decision& d) const {
    const std::string who = d.node >= 0 ? index.name[to_size(d.node)] : std::string();
    const std::string entry =
        d.source >= 0 ? " (config entry " + sources[to_size(d.source)] + ")" : "";
    switch (d.why) {
      case reason::none:
        return "undecided";
      case reason::own_config:
        return "quantized by its config" + entry;
      case reason::from_producer:
        return "quantized by the output spec of " + who;
      case reason::from_consumer:
        return "quantized by the input spec of " + who + ", which has priority";
      case reason::shared_range:
        return "shares the range of " + who;
      case reason::shared_state:
        return std::string(d.on ? "quantized" : "not quantized") + ": the state was decided at " +
               who;
      case reason::module_boundary:
        return std::string(d.on ? "quantized" : "off") + " by a module boundary spec" + entry;
      case reason::module_state:
        return std::string(d.on ? "quantized" : "off") + " by a module state spec" + entry;
      case reason::by_annotator:
        return std::string(d.on ? "quantized" : "off") + " by the annotator of " +
               sources[to_size(d.source)];
      case reason::off_by_config:
        return "off by its key" + entry;
      case reason::group_off:
        return "off: the spec map is empty" + entry;
      case reason::no_matching_key:
        return "off: no key of the spec map names it" + entry;
      case reason::config_off:
        return "off: the whole config is off" + entry;
      case reason::not_float:
        return "not floating point";
      case reason::packed_state:
        return "already compressed";
      case reason::inside_pattern:
        return "inside the fused pattern that starts at " + who;
      case reason::activation_alone:
        return "the op is quantized only behind a registered op";
      case reason::chain_broken:
        return "not fused with " + who + ": its result has another consumer";
      case reason::unregistered_op:
        return "no registered pattern has this op";
      case reason::extra_result:
        return "only the first result of an op is quantized";
      case reason::decided_by_readers:
        return "decided for each consumer";
      case reason::not_in_only_for:
        return "off: only_for chose other op types" + entry;
      case reason::not_a_weight:  // the others are not of this plan
      case reason::groups_do_not_fit:
      case reason::no_data:
      case reason::bad_range:
      case reason::not_folded:
      case reason::unread:
        return std::string(name_of(d.why));
    }
    return "unknown";
  }
};

// Changes settings of single groups of a plan; those of others that were alike stay as they are.
class settings_editor {
 public:
  explicit settings_editor(quantization_plan& plan) : plan_(plan) {}

  // change(quantization_spec&) must be the same for groups alike with equal `which`.
  template <class F> void spec(index_t group, int which, F&& change) {
    index_t32& own = plan_.groups[to_size(group)].settings;
    const auto [found, inserted] =
        changed_.try_emplace({own, which}, index_t32(plan_.settings.size()));
    if (inserted) {
      group_settings now = plan_.settings[to_size(own)];
      change(now.spec);
      plan_.settings.push_back(now);
    }
    own = found->second;
  }

 private:
  quantization_plan& plan_;
  std::map<std::pair<index_t32, int>, index_t32> changed_;
};

}  // namespace lutra::inline LUTRA_ABI
