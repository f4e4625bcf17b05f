// lutra: place.hpp - from annotated points to groups and places: which fake-quantizers, and where they go.
// SPDX-License-Identifier: Apache-2.0
//
// Union-find over points, then one walk over the nodes. Internal to plan(); pure; near-linear.
#pragma once

#include <algorithm>
#include <lutra/graph/annotation.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <map>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class placer {
 public:
  placer(graph_index index, annotations a) : a_(std::move(a)) {
    plan_.index = std::move(index);
    parent_.resize(to_size(a_.point_count()));
    std::iota(parent_.begin(), parent_.end(), index_t32(0));
  }

  quantization_plan run() {
    resolve_references();
    share_on_values();
    make_groups();
    explain();
    insert();
    force_per_tensor();
    resolve_axes();
    plan_.sources = a_.take_sources();
    plan_.notes = a_.take_notes();
    return std::move(plan_);
  }

 private:
  using kind_t = annotation::kind_t;
  const graph_index& g() const { return plan_.index; }

  index_t root(index_t p) {
    while (parent_[to_size(p)] != p) {
      parent_[to_size(p)] = parent_[to_size(parent_[to_size(p)])];  // halve the path
      p = parent_[to_size(p)];
    }
    return p;
  }
  void join(index_t a, index_t b) {
    a = root(a);
    b = root(b);
    // The smaller number is the root: deterministic, and short enough with path halving.
    parent_[to_size(std::max(a, b))] = index_t32(std::min(a, b));
  }

  // spec_[p]: the spec a point ends up with, or -1 if it is off.
  void resolve_references() {
    spec_.assign(parent_.size(), unknown);
    std::vector<index_t> path;
    for (index_t p = 0; p < a_.point_count(); ++p) {
      index_t at = p;
      while (spec_[to_size(at)] == unknown) {
        const annotation& here = a_[at];
        if (here.kind != kind_t::reference) {
          spec_[to_size(at)] = here.kind == kind_t::own ? here.spec : -1;
          break;
        }
        path.push_back(at);
        at = here.target;
      }
      for (const index_t q : path) {
        spec_[to_size(q)] = spec_[to_size(at)];
        if (spec_[to_size(at)] >= 0) join(q, at);
      }
      path.clear();
    }
    a_.release_points();
  }

  // What implicit sharing compares.
  static auto share_key(const quantization_spec& s) {
    const quant_bounds b = bounds_of(s);
    return std::make_tuple(s.dtype, b.min, b.max, s.qscheme,
                           s.granularity.kind() == granularity_kind::per_tensor
                               ? -1000
                               : s.granularity.axis().value_or(-1000));
  }
  void share_on_values() {
    std::map<decltype(share_key({})), index_t> classes;
    std::vector<index_t> class_of;
    for (const group_settings& s : a_.specs()) {
      class_of.push_back(
          classes.try_emplace(share_key(s.spec), static_cast<index_t>(classes.size()))
              .first->second);
    }
    std::vector<std::pair<index_t, index_t>> first;  // (class, point) on the current value
    for (index_t v = 0; v < g().value_count(); ++v) {
      first.clear();
      const auto visit = [&](index_t point) {
        const index_t spec = spec_[to_size(point)];
        if (spec < 0) return;
        const index_t c = class_of[to_size(spec)];
        for (const auto& [known, other] : first) {
          if (known != c) continue;
          const index_t theirs = spec_[to_size(other)];
          if (theirs != spec &&
              !(a_.specs()[to_size(theirs)].spec == a_.specs()[to_size(spec)].spec)) {
            a_.note(g().label(v) +
                    ": specs that differ only in granularity, observer, formulation or "
                    "float range are merged into one fake-quantizer");
          }
          join(point, other);
          return;
        }
        first.emplace_back(c, point);
      };
      visit(a_.output_point(v));
      for (const index_t use : g().uses[v]) {
        if (g().user(use) >= 0) visit(a_.edge_of(use));
      }
    }
  }

  void make_groups() {
    group_.assign(parent_.size(), -1);  // until a point is visited: of those it is the root of
    index_t roots = 0;
    for (index_t p = 0; p < index_t(parent_.size()); ++p) {
      roots += spec_[to_size(p)] >= 0 && root(p) == p ? 1 : 0;
    }
    plan_.groups.reserve(to_size(roots));
    const auto visit = [&](index_t point, index_t value) {
      const index_t spec = spec_[to_size(point)];
      if (spec < 0) return;
      index_t32& group = group_[to_size(root(point))];
      if (group < 0) {
        group = index_t32(plan_.groups.size());
        plan_.groups.push_back({index_t32(spec), index_t32(value)});
      }
      group_[to_size(point)] = group;
    };
    for (index_t n = 0; n < g().node_count(); ++n) {
      for (index_t e = a_.first_edge(n); e < a_.end_edge(n); ++e) {
        visit(e, a_.value_of(e));
      }
      for (const index_t v : g().results[n]) visit(a_.output_point(v), v);
    }
    plan_.settings = a_.take_specs();
    parent_ = {};  // large graphs: what is not needed any more makes room for what is
    spec_ = {};
  }

  void insert() {
    plan_.value_place.assign(g().role.size(), -1);
    hanging_.assign(g().role.size(), -1);
    plan_.operand_place.assign(g().operands.items.size(), -1);
    plan_.places.reserve(plan_.groups.size());
    next_.reserve(plan_.groups.size());
    for (index_t n = 0; n < g().node_count(); ++n) {
      for (index_t u = g().operands.begin[to_size(n)]; u < g().operands.begin[to_size(n) + 1];
           ++u) {
        plan_.operand_place[to_size(u)] = index_t32(place_operand(u));
      }
      for (const index_t v : g().results[n]) {
        const index_t group = group_[to_size(a_.output_point(v))];
        if (group >= 0) plan_.value_place[to_size(v)] = index_t32(add_place(group, v, -1));
      }
    }
    for (const index_t v : g().outputs) {
      plan_.output_place.push_back(plan_.value_place[to_size(v)]);
    }
  }
  index_t place_operand(index_t use) {
    const index_t v = g().operands.items[to_size(use)];
    const index_t below = plan_.value_place[to_size(v)];
    const index_t group = group_[to_size(a_.edge_of(use))];
    if (group < 0) return below;
    if (below >= 0 && plan_.places[to_size(below)].group == group) return below;
    // Places on one value with different groups differ in spec, so the list is short.
    for (index_t p = hanging_[to_size(v)]; p >= 0; p = next_[to_size(p)]) {
      if (plan_.places[to_size(p)].group == group) return p;
    }
    const index_t made = add_place(group, v, below);
    next_[to_size(made)] = std::exchange(hanging_[to_size(v)], index_t32(made));
    if (below >= 0) {
      a_.note(g().label(v) + ": " + g().name[to_size(g().user(use))] +
              " reads two fake-quantizers in series");
    }
    return made;
  }
  index_t add_place(index_t group, index_t value, index_t after) {
    plan_.places.push_back({index_t32(group), index_t32(value), index_t32(after)});
    next_.push_back(-1);
    return static_cast<index_t>(plan_.places.size()) - 1;
  }

  // One range before and after an op that destroys channel axes can only be a per-tensor one.
  void force_per_tensor() {
    settings_editor change(plan_);
    std::vector<bool> destroys;
    for (const std::string& op : g().op_types) destroys.push_back(destroys_axes(op));
    for (index_t n = 0; n < g().node_count(); ++n) {
      if (!destroys[to_size(g().op_type[to_size(n)])]) continue;
      for (const index_t v : g().results[n]) {
        const index_t out = plan_.value_place[to_size(v)];
        if (out < 0) continue;
        const index_t group = plan_.places[to_size(out)].group;
        for (index_t u = g().operands.begin[to_size(n)]; u < g().operands.begin[to_size(n) + 1];
             ++u) {
          const index_t in = plan_.operand_place[to_size(u)];
          if (in < 0 || plan_.places[to_size(in)].group != group) continue;
          const granularity own = plan_.settings_of(group).spec.granularity;
          if (own.kind() == granularity_kind::per_tensor) continue;
          a_.note(plan_.group_name(group) + ": " + text_of(own) +
                  " becomes per_tensor, shared across " + g().name[to_size(n)]);
          change.spec(group, 0,
                      [](quantization_spec& s) { s.granularity = granularity::per_tensor(); });
        }
      }
    }
  }

  // Weight axes left open follow from the consumers; activations have no default.
  void resolve_axes() {
    std::vector<int> axis(plan_.groups.size(), unset);
    for (index_t u = 0; u < g().operand_count(); ++u) {
      const index_t place = plan_.operand_place[to_size(u)];
      if (place < 0) continue;
      const index_t group = plan_.places[to_size(place)].group;
      const group_settings& shared = plan_.settings_of(group);
      if (!shared.weight || !shared.spec.granularity.needs_axis()) continue;
      const auto weight = g().weight(g().user(u));
      if (!weight) continue;
      const int own = shared.spec.granularity.kind() == granularity_kind::per_block
                          ? weight->block_axis
                          : weight->channel_axis;
      int& known = axis[to_size(group)];
      known = known == unset || known == own ? own : conflict;
    }
    settings_editor change(plan_);
    std::vector<std::string> offenders;
    for (std::size_t i = 0; i < axis.size(); ++i) {
      const group_settings& group = plan_.settings_of(index_t(i));
      if (!group.spec.granularity.needs_axis()) continue;
      if (axis[i] >= 0) {
        change.spec(index_t(i), axis[i], [&](quantization_spec& s) {
          s.granularity = s.granularity.with_axis(axis[i]);
        });
      } else {
        offenders.push_back(plan_.group_name(index_t(i)) + " (" + text_of(group.spec.granularity) +
                            ": " +
                            (!group.weight         ? "an activation needs an explicit axis"
                             : axis[i] == conflict ? "its consumers disagree"
                                                   : "no consumer with a default axis") +
                            ")");
      }
    }
    if (offenders.empty()) return;
    std::sort(offenders.begin(), offenders.end());
    std::string all;
    for (const std::string& o : offenders) all += (all.empty() ? "" : "; ") + o;
    raise(errc::invalid_argument, "axis is unresolved", "plan", all, "an axis in the granularity");
  }

  void explain() {
    for (index_t p = 0; p < index_t(group_.size()); ++p) a_.why(p).on = group_[to_size(p)] >= 0;
    plan_.value_decision = a_.take_value_decisions();
    plan_.operand_decision = a_.take_edge_decisions();
    if (a_.edge_count() == g().operand_count()) return;  // the same in the same order
    const std::vector<decision> of_edge = std::move(plan_.operand_decision);
    plan_.operand_decision.clear();
    plan_.operand_decision.reserve(to_size(g().operand_count()));
    for (index_t u = 0; u < g().operand_count(); ++u) {
      plan_.operand_decision.push_back(of_edge[to_size(a_.edge_of(u))]);
    }
  }

  static constexpr index_t32 unknown = -2;
  static constexpr int unset = -1;
  static constexpr int conflict = -2;

  annotations a_;
  quantization_plan plan_;
  std::vector<index_t32> parent_, spec_, group_;
  std::vector<index_t32> hanging_;  // value -> its newest place asked for by a consumer, or -1
  std::vector<index_t32> next_;     // place -> the one before it on the same value, or -1
};

}  // namespace lutra::inline LUTRA_ABI
