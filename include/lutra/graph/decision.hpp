// lutra: decision.hpp - why a tensor is compressed, or why not: a typed reason for every operand, value and weight.
// SPDX-License-Identifier: Apache-2.0
//
// The plans of the quantizer and of the palettizer and the reports of both flows speak with these.
#pragma once

#include <lutra/core/error.hpp>
#include <lutra/core/types.hpp>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

enum class reason : unsigned char {
  none,  // never in a plan
  // on
  own_config,       // the config entry that governs the op
  from_producer,    // the producer's output spec; the op's own input config is not asked
  from_consumer,    // a consumer of higher priority decided before
  shared_range,     // shares the fake-quantizer of a range-preserving op
  shared_state,     // same stored tensor as an operand decided before (on or off)
  module_boundary,  // module_input_spec or module_output_spec (on or off)
  module_state,     // module_state_spec of the owning module (on or off)
  by_annotator,     // a custom pattern's annotator (on or off)
  // off
  off_by_config,       // the entry under the matching key is off
  group_off,           // the spec map of this group is empty
  no_matching_key,     // the spec map has entries, but none for this operand
  config_off,          // the op config or module config is off as a whole
  not_float,           // integers, booleans, unknown types
  packed_state,        // already compressed
  inside_pattern,      // between or beside the ops of a fused pattern
  activation_alone,    // an activation or batch norm that follows no registered op
  chain_broken,        // ... that follows one whose result has another consumer
  unregistered_op,     // no pattern starts with or contains this op
  extra_result,        // a further result of an op that a pattern claimed
  decided_by_readers,  // a graph input or a state: each consumer decides for its operand
  not_a_weight,        // palettizer: no known op reads it as its weight
  not_in_only_for,     // only_for chose other op types
  // off, found after the plan: in reports only
  groups_do_not_fit,  // the tensor is too small for its blocks or groups, or they do not divide it
  no_data,            // nothing was observed
  bad_range,          // no scale can hold what was observed, or nothing of it was finite
  not_folded,         // the batch norm it was trained with no longer folds
  unread              // no op reads it
};
inline constexpr int reason_count = static_cast<int>(reason::unread) + 1;

constexpr std::string_view name_of(reason r) noexcept {
  switch (r) {
    case reason::none:
      return "none";
    case reason::own_config:
      return "own_config";
    case reason::from_producer:
      return "from_producer";
    case reason::from_consumer:
      return "from_consumer";
    case reason::shared_range:
      return "shared_range";
    case reason::shared_state:
      return "shared_state";
    case reason::module_boundary:
      return "module_boundary";
    case reason::module_state:
      return "module_state";
    case reason::by_annotator:
      return "by_annotator";
    case reason::off_by_config:
      return "off_by_config";
    case reason::group_off:
      return "group_off";
    case reason::no_matching_key:
      return "no_matching_key";
    case reason::config_off:
      return "config_off";
    case reason::not_float:
      return "not_float";
    case reason::packed_state:
      return "packed_state";
    case reason::inside_pattern:
      return "inside_pattern";
    case reason::activation_alone:
      return "activation_alone";
    case reason::chain_broken:
      return "chain_broken";
    case reason::unregistered_op:
      return "unregistered_op";
    case reason::extra_result:
      return "extra_result";
    case reason::decided_by_readers:
      return "decided_by_readers";
    case reason::not_a_weight:
      return "not_a_weight";
    case reason::not_in_only_for:
      return "not_in_only_for";
    case reason::groups_do_not_fit:
      return "groups_do_not_fit";
    case reason::no_data:
      return "no_data";
    case reason::bad_range:
      return "bad_range";
    case reason::not_folded:
      return "not_folded";
    case reason::unread:
      return "unread";
  }
  return "unknown";
}

struct decision {
  reason why = reason::none;
  bool on = false;
  index_t32 node = -1;        // the other node the reason speaks of, if any
  index_t32 source = -1;      // config entry, or pattern: position in the plan's sources
  index_t32 overridden = -1;  // config entry that said something else and did not count; as source

  decision() = default;
  constexpr decision(reason r, bool is_on, index_t about = -1, index_t from = -1,
                     index_t dropped = -1)
      : why(r),
        on(is_on),
        node(index_t32(about)),
        source(index_t32(from)),
        overridden(index_t32(dropped)) {}
  friend constexpr bool operator==(const decision&, const decision&) = default;
};

}  // namespace lutra::inline LUTRA_ABI
