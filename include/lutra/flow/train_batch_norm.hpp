// lutra: train_batch_norm.hpp - the form of layer + batch norm for quantization-aware training.
// SPDX-License-Identifier: Apache-2.0
//
// With s = weight / sqrt(variance + eps) of the batch norm, made by nodes of the graph from its parameters:
//   layer weight -> mul s -> [fake-quant] -> layer without its bias -> mul 1 / s -> add bias -> batch norm
// The fake-quantizer sees the weight that folding would store; the batch norm stays alive, by statistics of the
// batch or running ones, and gradients flow through all of it. Without quantization it computes what the
// graph did up to rounding. fold() puts the trained values into the layer:
//   layer weight' = weight * s          layer bias' = (bias - mean) * s + batch norm's bias
// in f32, one rounding per operation, square root before quotient: the bits that the fake-quantizer saw in a graph
// that computes so. Within 2^-22 (relative; of the largest term for the bias) of what
// fold_batch_norm() makes of the same values. Without a batch norm weight, s is 1 / sqrt(...), as quotients.
//
// 1 / s is s / (s s + 2^-126): a channel whose s reaches 0 in training gives 0 in front of its batch norm, which
// then gives its bias, no NaN, and it still folds. It hardly comes back: below 2^-50 little of a gradient is left.
//
// Layers as in batch_norm_layers.hpp. A layer with an s of 0, or beyond 2^-50 .. 2^60, before training keeps
// its batch norm, and so does the second of two batch norms in a row. A layer that training breaks (a variance
// below 0, numbers beyond f32) keeps the form, its fake-quant node becomes a pair on the scaled weight, and the
// others are folded. Needs arithmetic_graph
// (graph/traits.hpp). Linear. One graph belongs to one thread at a time.
#pragma once

#include <limits>
#include <lutra/flow/apply.hpp>
#include <lutra/flow/batch_norm_layers.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <lutra/number/finite.hpp>
#include <unordered_map>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Of one graph, from the plan to fold(). Holds handles only.
template <editable_graph G> class batch_norm_trainer {
 public:
  using value_id = value_id_t<G>;

  // Finds the layers. `plan` was made for the graph as it is.
  batch_norm_trainer(const G& g, const quantization_plan& plan) {
    batch_norm_layers<G> found(g, true);
    report_ = found.report();
    for (const auto& f : found.layers()) {
      batch_norm_record& record = report_.records[f.records.front()];
      layer l = layer_of(g, f, found.indexed());
      record.outcome = examine(g, l, f, plan, record);
      if (record.outcome != fold_outcome::folded) continue;
      of_weight_.emplace(l.weight_number, layers_.size());
      layers_.push_back(std::move(l));
    }
  }

  // folded: has the form now, and is folded in the end.
  const batch_norm_report& report() const noexcept { return report_; }

  // What the fake-quantizer of a weight sees, by number in the plan's index; empty: the weight itself.
  tensor<float> scaled_weight(const G& g, index_t weight) const {
    const auto at = of_weight_.find(weight);
    return at == of_weight_.end() ? tensor<float>() : numbers_of(g, layers_[at->second]).weight;
  }

  // Gives every layer the form. What is read in place of a weight, by its number.
  std::unordered_map<index_t, value_id> insert(journal<G>& edits) requires arithmetic_graph<G> {
    std::unordered_map<index_t, value_id> stand_ins;
    for (layer& l : layers_) {
      l.made.clear();
      insert_layer(edits, l);
      stand_ins.emplace(l.weight_number, l.scaled);
    }
    return stand_ins;
  }

  // ---- after training -------------------------------------------------------------------------------
  // The layers' weights and biases now. One that training broke is left out: it keeps its form.
  trained_layers trained(const G& g) const {
    trained_layers made;
    for (const layer& l : layers_) {
      scaled_channels numbers = numbers_of(g, l);
      if (numbers.broken >= 0) {
        made.left.emplace(l.weight_number, "batch norm stays, output channel " +
                                               text_of(numbers.broken) + " is no longer finite");
        made.notes.push_back(l.weight_name + ": " + made.left.at(l.weight_number));
        continue;
      }
      made.numbers.emplace(l.weight_number, std::move(numbers.weight));
      made.numbers.emplace(bias_key(l), std::move(numbers.bias));
    }
    return made;
  }
  // Puts them in place; `g` indexes the graph as it is. The fake-quant nodes among `placed` then stand where they
  // would without the form. What is dead by then is erased by erase_form(), behind the fake-quant nodes.
  void fold(journal<G>& edits, const indexed_graph<G>& g,
            const std::unordered_map<index_t, tensor<float>>& numbers,
            std::vector<placed_fake_quant<G>>& placed) const requires foldable_graph<G> {
    const auto number = value_numbers(g);
    for (const layer& l : layers_) {
      if (!numbers.contains(l.weight_number)) continue;
      edits.set_constant(l.weight, lutra::view(std::as_const(numbers.at(l.weight_number))));
      const tensor_view<const float> bias = lutra::view(numbers.at(bias_key(l)));
      value_id bias_value = l.weight;
      if (l.made_bias.empty()) {
        bias_value = *l.bias;
        edits.set_constant(bias_value, bias);
      } else {
        bias_value = edits.add_state(l.made_bias, bias);
      }
      redirect_uses(edits, g, number.at(l.scaled), l.weight);
      redirect_uses(edits, g, number.at(l.normalised), l.result);
      edits.set_bias(l.node, bias_value);
      for (placed_fake_quant<G>& p : placed) {
        if (p.source == l.scaled) p.source = l.weight;
        if (p.source == l.normalised) p.source = l.result;
      }
    }
  }
  void erase_form(journal<G>& edits,
                  const std::unordered_map<index_t, tensor<float>>& numbers) const {
    std::vector<node_id_t<G>> dead;
    for (const layer& l : layers_) {
      if (!numbers.contains(l.weight_number)) continue;
      dead.push_back(l.batch_norm);
      edits.erase_chain(std::vector<value_id>(l.made.rbegin(), l.made.rend()));
    }
    edits.erase_nodes(std::move(dead));
  }

 private:
  using traits = graph_traits<G>;
  using kind_t = arithmetic::kind_t;

  struct layer {
    node_id_t<G> node, batch_norm;
    value_id weight, result, normalised;
    std::optional<value_id> bias;
    std::string weight_name;
    std::string made_bias;  // empty: `bias` takes the folded one
    index_t weight_number, bias_number;
    std::size_t weight_slot;
    bool transposed;
    index_t groups;  // of a transposed convolution
    index_t channels;
    shape weight_shape;
    batch_norm_operands<value_id> parameters;
    // Made by insert(), in order.
    std::vector<value_id> made{};
    value_id scaled;
  };

  static layer layer_of(const G& g, const typename batch_norm_layers<G>::layer& f,
                        const indexed_graph<G>& indexed) {
    const auto& handle = indexed.values;
    const auto& weight = indexed.index.weight(f.node);
    const shape extents =
        tensor_view<const float>(traits::constant(g, handle[to_size(f.weight)])).extents();
    const auto channels = index_t(f.scale.size());
    const bool transposed = weight->channel_axis == 1;
    return {.node = indexed.nodes[to_size(f.node)],
            .batch_norm = indexed.nodes[to_size(f.batch_norms.front())],
            .weight = handle[to_size(f.weight)],
            .result = handle[to_size(indexed.index.results[f.node][0])],
            .normalised = handle[to_size(f.tail)],
            .bias = f.bias < 0 ? std::nullopt : std::optional<value_id>(handle[to_size(f.bias)]),
            .weight_name = indexed.index.label(f.weight),
            .made_bias = f.made_bias,
            .weight_number = f.weight,
            .bias_number = f.bias,
            .weight_slot = weight->slot,
            .transposed = transposed,
            .groups = transposed && extents[1] > 0 ? channels / extents[1] : 1,
            .channels = channels,
            .weight_shape = extents,
            .parameters = f.parameters,
            .scaled = handle[to_size(f.weight)]};
  }

  // What the plan quantizes between weight and batch norm; null: nothing.
  static const char* quantized_between(const quantization_plan& plan,
                                       const typename batch_norm_layers<G>::layer& f,
                                       const layer& l) {
    const index_rows& operands = plan.index.operands;
    const auto place = [&](index_t use) { return plan.operand_place[to_size(use)]; };
    const index_t bias = operands.begin[to_size(f.node)] + index_t(l.weight_slot) + 1;
    if (l.bias && place(bias) >= 0) return "the layer's bias";
    const index_t norm = f.batch_norms.front();
    const index_t first = operands.begin[to_size(norm)];
    for (index_t use = first; use < operands.begin[to_size(norm) + 1]; ++use) {
      if (place(use) >= 0)
        return use == first ? "the layer's result" : "a parameter of the batch norm";
    }
    return nullptr;
  }
  static fold_outcome examine(const G& g, const layer& l,
                              const typename batch_norm_layers<G>::layer& f,
                              const quantization_plan& plan, batch_norm_record& record) {
    if (const char* what = quantized_between(plan, f, l); what != nullptr) {
      record.detail = what;
      return fold_outcome::quantized_between;
    }
    const std::vector<float> s = scale_of(g, l);
    // Without a weight s is a root, and multiplies back.
    const float least = l.parameters.weight ? 0x1p-50F : std::numeric_limits<float>::min();
    const float most = l.parameters.weight ? 0x1p60F : std::numeric_limits<float>::max();
    for (std::size_t c = 0; c < s.size(); ++c) {
      if (!(std::abs(s[c]) >= least && std::abs(s[c]) <= most)) {
        record.detail = "output channel " + text_of(c) + ", " + text_of(s[c]);
        return fold_outcome::zero_scale;
      }
    }
    return numbers_of(g, l).broken < 0 ? fold_outcome::folded : fold_outcome::not_finite;
  }

  // ---- numbers --------------------------------------------------------------------------------------
  static std::vector<float> data_of(const G& g, const value_id& v) {
    return to_vector<float>(tensor_view<const float>(traits::constant(g, v)));
  }
  // weight / sqrt(variance + eps); without a weight the root, which then divides.
  static std::vector<float> scale_of(const G& g, const layer& l) {
    std::vector<float> s = data_of(g, l.parameters.variance);
    for (float& x : s) x = std::sqrt(x + static_cast<float>(l.parameters.eps));
    if (!l.parameters.weight) return s;
    const std::vector<float> weight = data_of(g, *l.parameters.weight);
    for (std::size_t c = 0; c < s.size(); ++c) s[c] = weight[c] / s[c];
    return s;
  }
  static scaled_channels numbers_of(const G& g, const layer& l) {
    const std::vector<float> s = scale_of(g, l);
    const bool divides = !l.parameters.weight;
    scaled_channels made{tensor<float>(l.weight_shape), tensor<float>({l.channels})};
    const auto scaled = [&](float x, index_t c) {
      const float y = divides ? x / s[to_size(c)] : x * s[to_size(c)];
      if (!is_finite(y)) made.broken = c;
      return y;
    };
    const output_channel channel_of(l.weight_shape, l.transposed, l.channels);
    const tensor_view<const float> weight = traits::constant(g, l.weight);
    index_t i = 0;
    for_each_element(weight, [&](const float& w) {
      made.weight[i] = scaled(w, channel_of(i));
      ++i;
    });
    const std::vector<float> mean = data_of(g, l.parameters.mean);
    std::vector<float> bias(mean.size(), 0.0F), shift(mean.size(), 0.0F);
    if (l.bias) bias = data_of(g, *l.bias);
    if (l.parameters.bias) shift = data_of(g, *l.parameters.bias);
    for (index_t c = 0; c < l.channels; ++c) {
      const float product = scaled(bias[to_size(c)] - mean[to_size(c)], c);
      made.bias[c] = product + shift[to_size(c)];
      if (!is_finite(made.bias[c])) made.broken = c;
    }
    return made;
  }
  // A layer's new bias has no number: then one below those that exist.
  static index_t bias_key(const layer& l) {
    return l.made_bias.empty() ? l.bias_number : -2 - l.weight_number;
  }

  // ---- nodes ----------------------------------------------------------------------------------------
  static value_id emit(journal<G>& edits, layer& l, const arithmetic& a,
                       std::initializer_list<value_id> operands) requires arithmetic_graph<G> {
    l.made.push_back(
        edits.emit_arithmetic(a, std::span<const value_id>(operands.begin(), operands.size())));
    return l.made.back();
  }
  static void insert_layer(journal<G>& edits, layer& l) requires arithmetic_graph<G> {
    const auto& p = l.parameters;
    const value_id sum =
        emit(edits, l, {.kind = kind_t::add_scalar, .scalar = p.eps}, {p.variance});
    value_id s = emit(edits, l, {.kind = kind_t::sqrt}, {sum});
    if (p.weight) s = emit(edits, l, {.kind = kind_t::div}, {*p.weight, s});
    l.scaled = scale_weight(edits, l, s, p.weight ? kind_t::mul : kind_t::div);
    edits.set_operand(l.node, l.weight_slot, l.scaled);
    // Channels are axis 1 of the result, whose rank is that of the weight.
    shape channels = shape{1, l.channels};
    while (channels.rank() < l.weight_shape.rank()) channels = append(channels, 1);
    const auto along = [&](const value_id& v) {
      return emit(edits, l, {.kind = kind_t::reshape, .extents = channels}, {v});
    };
    if (l.bias) edits.set_bias(l.node, std::nullopt);
    const value_id back = p.weight ? inverse_of(edits, l, s) : s;
    value_id y = emit(edits, l, {.kind = kind_t::mul}, {l.result, along(back)});
    if (l.bias) y = emit(edits, l, {.kind = kind_t::add}, {y, along(*l.bias)});
    edits.set_operand(l.batch_norm, 0, y);
  }
  // 1 / s, and 0 where training makes s 0: s / (s s + 2^-126).
  static value_id inverse_of(journal<G>& edits, layer& l,
                             const value_id& s) requires arithmetic_graph<G> {
    const value_id square = emit(edits, l, {.kind = kind_t::mul}, {s, s});
    const value_id positive =
        emit(edits, l, {.kind = kind_t::add_scalar, .scalar = 0x1p-126}, {square});
    return emit(edits, l, {.kind = kind_t::div}, {s, positive});
  }
  static value_id scale_weight(journal<G>& edits, layer& l, const value_id& s,
                               kind_t kind) requires arithmetic_graph<G> {
    const auto reshape = [&](const value_id& v, const shape& extents) {
      return emit(edits, l, {.kind = kind_t::reshape, .extents = extents}, {v});
    };
    const shape& w = l.weight_shape;
    const int kernel_axis = l.transposed ? 2 : 1;
    shape per_channel = l.transposed ? shape{1, w[1]} : shape{w[0]};
    shape grouped = shape{l.groups, w[0] / l.groups, w[1]};
    if (l.groups > 1) per_channel = shape{l.groups, 1, w[1]};
    for (int i = kernel_axis; i < w.rank(); ++i) {
      per_channel = append(per_channel, 1);
      grouped = append(grouped, w[i]);
    }
    const value_id factor = reshape(s, per_channel);
    if (l.groups <= 1) return emit(edits, l, {.kind = kind}, {l.weight, factor});
    const value_id product = emit(edits, l, {.kind = kind}, {reshape(l.weight, grouped), factor});
    return reshape(product, w);
  }
  static shape append(const shape& s, index_t extent) {
    std::vector<index_t> extents(s.begin(), s.end());
    extents.push_back(extent);
    return shape(std::span<const index_t>(extents));
  }

  std::vector<layer> layers_;
  std::unordered_map<index_t, std::size_t> of_weight_;  // weight -> its layer
  batch_norm_report report_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
