// lutra: explain.hpp - reasons for the points no rule touched, and notes on config keys without effect.
// SPDX-License-Identifier: Apache-2.0
//
// After the rules have run, every point without an annotation gets the reason why. Internal to plan(); linear.
#pragma once

#include <lutra/graph/annotation.hpp>
#include <lutra/graph/pattern.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

class explainer {
 public:
  using resolver = annotations::resolver;

  explainer(const graph_index& g, const resolver& configs, annotations& a)
      : g_(g), configs_(configs), a_(a) {}

  void run() {
    for (index_t n = 0; n < g_.node_count(); ++n) {
      const decision why = why_free(n);
      for (index_t e = a_.first_edge(n); e < a_.end_edge(n); ++e) explain(e, a_.value_of(e), why);
      for (const index_t v : g_.results[n]) {
        const bool extra = a_.claimed(n) && v != g_.results[n][0];
        explain(a_.output_point(v), v,
                extra ? decision{reason::extra_result, false, -1, -1, -1} : why);
      }
    }
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (g_.producer[to_size(v)] < 0 || g_.is_state(v)) {
        a_.set(a_.output_point(v), {}, {});
        explain(a_.output_point(v), v, {reason::decided_by_readers, false, -1, -1, -1});
      }
    }
    for (std::string& text : configs_.unused_keys()) a_.note(std::move(text));
  }

 private:
  void explain(index_t point, index_t v, decision otherwise) {
    if (a_[point].kind != annotation::kind_t::none) return;
    if (g_.role[to_size(v)] == value_role::packed_state) {
      otherwise = {reason::packed_state, false, -1, -1, -1};
    } else if (g_.is_float[to_size(v)] == 0) {
      otherwise = {reason::not_float, false, -1, -1, -1};
    }
    a_.why(point) = otherwise;
  }
  // Why no pattern claimed the node.
  decision why_free(index_t n) const {
    const op_family family = g_.family(n);
    if (family != op_family::activation && family != op_family::batch_norm) {
      return {reason::unregistered_op, false, -1, -1, -1};
    }
    // Behind an op it could have been fused with, if that op's result had no other consumer?
    const auto operands = g_.operands[n];
    const index_t producer = operands.empty() ? -1 : g_.producer[to_size(operands[0])];
    if (producer >= 0 && g_.results[producer][0] == operands[0]) {
      const op_family before = g_.family(producer);
      const bool fusable = before == op_family::weighted || before == op_family::nary ||
                           before == op_family::batch_norm;
      if (fusable && pattern_trie::next_in_chain(g_, producer) != n) {
        return {reason::chain_broken, false, producer, -1, -1};
      }
    }
    return {reason::activation_alone, false, -1, -1, -1};
  }

  const graph_index& g_;
  const resolver& configs_;
  annotations& a_;
};

}  // namespace lutra::inline LUTRA_ABI
