// lutra: palettizer.hpp - kmeans_palettizer: the weights of a graph become look-up tables plus indices.
// SPDX-License-Identifier: Apache-2.0
//
//   prepare()   clusters every chosen weight (graph/weight_plan.hpp) and puts the restored float values in
//               its place: the model runs as before, with the palette's error. With sensitivities
//               (flow/squared_gradients.hpp) an element counts for as much as the loss depends on it
//   finalize()  puts palettes in place of the constants (graph_traits::emit_palette)
// An error leaves the graph as it was: everything is computed before the first edit, and edits are
// journalled. The palettes do not depend on the executor. The graph must outlive the palettizer and
// must not be edited between prepare() and finalize(). One palettizer belongs to one thread.
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/core/progress.hpp>
#include <lutra/flow/apply.hpp>
#include <lutra/flow/report.hpp>
#include <lutra/flow/sensitivity.hpp>
#include <lutra/graph/weight_plan.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct palettizer_options {
  progress_callback
      progress{};       // "palettize"; returning false cancels, the graph is left as it was
  log_sink log{};       // notes: config entries without effect, weights left alone
  bool strict = false;  // a chosen weight that cannot be palettized is an error, not a record
};

template <editable_graph G, executor Executor = serial_executor> class kmeans_palettizer {
 public:
  using traits = graph_traits<G>;

  explicit kmeans_palettizer(G& graph, palettizer_config config = {},
                             palettizer_options options = {}, Executor executor = {})
      : graph_(graph),
        config_(std::move(config)),
        options_(std::move(options)),
        executor_(std::move(executor)) {
    check(config_);
  }
  kmeans_palettizer(const kmeans_palettizer&) = delete;
  kmeans_palettizer& operator=(const kmeans_palettizer&) = delete;

  // What prepare() would do. Touches nothing.
  palettization_plan plan() const { return lutra::plan(std::as_const(graph_), config_); }

  // Raises invalid_state when called twice, invalid_graph for a graph that is none, shape_mismatch for a
  // weight that does not fit its op, non_finite for NaN or infinite weights, cancelled.
  void prepare() { prepare(weight_sensitivities()); }
  // The same with sensitivities as importance of the elements; weights without any count evenly. Names that no
  // chosen weight has are noted in the report. Raises shape_mismatch too for sensitivities of another shape.
  void prepare(const weight_sensitivities& sensitivities) {
    if (state_ != state::fresh) {
      raise(errc::invalid_state, "prepare() was called before", "kmeans_palettizer::prepare");
    }
    const auto indexed = index_of(std::as_const(graph_));
    palettization_plan plan = plan_index(indexed.index, config_);
    std::vector<prepared_weight> weights;
    compression_report report;
    report.notes = std::move(plan.notes);
    index_t done = 0;
    for (const weight_choice& w : plan.weights) {
      report_progress(options_.progress, "palettize", done++, index_t(plan.weights.size()));
      report.weights.push_back(compress(indexed, w, sensitivities, weights));
    }
    note_unused(sensitivities, plan, report);
    report_progress(options_.progress, "palettize", done, done);
    edit_graph(graph_, [&](journal<G>& edits) {
      for (const prepared_weight& w : weights) {
        edits.set_constant(w.value, lutra::view(std::as_const(w.restored)));
      }
    });
    for (prepared_weight& w : weights) w.restored = tensor<float>();
    for (const std::string& note : report.notes) log(options_.log, log_level::warning, note);
    weights_ = std::move(weights);
    report_ = std::move(report);
    state_ = state::prepared;
  }

  // Raises invalid_state before prepare() and when called twice.
  compression_report finalize() {
    if (state_ != state::prepared) {
      raise(errc::invalid_state,
            state_ == state::fresh ? "prepare() was not called" : "finalize() was called before",
            "kmeans_palettizer::finalize");
    }
    const auto indexed = index_of(std::as_const(graph_));
    const auto number = value_numbers(indexed);
    edit_graph(graph_, [&](journal<G>& edits) {
      for (const prepared_weight& w : weights_) {
        redirect_uses(edits, indexed, number.at(w.value), edits.emit_palette(w.value, w.palette));
      }
    });
    state_ = state::finalized;
    weights_.clear();
    return report_;
  }

  // What prepare() did to every float state, so far.
  const compression_report& report() const noexcept { return report_; }

 private:
  enum class state : unsigned char { fresh, prepared, finalized };
  struct prepared_weight {
    value_id_t<G> value;
    packed_palette palette;
    tensor<float> restored;
  };

  static void note_unused(const weight_sensitivities& sensitivities, const palettization_plan& plan,
                          compression_report& report) {
    std::unordered_set<std::string_view> chosen;
    for (const weight_choice& w : plan.weights) {
      if (w.chosen) chosen.insert(w.name);
    }
    for (const auto& [name, values] : sensitivities.all()) {
      if (chosen.contains(name)) continue;
      report.notes.push_back("sensitivities of " + text_of(std::string_view(name)) +
                             " are not used: no weight of that name is palettized");
    }
  }
  weight_record compress(const indexed_graph<G>& indexed, const weight_choice& w,
                         const weight_sensitivities& sensitivities,
                         std::vector<prepared_weight>& weights) const {
    weight_record record;
    record.name = w.name;
    record.reason = w.why;
    const value_id_t<G>& id = indexed.values[to_size(w.value)];
    if (indexed.index.role[to_size(w.value)] == value_role::packed_state ||
        indexed.index.is_float[to_size(w.value)] == 0) {
      return record;  // nothing to read: extents and bytes stay empty
    }
    const tensor_view<const float> data = traits::constant(std::as_const(graph_), id);
    record.extents = data.extents();
    record.bytes_before = 4 * data.size();
    record.bytes_after = record.bytes_before;
    if (!w.chosen) return record;
    check_fit(indexed.index, w, data.extents());
    if (std::string why = misfit(w.spec, data.extents(), w.name); !why.empty()) {
      record.reason = std::move(why);
      return record;
    }
    palettize_options options;
    options.where = w.name;
    options.importance = sensitivities.find(w.name);
    const palette<float> found = palettize(data, w.spec, options, executor_);
    prepared_weight made{id, pack(found), restore(found)};
    fill(record, data, found, made);
    weights.push_back(std::move(made));
    return record;
  }
  // A weight operand has the rank its op needs.
  static void check_fit(const graph_index& g, const weight_choice& w, const shape& extents) {
    if (w.node < 0) return;
    const int rank = g.weight(w.node)->rank;
    if (extents.rank() != rank) {
      raise(errc::shape_mismatch, "the weight does not fit its op",
            g.op(w.node) + " " + text_of(std::string_view(g.name[to_size(w.node)])) + ", weight " +
                text_of(std::string_view(w.name)),
            "shape " + text_of(extents), "rank " + text_of(rank));
    }
  }
  // Why the groups do not fit, or empty. In strict mode an error instead.
  std::string misfit(const palettization_spec& spec, const shape& extents,
                     const std::string& name) const {
    if (spec.short_groups == short_groups::allow || options_.strict) return {};
    const granularity g = spec.granularity.with_axis(0);
    const block_grid grid = grid_of(g, extents, name, short_groups::allow);
    for (int i = 0; i < extents.rank(); ++i) {
      if (extents[i] % grid.block()[i] != 0) {
        return "group size " + text_of(grid.block()[i]) + " does not divide extent " +
               text_of(extents[i]) + " of axis " + text_of(i);
      }
    }
    return {};
  }
  static void fill(weight_record& record, const tensor_view<const float>& data,
                   const palette<float>& found, const prepared_weight& made) {
    record.status = tensor_status::compressed;
    record.n_bits = found.n_bits;
    record.groups = found.groups().count();
    for (const double inertia : found.inertia) record.inertia += inertia;
    record.bytes_after = made.palette.bytes();
    index_t i = 0;
    for_each_element(data, [&](const float& w) {
      const double x = static_cast<double>(w);
      const double d = x - static_cast<double>(made.restored[i++]);
      record.signal += x * x;
      record.error += d * d;
    });
  }

  G& graph_;
  palettizer_config config_;
  palettizer_options options_;
  Executor executor_;
  state state_ = state::fresh;
  std::vector<prepared_weight> weights_;
  compression_report report_;
};

}  // namespace lutra::inline LUTRA_ABI
