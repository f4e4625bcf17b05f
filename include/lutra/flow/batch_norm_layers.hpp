// lutra: batch_norm_layers.hpp - the batch norms of a graph and the layers they can become part of.
// SPDX-License-Identifier: Apache-2.0
//
// A layer is a convolution (1-3 axes, grouped or depthwise, transposed) or linear whose result only a batch norm
// reads. Finds them, computes what folding makes of their operands (in f64, rounded once), and gives a typed
// reason for every other batch norm. Used by fold_batch_norm.hpp and train_batch_norm.hpp. Pure query; linear.
#pragma once

#include <cmath>
#include <lutra/core/strict_fp.hpp>
#include <lutra/flow/batch_norm_report.hpp>
#include <lutra/flow/scale_channels.hpp>
#include <lutra/graph/index.hpp>
#include <unordered_map>
#include <unordered_set>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class batch_norm_layers {
 public:
  static constexpr index_t none = graph_index::none;

  // `first_only`: a batch norm behind another one has no layer.
  explicit batch_norm_layers(const G& g, bool first_only = false)
      : graph_(g), indexed_(index_of(g)), first_only_(first_only) {
    for (index_t n = 0; n < index().node_count(); ++n) {
      if (index().family(n) != op_family::batch_norm) continue;
      batch_norm_record record;
      record.name = index().name[to_size(n)];
      record.outcome = examine(n, record);
      report_.records.push_back(std::move(record));
    }
    if constexpr (foldable_graph<G>) name_new_biases();
  }

  const batch_norm_report& report() const noexcept { return report_; }

  // A layer and the batch norms behind it, as channels of z * scale + shift; z is the product alone.
  struct layer {
    index_t node = none;
    index_t weight = none;  // values
    index_t bias = none;
    index_t tail = none;      // the last batch norm's result
    std::optional<int> rank;  // of the layer's result, where it is known
    std::vector<index_t> batch_norms;
    std::vector<std::size_t> records;
    batch_norm_operands<value_id_t<G>> parameters{};  // of the last batch norm
    std::vector<double> scale, shift;
    scaled_channels made;
    std::string made_bias;  // name of the bias to be made, if one is needed
  };

  const std::vector<layer>& layers() const noexcept { return layers_; }
  const indexed_graph<G>& indexed() const noexcept { return indexed_; }

 private:
  using traits = graph_traits<G>;

  const graph_index& index() const noexcept { return indexed_.index; }
  const value_id_t<G>& handle(index_t v) const { return indexed_.values[to_size(v)]; }
  bool is_constant(index_t v) const {
    return index().role[to_size(v)] == value_role::state && index().is_float[to_size(v)] != 0;
  }
  tensor_view<const float> constant(index_t v) const { return traits::constant(graph_, handle(v)); }

  // The layer that batch norm `n` reads, with the batch norms between them; null if there is none.
  layer* layer_of(index_t producer) {
    if (producer == none) return nullptr;
    if (const auto at = behind_.find(producer); !first_only_ && at != behind_.end())
      return &layers_[at->second];
    if (index().family(producer) != op_family::weighted) return nullptr;
    candidate_ = {};
    candidate_.node = producer;
    return &candidate_;
  }

  fold_outcome examine(index_t n, batch_norm_record& record) {
    if (index().operands[n].empty() || index().results[n].empty()) return fold_outcome::no_layer;
    const index_t data = index().operands[n][0];
    const index_t producer = index().producer[to_size(data)];
    layer* const known = layer_of(producer);
    if (known == nullptr || index().results[producer][0] != data) return fold_outcome::no_layer;
    record.layer = index().name[to_size(known->node)];
    if (const auto& w = index().weight(known->node);
        w->slot < index().operands[known->node].size()) {
      record.weight = index().label(index().operands[known->node][w->slot]);
    }
    if (index().uses[data].size() != 1) {
      record.detail = text_of(static_cast<index_t>(index().uses[data].size())) + " readers";
      return fold_outcome::read_elsewhere;
    }
    for (const index_t r : index().results[n]) {
      if (r != index().results[n][0] && !index().uses[r].empty()) {
        return fold_outcome::extra_results_read;
      }
    }
    if constexpr (foldable_graph<G>) {
      layer f = *known;
      const fold_outcome outcome = extend(f, n, record);
      if (outcome != fold_outcome::folded) return outcome;
      f.tail = index().results[n][0];
      f.batch_norms.push_back(n);
      f.records.push_back(report_.records.size());
      const bool first = known == &candidate_;
      behind_[n] = first ? layers_.size() : to_size(known - layers_.data());
      if (first) {
        layers_.push_back(std::move(f));
      } else {
        *known = std::move(f);
      }
      return fold_outcome::folded;
    } else {
      return fold_outcome::unsupported_by_adapter;
    }
  }

  // Adds batch norm `n` to a layer.
  fold_outcome extend(layer& f, index_t n, batch_norm_record& record) requires foldable_graph<G> {
    if (f.batch_norms.empty()) {
      const fold_outcome start = begin(f, record);
      if (start != fold_outcome::folded) return start;
    }
    const std::optional<batch_norm_operands<value_id_t<G>>> p =
        traits::batch_norm_of(graph_, indexed_.nodes[to_size(n)]);
    if (!p) return fold_outcome::parameters_unknown;
    std::vector<double> weight, bias, mean, variance;
    for (const parameter& q :
         {parameter{p->weight, &weight, "weight"}, parameter{p->bias, &bias, "bias"},
          parameter{p->mean, &mean, "mean"}, parameter{p->variance, &variance, "variance"}}) {
      record.detail = q.name;
      if (!q.value) continue;
      if (traits::role_of(graph_, *q.value) != value_role::state ||
          !traits::is_float(graph_, *q.value)) {
        return fold_outcome::parameters_computed;
      }
      const tensor_view<const float> data = traits::constant(graph_, *q.value);
      record.detail += " " + text_of(data.extents());
      if (data.rank() != 1) return fold_outcome::parameters_do_not_fit;
      for_each_element(data, [&](const float& x) { q.to->push_back(static_cast<double>(x)); });
    }
    if (weight.empty() && !p->weight) weight.assign(mean.size(), 1.0);
    if (bias.empty() && !p->bias) bias.assign(mean.size(), 0.0);
    record.detail = text_of(static_cast<index_t>(mean.size())) + " channels, layer weight " +
                    text_of(constant(f.weight).extents());
    if (mean.size() != variance.size() || mean.size() != weight.size() ||
        mean.size() != bias.size() || !start_channels(f, index_t(mean.size()))) {
      return fold_outcome::parameters_do_not_fit;
    }
    record.detail.clear();
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double s = weight[c] / std::sqrt(variance[c] + p->eps);
      f.scale[c] *= s;
      f.shift[c] = (f.shift[c] - mean[c]) * s + bias[c];
    }
    f.parameters = *p;
    return compute(f, record) ? fold_outcome::folded : fold_outcome::not_finite;
  }
  struct parameter {
    std::optional<value_id_t<G>> value;
    std::vector<double>* to;
    const char* name;
  };

  // The layer's operands.
  fold_outcome begin(layer& f, batch_norm_record& record) const {
    const auto operands = index().operands[f.node];
    const std::size_t slot = index().weight(f.node)->slot;
    if (operands.size() <= slot) return fold_outcome::weight_computed;
    f.weight = operands[slot];
    if (index().role[to_size(f.weight)] == value_role::packed_state) {
      return fold_outcome::weight_palettized;
    }
    if (!is_constant(f.weight)) return fold_outcome::weight_computed;
    if (index().uses[f.weight].size() != 1) {
      record.detail = text_of(static_cast<index_t>(index().uses[f.weight].size())) + " readers";
      return fold_outcome::weight_shared;
    }
    if (operands.size() > slot + 1) {
      f.bias = operands[slot + 1];
      if (!is_constant(f.bias)) return fold_outcome::bias_computed;
    }
    f.rank = rank_of(index().results[f.node][0]);
    if (index().op(f.node) == "linear" && !f.rank) {
      record.detail = "a shape or a flatten before it would tell";
      return fold_outcome::rank_unknown;
    }
    return fold_outcome::folded;
  }
  bool transposed(index_t node) const { return index().weight(node)->channel_axis == 1; }
  // One scale and shift per output channel, the layer's own bias in the shift. False if `channels` are not
  // what the layer makes.
  bool start_channels(layer& f, index_t channels) const {
    const shape extents = constant(f.weight).extents();
    if (extents.rank() != index().weight(f.node)->rank) return false;
    if (transposed(f.node)) {
      const index_t groups = extents[1] > 0 ? channels / extents[1] : 0;
      if (groups < 1 || groups * extents[1] != channels || extents[0] % groups != 0) return false;
      if (literal(f.node, "groups", groups) != groups) return false;
    } else if (extents[0] != channels) {
      return false;
    }
    if (index().op(f.node) == "linear" && f.rank != 2) return false;
    if (!f.scale.empty()) return f.scale.size() == to_size(channels);
    f.scale.assign(to_size(channels), 1.0);
    if (f.bias == none) {
      f.shift.assign(to_size(channels), 0.0);
      return true;
    }
    const tensor_view<const float> bias = constant(f.bias);
    for_each_element(bias, [&](const float& x) { f.shift.push_back(static_cast<double>(x)); });
    return bias.rank() == 1 && bias.size() == channels;
  }
  index_t literal([[maybe_unused]] index_t node, [[maybe_unused]] std::string_view key,
                  index_t fallback) const {
    if constexpr (requires { traits::literal(graph_, indexed_.nodes[0], key); }) {
      const auto given = traits::literal(graph_, indexed_.nodes[to_size(node)], key);
      if (given) return static_cast<index_t>(*given);
    }
    return fallback;
  }
  // The rank of a value, as far as shapes and the ops before it tell. Channels of a linear layer are its last
  // axis, those of a batch norm axis 1: the same for a matrix.
  std::optional<int> rank_of(index_t v) const {
    for (;;) {
      if constexpr (requires { traits::shape_of(graph_, handle(v)); }) {
        if (const auto extents = traits::shape_of(graph_, handle(v))) return extents->rank();
      }
      const index_t n = index().producer[to_size(v)];
      if (n == none || index().results[n][0] != v || index().operands[n].empty()) return {};
      const op_family family = index().family(n);
      if (index().op(n) == "flatten") {
        if (literal(n, "start_dim", 1) != 1 || literal(n, "end_dim", -1) != -1) return {};
        return 2;
      }
      if (family == op_family::weighted && index().op(n) != "linear")
        return index().weight(n)->rank;
      if (family != op_family::weighted && family != op_family::activation &&
          family != op_family::batch_norm) {
        return {};
      }
      v = index().operands[n][0];
    }
  }

  // The layer's new operands. False if one is not finite.
  bool compute(layer& f, batch_norm_record& record) const {
    f.made = scale_channels(constant(f.weight), transposed(f.node), f.scale, f.shift);
    if (f.made.broken == none) return true;
    record.detail = "output channel " + text_of(f.made.broken);
    return false;
  }

  // An adapter need not list the parameters of a batch norm as operands: then the index does not have them.
  void take_parameter_names([[maybe_unused]] index_t n,
                            [[maybe_unused]] std::unordered_set<std::string>& taken) const requires
      foldable_graph<G> {
    if constexpr (requires(const value_id_t<G>& v) { traits::state_names(graph_, v); }) {
      const std::optional<batch_norm_operands<value_id_t<G>>> p =
          traits::batch_norm_of(graph_, indexed_.nodes[to_size(n)]);
      if (!p) return;
      for (const auto& v :
           {p->weight, p->bias, std::optional(p->mean), std::optional(p->variance)}) {
        if (!v || traits::role_of(graph_, *v) != value_role::state) continue;
        for (const auto& name : traits::state_names(graph_, *v)) taken.emplace(name);
      }
    }
  }
  // A layer whose bias is missing, or read by others too, gets one of its own.
  void name_new_biases() requires foldable_graph<G> {
    std::unordered_set<std::string> taken;
    taken.insert(index().state_names.items.begin(), index().state_names.items.end());
    for (index_t n = 0; n < index().node_count(); ++n) {
      if (index().family(n) == op_family::batch_norm) take_parameter_names(n, taken);
    }
    for (layer& f : layers_) {
      if (f.bias != none && index().uses[f.bias].size() == 1) continue;
      std::string stem = index().label(f.weight);
      constexpr std::string_view weight = "weight";
      if (stem == weight || stem.ends_with(".weight")) {
        stem.replace(stem.size() - weight.size(), weight.size(), "bias");
      } else {
        stem += "_bias";
      }
      f.made_bias = stem;
      for (index_t i = 1; !taken.insert(f.made_bias).second; ++i) {
        f.made_bias = stem + "_" + text_of(i);
      }
      for (const std::size_t r : f.records) {
        report_.records[r].detail = "new bias " + text_of(std::string_view(f.made_bias));
      }
    }
  }

  const G& graph_;
  indexed_graph<G> indexed_;
  bool first_only_;
  std::vector<layer> layers_;
  layer candidate_;
  std::unordered_map<index_t, std::size_t> behind_;  // folded batch norm -> its layer
  batch_norm_report report_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
