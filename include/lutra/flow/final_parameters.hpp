// lutra: final_parameters.hpp - what every fake-quantizer of a plan comes to in the end: parameters, or why it has none.
// SPDX-License-Identifier: Apache-2.0
//
// One that saw no data, whose blocks do not fit, or whose range no scale can hold (training that diverged) leaves
// its tensor as it is; the others are quantized all the same. Without exceptions such a range ends the program,
// as every error does. Value type; linear.
#pragma once

#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct final_parameters {
  std::vector<std::optional<qparams>> of;  // by group of the plan
  std::vector<reason> cause;               // of those that have none; else reason::none
  std::vector<std::string> why_none;       // the same as a sentence
  std::vector<std::string> notes;          // about those whose range is no range

  // Raises what fake_quantizer::params() does, but non_finite.
  static final_parameters from(const std::vector<fake_quantizer>& fakes,
                               const quantization_plan& plan) {
    final_parameters made;
    for (std::size_t i = 0; i < fakes.size(); ++i) {
      const fake_quantizer& fq = fakes[i];
      made.of.emplace_back();
      made.why_none.push_back(fq.disabled() ? fq.disabled_reason() : "no data was observed");
      made.cause.push_back(fq.disabled()      ? reason::groups_do_not_fit
                           : fq.initialized() ? reason::none
                                              : reason::no_data);
      if (!fq.initialized() || fq.disabled()) continue;
#if LUTRA_HAS_EXCEPTIONS
      try {
        made.of.back() = fq.params();
      } catch (const error& e) {
        if (e.code() != errc::non_finite) throw;
        made.cause.back() = reason::bad_range;
        made.why_none.back() = e.problem() + ": " + e.value();
        made.notes.push_back(plan.group_name(index_t(i)) + ": stays float, " +
                             made.why_none.back());
      }
#else
      static_cast<void>(plan);
      made.of.back() = fq.params();
#endif
    }
    return made;
  }
  bool has(index_t group) const { return of[to_size(group)].has_value(); }
};

}  // namespace lutra::inline LUTRA_ABI
