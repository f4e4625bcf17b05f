// lutra: op_rules.hpp - op-level rules: which spec every operand and result of a matched pattern gets.
// SPDX-License-Identifier: Apache-2.0
//
// Matches are taken in the order module level, op level, longer chain, graph order. A match whose nodes are all
// free claims them; inputs and states are annotated on its first op, the output on its last. A producer's
// output spec beats the consumer's input spec, an earlier consumer's beats the producer's.
// Range-preserving ops share one range over inputs and output, and pass a known output range on.
// A custom pattern's annotator decides for its nodes instead (pattern_annotator.hpp).
// Linear in points, apart from sorting matches. Internal to plan().
#pragma once

#include <algorithm>
#include <lutra/graph/annotation.hpp>
#include <lutra/graph/pattern.hpp>
#include <lutra/graph/pattern_annotator.hpp>
#include <lutra/graph/spec_lookup.hpp>
#include <lutra/observe/observer_keys.hpp>
#include <map>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class op_rules {
 public:
  using resolver = annotations::resolver;
  using choice = resolver::choice;

  op_rules(const graph_index& g, const pattern_registry& registry, resolver& configs,
           annotations& a)
      : g_(g),
        registry_(registry),
        configs_(configs),
        specs_(g, configs),
        a_(a),
        state_decided_(g.role.size(), -1) {
    std::unordered_set<std::string_view> ops;
    for (const pattern& p : registry.patterns()) {
      if (p.kind != pattern_kind::range_preserving) continue;
      for (const auto& chain : p.chains) ops.insert(canonical_op(chain.front()));
    }
    for (const std::string& op : g.op_types) range_preserving_.push_back(ops.count(op) != 0);
  }

  void run() {
    const pattern_matches matches = find_matches(g_, registry_);
    choice_of_.assign(to_size(g_.node_count()), -1);
    // Matches by priority; within one priority they stay in graph order: lists, linked by `next`.
    struct list {
      index_t32 first, last;
    };
    std::map<std::tuple<config_level, op_config_level, index_t>, list> order;
    std::vector<index_t32> next(matches.size(), -1);
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (i == 0 || matches[i].key() != matches[i - 1].key()) {
        const choice c = configs_.of(matches[i].key());
        if (choices_.empty() || !(choices_.back() == c)) choices_.push_back(c);
        choice_of_[to_size(matches[i].key())] = index_t32(choices_.size()) - 1;
      }
      const config_source& s = choices_.back().source;
      const auto match = index_t32(i);
      const auto [at, inserted] = order.try_emplace(
          {s.level, s.op_level, -index_t(matches[i].chain.size())}, list{match, match});
      if (!inserted) next[to_size(std::exchange(at->second.last, match))] = match;
    }
    for (const auto& [priority, equal] : order) {
      for (index_t i = equal.first; i >= 0; i = next[to_size(i)]) {
        const pattern_match m = matches[to_size(i)];
        const bool free =
            std::none_of(m.chain.begin(), m.chain.end(), [&](index_t n) { return a_.claimed(n); });
        if (free) annotate(m, choice_at(m.key()));
      }
    }
  }

 private:
  friend class pattern_annotator;

  bool is_float(index_t v) const { return g_.is_float[to_size(v)] != 0; }
  index_t source(const choice& c) { return a_.source_number(configs_, c.source); }
  // Of the key node of a match.
  const choice& choice_at(index_t key) const { return choices_[to_size(choice_of_[to_size(key)])]; }

  // ---- one match ----------------------------------------------------------------------------------
  void annotate(const pattern_match& m, const choice& c) {
    const index_t key = m.key();
    const pattern& p = registry_.patterns()[to_size(m.pattern)];
    refuse_state_positions(key, c);
    if (p.kind == pattern_kind::custom) return annotate_by(p, m, c);
    for (index_t e = a_.first_edge(key); e < a_.end_edge(key); ++e) {
      annotate_input(e, e - a_.first_edge(key), c);
    }
    if (p.kind == pattern_kind::range_preserving && share_own_range(key, c)) {
      claim(key);
    } else {
      for (const index_t n : m.chain) {
        claim(n);
        if (n != key) keep_inside_float(n, key);
      }
      for (const index_t v : g_.results[key]) {
        if (key != m.last()) a_.turn_off(a_.output_point(v), reason::inside_pattern, -1, key);
      }
      if (!g_.results[m.last()].empty()) annotate_output(g_.results[m.last()][0], c);
    }
    for (const index_t v : g_.results[m.last()]) pass_range_on(v);
  }
  // What the annotator leaves open is off.
  void annotate_by(const pattern& p, const pattern_match& m, const choice& c) {
    pattern_annotator own(*this, c, m.chain, a_.pattern_number(p.key));
    p.annotator(own);
    const auto settle = [&](index_t point, index_t v) {
      if (a_[point].kind == annotation::kind_t::none) own.decide(point, v, std::nullopt);
    };
    for (const index_t n : m.chain) {
      for (index_t e = a_.first_edge(n); e < a_.end_edge(n); ++e) settle(e, a_.value_of(e));
      for (const index_t v : g_.results[n]) settle(a_.output_point(v), v);
      claim(n);
    }
    for (const index_t n : m.chain) {
      for (const index_t v : g_.results[n]) pass_range_on(v);
    }
  }
  void claim(index_t node) {
    a_.claim(node);
    for (index_t e = a_.first_edge(node); e < a_.end_edge(node); ++e) {
      index_t32& decided = state_decided_[to_size(a_.value_of(e))];
      if (decided < 0) decided = index_t32(e);
    }
  }
  void keep_inside_float(index_t node, index_t key) {
    for (index_t e = a_.first_edge(node); e < a_.end_edge(node); ++e) {
      a_.turn_off(e, reason::inside_pattern, -1, key);
    }
    for (const index_t v : g_.results[node]) {
      a_.turn_off(a_.output_point(v), reason::inside_pattern, -1, key);
    }
  }
  void refuse_state_positions(index_t key, const choice& c) const {
    if (!c.enabled()) return;
    for (const auto& e : spec_lookup::input_map(c)) {
      const index_t edge = a_.first_edge(key) + e.key.position();
      if (!e.key.is_position() || edge >= a_.end_edge(key)) continue;
      const index_t v = a_.value_of(edge);
      if (g_.is_state(v) && is_float(v)) {
        raise(errc::invalid_argument, "a state is addressed by input position: use op_state_spec",
              "node " + text_of(std::string_view(g_.name[to_size(key)])) + ", config entry " +
                  configs_.describe(c.source),
              "op_input_spec " + text_of(e.key) + " = " + g_.label(v));
      }
    }
  }

  // ---- inputs -------------------------------------------------------------------------------------
  void annotate_input(index_t edge, index_t position, const choice& c) {
    const index_t v = a_.value_of(edge);
    const bool state = g_.is_state(v);
    if (g_.role[to_size(v)] == value_role::packed_state) {
      return a_.turn_off(edge, reason::packed_state);
    }
    const spec_answer own = state ? specs_.by_name(c, v, g_.is_weight_of(a_.node_of(edge), v))
                                  : specs_.by_position(c, spec_lookup::input_map(c), position);
    if (state && is_float(v) && state_decided_[to_size(v)] >= 0) {
      return copy_state(edge, v, own, c);
    }
    if (!is_float(v)) {
      if (own.explicit_key) warn_not_float(c, v, a_.node_of(edge));
      return a_.turn_off(edge, reason::not_float);
    }
    const index_t producer = g_.producer[to_size(v)];
    if (!state && producer >= 0 && a_.claimed(producer) && a_.output(v).on()) {
      return adopt(edge, a_.output_point(v), reason::from_producer, producer, own, c);
    }
    if (own.spec == nullptr) return a_.turn_off(edge, own.why, source(c));
    a_.set_own(edge, own.spec, state, *c.module, reason::own_config, source(c));
  }
  // A stored tensor is decided once, by the first op that claims it.
  void copy_state(index_t edge, index_t v, const spec_answer& own, const choice& c) {
    const index_t first = state_decided_[to_size(v)];
    annotation copy = a_[first];
    if (!copy.on()) copy.kind = annotation::kind_t::disabled;
    a_.set(edge, copy,
           {reason::shared_state, copy.on(), a_.node_of(first), a_.why(first).source,
            lost(copy, own, c)});
  }
  // Takes over what was decided at `from`, by an op whose node is `other`.
  void adopt(index_t point, index_t from, reason why, index_t other, const spec_answer& own,
             const choice& c) {
    a_.set(point, a_[from], {why, true, other, a_.why(from).source, lost(a_[from], own, c)});
  }
  // The op's own config entry, if it says something else than what was made of the point.
  index_t lost(const annotation& made, const spec_answer& own, const choice& c) {
    return a_.says(made, own.spec) ? -1 : source(c);
  }
  void warn_not_float(const choice& c, index_t v, index_t node) {
    a_.note("config entry " + configs_.describe(c.source) + " addresses " + g_.label(v) + " at " +
            g_.name[to_size(node)] + ", which is not floating point");
  }

  // ---- outputs ------------------------------------------------------------------------------------
  void annotate_output(index_t v, const choice& c) {
    const index_t point = a_.output_point(v);
    const spec_answer own = specs_.by_position(c, spec_lookup::output_map(c), 0);
    if (!is_float(v)) {
      if (own.explicit_key) warn_not_float(c, v, g_.producer[to_size(v)]);
      return a_.turn_off(point, reason::not_float);
    }
    if (own.spec == nullptr) return a_.turn_off(point, own.why, source(c));
    for (const index_t use : g_.uses[v]) {
      const index_t user = g_.user(use);
      if (user < 0 || !a_.claimed(user) || !a_[a_.edge_of(use)].on()) continue;
      return adopt(point, a_.edge_of(use), reason::from_consumer, user, own, c);
    }
    a_.set_own(point, own.spec, false, *c.module, reason::own_config, source(c));
  }

  // ---- range-preserving ops -----------------------------------------------------------------------
  bool preserves_range(index_t node) const {
    return range_preserving_[to_size(g_.op_type[to_size(node)])];
  }
  // On its own turn: the last operand that is on gives the one range of all. False if none is.
  bool share_own_range(index_t node, const choice& c) {
    index_t last = -1;
    for (index_t e = a_.first_edge(node); e < a_.end_edge(node); ++e) {
      if (a_[e].on()) last = e;
    }
    if (last < 0) return false;
    share(node, a_[last], a_.why(last), c);
    return true;
  }
  // The first edge takes `shared`; the other edges and the results refer to it. What the op's own config says
  // is asked all the same, so that it can be told what had no say.
  void share(index_t node, annotation shared, decision why, const choice& c) {
    index_t first = -1;
    for (index_t e = a_.first_edge(node); e < a_.end_edge(node); ++e) {
      const index_t v = a_.value_of(e);
      if (!is_float(v)) {
        a_.turn_off(e, reason::not_float);
      } else if (g_.role[to_size(v)] == value_role::packed_state) {
        a_.turn_off(e, reason::packed_state);
      } else {
        const spec_answer own = g_.is_state(v) ? specs_.by_name(c, v, false)
                                               : specs_.by_position(c, spec_lookup::input_map(c),
                                                                    e - a_.first_edge(node));
        const index_t dropped = lost(shared, own, c);
        if (first < 0) {
          first = e;
          why.overridden = index_t32(dropped);
          a_.set(e, shared, why);
        } else {
          a_.refer(e, first, reason::shared_range, node, dropped);
        }
      }
    }
    for (const index_t v : g_.results[node]) {
      if (is_float(v) && first >= 0) {
        const index_t dropped =
            lost(shared, specs_.by_position(c, spec_lookup::output_map(c), 0), c);
        a_.refer(a_.output_point(v), first, reason::shared_range, node, dropped);
      } else {
        a_.turn_off(a_.output_point(v), reason::not_float);
      }
    }
  }
  // An output that is on claims the free range-preserving ops behind it, breadth first.
  void pass_range_on(index_t value) {
    if (!a_.output(value).on()) return;
    reached_.assign(1, value);
    for (std::size_t i = 0; i < reached_.size(); ++i) {
      const index_t v = reached_[i];
      if (!a_.output(v).on()) continue;
      for (const index_t use : g_.uses[v]) {
        const index_t user = g_.user(use);
        if (user < 0 || a_.claimed(user) || !preserves_range(user)) continue;
        share(user, a_.output(v),
              {reason::shared_range, true, g_.producer[to_size(v)],
               a_.why(a_.output_point(v)).source, -1},
              choice_at(user));
        claim(user);
        for (const index_t made : g_.results[user]) reached_.push_back(made);
      }
    }
  }

  const graph_index& g_;
  const pattern_registry& registry_;
  resolver& configs_;
  spec_lookup specs_;
  annotations& a_;
  std::vector<choice> choices_;           // of the key nodes; one for neighbours with the same
  std::vector<index_t32> choice_of_;      // key node -> choice
  std::vector<bool> range_preserving_;    // op type
  std::vector<index_t> reached_;          // by pass_range_on()
  std::vector<index_t32> state_decided_;  // value -> its edge at the first node that claimed it
};

inline const graph_index& pattern_annotator::graph() const noexcept { return rules_.g_; }
inline bool pattern_annotator::preserves_range(index_t node) const {
  check_node(node);
  return rules_.preserves_range(node);
}
inline std::optional<quantization_spec> pattern_annotator::input_spec(index_t position) {
  const auto found = rules_.specs_.by_position(config_, spec_lookup::input_map(config_), position);
  return found.spec != nullptr ? std::optional(*found.spec) : std::nullopt;
}
inline std::optional<quantization_spec> pattern_annotator::state_spec(index_t value) {
  if (value < 0 || value >= graph().value_count() || !graph().is_state(value)) {
    raise(errc::invalid_argument, "not a state", "pattern_annotator::state_spec", text_of(value));
  }
  const auto found = rules_.specs_.by_name(config_, value, graph().is_weight_of(key(), value));
  return found.spec != nullptr ? std::optional(*found.spec) : std::nullopt;
}
inline std::optional<quantization_spec> pattern_annotator::output_spec() {
  const auto found = rules_.specs_.by_position(config_, spec_lookup::output_map(config_), 0);
  return found.spec != nullptr ? std::optional(*found.spec) : std::nullopt;
}
inline void pattern_annotator::check_node(index_t node) const {
  if (std::find(chain_.begin(), chain_.end(), node) == chain_.end()) {
    raise(errc::invalid_argument, "the node is not in the match", "pattern_annotator",
          text_of(node));
  }
}
inline index_t pattern_annotator::edge(index_t node, std::size_t slot) const {
  check_node(node);
  const auto operands = graph().operands[node];
  if (slot >= operands.size()) {
    raise(errc::invalid_argument, "no such operand slot",
          "pattern_annotator, node " + graph().name[to_size(node)], text_of(slot),
          "below " + text_of(operands.size()));
  }
  return rules_.a_.edge_of(graph().operands.begin[to_size(node)] + static_cast<index_t>(slot));
}
inline index_t pattern_annotator::result_of(index_t node, std::size_t result) const {
  check_node(node);
  const auto results = graph().results[node];
  if (result >= results.size()) {
    raise(errc::invalid_argument, "no such result",
          "pattern_annotator, node " + graph().name[to_size(node)], text_of(result),
          "below " + text_of(results.size()));
  }
  return results[result];
}
inline void pattern_annotator::input(index_t node, std::size_t slot) {
  const index_t e = edge(node, slot);
  rules_.annotate_input(e, e - rules_.a_.first_edge(node), config_);
}
inline void pattern_annotator::output(index_t node, std::size_t result) {
  rules_.annotate_output(result_of(node, result), config_);
}
inline void pattern_annotator::input(index_t node, std::size_t slot,
                                     const std::optional<quantization_spec>& spec) {
  const index_t e = edge(node, slot);
  check_spec(spec, node, "input " + text_of(slot));
  decide(e, rules_.a_.value_of(e), spec);
}
inline void pattern_annotator::output(index_t node, std::size_t result,
                                      const std::optional<quantization_spec>& spec) {
  const index_t v = result_of(node, result);
  check_spec(spec, node, "output " + text_of(result));
  decide(rules_.a_.output_point(v), v, spec);
}
inline void pattern_annotator::share(index_t node, std::size_t result, std::size_t slot) {
  const index_t v = result_of(node, result);
  const index_t from = edge(node, slot);
  const index_t point = rules_.a_.output_point(v);
  if (!rules_.is_float(v) || !rules_.a_[from].on()) return decide(point, v, std::nullopt);
  rules_.a_.refer(point, from, reason::shared_range, node);
}
inline void pattern_annotator::check_spec(const std::optional<quantization_spec>& spec,
                                          index_t node, const std::string& what) const {
  if (!spec || !spec->enabled) return;
  const std::string at = "pattern_annotator, node " + graph().name[to_size(node)] + ", " + what;
  check(*spec, at);
  check_observer_key(spec->qparam_calculator, at + ".qparam_calculator");
}
inline void pattern_annotator::decide(index_t point, index_t value,
                                      const std::optional<quantization_spec>& spec) {
  annotations& a = rules_.a_;
  if (graph().role[to_size(value)] == value_role::packed_state) {
    return a.turn_off(point, reason::packed_state);
  }
  if (!rules_.is_float(value)) return a.turn_off(point, reason::not_float);
  if (!spec || !spec->enabled) return a.turn_off(point, reason::by_annotator, source_);
  a.set_own(point, a.keep(*spec), graph().is_state(value), *config_.module, reason::by_annotator,
            source_);
}

}  // namespace lutra::inline LUTRA_ABI
