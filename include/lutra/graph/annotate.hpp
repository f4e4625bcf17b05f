// lutra: annotate.hpp - the rules that give every operand and result its spec.
// SPDX-License-Identifier: Apache-2.0
//
// A point is a distinct operand of a node (an edge) or a value as the output of its producer. Matches are taken in
// the order module level, op level, longer chain, graph order; a match whose nodes are all free claims
// them and annotates its points. Module boundary specs and module state specs then overwrite. O(points) plus
// the cost of name patterns. Internal to plan(); pure.
#pragma once

#include <algorithm>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/pattern.hpp>
#include <lutra/graph/resolve.hpp>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct annotation {
  enum class kind_t : unsigned char { none, disabled, own, reference };
  kind_t kind = kind_t::none;
  index_t target = -1;  // own: number of the spec; reference: point
  decision why;

  bool on() const noexcept { return kind == kind_t::own || kind == kind_t::reference; }
};

struct spec_use {
  quantization_spec spec;
  bool weight;  // found in a state map
};

// Everything annotate() produces.
struct annotations {
  index_rows edges;                // node -> its distinct operands, as values; row items are edges
  std::vector<index_t> edge_node;  // edge -> node
  std::vector<index_t> edge_of;    // flat operand position -> edge
  std::vector<annotation> points;  // edges, then values
  std::vector<spec_use> specs;
  std::vector<char> claimed;  // node
  std::vector<std::string> sources;
  std::vector<std::string> notes;

  index_t edge_count() const noexcept { return static_cast<index_t>(edges.items.size()); }
  index_t output_point(index_t value) const noexcept { return edge_count() + value; }
};

class annotator {
 public:
  using resolver = config_resolver<quantizer_config>;
  using choice = resolver::choice;

  annotator(const graph_index& g, const pattern_registry& registry, const quantizer_config& config)
      : g_(g),
        registry_(registry),
        resolver_(config, g),
        range_preserving_(range_preserving_ops(registry)) {
    number_edges();
    a_.points.resize(to_size(a_.edge_count() + g.value_count()));
    a_.claimed.assign(g.op.size(), 0);
    state_decided_.assign(g.role.size(), -1);
  }

  annotations run() {
    annotate_matches();
    boundary_specs(config_level::type);
    boundary_specs(config_level::name);
    state_specs();
    explain_rest();
    unused_keys();
    for (std::string& note : resolver_.unmatched()) a_.notes.push_back(std::move(note));
    return std::move(a_);
  }

 private:
  using kind_t = annotation::kind_t;
  struct lookup {
    const quantization_spec* spec = nullptr;  // null: off
    reason why = reason::config_off;
    bool explicit_key = false;  // not through "*"
  };
  static const operand_key& star() {
    static const operand_key key("*");
    return key;
  }
  static std::unordered_set<std::string> range_preserving_ops(const pattern_registry& registry) {
    std::unordered_set<std::string> ops;
    for (const pattern& p : registry.patterns()) {
      if (p.kind != pattern_kind::range_preserving) continue;
      for (const auto& chain : p.chains) ops.insert(std::string(canonical_op(chain.front())));
    }
    return ops;
  }

  // ---- points -------------------------------------------------------------------------------------
  void number_edges() {
    std::vector<index_t> seen(g_.role.size(), -1);  // value -> its edge at the current node
    for (index_t n = 0; n < g_.node_count(); ++n) {
      const index_t first = a_.edge_count();
      for (const index_t v : g_.operands[n]) {
        index_t& edge = seen[to_size(v)];
        if (edge < first) {
          edge = a_.edge_count();
          a_.edges.items.push_back(v);
          a_.edge_node.push_back(n);
        }
        a_.edge_of.push_back(edge);
      }
      a_.edges.end_row();
    }
  }
  annotation& at(index_t point) { return a_.points[to_size(point)]; }
  annotation& output(index_t value) { return at(a_.output_point(value)); }
  index_t first_edge(index_t node) const { return a_.edges.begin[to_size(node)]; }
  index_t end_edge(index_t node) const { return a_.edges.begin[to_size(node) + 1]; }
  index_t edge_value(index_t edge) const { return a_.edges.items[to_size(edge)]; }
  bool is_float(index_t v) const { return g_.is_float[to_size(v)] != 0; }

  index_t spec_number(const quantization_spec* spec, bool weight) {
    const auto [found, inserted] =
        spec_number_.try_emplace({spec, weight}, static_cast<index_t>(a_.specs.size()));
    if (inserted) a_.specs.push_back({*spec, weight});
    return found->second;
  }
  index_t source_number(const config_source& s) {
    const auto [found, inserted] =
        source_number_.try_emplace(std::make_tuple(s.level, s.entry, s.op_level, s.op_entry),
                                   static_cast<index_t>(a_.sources.size()));
    if (inserted) a_.sources.push_back(resolver_.describe(s));
    return found->second;
  }
  void turn_off(index_t point, reason why, const config_source* source = nullptr,
                index_t node = -1) {
    at(point) = {
        kind_t::disabled, -1, {why, false, node, source != nullptr ? source_number(*source) : -1}};
  }
  void set_own(index_t point, const quantization_spec* spec, bool weight, reason why,
               const config_source& source) {
    at(point) = {kind_t::own, spec_number(spec, weight), {why, true, -1, source_number(source)}};
  }
  void refer(index_t point, index_t to, reason why, index_t node) {
    at(point) = {kind_t::reference, to, {why, true, node, -1}};
  }

  // ---- lookup in the op config that governs a node ---------------------------------------------
  template <class Map> lookup found(const typename Map::entry* e, bool explicit_key) {
    resolver_.use(e);
    if (!e->value.enabled) return {nullptr, reason::off_by_config, explicit_key};
    return {&e->value, reason::own_config, explicit_key};
  }
  lookup by_position(const choice& c, const spec_map& map, index_t position) {
    if (!c.enabled()) return {};
    if (const auto* e = map.find(static_cast<int>(position))) return found<spec_map>(e, true);
    if (const auto* e = map.find(star())) return found<spec_map>(e, false);
    return {nullptr, map.empty() ? reason::group_off : reason::no_matching_key, false};
  }
  lookup by_name(const choice& c, const state_spec_map& map, index_t state, bool weight_role) {
    if (!c.enabled()) return {};
    const auto& names = g_.state_names[to_size(state)];
    for (const std::string& name : names) {
      if (const auto* e = map.find(std::string(module_tree::local_name(name)))) {
        return found<state_spec_map>(e, true);
      }
    }
    // A state the adapter has no name for is called by its role.
    if (names.empty() && weight_role) {
      if (const auto* e = map.find("weight")) return found<state_spec_map>(e, true);
    }
    if (const auto* e = map.find("*")) return found<state_spec_map>(e, false);
    return {nullptr, map.empty() ? reason::group_off : reason::no_matching_key, false};
  }
  static const spec_map& input_map(const choice& c) {
    return c.op != nullptr ? c.op->op_input_spec : c.module->op_input_spec;
  }
  static const spec_map& output_map(const choice& c) {
    return c.op != nullptr ? c.op->op_output_spec : c.module->op_output_spec;
  }
  static const state_spec_map& state_map(const choice& c) {
    return c.op != nullptr ? c.op->op_state_spec : c.module->op_state_spec;
  }

  // ---- op level -----------------------------------------------------------------------------------
  void annotate_matches() {
    const std::vector<pattern_match> matches = find_matches(g_, registry_);
    std::vector<choice>
        choices;  // of the key node of each match; matches of one key are neighbours
    choices.reserve(matches.size());
    for (std::size_t i = 0; i < matches.size(); ++i) {
      choices.push_back(i > 0 && matches[i].key() == matches[i - 1].key()
                            ? choices.back()
                            : resolver_.of(matches[i].key()));
    }
    const auto priority = [&](index_t i) {
      const pattern_match& m = matches[to_size(i)];
      const config_source& s = choices[to_size(i)].source;
      return std::make_tuple(s.level, s.op_level, -static_cast<index_t>(m.chain.size()), m.key());
    };
    std::vector<index_t> order(matches.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<index_t>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t a, index_t b) { return priority(a) < priority(b); });
    for (const index_t i : order) {
      const pattern_match& m = matches[to_size(i)];
      const bool free = std::none_of(m.chain.begin(), m.chain.end(),
                                     [&](index_t n) { return a_.claimed[to_size(n)] != 0; });
      if (free) annotate(m, choices[to_size(i)]);
    }
  }
  void annotate(const pattern_match& m, const choice& c) {
    const index_t key = m.key();
    refuse_state_positions(key, c);
    for (index_t e = first_edge(key); e < end_edge(key); ++e) {
      annotate_input(e, e - first_edge(key), c);
    }
    if (registry_.patterns()[to_size(m.pattern)].kind == pattern_kind::range_preserving &&
        share_range(key)) {
      claim(key);
    } else {
      for (const index_t n : m.chain) {
        claim(n);
        if (n != key) explain_inside(n, key);
      }
      for (const index_t v : g_.results[key]) {
        if (key != m.last()) turn_off(a_.output_point(v), reason::inside_pattern, nullptr, key);
      }
      if (!g_.results[m.last()].empty()) annotate_output(g_.results[m.last()][0], c);
    }
    for (const index_t v : g_.results[m.last()]) flow(v);
  }
  void claim(index_t node) {
    a_.claimed[to_size(node)] = 1;
    for (index_t e = first_edge(node); e < end_edge(node); ++e) {
      index_t& decided = state_decided_[to_size(edge_value(e))];
      if (decided < 0) decided = e;
    }
  }
  // Operands and results of the later ops of a chain stay float.
  void explain_inside(index_t node, index_t key) {
    for (index_t e = first_edge(node); e < end_edge(node); ++e) {
      turn_off(e, reason::inside_pattern, nullptr, key);
    }
    for (const index_t v : g_.results[node]) {
      turn_off(a_.output_point(v), reason::inside_pattern, nullptr, key);
    }
  }
  void refuse_state_positions(index_t key, const choice& c) {
    if (!c.enabled()) return;
    for (const auto& e : input_map(c)) {
      if (!e.key.is_position() || e.key.position() >= end_edge(key) - first_edge(key)) continue;
      const index_t v = edge_value(first_edge(key) + e.key.position());
      if (g_.is_state(v) && is_float(v)) {
        raise(errc::invalid_argument, "a state is addressed by input position: use op_state_spec",
              "node " + text_of(std::string_view(g_.name[to_size(key)])) + " (" +
                  resolver_.describe(c.source) + ")",
              "op_input_spec " + text_of(e.key) + " = " + g_.label(v));
      }
    }
  }
  void annotate_input(index_t edge, index_t position, const choice& c) {
    const index_t v = edge_value(edge);
    const index_t node = a_.edge_node[to_size(edge)];
    const bool state = g_.is_state(v);
    if (g_.role[to_size(v)] == value_role::packed_state) {
      return turn_off(edge, reason::packed_state);
    }
    if (state && is_float(v) && state_decided_[to_size(v)] >= 0) return copy_state(edge, v);
    const index_t producer = g_.producer[to_size(v)];
    if (!state && is_float(v) && producer >= 0 && a_.claimed[to_size(producer)] != 0 &&
        output(v).on()) {
      const annotation made = output(v);
      at(edge) = made;
      at(edge).why = {reason::from_producer, true, producer, -1};
      const lookup own = by_position(c, input_map(c), position);
      if (own.spec != nullptr && made.kind == kind_t::own &&
          !(*own.spec == a_.specs[to_size(made.target)].spec)) {
        note_override(node, v,
                      "input spec of " + resolver_.describe(c.source) +
                          " is overridden by the output spec of " + g_.name[to_size(producer)]);
      }
      return;
    }
    const auto weight = weight_of(g_.op[to_size(node)]);
    const bool weight_role =
        weight && weight->slot < g_.operands[node].size() && g_.operands[node][weight->slot] == v;
    const lookup own =
        state ? by_name(c, state_map(c), v, weight_role) : by_position(c, input_map(c), position);
    if (!is_float(v)) {
      if (own.explicit_key) {
        a_.notes.push_back(resolver_.describe(c.source) + " addresses " + g_.label(v) + " of " +
                           g_.name[to_size(node)] + ", which is not floating point");
      }
      return turn_off(edge, reason::not_float);
    }
    if (own.spec == nullptr) return turn_off(edge, own.why, &c.source);
    set_own(edge, own.spec, state, reason::own_config, c.source);
  }
  // A stored tensor is decided once, by the first op that claims it.
  void copy_state(index_t edge, index_t v) {
    const index_t first = state_decided_[to_size(v)];
    const index_t by = a_.edge_node[to_size(first)];
    at(edge) = at(first);
    if (!at(edge).on()) at(edge).kind = kind_t::disabled;
    at(edge).why = {reason::shared_state, at(edge).on(), by, -1};
  }
  void annotate_output(index_t v, const choice& c) {
    const index_t point = a_.output_point(v);
    const lookup own = by_position(c, output_map(c), 0);
    if (!is_float(v)) {
      if (own.explicit_key) {
        a_.notes.push_back(resolver_.describe(c.source) + " addresses output " + g_.label(v) +
                           ", which is not floating point");
      }
      return turn_off(point, reason::not_float);
    }
    if (own.spec == nullptr) return turn_off(point, own.why, &c.source);
    for (const index_t use : g_.uses[v]) {
      const index_t user = g_.user(use);
      if (user < 0 || a_.claimed[to_size(user)] == 0) continue;
      const annotation& wanted = at(a_.edge_of[to_size(use)]);
      if (!wanted.on()) continue;
      if (wanted.kind == kind_t::own && !(a_.specs[to_size(wanted.target)].spec == *own.spec)) {
        note_override(g_.producer[to_size(v)], v,
                      "output spec of " + resolver_.describe(c.source) +
                          " is overridden by the input spec of " + g_.name[to_size(user)]);
      }
      at(point) = wanted;
      at(point).why = {reason::from_consumer, true, user, -1};
      return;
    }
    set_own(point, own.spec, false, reason::own_config, c.source);
  }
  void note_override(index_t node, index_t v, std::string text) {
    a_.notes.push_back(g_.label(v) + " at " + g_.name[to_size(node)] + ": " + std::move(text));
  }

  // ---- range-preserving ops ---------------------------------------------------------------------
  bool preserves_range(index_t node) const {
    return range_preserving_.count(g_.op[to_size(node)]) != 0;
  }
  // On its own turn: the last operand that is on gives the one range of all. False if none is.
  bool share_range(index_t node) {
    index_t last = -1;
    for (index_t e = first_edge(node); e < end_edge(node); ++e) {
      if (at(e).on()) last = e;
    }
    if (last < 0) return false;
    const annotation shared = at(last);
    share(node, shared);
    return true;
  }
  // The first edge takes `shared`; the other edges and the results refer to it.
  void share(index_t node, const annotation& shared) {
    index_t first = -1;
    for (index_t e = first_edge(node); e < end_edge(node); ++e) {
      if (!is_float(edge_value(e))) {
        turn_off(e, reason::not_float);
      } else if (first < 0) {
        first = e;
        at(e) = shared;
      } else {
        refer(e, first, reason::shared_range, node);
      }
    }
    for (const index_t v : g_.results[node]) {
      if (is_float(v) && first >= 0) {
        refer(a_.output_point(v), first, reason::shared_range, node);
      } else {
        turn_off(a_.output_point(v), reason::not_float);
      }
    }
  }
  // An output that is on claims the range-preserving ops behind it, breadth first.
  void flow(index_t value) {
    std::vector<index_t> reached{value};
    for (std::size_t i = 0; i < reached.size(); ++i) {
      const index_t v = reached[i];
      if (!output(v).on()) continue;
      for (const index_t use : g_.uses[v]) {
        const index_t user = g_.user(use);
        if (user < 0 || a_.claimed[to_size(user)] != 0 || !preserves_range(user)) continue;
        annotation shared = output(v);
        shared.why = {reason::shared_range, true, g_.producer[to_size(v)], -1};
        share(user, shared);
        claim(user);
        for (const index_t made : g_.results[user]) reached.push_back(made);
      }
    }
  }

  // ---- module level -------------------------------------------------------------------------------
  void boundary_specs(config_level level) {
    std::vector<std::vector<index_t>> nodes_of;
    for (const resolver::record& r : resolver_.records(level)) {
      const module_config& m = resolver_.module_config(level, r.entry);
      if (!r.direct || !m.enabled) continue;
      if (m.module_input_spec.empty() && m.module_output_spec.empty()) continue;
      if (nodes_of.empty()) nodes_of = nodes_by_module();
      config_source source;
      source.level = level;
      source.entry = r.entry;
      boundary_of(members_of(r.module, nodes_of), m, source, r.module);
    }
  }
  std::vector<std::vector<index_t>> nodes_by_module() const {
    std::vector<std::vector<index_t>> nodes(to_size(g_.modules.size()));
    for (index_t n = 0; n < g_.node_count(); ++n) {
      nodes[to_size(g_.module[to_size(n)])].push_back(n);
    }
    return nodes;
  }
  std::vector<index_t> members_of(index_t module,
                                  const std::vector<std::vector<index_t>>& nodes_of) const {
    std::vector<index_t> members, below{module};
    while (!below.empty()) {
      const index_t m = below.back();
      below.pop_back();
      const auto& own = nodes_of[to_size(m)];
      members.insert(members.end(), own.begin(), own.end());
      const auto descend = [&](index_t from) {
        for (const index_t child : g_.modules.children(from)) {
          below.push_back(g_.modules.canonical(child));
        }
      };
      descend(m);
      for (const index_t alias : g_.modules.aliases(m)) descend(alias);
    }
    std::sort(members.begin(), members.end());
    members.erase(std::unique(members.begin(), members.end()), members.end());
    return members;
  }
  void boundary_of(const std::vector<index_t>& members, const module_config& m,
                   const config_source& source, index_t module) {
    const auto inside = [&](index_t node) {
      return node >= 0 && std::binary_search(members.begin(), members.end(), node);
    };
    index_t inputs = 0, outputs = 0;
    for (const index_t n : members) {
      for (index_t e = first_edge(n); e < end_edge(n); ++e) {
        const index_t v = edge_value(e);
        if (g_.is_state(v) || inside(g_.producer[to_size(v)])) continue;
        overwrite(e, v, m.module_input_spec, inputs++, source);
      }
      for (const index_t v : g_.results[n]) {
        const auto uses = g_.uses[v];
        if (std::all_of(uses.begin(), uses.end(),
                        [&](index_t use) { return inside(g_.user(use)); })) {
          continue;
        }
        overwrite(a_.output_point(v), v, m.module_output_spec, outputs++, source);
      }
    }
    const auto beyond = [&](const spec_map& map, index_t count, const char* what) {
      for (const auto& e : map) {
        if (e.key.is_position() && e.key.position() >= count) {
          a_.notes.push_back("config entry " + resolver_.describe(source) + ", " + what + " " +
                             text_of(e.key) + ": module " +
                             text_of(std::string_view(g_.modules.path(module))) + " has only " +
                             text_of(count));
        }
      }
    };
    beyond(m.module_input_spec, inputs, "module_input_spec");
    beyond(m.module_output_spec, outputs, "module_output_spec");
  }
  void overwrite(index_t point, index_t v, const spec_map& map, index_t position,
                 const config_source& source) {
    const auto* e = map.find(static_cast<int>(position));
    const bool explicit_key = e != nullptr;
    if (e == nullptr) e = map.find(star());
    if (e == nullptr) return;
    resolver_.use(e);
    if (!is_float(v)) {
      if (explicit_key) {
        a_.notes.push_back("module spec of " + resolver_.describe(source) + " addresses " +
                           g_.label(v) + ", which is not floating point");
      }
      return;
    }
    if (e->value.enabled) {
      set_own(point, &e->value, false, reason::module_boundary, source);
    } else {
      turn_off(point, reason::module_boundary, &source);
    }
  }
  // The module that owns a state decides for all its consumers.
  void state_specs() {
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (g_.role[to_size(v)] != value_role::state) continue;
      const resolver::state_hit hit = resolver_.module_state(v);
      if (hit.entry == nullptr) continue;
      resolver_.use(hit.entry);
      if (!is_float(v)) {
        a_.notes.push_back("module_state_spec addresses " + g_.label(v) +
                           ", which is not floating point");
        continue;
      }
      for (const index_t use : g_.uses[v]) {
        if (g_.user(use) < 0) continue;
        const index_t edge = a_.edge_of[to_size(use)];
        if (hit.entry->value.enabled) {
          set_own(edge, &hit.entry->value, true, reason::module_state, hit.source);
        } else {
          turn_off(edge, reason::module_state, &hit.source);
        }
      }
    }
  }

  // ---- everything nobody asked about ------------------------------------------------------------
  void explain_rest() {
    for (index_t n = 0; n < g_.node_count(); ++n) {
      const decision why = why_unclaimed(n);
      for (index_t e = first_edge(n); e < end_edge(n); ++e) {
        if (at(e).kind == kind_t::none) at(e).why = unless_special(edge_value(e), why);
      }
      for (const index_t v : g_.results[n]) {
        if (output(v).kind == kind_t::none) output(v).why = unless_special(v, why);
      }
    }
    for (index_t v = 0; v < g_.value_count(); ++v) {
      if (g_.producer[to_size(v)] < 0 || g_.is_state(v)) {
        output(v).why = unless_special(v, {reason::decided_by_readers, false, -1, -1});
      }
    }
  }
  decision unless_special(index_t v, decision otherwise) const {
    if (g_.role[to_size(v)] == value_role::packed_state)
      return {reason::packed_state, false, -1, -1};
    if (!is_float(v)) return {reason::not_float, false, -1, -1};
    return otherwise;
  }
  decision why_unclaimed(index_t n) const {
    const op_family family = family_of(g_.op[to_size(n)]);
    if (family != op_family::activation && family != op_family::batch_norm) {
      return {reason::unregistered_op, false, -1, -1};
    }
    // Behind a registered op whose result has another consumer?
    const auto operands = g_.operands[n];
    const index_t producer = operands.empty() ? -1 : g_.producer[to_size(operands[0])];
    if (producer >= 0) {
      const op_family before = family_of(g_.op[to_size(producer)]);
      const bool fusable = before == op_family::weighted || before == op_family::nary ||
                           before == op_family::batch_norm;
      if (fusable && pattern_trie::next_in_chain(g_, producer) != n) {
        return {reason::chain_broken, false, producer, -1};
      }
    }
    return {reason::activation_alone, false, -1, -1};
  }
  // Explicit positions and state names that never decided anything.
  void unused_keys() {
    const auto maps = [&](const auto& c, const std::string& where) {
      const auto report = [&](const auto& map, const char* what) {
        for (const auto& e : map) {
          if (!resolver_.used(&e) && !(e.key == "*") && !is_default(e)) {
            a_.notes.push_back("config entry " + where + ", " + what + " " + key_text(e.key) +
                               " matches no tensor");
          }
        }
      };
      report(c.op_input_spec, "op_input_spec");
      report(c.op_output_spec, "op_output_spec");
      report(c.op_state_spec, "op_state_spec");
    };
    const auto module = [&](const module_config& m, const std::string& where) {
      maps(m, where);
      for (const auto& e : m.op_type_config) {
        maps(e.value, where + ", op type " + text_of(std::string_view(e.key)));
      }
      for (const auto& e : m.op_name_config) {
        maps(e.value, where + ", op name " + text_of(std::string_view(e.key)));
      }
      for (const auto& e : m.module_state_spec) {
        if (!resolver_.used(&e) && e.key != "*") {
          a_.notes.push_back("config entry " + where + ", module_state_spec " + key_text(e.key) +
                             " matches no state");
        }
      }
    };
    const quantizer_config& config = resolver_.config();
    module(config.global_config, "global");
    for (const auto& e : config.module_type_configs) {
      module(e.value, "type " + text_of(std::string_view(e.key)));
    }
    for (const auto& e : config.module_name_configs) {
      module(e.value, "name " + text_of(std::string_view(e.key)));
    }
  }
  // The entry every config has unless it says otherwise is not worth a note.
  static bool is_default(const state_spec_map::entry& e) {
    return e.key == "weight" && e.value == default_weight_spec;
  }
  static bool is_default(const spec_map::entry&) { return false; }
  static std::string key_text(const operand_key& k) { return text_of(k); }
  static std::string key_text(const std::string& k) { return text_of(std::string_view(k)); }

  const graph_index& g_;
  const pattern_registry& registry_;
  resolver resolver_;
  std::unordered_set<std::string> range_preserving_;
  annotations a_;
  std::vector<index_t> state_decided_;  // value -> edge of its first claimed consumer
  std::map<std::pair<const quantization_spec*, bool>, index_t> spec_number_;
  std::map<std::tuple<config_level, index_t, op_config_level, index_t>, index_t> source_number_;
};

}  // namespace lutra::inline LUTRA_ABI
