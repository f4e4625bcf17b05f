// lutra: squared_gradients.hpp - collects squared gradients of the weights to be palettized.
// SPDX-License-Identifier: Apache-2.0
//
// The framework runs forward and backward on the float model and hands in the gradient of the loss, once per
// batch and weight; or its adapter has graph_traits::gradients() and record() drives it:
//   squared_gradients gradients(graph, config);
//   for (batch : data) { ...; gradients.add("fc1.weight", gradient); }       // or gradients.record(graph, data)
//   palettizer.prepare(gradients.sensitivities());
// Sums of g^2 in double, in the order of the calls; only weights that the config palettizes are kept (8 bytes per
// element). merge() adds what another process collected: sums of other orders differ in their last bits.
// One object belongs to one thread.
#pragma once

#include <lutra/core/progress.hpp>
#include <lutra/flow/sensitivity.hpp>
#include <lutra/graph/weight_plan.hpp>
#include <lutra/number/finite.hpp>
#include <ranges>
#include <unordered_map>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

template <class G, class Batch, class F>
concept differentiable_graph = editable_graph<G> &&
    requires(G& g, const Batch& batch, F on_gradient) {
  // Runs one batch forwards and backwards; calls on_gradient(value_id, tensor_view<const float>) once for every
  // state that has a gradient of the loss.
  graph_traits<G>::gradients(g, batch, on_gradient);
};

class squared_gradients {
 public:
  // For the weights of `graph` that `config` palettizes, under all of their names. Raises what
  // plan(graph, config) does.
  template <editable_graph G> squared_gradients(const G& graph, const palettizer_config& config) {
    const auto indexed = index_of(graph);
    for (const weight_choice& w : plan_index(indexed.index, config).weights) {
      if (!w.chosen) continue;
      const shape extents =
          graph_traits<G>::constant(graph, indexed.values[to_size(w.value)]).extents();
      number_.emplace(w.name, sums_.size());
      for (const std::string& alias : indexed.index.state_names[to_size(w.value)]) {
        number_.emplace(alias, sums_.size());
      }
      sums_.push_back({w.name, extents, {}, 0});
    }
  }

  // Adds g^2 of one batch. Raises invalid_argument for a name that is no weight to be palettized, shape_mismatch,
  // non_finite for NaN or infinity; nothing is added then.
  void add(std::string_view name, tensor_view<const float> gradient) {
    const std::string where = "squared_gradients::add";
    const auto at = number_.find(std::string(name));
    if (at == number_.end()) {
      raise(errc::invalid_argument,
            "not a weight that the config palettizes" + suggestion_for(name, number_), where,
            text_of(name));
    }
    add_to(sums_[at->second], gradient, where + ", weight " + text_of(name));
  }

  // Runs every batch of a range through graph_traits::gradients(). Gradients of other states are not kept. Raises
  // what add() does, cancelled, invalid_state if a batch gave no gradient of any weight.
  template <class G, class Batches>
  void record(G& graph, const Batches& batches, const progress_callback& progress = {}) {
    const auto indexed = index_of(std::as_const(graph));
    std::unordered_map<value_id_t<G>, std::string> names;
    for (std::size_t v = 0; v < indexed.values.size(); ++v) {
      if (indexed.index.is_state(static_cast<index_t>(v))) {
        names.emplace(indexed.values[v], indexed.index.label(static_cast<index_t>(v)));
      }
    }
    const auto total = static_cast<index_t>(std::ranges::distance(batches));
    index_t done = 0;
    for (const auto& batch : batches) {
      report_progress(progress, "gradients", done, total);
      bool any = false;
      auto on_gradient = [&](const value_id_t<G>& v, tensor_view<const float> gradient) {
        const auto name = names.find(v);
        if (name == names.end() || !number_.contains(name->second)) return;
        add(name->second, gradient);
        any = true;
      };
      using batch_type = std::remove_cvref_t<decltype(batch)>;
      static_assert(differentiable_graph<G, batch_type, decltype(on_gradient)>);
      graph_traits<G>::gradients(graph, batch, on_gradient);
      if (!any) {
        raise(errc::invalid_state, "a batch gave no gradient of a weight to be palettized",
              "squared_gradients::record", "batch " + text_of(done));
      }
      ++done;
    }
    report_progress(progress, "gradients", done, total);
  }

  // Gradients added for a weight; 0 for a name that is none.
  std::int64_t count(std::string_view name) const {
    const auto at = number_.find(std::string(name));
    return at == number_.end() ? 0 : sums_[at->second].count;
  }

  // Adds the sums of another object of the same graph and config; else raises incompatible.
  void merge(const squared_gradients& other) {
    if (sums_.size() != other.sums_.size()) {
      raise(errc::incompatible, "squared gradients of other weights", "squared_gradients::merge",
            text_of(other.sums_.size()) + " weights", text_of(sums_.size()));
    }
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const weight_sum& theirs = other.sums_[i];
      if (theirs.name != sums_[i].name || !(theirs.extents == sums_[i].extents)) {
        raise(errc::incompatible, "squared gradients of other weights", "squared_gradients::merge",
              text_of(std::string_view(theirs.name)) + " " + text_of(theirs.extents),
              text_of(std::string_view(sums_[i].name)) + " " + text_of(sums_[i].extents));
      }
    }
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const weight_sum& theirs = other.sums_[i];
      if (theirs.count == 0) continue;
      sums_[i].squares.resize(theirs.squares.size());
      for (std::size_t k = 0; k < theirs.squares.size(); ++k) {
        sums_[i].squares[k] += theirs.squares[k];
      }
      sums_[i].count += theirs.count;
    }
  }

  // Of every weight that got a gradient. Raises invalid_state if none did.
  weight_sensitivities sensitivities() const {
    weight_sensitivities all;
    for (const weight_sum& s : sums_) {
      if (s.count > 0) all.set(s.name, {s.extents, normalised_sensitivity(s.squares)});
    }
    if (all.empty()) {
      raise(errc::invalid_state, "no gradient was added", "squared_gradients::sensitivities", "",
            "add() or record() before");
    }
    return all;
  }

 private:
  struct weight_sum {
    std::string name;
    shape extents;
    std::vector<double> squares;  // empty until the first gradient
    std::int64_t count = 0;
  };

  static void add_to(weight_sum& sum, tensor_view<const float> gradient, const std::string& where) {
    if (!(gradient.extents() == sum.extents)) {
      raise(errc::shape_mismatch, "the gradient has another shape than the weight", where,
            text_of(gradient.extents()), text_of(sum.extents));
    }
    const std::vector<float> g = to_vector<float>(gradient);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!is_finite(g[i])) {
        raise(errc::non_finite, "a gradient is not finite", where,
              text_of(g[i]) + " at position " + text_of(i), "finite values");
      }
    }
    sum.squares.resize(g.size());
    for (std::size_t i = 0; i < g.size(); ++i) {
      const double x = static_cast<double>(g[i]);
      const double squared = x * x;
      sum.squares[i] += squared;
    }
    ++sum.count;
  }

  std::map<std::string, std::size_t> number_;  // of every name
  std::vector<weight_sum> sums_;               // in graph order
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
