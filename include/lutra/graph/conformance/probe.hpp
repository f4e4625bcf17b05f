// lutra: probe.hpp - edit_probe: what the checkers of edits have in common.
// SPDX-License-Identifier: Apache-2.0
//
// A part of graph/conformance.hpp. Refers to the graph. One probe belongs to one thread.
#pragma once

#include <lutra/graph/conformance/reading.hpp>
#include <optional>
#include <span>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class edit_probe {
 protected:
  using traits = graph_traits<G>;
  using node_id = node_id_t<G>;
  using value_id = value_id_t<G>;

  // Node ids with operands, and outputs: enough to see a difference.
  struct picture {
    std::vector<node_id> nodes;
    std::vector<value_id> values;
    friend bool operator==(const picture&, const picture&) = default;
  };

  explicit edit_probe(G& g) : g_(g) {}

  const G& graph() const { return g_; }
  void problem(std::string text) { problems_.push_back(std::move(text)); }
  std::vector<float> elements(const value_id& v) const {
    return to_vector<float>(tensor_view<const float>(traits::constant(graph(), v)));
  }

  // A new value reads right to be `role`, float, and changes nothing else.
  void check_made(const indexed_graph<G>& before, index_t v, const value_id& made, value_role role,
                  const char* what) {
    if (!check_unrewired(before, v, what)) {
      redirect(before, v, before.values[to_size(v)], "set_operand back");
    }
    if (traits::role_of(graph(), made) != role || !traits::is_float(graph(), made)) {
      problem(std::string(what) + ": the new value is not a float " +
              (role == value_role::result ? "result" : "packed_state"));
    }
    for (const std::string& p : graph_checker<G>(graph()).run()) {
      problem(std::string(what) + ": " + p);
    }
  }
  // The graph is again what it was.
  void check_back(const picture& was, const char* undo, const char* what) {
    if (snapshot() == was) return;
    problem(std::string(undo) + ": the graph differs from what it was before " + what);
  }

  // Who read v still does.
  bool check_unrewired(const indexed_graph<G>& before, index_t v, const char* what) {
    const graph_index& i = before.index;
    bool sound = true;
    for (const index_t use : i.uses[v]) {
      const auto slot = to_size(i.slot(use));
      const value_id now =
          i.user(use) < 0
              ? at(traits::outputs(std::as_const(g_)), slot)
              : at(traits::operands(std::as_const(g_), before.nodes[to_size(i.user(use))]), slot);
      if (!(now == before.values[to_size(v)])) {
        sound = false;
        problem(std::string(what) + ": it changes what slot " + text_of(i.slot(use)) +
                " of a reader reads; passes redirect readers themselves");
      }
    }
    return sound;
  }
  // The node that makes a value; null if nodes() has none.
  std::optional<node_id> maker_of(const value_id& made) const {
    for (auto&& n : traits::nodes(graph())) {
      for (auto&& v : traits::results(graph(), n)) {
        if (same(v, made)) return n;
      }
    }
    return std::nullopt;
  }
  // The new node is listed, and reads the source; null if it is not listed.
  std::optional<node_id> check_reads(const value_id& made, const value_id& source,
                                     const char* what) {
    const std::optional<node_id> n = maker_of(made);
    if (!n) {
      problem(std::string(what) + ": no node of nodes() lists the new value in results()");
      return n;
    }
    for (auto&& v : traits::operands(graph(), *n)) {
      if (same(v, source)) return n;
    }
    problem(std::string(what) + ": the new node does not read the value");
    return n;
  }
  // Makes every use of v read `to`, and looks whether it does.
  void redirect(const indexed_graph<G>& before, index_t v, const value_id& to, const char* what) {
    const graph_index& i = before.index;
    for (const index_t use : i.uses[v]) {
      const auto slot = to_size(i.slot(use));
      const bool output = i.user(use) < 0;
      if (output) {
        traits::set_output(g_, slot, to);
      } else {
        traits::set_operand(g_, before.nodes[to_size(i.user(use))], slot, to);
      }
      const bool reads =
          output ? at(traits::outputs(std::as_const(g_)), slot) == to
                 : at(traits::operands(std::as_const(g_), before.nodes[to_size(i.user(use))]),
                      slot) == to;
      if (!reads) {
        problem(std::string(what) + (output ? ": set_output" : ": set_operand") +
                " has no effect on slot " + text_of(i.slot(use)));
      }
    }
  }
  static bool same(const value_id& a, const value_id& b) { return a == b; }
  template <class R> static value_id at(R&& range, std::size_t slot) {
    auto it = std::ranges::begin(range);
    std::ranges::advance(it, static_cast<std::ptrdiff_t>(slot));
    return *it;
  }

  picture snapshot() const {
    picture p;
    for (auto&& n : traits::nodes(graph())) {
      p.nodes.push_back(n);
      for (auto&& v : traits::operands(graph(), n)) p.values.push_back(v);
    }
    for (auto&& v : traits::outputs(graph())) p.values.push_back(v);
    return p;
  }

  // Float values that a node or an output reads: the first state and the first other one.
  static std::vector<index_t> samples_of(const graph_index& i) {
    std::vector<index_t> samples;
    bool tried_state = false, tried_value = false;
    for (index_t v = 0; v < i.value_count(); ++v) {
      if (i.is_float[to_size(v)] == 0 || i.uses[v].empty() ||
          i.role[to_size(v)] == value_role::packed_state) {
        continue;
      }
      bool& tried = i.role[to_size(v)] == value_role::state ? tried_state : tried_value;
      if (!std::exchange(tried, true)) samples.push_back(v);
    }
    return samples;
  }

  G& g_;
  std::vector<std::string> problems_;
};

}  // namespace lutra::inline LUTRA_ABI
