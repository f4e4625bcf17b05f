// lutra: measure_layers.hpp - palettizes every weight in every way on offer and writes down bytes and error.
// SPDX-License-Identifier: Apache-2.0
//
// Two errors to choose from:
//   weight error   sum of importance * (w - w')^2, importance from sensitivities where there are any, else 1.
//                  Cheap; weights of different layers are not on one scale: a rough guide
//   output error   what a callback says the model's output loses with this one weight replaced, e.g. the
//                  squared error of the logits on a few batches; needs no labels
// Cells (weight, choice) are independent: they are the units of the executor, and their figures do not depend on
// it. A table may be measured in parts: cells that have a figure are left alone, so a run that was cancelled, or
// restored by restore_measurements(), goes on where it was. The graph is only read.
#pragma once

#include <algorithm>
#include <lutra/core/executor.hpp>
#include <lutra/flow/layer_table.hpp>
#include <lutra/flow/sensitivity.hpp>
#include <lutra/graph/weight_plan.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <unordered_map>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The ways on offer: every width with every granularity.
struct layer_offers {
  std::vector<int> n_bits{1, 2, 3, 4, 5, 6, 7, 8};  // 1..8, no repeats
  // Empty: that of the config. Blocks with a size per axis are on offer to weights of so many axes.
  std::vector<granularity> granularities{};
};

struct measure_options {
  const weight_sensitivities* importance = nullptr;  // for clustering and the weight error
  progress_callback progress{};                      // "measure layers"; false cancels
};

// One cell, handed to an output-error callback.
template <class G> struct layer_trial {
  std::size_t layer;  // row of the table
  value_id_t<G> value;
  std::string_view name;
  const palettization_spec& spec;
  tensor_view<const float> restored;  // the weight as it would be
};

// Raises invalid_argument for no widths, one out of 1..8 or a repeated one or granularity.
inline void check(const layer_offers& offers) {
  const auto repeated = [](const auto& all, std::size_t i) {
    return std::find(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i), all[i]) !=
           all.begin() + static_cast<std::ptrdiff_t>(i);
  };
  const std::string where = "layer_offers";
  if (offers.n_bits.empty()) raise(errc::invalid_argument, "no widths on offer", where);
  for (std::size_t i = 0; i < offers.n_bits.size(); ++i) {
    const int bits = offers.n_bits[i];
    if (bits < 1 || bits > 8) {
      raise(errc::invalid_argument, "n_bits out of range", where, text_of(bits), range_text(1, 8));
    }
    if (repeated(offers.n_bits, i)) {
      raise(errc::invalid_argument, "a width is offered twice", where, text_of(bits));
    }
  }
  for (std::size_t i = 0; i < offers.granularities.size(); ++i) {
    if (repeated(offers.granularities, i)) {
      raise(errc::invalid_argument, "a granularity is offered twice", where,
            text_of(offers.granularities[i]));
    }
  }
}

// The elements in row-major order; copied into `held` only if they do not lie so.
inline std::span<const float> elements_of(const tensor_view<const float>& x,
                                          std::vector<float>& held) {
  if (x.is_contiguous()) return x.elements();
  held = to_vector<float>(x);
  return held;
}
inline bool has_short_groups(const block_grid& grid) {
  for (int i = 0; i < grid.extents().rank(); ++i) {
    if (grid.extents()[i] % grid.block()[i] != 0) return true;
  }
  return false;
}

// A table of the weights that `config` palettizes, in graph order, with nothing measured yet. A granularity on
// offer without an axis is taken along each op's channel axis. Ways that the config's short_groups::forbid rules
// out are left out, and weights of which none is left: those the palettizer leaves dense. Raises what
// check(offers) and check(config) do, non_finite for a NaN or infinite weight, incompatible where all on offer is
// blocks for weights of other ranks.
template <editable_graph G>
layer_table layer_choices_of(const G& graph, const palettizer_config& config,
                             const layer_offers& offers = {}) {
  check(offers);
  const auto indexed = index_of(graph);
  const palettization_plan plan = plan_index(indexed.index, config);
  layer_table table;
  for (const weight_choice& w : plan.weights) {
    if (!w.chosen) continue;
    const tensor_view<const float> data =
        graph_traits<G>::constant(graph, indexed.values[to_size(w.value)]);
    std::vector<float> held;
    const std::span<const float> values = elements_of(data, held);
    refuse_misfits(values, misfits(values), w.name);
    layer_choices layer{w.name, data.size(), {}};
    std::vector<granularity> ways = offers.granularities;
    if (ways.empty()) ways.push_back(w.spec.granularity);
    const auto fits = [&](const granularity& way) {
      return !way.is_tuple() || way.tuple().rank() == data.rank();
    };
    if (std::none_of(ways.begin(), ways.end(), fits)) {
      raise(errc::incompatible, "no granularity on offer has the rank of the weight",
            "layer_choices_of, weight " + text_of(std::string_view(w.name)),
            text_of(data.extents()));
    }
    for (const granularity& way : ways) {
      if (!fits(way)) continue;
      layer_choice choice{w.spec, 0, layer_choice::unmeasured};
      choice.spec.granularity = way;
      if (w.node >= 0) {
        choice.spec.granularity = way.with_axis(indexed.index.weight(w.node)->channel_axis);
      }
      const block_grid grid = grid_of(choice.spec.granularity.with_axis(0), data.extents(), w.name,
                                      short_groups::allow);
      if (choice.spec.short_groups == short_groups::forbid && has_short_groups(grid)) continue;
      for (const int bits : offers.n_bits) {
        choice.spec.n_bits = bits;
        layer.choices.push_back(choice);
      }
    }
    if (!layer.choices.empty()) table.push_back(std::move(layer));
  }
  return table;
}

// sum of importance * (a - b)^2 over the elements in order; no importance: 1.
inline double weighted_error(std::span<const float> a, std::span<const float> b,
                             std::span<const float> importance) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    const double squared = d * d;
    sum += importance.empty() ? squared : static_cast<double>(importance[i]) * squared;
  }
  return sum;
}

// Measures the cells of one table.
template <editable_graph G, class F, executor Executor> class layer_measurement {
 public:
  layer_measurement(const G& graph, layer_table& table, const F& output_error,
                    const measure_options& options, const Executor& executor)
      : table_(table), output_error_(output_error), options_(options), executor_(executor) {
    find_weights(graph);
    for (std::size_t l = 0; l < table.size(); ++l) {
      for (std::size_t c = 0; c < table[l].choices.size(); ++c) {
        ++cells_;
        if (!table[l].choices[c].measured()) waiting_.push_back({l, c});
      }
    }
  }

  void run() {
    // A callback is asked between batches; without one everything is one batch.
    const auto total = static_cast<index_t>(waiting_.size());
    const index_t batch = options_.progress ? std::max<index_t>(total / 50, 8) : total;
    for (index_t first = 0; first < total; first += batch) {
      report_progress(options_.progress, "measure layers", cells_ - total + first, cells_);
      const index_t count = std::min(batch, total - first);
      std::vector<double> wrong(to_size(count));  // an error that is none, else 0
      executor_.bulk(count, [&](index_t i) {
        const cell& at = waiting_[to_size(first + i)];
        const layer_choice made = measure(at);
        if (made.error >= 0 && is_finite(made.error)) {
          table_[at.layer].choices[at.choice] = made;  // at once: what is measured stays
        } else {
          wrong[to_size(i)] = made.error;
        }
      });
      for (index_t i = 0; i < count; ++i) {
        if (wrong[to_size(i)] == 0) continue;
        const cell& at = waiting_[to_size(first + i)];
        raise(errc::non_finite, "the measured error is not finite and >= 0",
              "measure_layers, " + text_of(table_[at.layer], at.choice),
              text_of(wrong[to_size(i)]));
      }
    }
    report_progress(options_.progress, "measure layers", cells_, cells_);
  }

 private:
  struct cell {
    std::size_t layer, choice;
  };
  struct weight {
    value_id_t<G> value;
    tensor_view<const float> data;        // of the graph, which does not change
    tensor_view<const float> importance;  // null: none
  };

  void find_weights(const G& graph) {
    const auto indexed = index_of(graph);
    std::unordered_map<std::string, index_t> number;
    for (index_t v = 0; v < indexed.index.value_count(); ++v) {
      if (indexed.index.role[to_size(v)] == value_role::state) {
        number.emplace(indexed.index.label(v), v);
      }
    }
    for (const layer_choices& layer : table_) {
      const std::string name = text_of(std::string_view(layer.name));
      const auto at = number.find(layer.name);
      if (at == number.end()) {
        raise(errc::incompatible, "the graph has no such weight", "measure_layers", name);
      }
      const value_id_t<G>& id = indexed.values[to_size(at->second)];
      weight w{id, graph_traits<G>::constant(graph, id), {}};
      if (w.data.size() != layer.elements) {
        raise(errc::incompatible, "the weight has another size than in the table",
              "measure_layers, weight " + name, text_of(w.data.size()), text_of(layer.elements));
      }
      if (options_.importance != nullptr) w.importance = options_.importance->find(layer.name);
      if (w.importance.data() != nullptr && !(w.importance.extents() == w.data.extents())) {
        raise(errc::shape_mismatch, "the sensitivities have another shape than the weight",
              "measure_layers, weight " + name, text_of(w.importance.extents()),
              text_of(w.data.extents()));
      }
      weights_.push_back(std::move(w));
    }
  }
  layer_choice measure(const cell& at) const {
    const weight& w = weights_[at.layer];
    layer_choice made = table_[at.layer].choices[at.choice];
    palettize_options how;
    how.where = table_[at.layer].name;
    how.importance = w.importance;
    const palette<float> found = palettize(w.data, made.spec, how, serial_executor{});
    const tensor<float> restored = restore(found);
    made.bytes = pack(found).bytes();
    if constexpr (std::same_as<F, std::nullptr_t>) {
      const auto importance =
          w.importance.data() == nullptr ? std::span<const float>() : w.importance.elements();
      std::vector<float> held;
      made.error = weighted_error(elements_of(w.data, held), restored.elements(), importance);
    } else {
      made.error = output_error_(layer_trial<G>{at.layer, w.value, table_[at.layer].name, made.spec,
                                                lutra::view(restored)});
    }
    return made;
  }

  layer_table& table_;
  const F& output_error_;
  const measure_options& options_;
  const Executor& executor_;
  std::vector<weight> weights_;  // by row
  std::vector<cell> waiting_;
  index_t cells_ = 0;
};

// Fills the cells that have no figure with bytes and weight error. Raises incompatible for a table of another
// graph, shape_mismatch for sensitivities that do not fit, cancelled; what is measured by then stays.
template <editable_graph G, executor Executor = serial_executor>
void measure_layers(const G& graph, layer_table& table, const measure_options& options = {},
                    const Executor& executor = {}) {
  layer_measurement<G, std::nullptr_t, Executor>(graph, table, nullptr, options, executor).run();
}

// The same with output_error(const layer_trial<G>&) -> double, finite and >= 0 (else non_finite, naming the
// cell). It is called from the executor's threads, at the same time, and must not change the graph.
template <editable_graph G, std::invocable<const layer_trial<G>&> F,
          executor Executor = serial_executor>
void measure_layers(const G& graph, layer_table& table, const F& output_error,
                    const measure_options& options = {}, const Executor& executor = {}) {
  layer_measurement<G, F, Executor>(graph, table, output_error, options, executor).run();
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
