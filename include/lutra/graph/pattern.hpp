// lutra: pattern.hpp - which chains of ops are quantized as one unit.
// SPDX-License-Identifier: Apache-2.0
//
// A pattern is a list of op chains of one length. A chain matches at a node if every following op takes the
// previous result as its operand 0, and no result inside the chain has another consumer. Inputs and
// states are annotated on the first op, the output on the last; nothing inside. Matching walks a trie of
// all chains: O(nodes * longest chain).
#pragma once

#include <functional>
#include <limits>
#include <lutra/graph/index.hpp>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

enum class pattern_kind : unsigned char {
  weighted,          // data, weight, ...; states by name
  nary,              // every float operand, at most two ops
  range_preserving,  // one op; inputs and output share one fake-quantizer
  custom             // the pattern's own annotator decides
};

class pattern_annotator;  // pattern_annotator.hpp

struct pattern {
  std::string key;
  pattern_kind kind = pattern_kind::nary;
  std::vector<std::vector<std::string>> chains;         // op types
  std::function<void(pattern_annotator&)> annotator{};  // of custom ones
};

// An ordered set of patterns. Value type; concurrent reads are safe.
class pattern_registry {
 public:
  // Adds a pattern, or replaces the one of the same key (true then).
  bool add(pattern p) {
    check(p);
    for (pattern& known : patterns_) {
      if (known.key == p.key) {
        known = std::move(p);
        return true;
      }
    }
    patterns_.push_back(std::move(p));
    return false;
  }
  const std::vector<pattern>& patterns() const noexcept { return patterns_; }

 private:
  static void check(const pattern& p) {
    const auto bad = [&](const char* what, std::string value, std::string allowed) {
      raise(errc::invalid_argument, what, "pattern " + text_of(std::string_view(p.key)),
            std::move(value), std::move(allowed));
    };
    if (p.chains.empty() || p.chains.front().empty()) bad("a pattern needs a chain", "none", "");
    const auto length = static_cast<index_t>(p.chains.front().size());
    for (const auto& chain : p.chains) {
      if (static_cast<index_t>(chain.size()) != length) {
        bad("chains of one pattern differ in length", text_of(static_cast<index_t>(chain.size())),
            text_of(length));
      }
      for (std::size_t i = 1; i < chain.size() && p.kind == pattern_kind::nary; ++i) {
        if (canonical_op(chain[i]) == canonical_op(chain[i - 1])) {
          bad("an n-ary chain repeats an op type", text_of(std::string_view(chain[i])), "");
        }
      }
    }
    if ((p.kind == pattern_kind::custom) != static_cast<bool>(p.annotator)) {
      bad("custom patterns, and no others, have an annotator",
          p.annotator ? "an annotator" : "no annotator", "");
    }
    if (p.kind == pattern_kind::range_preserving && length != 1) {
      bad("a range-preserving pattern has one op", text_of(length), "1");
    }
    if (p.kind == pattern_kind::nary && length > 2) {
      bad("an n-ary pattern has at most two ops", text_of(length), "1..2");
    }
  }
  std::vector<pattern> patterns_;
};

// The 24 patterns of the reference.
inline pattern_registry reference_patterns() {
  using names = std::vector<std::string>;
  const auto list = [](const auto& array) { return names(array.begin(), array.end()); };
  const names activations = list(op_names::activation);
  pattern_registry registry;
  // Every combination of one op per position.
  const auto add = [&](std::string key, pattern_kind kind, const std::vector<names>& positions) {
    pattern p{std::move(key), kind, {{}}};
    for (const names& ops : positions) {
      std::vector<names> longer;
      for (const names& chain : p.chains) {
        for (const std::string& op : ops) {
          longer.push_back(chain);
          longer.back().push_back(op);
        }
      }
      p.chains = std::move(longer);
    }
    registry.add(std::move(p));
  };
  const std::pair<std::string, names> weighted[] = {
      {"conv", list(op_names::conv)},
      {"conv_transpose", list(op_names::conv_transpose)},
      {"linear", list(op_names::linear)}};
  for (const auto& [key, ops] : weighted) {
    add(key + "_bn_act", pattern_kind::weighted, {ops, {"batch_norm"}, activations});
    add(key + "_bn", pattern_kind::weighted, {ops, {"batch_norm"}});
    add(key + "_act", pattern_kind::weighted, {ops, activations});
    add(key, pattern_kind::weighted, {ops});
  }
  add("embedding", pattern_kind::weighted, {{"embedding"}});
  for (const std::string_view op : op_names::nary) {
    const std::string name(op);
    add(name + "_act", pattern_kind::nary, {{name}, activations});
    add(name, pattern_kind::nary, {{name}});
  }
  add("sub", pattern_kind::nary, {{"sub"}});
  add("flatten", pattern_kind::range_preserving, {{"flatten"}});
  add("maxpool", pattern_kind::range_preserving, {list(op_names::max_pool)});
  add("avgpool", pattern_kind::range_preserving, {list(op_names::avg_pool)});
  add("concat", pattern_kind::range_preserving, {list(op_names::concat)});
  return registry;
}

// Opt-in: ops that only move elements share one range too. Not part of the reference; it lowers the number of
// fake-quantizers.
inline pattern shape_patterns() {
  return {"shape",
          pattern_kind::range_preserving,
          {{"reshape"},
           {"view"},
           {"transpose"},
           {"permute"},
           {"t"},
           {"squeeze"},
           {"unsqueeze"},
           {"slice"},
           {"split"},
           {"chunk"},
           {"pad"}}};
}

struct pattern_match {
  index_t pattern;                   // in the registry
  std::span<const index_t32> chain;  // nodes; the first is the key node

  index_t key() const noexcept { return chain.front(); }
  index_t last() const noexcept { return chain.back(); }
};

// Matches in node order, shorter chains first. Chains of one key node share their storage.
class pattern_matches {
 public:
  std::size_t size() const noexcept { return matches_.size(); }
  pattern_match operator[](std::size_t i) const noexcept {
    const stored& m = matches_[i];
    return {m.pattern,
            std::span<const index_t32>(nodes_).subspan(to_size(m.begin), to_size(m.length))};
  }
  void reserve(std::size_t nodes) {
    matches_.reserve(nodes);
    nodes_.reserve(nodes);
  }
  // Starts the chains of another key node.
  void start() { begin_ = index_t(nodes_.size()); }
  void extend(index_t node) {
    constexpr std::size_t most = std::numeric_limits<index_t32>::max();
    if (nodes_.size() >= most) {
      raise(errc::unsupported, "the chains of the patterns are too many", "find_matches",
            "more than " + text_of(most) + " nodes in them");
    }
    nodes_.push_back(index_t32(node));
  }
  void add(index_t pattern) {
    matches_.push_back(
        {index_t32(pattern), index_t32(begin_), index_t32(index_t(nodes_.size()) - begin_)});
  }

 private:
  struct stored {
    index_t32 pattern, begin, length;
  };
  std::vector<stored> matches_;
  std::vector<index_t32> nodes_;
  index_t begin_ = 0;
};

// All chains of a registry in one trie.
class pattern_trie {
 public:
  explicit pattern_trie(const pattern_registry& registry) {
    for (std::size_t p = 0; p < registry.patterns().size(); ++p) {
      for (const auto& chain : registry.patterns()[p].chains) {
        index_t at = 0;
        for (const std::string& op : chain) at = child_or_new(at, op_number(op));
        auto& ends = nodes_[to_size(at)].patterns;
        if (ends.empty() || ends.back() != index_t(p)) ends.push_back(index_t(p));
      }
    }
  }

  // The numbers this trie gives to the op types of a graph; -1 for those in no chain.
  std::vector<index_t> numbers_of(const std::vector<std::string>& op_types) const {
    std::vector<index_t> numbers;
    for (const std::string& op : op_types) {
      const auto found = ops_.find(op);
      numbers.push_back(found == ops_.end() ? -1 : found->second);
    }
    return numbers;
  }
  // Adds the matches with `node` as their key for which wanted(pattern).
  template <class F>
  void match(const graph_index& g, const std::vector<index_t>& numbers, index_t node,
             pattern_matches& found, F&& wanted) const {
    found.start();
    index_t at = 0;
    while (node != graph_index::none) {
      at = child(at, numbers[to_size(g.op_type[to_size(node)])]);
      if (at < 0) return;
      found.extend(node);
      for (const index_t p : nodes_[to_size(at)].patterns) {
        if (wanted(p)) found.add(p);
      }
      node = next_in_chain(g, node);
    }
  }
  // The only consumer of everything `node` makes, if it reads the first result as operand 0.
  static index_t next_in_chain(const graph_index& g, index_t node) {
    index_t next = graph_index::none;
    for (const index_t v : g.results[node]) {
      const auto uses = g.uses[v];
      if (uses.empty()) continue;
      if (v != g.results[node][0] || uses.size() != 1 || g.slot(uses[0]) != 0) {
        return graph_index::none;
      }
      next = g.user(uses[0]);
    }
    return next;
  }

 private:
  struct trie_node {
    std::unordered_map<index_t, index_t> children;  // op number -> trie node
    std::vector<index_t> patterns;                  // that end here
  };
  index_t op_number(const std::string& op) {
    return ops_.try_emplace(std::string(canonical_op(op)), index_t(ops_.size())).first->second;
  }
  index_t child_or_new(index_t at, index_t op) {
    const auto [found, inserted] =
        nodes_[to_size(at)].children.try_emplace(op, index_t(nodes_.size()));
    const index_t result = found->second;
    if (inserted) nodes_.emplace_back();
    return result;
  }
  index_t child(index_t at, index_t op) const {
    const auto& children = nodes_[to_size(at)].children;
    const auto found = children.find(op);
    return found == children.end() ? -1 : found->second;
  }

  std::unordered_map<std::string, index_t> ops_;
  std::vector<trie_node> nodes_{1};
};

// Every match of every pattern.
inline pattern_matches find_matches(const graph_index& g, const pattern_registry& registry) {
  const pattern_trie trie(registry);
  const std::vector<index_t> numbers = trie.numbers_of(g.op_types);
  pattern_matches matches;
  matches.reserve(to_size(g.node_count()));  // about as many
  for (index_t n = 0; n < g.node_count(); ++n) {
    // Data and weight are one tensor: not a weighted op.
    const auto operands = g.operands[n];
    const bool degenerate = g.weight(n) && operands.size() > 1 && operands[0] == operands[1];
    trie.match(g, numbers, n, matches, [&](index_t p) {
      return !degenerate || registry.patterns()[to_size(p)].kind != pattern_kind::weighted;
    });
  }
  return matches;
}

}  // namespace lutra::inline LUTRA_ABI
