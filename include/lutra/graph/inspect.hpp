// lutra: inspect.hpp - what is in a graph, what a config can target in it, and what a plan does to it.
// SPDX-License-Identifier: Apache-2.0
//
// inspect(g) lists modules, their ops, and every operand and result; inspect(plan) adds each one's decision, of a
// quantizer's plan, a palettizer's (weights only) or a joint one. text_of() prints it as a tree of at most 100
// columns, an op by its name and, if that is another word, its type; modules without ops in them are left out:
//   <root>
//     fc1 [nn.Linear]
//       linear, can be targeted
//         in 0  input 0        quantized by its config (config entry global)
//         in 1  fc1.weight     off: no key of the spec map names it (config entry global)
//         out   linear         inside the fused pattern that starts at linear
// Linear in the graph. Value types; concurrent reads are safe.
#pragma once

#include <algorithm>
#include <lutra/core/text_layout.hpp>
#include <lutra/graph/joint_plan.hpp>
#include <lutra/graph/pattern.hpp>
#include <string>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct inspected_value {
  std::string name;      // a state's name, the node that makes it, or "input 0"
  std::string state;     // "" or "state", "palette", "input"
  std::string decision;  // of a plan; else ""
  bool on = false;       // it reads, or is read as, a quantized or palettized tensor
};
struct inspected_op {
  std::string name;
  std::string type;
  bool target =
      false;  // the op level of a config reaches it: it starts a registered pattern, or, in a
              // palettizer's plan, has a weight
  std::vector<inspected_value> inputs;
  std::vector<inspected_value> outputs;
};
struct inspected_module {
  std::string path;  // "" is the root
  std::string type;
  int depth = 0;                  // of the root 0
  std::vector<inspected_op> ops;  // owned directly, in graph order
};
struct graph_inspection {
  std::vector<inspected_module> modules;  // parents first, depth first
  std::vector<std::string> notes;         // of the plan
};

class inspector {
 public:
  // Plans of one graph, or null.
  inspector(const graph_index& g, const pattern_registry& patterns, const quantization_plan* plan,
            const palettization_plan* weights)
      : g_(g), plan_(plan), weights_(weights), target_(to_size(g.node_count()), 0) {
    if (weights != nullptr) {
      choice_.assign(to_size(g.value_count()), -1);
      for (std::size_t i = 0; i < weights->weights.size(); ++i) {
        choice_[to_size(weights->weights[i].value)] = index_t32(i);
      }
    }
    if (weights != nullptr && plan == nullptr) {
      for (index_t n = 0; n < g.node_count(); ++n) target_[to_size(n)] = g.weight(n) ? 1 : 0;
      return;
    }
    const pattern_matches matches = find_matches(g, patterns);
    for (std::size_t i = 0; i < matches.size(); ++i) target_[to_size(matches[i].key())] = 1;
  }
  graph_inspection run() {
    std::vector<std::vector<index_t>> nodes(to_size(g_.modules.size()));
    for (index_t n = 0; n < g_.node_count(); ++n)
      nodes[to_size(g_.module[to_size(n)])].push_back(n);
    graph_inspection made;
    std::vector<std::pair<index_t, int>> waiting{{0, 0}};
    while (!waiting.empty()) {
      const auto [m, depth] = waiting.back();
      waiting.pop_back();
      inspected_module& module = made.modules.emplace_back(
          inspected_module{g_.modules.path(m), g_.modules.type(m), depth, {}});
      for (const index_t n : nodes[to_size(m)]) module.ops.push_back(op(n));
      const std::vector<index_t>& children = g_.modules.children(m);
      for (auto child = children.rbegin(); child != children.rend(); ++child) {
        waiting.emplace_back(*child, depth + 1);
      }
    }
    if (weights_ != nullptr) made.notes = weights_->notes;
    if (plan_ != nullptr) {
      made.notes.insert(made.notes.end(), plan_->notes.begin(), plan_->notes.end());
    }
    return made;
  }

 private:
  inspected_op op(index_t n) const {
    inspected_op made{g_.name[to_size(n)], g_.op(n), target_[to_size(n)] != 0, {}, {}};
    const index_t first = g_.operands.begin[to_size(n)];
    for (std::size_t i = 0; i < g_.operands[n].size(); ++i) {
      inspected_value v = value(g_.operands[n][i]);
      const index_t at = first + static_cast<index_t>(i);
      if (plan_ != nullptr) {
        v.decision = plan_->describe_operand(at);
        v.on = plan_->operand_place[to_size(at)] >= 0;
      }
      if (weights_ != nullptr) as_weight(v, g_.operands[n][i]);
      made.inputs.push_back(std::move(v));
    }
    for (const index_t r : g_.results[n]) {
      inspected_value v = value(r);
      if (plan_ != nullptr) {
        v.decision = plan_->describe_value(r);
        v.on = plan_->value_place[to_size(r)] >= 0;
      }
      made.outputs.push_back(std::move(v));
    }
    return made;
  }
  // What the palettizer does comes first; if it does nothing, the quantizer's word counts too, if there is one.
  void as_weight(inspected_value& v, index_t value) const {
    const index_t at = choice_[to_size(value)];
    if (at < 0) return;
    const weight_choice& w = weights_->weights[to_size(at)];
    constexpr std::string_view not_on = "off: ";
    if (w.chosen) {
      v.on = true;
      v.decision = text_of(w.spec.n_bits) + "-bit palette by " + w.why;
    } else if (plan_ == nullptr) {
      v.decision = w.why;
    } else {
      v.decision = "no palette: " + w.why.substr(w.why.starts_with(not_on) ? not_on.size() : 0) +
                   "; quantizer: " + v.decision;
    }
  }
  inspected_value value(index_t v) const {
    inspected_value made;
    made.name = g_.label(v);
    switch (g_.role[to_size(v)]) {
      case value_role::state:
        made.state = "state";
        break;
      case value_role::packed_state:
        made.state = "palette";
        break;
      case value_role::graph_input:
        made.state = "input";
        break;
      default:
        break;
    }
    return made;
  }

  const graph_index& g_;
  const quantization_plan* plan_;
  const palettization_plan* weights_;
  std::vector<char> target_;
  std::vector<index_t32> choice_;  // value -> position in the plan's weights, or -1
};

template <readable_graph G>
graph_inspection inspect(const G& g, const pattern_registry& patterns = reference_patterns()) {
  return inspector(index_of(g).index, patterns, nullptr, nullptr).run();
}
// `patterns`: those the plan was made with.
inline graph_inspection inspect(const quantization_plan& plan,
                                const pattern_registry& patterns = reference_patterns()) {
  return inspector(plan.index, patterns, &plan, nullptr).run();
}
inline graph_inspection inspect(const palettization_plan& plan) {
  return inspector(plan.index, {}, nullptr, &plan).run();
}
inline graph_inspection inspect(const joint_plan& plan,
                                const pattern_registry& patterns = reference_patterns()) {
  return inspector(plan.weights.index, patterns, &plan.activations, &plan.weights).run();
}

// Keeps the modules that hold an op or lie above one that does.
inline graph_inspection without_empty_modules(graph_inspection all) {
  std::vector<inspected_module> kept;
  int below = -1;  // depth of the module kept last, going backwards
  for (auto m = all.modules.rbegin(); m != all.modules.rend(); ++m) {
    if (m->ops.empty() && below <= m->depth) continue;
    below = m->depth;
    kept.push_back(std::move(*m));
  }
  std::reverse(kept.begin(), kept.end());
  all.modules = std::move(kept);
  return all;
}

// Keeps only ops that a config can target, and the modules that hold one or lie above one.
inline graph_inspection targets_of(graph_inspection all) {
  for (inspected_module& m : all.modules) {
    std::erase_if(m.ops, [](const inspected_op& o) { return !o.target; });
  }
  return without_empty_modules(std::move(all));
}

inline std::string text_of(const graph_inspection& all) {
  const graph_inspection i = without_empty_modules(all);
  std::string text;
  const auto margin = [](int depth) { return std::string(2 * to_size(std::min(depth, 15)), ' '); };
  const auto name = [](const std::string& n) { return shortened(n, 40); };
  const auto line = [&](int depth, const std::string& what) {
    text += margin(depth) + what + "\n";
  };
  const auto value = [&](int depth, const std::string& label, const inspected_value& v) {
    std::string what = label + "  " + name(v.name);
    if (v.state == "palette") what += " (palette)";
    if (v.decision.empty()) return line(depth, what);
    constexpr std::size_t column = 30;
    if (what.size() < column) what.resize(column, ' ');
    const std::string indented = margin(depth);
    text += wrapped(indented + what + "  ", v.decision, indented.size() + column + 2);
  };
  for (const inspected_module& m : i.modules) {
    line(m.depth, (m.path.empty() ? "<root>" : name(m.path)) +
                      (m.type.empty() ? "" : " [" + shortened(m.type, 24) + "]"));
    for (const inspected_op& o : m.ops) {
      line(m.depth + 1, name(o.name) + (o.type == o.name ? "" : ": " + shortened(o.type, 20)) +
                            (o.target ? ", can be targeted" : ""));
      for (std::size_t k = 0; k < o.inputs.size(); ++k) {
        value(m.depth + 2, "in " + text_of(static_cast<index_t>(k)), o.inputs[k]);
      }
      for (const inspected_value& v : o.outputs) value(m.depth + 2, "out ", v);
    }
  }
  if (i.modules.empty()) text += "nothing a config can target\n";
  for (const std::string& note : i.notes) text += wrapped("note: ", note, 6);
  return text;
}

}  // namespace lutra::inline LUTRA_ABI
