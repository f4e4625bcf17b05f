// lutra: known_range.hpp - an option of plan(): ops whose output range is known beforehand.
// SPDX-License-Identifier: Apache-2.0
//
//   ignored      every range is observed with the configured scheme (what the reference computes)
//   scheme_only  relu, relu6 (also as hardtanh with bounds 0 and 6), sigmoid, hardsigmoid, softmax: asymmetric;
//                tanh: symmetric
//   fixed        also unsigned levels of the configured width n, and nothing to observe: sigmoid, hardsigmoid, softmax
//                on [0, 1 - 2^-n] (scale 2^-n, zero point 0), tanh on [-1, 1 - 2^(1-n)] (scale 2^(1-n), zero point
//                2^(n-1)); of 8 bits 1/256 with 0 and 2/256 with 128
// scale_rules.no_clipping is of symmetric schemes: an asymmetric result is without it.
// A fake-quantizer is changed as a whole, and only if every tensor that enters it comes from ops of
// the same kind; otherwise a note says why not. Linear.
#pragma once

#include <lutra/graph/op.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class known_range : unsigned char { ignored, scheme_only, fixed };

enum class output_range : unsigned char { non_negative, zero_to_one, minus_one_to_one };

constexpr std::optional<output_range> range_of_op(std::string_view op) noexcept {
  op = canonical_op(op);
  if (op == "relu" || op == "relu6") return output_range::non_negative;
  if (op == "sigmoid" || op == "hardsigmoid" || op == "softmax") return output_range::zero_to_one;
  if (op == "tanh") return output_range::minus_one_to_one;
  return std::nullopt;
}

// The spec of a tensor of this range under `mode`; s has an integer type.
inline quantization_spec with_known_range(quantization_spec s, output_range range,
                                          known_range mode) {
  const bool fixed = mode == known_range::fixed && range != output_range::non_negative;
  if (fixed) {
    const int bits = bits_of(s.dtype);
    const float lo = range == output_range::zero_to_one ? 0.0F : -1.0F;
    const float step = (1.0F - lo) / static_cast<float>(1 << bits);  // all of it exact
    s.dtype = static_cast<dtype>(static_cast<int>(dtype::uint1) + bits - 1);
    s.float_range = {lo, 1.0F - step};
  }
  s.qscheme =
      range == output_range::minus_one_to_one && !fixed ? qscheme::symmetric : qscheme::asymmetric;
  if (s.qscheme == qscheme::asymmetric) s.scale_rules.no_clipping = false;
  return s;
}

inline void apply_known_ranges(quantization_plan& plan, known_range mode) {
  if (mode == known_range::ignored) return;
  const graph_index& g = plan.index;
  struct verdict {
    std::optional<output_range> range;
    bool mixed = false;
  };
  std::vector<verdict> of_group(plan.groups.size());
  for (const plan_node& p : plan.places) {
    const index_t producer = g.producer[to_size(p.value)];
    std::optional<output_range> range;
    if (producer >= 0) {
      const index_t own = plan.value_place[to_size(p.value)];
      const bool shared = own >= 0 && plan.places[to_size(own)].group == p.group &&
                          plan.value_decision[to_size(p.value)].why == reason::shared_range;
      if (shared) continue;  // a range-preserving op adds nothing new
      range = range_of_op(g.is_relu6(producer) ? "relu6" : std::string_view(g.op(producer)));
    }
    verdict& v = of_group[to_size(p.group)];
    const bool first = !v.range && !v.mixed;
    v.mixed = v.mixed || !range || (!first && v.range != range);
    if (range) v.range = range;
  }
  settings_editor change(plan);
  for (std::size_t i = 0; i < of_group.size(); ++i) {
    const group_settings& own = plan.settings_of(index_t(i));
    if (!of_group[i].range || own.weight || !is_integer(own.spec.dtype)) continue;
    if (of_group[i].mixed) {
      plan.notes.push_back(plan.group_name(index_t(i)) +
                           ": range is known, but shared with tensors of other ops; not changed");
      continue;
    }
    const output_range range = *of_group[i].range;
    const bool no_clipping = own.spec.scale_rules.no_clipping;
    change.spec(index_t(i), static_cast<int>(range),
                [&](quantization_spec& s) { s = with_known_range(s, range, mode); });
    const quantization_spec& now = plan.settings_of(index_t(i)).spec;
    plan.notes.push_back(
        plan.group_name(index_t(i)) + ": known range, now " + std::string(name_of(now.qscheme)) +
        " " + std::string(name_of(now.dtype)) +
        (no_clipping && !now.scale_rules.no_clipping ? ", without no_clipping" : ""));
  }
}

}  // namespace lutra::inline LUTRA_ABI
