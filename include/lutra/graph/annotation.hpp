// lutra: annotation.hpp - annotations: the spec and the reason of every operand and result of a graph.
// SPDX-License-Identifier: Apache-2.0
//
// A point is a distinct operand of a node (an edge; add(x, x) has one) or a value as the output of its
// producer. Filled by op_rules.hpp, module_rules.hpp and explain.hpp, read by place.hpp.
// Value type of one plan; not for concurrent writing.
#pragma once

#include <algorithm>
#include <deque>
#include <lutra/graph/decision.hpp>
#include <lutra/graph/index.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <lutra/graph/resolve.hpp>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct annotation {
  enum class kind_t : unsigned char { none, disabled, own, reference };
  kind_t kind = kind_t::none;
  index_t32 target = -1;  // of a reference: point
  index_t32 spec = -1;    // its number; of a reference: that of its target when it was made

  annotation() = default;
  annotation(kind_t k, index_t to, index_t number)
      : kind(k), target(index_t32(to)), spec(index_t32(number)) {}

  bool on() const noexcept { return kind == kind_t::own || kind == kind_t::reference; }
};

class annotations {
 public:
  using kind_t = annotation::kind_t;
  using resolver = config_resolver<quantizer_config>;

  explicit annotations(const graph_index& g) {
    std::vector<index_t32> seen(g.role.size(), -1);  // value -> its edge at the current node
    edges_.items.reserve(g.operands.items.size());
    edges_.begin.reserve(g.operands.begin.size());
    edge_of_.reserve(g.operands.items.size());
    for (index_t n = 0; n < g.node_count(); ++n) {
      const index_t first = edge_count();
      for (const index_t32 v : g.operands[n]) {
        index_t32& edge = seen[to_size(v)];
        if (edge < first) {
          edge = index_t32(edge_count());
          edges_.items.push_back(v);
        }
        edge_of_.push_back(edge);
      }
      edges_.end_row();
    }
    points_.resize(to_size(edge_count() + g.value_count()));
    edge_why_.resize(to_size(edge_count()));
    value_why_.resize(to_size(g.value_count()));
    claimed_.assign(g.op_type.size(), 0);
  }

  // ---- points: edges first, then values -----------------------------------------------------------
  index_t edge_count() const noexcept { return index_t(edges_.items.size()); }
  index_t point_count() const noexcept { return index_t(points_.size()); }
  index_t first_edge(index_t node) const noexcept { return edges_.begin[to_size(node)]; }
  index_t end_edge(index_t node) const noexcept { return edges_.begin[to_size(node) + 1]; }
  index_t value_of(index_t edge) const noexcept { return edges_.items[to_size(edge)]; }
  // Logarithmic: asked for few.
  index_t node_of(index_t edge) const noexcept {
    const auto after = std::upper_bound(edges_.begin.begin(), edges_.begin.end(), edge);
    return index_t(after - edges_.begin.begin()) - 1;
  }
  index_t edge_of(index_t use) const noexcept { return edge_of_[to_size(use)]; }  // operand use
  index_t output_point(index_t value) const noexcept { return edge_count() + value; }
  const annotation& operator[](index_t point) const noexcept { return points_[to_size(point)]; }
  const annotation& output(index_t value) const noexcept { return (*this)[output_point(value)]; }
  decision& why(index_t point) noexcept {
    return point < edge_count() ? edge_why_[to_size(point)]
                                : value_why_[to_size(point - edge_count())];
  }

  // A claimed node is never annotated again by an op-level rule.
  bool claimed(index_t node) const noexcept { return claimed_[to_size(node)] != 0; }
  void claim(index_t node) noexcept { claimed_[to_size(node)] = 1; }

  // ---- setting ------------------------------------------------------------------------------------
  void set(index_t point, const annotation& a, const decision& d) noexcept {
    points_[to_size(point)] = a;
    why(point) = d;
  }
  void turn_off(index_t point, reason why, index_t source = -1, index_t node = -1,
                index_t overridden = -1) {
    set(point, {kind_t::disabled, -1, -1}, {why, false, node, source, overridden});
  }
  // `spec` lies in a map of `module`.
  void set_own(index_t point, const quantization_spec* spec, bool weight,
               const module_config& module, reason why, index_t source, index_t overridden = -1) {
    const auto [found, inserted] = spec_number_.try_emplace({spec, weight}, index_t(specs_.size()));
    if (inserted) specs_.push_back({*spec, weight, module.qat_schedule});
    set(point, {kind_t::own, -1, found->second}, {why, true, -1, source, overridden});
  }
  void refer(index_t point, index_t to, reason why, index_t node, index_t overridden = -1) {
    set(point, {kind_t::reference, to, (*this)[to].spec},
        {why, true, node, this->why(to).source, overridden});
  }
  // Whether a point stands for `spec`; null: for nothing.
  bool says(const annotation& a, const quantization_spec* spec) const {
    if (spec == nullptr || !a.on()) return spec == nullptr && !a.on();
    return specs_[to_size(a.spec)].spec == *spec;
  }
  // The config entry behind what was decided at `point` before, if that is not to stand for `spec`; else -1.
  index_t entry_lost_to(index_t point, const quantization_spec* spec) {
    const annotation& before = (*this)[point];
    if (before.kind == kind_t::none || says(before, spec)) return -1;
    const decision& d = why(point);
    return d.source >= 0 ? d.source : d.overridden;
  }
  // Once specs and references are known; points must not be asked for then.
  void release_points() noexcept { points_ = {}; }
  // A copy that lives as long as the annotations: what set_own() takes.
  const quantization_spec* keep(const quantization_spec& spec) { return &kept_.emplace_back(spec); }
  void note(std::string text) { notes_.push_back(std::move(text)); }

  const std::vector<group_settings>& specs() const noexcept { return specs_; }
  const std::vector<std::string>& sources() const noexcept { return sources_; }
  const std::vector<std::string>& notes() const noexcept { return notes_; }
  // By edge, and by value; reasons must not be asked for then.
  std::vector<decision> take_edge_decisions() noexcept { return std::move(edge_why_); }
  std::vector<decision> take_value_decisions() noexcept { return std::move(value_why_); }
  std::vector<group_settings> take_specs() noexcept { return std::move(specs_); }
  std::vector<std::string> take_sources() noexcept { return std::move(sources_); }
  std::vector<std::string> take_notes() noexcept { return std::move(notes_); }
  // The number of a pattern in sources().
  index_t pattern_number(const std::string& key) {
    const auto [found, inserted] = pattern_number_.try_emplace(key, index_t(sources_.size()));
    if (inserted) sources_.push_back("pattern " + text_of(std::string_view(key)));
    return found->second;
  }
  // The number of a config entry in sources().
  index_t source_number(const resolver& from, const config_source& s) {
    const auto [found, inserted] = source_number_.try_emplace(
        std::make_tuple(s.level, s.entry, s.op_level, s.op_entry), index_t(sources_.size()));
    if (inserted) sources_.push_back(from.describe(s));
    return found->second;
  }

 private:
  index_rows edges_;                // node -> its distinct operands, as values; items are edges
  std::vector<index_t32> edge_of_;  // operand use -> edge
  std::vector<annotation> points_;
  std::vector<decision> edge_why_, value_why_;  // of the points
  std::vector<char> claimed_;
  std::vector<group_settings> specs_;  // weight: found in a state map
  std::vector<std::string> sources_;
  std::vector<std::string> notes_;
  std::deque<quantization_spec> kept_;
  std::map<std::pair<const quantization_spec*, bool>, index_t> spec_number_;
  std::map<std::string, index_t> pattern_number_;
  std::map<std::tuple<config_level, index_t, op_config_level, index_t>, index_t> source_number_;
};

}  // namespace lutra::inline LUTRA_ABI
