// lutra: palettizer.hpp - kmeans_palettizer: the weights of a graph become look-up tables plus indices.
// SPDX-License-Identifier: Apache-2.0
//
//   prepare()   clusters every chosen weight (graph/weight_plan.hpp) and puts the restored float values in
//               its place: the model runs as before, with the palette's error. With sensitivities
//               (flow/squared_gradients.hpp) an element counts for as much as the loss depends on it
//   calibration_mode()  a scope with the float weights back in the graph: collect squared gradients, cluster again
//   finalize()  puts palettes in place of the constants (graph_traits::emit_palette)
//   save(), load()      carry the palettes of prepare() over to another run (flow/palettizer_state.hpp)
// Float weights are kept until finalize() (4 bytes per element). An error leaves the graph as it was: everything is
// computed before the first edit, and edits are journalled. The palettes do not depend on the executor. The graph must
// outlive the palettizer and must not be edited between prepare() and finalize(). One palettizer belongs to one thread.
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/core/progress.hpp>
#include <lutra/flow/apply.hpp>
#include <lutra/flow/palettizer_state.hpp>
#include <lutra/flow/report.hpp>
#include <lutra/flow/squared_gradients.hpp>
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
    clustering made = cluster(sensitivities);
    log_notes(made);
    install(std::move(made));
    state_ = state::prepared;
  }

  // The graph has its float weights again while it lives; hand in gradients, then finish(). Left without finish(),
  // the palettes are as before. Raises invalid_state unless prepared; scopes do not nest.
  class calibration_scope {
   public:
    calibration_scope(calibration_scope&& other) noexcept
        : palettizer_(std::exchange(other.palettizer_, nullptr)),
          gradients_(std::move(other.gradients_)) {}
    calibration_scope& operator=(calibration_scope&&) = delete;
    ~calibration_scope() {
      if (palettizer_ != nullptr) palettizer_->leave_calibration();
    }

    // Where gradients go: add() for each weight and batch, or record() with an adapter that has them.
    squared_gradients& gradients() noexcept { return gradients_; }
    // Clusters with what was collected and ends the scope. Raises invalid_state if nothing was, and what prepare()
    // does; the scope stays open then.
    void finish() {
      if (palettizer_ == nullptr) {
        raise(errc::invalid_state, "the calibration scope has ended",
              "kmeans_palettizer::calibration_scope::finish");
      }
      clustering made = palettizer_->cluster(gradients_.sensitivities());
      palettizer_->log_notes(made);
      palettizer_->install(std::move(made));
      std::exchange(palettizer_, nullptr)->state_ = state::prepared;
    }

   private:
    friend class kmeans_palettizer;
    calibration_scope(kmeans_palettizer& p, squared_gradients g)
        : palettizer_(&p), gradients_(std::move(g)) {}
    kmeans_palettizer* palettizer_;
    squared_gradients gradients_;
  };
  [[nodiscard]] calibration_scope calibration_mode() {
    need_prepared("kmeans_palettizer::calibration_mode");
    squared_gradients gradients(std::as_const(graph_), config_);
    put(weights_, &prepared_weight::original);
    state_ = state::calibrating;
    return {*this, std::move(gradients)};
  }
  // What the palettes were clustered with; empty without.
  const weight_sensitivities& sensitivities() const noexcept { return sensitivities_; }

  // The palettes of a prepared graph. load() puts them into the same graph, prepared or not, instead of clustering;
  // figures of the report are measured again. Raises corrupt_data, unsupported for another version, incompatible
  // for other weights or specs; nothing is changed then. Sensitivities are saved apart (weight_sensitivities::save).
  std::vector<std::uint8_t> save() const {
    need_prepared("kmeans_palettizer::save");
    std::vector<saved_palette> saved;
    for (const prepared_weight& w : weights_) {
      saved.push_back({w.name, w.palette, report_.weights[w.record].inertia});
    }
    return save_palettes(saved);
  }
  void load(std::span<const std::uint8_t> bytes) {
    constexpr const char* where = "kmeans_palettizer::load";
    if (state_ != state::fresh) need_prepared(where);
    clustering loaded = read(load_palettes(bytes, where), where);
    install(std::move(loaded));
    state_ = state::prepared;
  }

  // Raises invalid_state before prepare(), inside a scope, and when called twice.
  compression_report finalize() {
    need_prepared("kmeans_palettizer::finalize");
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
  enum class state : unsigned char { fresh, prepared, calibrating, broken, finalized };
  struct prepared_weight {
    value_id_t<G> value;
    std::string name;
    std::size_t record;  // in the report
    packed_palette palette;
    tensor<float> original;
    tensor<float> restored;  // until it is in the graph
  };
  struct clustering {
    std::vector<prepared_weight> weights;
    weight_sensitivities sensitivities;
    compression_report report;
  };

  void need_prepared(const char* where) const {
    switch (state_) {
      case state::prepared:
        return;
      case state::fresh:
        raise(errc::invalid_state, "prepare() was not called", where);
      case state::calibrating:
        raise(errc::invalid_state, "a calibration scope is open", where);
      case state::broken:
        raise(errc::invalid_state, "the palettes could not be put back after a calibration scope",
              where);
      case state::finalized:
        raise(errc::invalid_state, "finalize() was called before", where);
    }
  }

  // Everything that prepare() computes; edits nothing. The graph has its float weights.
  clustering cluster(const weight_sensitivities& sensitivities) const {
    const auto indexed = index_of(std::as_const(graph_));
    palettization_plan plan = plan_index(indexed.index, config_);
    clustering made;
    made.sensitivities = sensitivities;
    made.report.notes = std::move(plan.notes);
    index_t done = 0;
    for (const weight_choice& w : plan.weights) {
      report_progress(options_.progress, "palettize", done++, index_t(plan.weights.size()));
      const auto fit = [&](const tensor_view<const float>& data, weight_record& record) {
        palettize_options options;
        options.where = w.name;
        options.importance = sensitivities.find(w.name);
        const palette<float> found = palettize(data, w.spec, options, executor_);
        for (const double inertia : found.inertia) record.inertia += inertia;
        return pack(found);
      };
      made.report.weights.push_back(compress(indexed, w, made.report, made.weights, fit));
    }
    note_unused(sensitivities, plan, made.report);
    report_progress(options_.progress, "palettize", done, done);
    return made;
  }
  // The same from saved palettes.
  clustering read(std::vector<saved_palette> saved, const char* where) const {
    const auto indexed = index_of(std::as_const(graph_));
    palettization_plan plan = plan_index(indexed.index, config_);
    clustering made;
    made.report.notes = std::move(plan.notes);
    std::size_t next = 0;
    for (const weight_choice& w : plan.weights) {
      const auto fit = [&](const tensor_view<const float>& data, weight_record& record) {
        if (next == saved.size()) {
          raise(errc::incompatible, "the saved state has no palette of a weight", where,
                text_of(std::string_view(w.name)));
        }
        saved_palette& s = saved[next++];
        check_saved(s, w.name, data.extents(), w.spec, where);
        record.inertia = s.inertia;
        return std::move(s.palette);
      };
      made.report.weights.push_back(compress(indexed, w, made.report, made.weights, fit));
    }
    if (next != saved.size()) {
      raise(errc::incompatible, "the saved state has a palette of another weight", where,
            text_of(std::string_view(saved[next].weight)), text_of(next) + " palettes");
    }
    return made;
  }

  // Makes them the constants of the graph.
  void put(const std::vector<prepared_weight>& weights, tensor<float> prepared_weight::*data) {
    edit_graph(graph_, [&](journal<G>& edits) {
      for (const prepared_weight& w : weights) edits.set_constant(w.value, lutra::view(w.*data));
    });
  }
  void install(clustering made) {
    put(made.weights, &prepared_weight::restored);
    weights_ = std::move(made.weights);
    for (prepared_weight& w : weights_) w.restored = tensor<float>();
    report_ = std::move(made.report);
    sensitivities_ = std::move(made.sensitivities);
  }
  // Before anything is edited: a sink may throw.
  void log_notes(const clustering& made) const {
    for (const std::string& note : made.report.notes) log(options_.log, log_level::warning, note);
  }
  // A destructor runs it: an adapter that fails now leaves the float weights, which every later call says.
  void leave_calibration() noexcept {
#if LUTRA_HAS_EXCEPTIONS
    try {
      put_palettes_back();
    } catch (...) {
      state_ = state::broken;
    }
#else
    put_palettes_back();
#endif
  }
  void put_palettes_back() {
    for (prepared_weight& w : weights_) w.restored = restore(w.palette);
    put(weights_, &prepared_weight::restored);
    for (prepared_weight& w : weights_) w.restored = tensor<float>();
    state_ = state::prepared;
  }

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
  // fit(data, record) makes the palette of a chosen weight.
  template <class F>
  weight_record compress(const indexed_graph<G>& indexed, const weight_choice& w,
                         const compression_report& report, std::vector<prepared_weight>& weights,
                         F&& fit) const {
    weight_record record;
    record.name = w.name;
    record.why = w.cause.why;
    record.reason = w.why;
    const value_id_t<G>& id = indexed.values[to_size(w.value)];
    if (indexed.index.role[to_size(w.value)] == value_role::packed_state ||
        indexed.index.is_float[to_size(w.value)] == 0) {
      return record;  // nothing to read: extents and bytes stay empty
    }
    const tensor_view<const float> data = float_weight(id, weights.size());
    record.extents = data.extents();
    record.bytes_before = 4 * data.size();
    record.bytes_after = record.bytes_before;
    if (!w.chosen) return record;
    check_fit(indexed.index, w, data.extents());
    if (std::string why = misfit(w.spec, data.extents(), w.name); !why.empty()) {
      record.why = reason::groups_do_not_fit;
      record.reason = std::move(why);
      return record;
    }
    prepared_weight made{id, w.name, report.weights.size(), fit(data, record), {}, {}};
    made.original = tensor<float>::copy_of(data);
    made.restored = restore(made.palette);
    fill(record, data, made);
    weights.push_back(std::move(made));
    return record;
  }
  // The elements of a constant; of the `number`-th palettized weight those that it had before.
  tensor_view<const float> float_weight(const value_id_t<G>& id, std::size_t number) const {
    if (state_ == state::prepared && number < weights_.size() && weights_[number].value == id) {
      return lutra::view(weights_[number].original);
    }
    return traits::constant(std::as_const(graph_), id);
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
    const auto mismatch = mismatch_of(extents, grid.block());
    return mismatch ? text_of(*mismatch) : std::string();
  }
  static void fill(weight_record& record, const tensor_view<const float>& data,
                   const prepared_weight& made) {
    record.status = tensor_status::compressed;
    record.form = text_of(made.palette.n_bits) + "-bit palette";
    record.n_bits = made.palette.n_bits;
    record.groups = made.palette.groups().count();
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
  weight_sensitivities sensitivities_;
  compression_report report_;
};

}  // namespace lutra::inline LUTRA_ABI
