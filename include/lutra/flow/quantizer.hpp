// lutra: quantizer.hpp - quantizer: the activations (and affine weights) of a graph become quantized.
// SPDX-License-Identifier: Apache-2.0
//
//   prepare()            plans (graph/plan.hpp), inserts fake-quant nodes, observes the weights; the graph is in use
//                        (set_training off) meanwhile
//   prepare(batch)       also runs one batch, which gives activations a first range
//   calibration_mode()   a scope: observers on, fake-quant off; run batches inside
//   training_mode()      a scope: both on, or as the schedules say; the framework trains, step() counts
//   finalize()           quantize/dequantize pairs in place of the fake-quant nodes; codes in place of weights, where
//                        the adapter has emit_affine_constant
// Outside the scopes observers are off and fake-quant is on; an activation that has seen no data yet
// passes unchanged. Several nodes may share one fake-quantizer, which is then updated once per node.
// An error leaves the graph as it was (edits are journalled). The graph must outlive the quantizer and
// must not be edited between prepare() and finalize(). One quantizer belongs to one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/core/progress.hpp>
#include <lutra/flow/apply.hpp>
#include <lutra/flow/final_parameters.hpp>
#include <lutra/flow/quantizer_mode.hpp>
#include <lutra/flow/quantizer_report.hpp>
#include <lutra/flow/quantizer_state.hpp>
#include <lutra/flow/train_batch_norm.hpp>
#include <lutra/graph/group_modules.hpp>
#include <lutra/graph/plan.hpp>
#include <lutra/tensor/check_finite.hpp>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct quantizer_options {
  plan_options planning{};
  progress_callback progress{};  // "calibrate", batches done so far; returning false cancels
  log_sink log{};                // notes of the plan, disabled quantizers
  // finalize() without calibration: ranges of prepare(batch) where there are any, else float.
  bool allow_uncalibrated = false;
  // prepare() gives layers with a batch norm behind them the form for training, finalize() folds them
  // (flow/train_batch_norm.hpp). False: batch norms stay as they are; fold_batch_norm() first if nothing is trained.
  bool train_batch_norms = false;
};

template <editable_graph G> class quantizer {
 public:
  using traits = graph_traits<G>;

  // Raises what check_to_use(config) does: observers of one's own are registered before.
  explicit quantizer(G& graph, quantizer_config config = {}, quantizer_options options = {})
      : graph_(graph), config_(std::move(config)), options_(std::move(options)) {
    check_to_use(config_);
  }
  quantizer(const quantizer&) = delete;
  quantizer& operator=(const quantizer&) = delete;

  // What prepare() would do. Touches nothing.
  quantization_plan plan() const {
    return lutra::plan(std::as_const(graph_), config_, options_.planning);
  }

  // Raises invalid_state when called twice or on a graph that holds fake-quant nodes, invalid_graph, non_finite for
  // NaN or infinite weights, unsupported for train_batch_norms without arithmetic_graph, and what the plan raises.
  void prepare() {
    prepare_with([](auto&) {});
  }
  template <class Batch> void prepare(const Batch& batch) {
    prepare_with([&](quantizer& self) {
      self.held_.switch_all(true, false);
      self.execute(batch);
    });
  }

  using mode_scope = lutra::mode_scope<quantizer, G>;
  // Observers on, fake-quant off, the graph as in use (set_training off, where the adapter has it).
  [[nodiscard]] mode_scope calibration_mode() {
    return enter(quantizer_mode::calibration, "quantizer::calibration_mode");
  }
  // Observers and fake-quant on, of weights too, set_training on; what has a qat_schedule follows it. The forward pass
  // is run(); gradients of fake-quantization are in fake_quant/gradient.hpp.
  [[nodiscard]] mode_scope training_mode() {
    return enter(quantizer_mode::training, "quantizer::training_mode");
  }
  // One training step is done. The count starts at 0, is never reset, and belongs to the fake-quantizers. A
  // warning, once, if no schedule reads it.
  void step() {
    if (mode_ != quantizer_mode::training) {
      raise(errc::invalid_state, "no training scope is open", "quantizer::step");
    }
    if (!std::exchange(told_of_no_schedule_, true) && scheduled_part(config_).empty()) {
      log(options_.log, log_level::warning,
          "quantizer::step: no qat_schedule in the config, steps are only counted");
    }
    for (fake_quantizer& fq : held_.fake_quants) fq.step();
  }
  std::int64_t steps() const noexcept { return held_.steps(); }
  // Switches by hand, until a scope begins or ends: of the module at `path` and those below it
  // (graph/group_modules.hpp), "" is the whole model. Raise invalid_state if the config has a schedule,
  // invalid_argument if there is no such module.
  void enable_observers(bool on, std::string_view path = {}) {
    switch_by_hand(&fake_quantizer::enable_observer, on, path, "quantizer::enable_observers");
  }
  void enable_fake_quants(bool on, std::string_view path = {}) {
    switch_by_hand(&fake_quantizer::enable_fake_quant, on, path, "quantizer::enable_fake_quants");
  }

  // Runs one batch through the graph with the current switches; returns what graph_traits::run returns. In a scope of
  // calibration a batch that fails on its way leaves nothing in the statistics, for a copy of each per batch (16 KiB
  // per unit of a histogram; batch_undo says what that costs); in one of training it leaves what was observed before:
  // save() first and load() after it.
  template <class Batch> decltype(auto) run(const Batch& batch) {
    need_prepared("quantizer::run");
    return execute(batch);
  }
  // calibration_mode() around a run of every batch of a range. After an error it is as if the batch that failed had
  // never begun; those before it stay.
  template <class Batches> void calibrate(const Batches& batches) {
    const auto scope = calibration_mode();
    const auto total = static_cast<index_t>(std::ranges::distance(batches));
    index_t done = 0;
    for (const auto& batch : batches) {
      report_progress(options_.progress, "calibrate", done++, total);
      execute(batch);
    }
    report_progress(options_.progress, "calibrate", done, total);
  }

  // What a fake-quant node computes. A framework that runs itself calls this at every fake-quant node; in
  // and out have equal shapes and may be the same elements.
  void on_fake_quant(fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
    need_prepared("quantizer::on_fake_quant");
    if (id.index < 0 || id.index >= index_t(held_.fake_quants.size())) {
      raise(errc::invalid_argument, "no such fake-quantizer", "quantizer::on_fake_quant",
            text_of(id.index), range_text<index_t>(0, index_t(held_.fake_quants.size()) - 1));
    }
    fake_quantizer& fq = held_.fake_quants[to_size(id.index)];
    if (undo_ != nullptr && !fq.disabled()) undo_->keep(to_size(id.index));  // it may get disabled
    const bool observing = mode_ != quantizer_mode::none && !in.empty() && fq.observer_enabled();
    if (observing && fq.target() == target::activation && !fq.disabled()) {
      samples_[to_size(id.index)].add(in, fq.spec().granularity);  // out may be the same elements
    }
    // Nothing observed yet: pass the data on, as with fake-quant off.
    const bool idle = !fq.initialized() && !fq.observer_enabled() && fq.fake_quant_enabled();
    {
      const fake_quant_pause pause(idle ? &fq : nullptr);
      fq.forward(in, out);
    }
    if (observing) held_.calibrated[to_size(id.index)] = 1;
  }

  // Raises invalid_state before prepare(), inside a scope, when called twice, and for activations without
  // data of a scope (unless allow_uncalibrated). What diverged is left as it is, with a warning and a note in the
  // report: a tensor whose range no scale can hold, a batch norm that no longer folds. The rest goes on.
  compression_report finalize() {
    need_prepared("quantizer::finalize");
    refuse_scope(mode_, "quantizer::finalize");
    if (!options_.allow_uncalibrated) held_.refuse_uncalibrated(plan_, "quantizer::finalize");
    const auto indexed = index_of(std::as_const(graph_));
    const final_parameters parameters = final_parameters::from(held_.fake_quants, plan_);
    trained_layers trained;
    if (trainer_) trained = trainer_->trained(graph_);
    compression_report report = quantizer_reporter<G>(graph_, values_, plan_, held_.fake_quants,
                                                      parameters, trained, samples_)
                                    .run();
    const auto tell = [&](const std::string& note) {
      report.notes.push_back(note);
      log(options_.log, log_level::warning, note);
    };
    std::ranges::for_each(parameters.notes, tell);
    std::ranges::for_each(trained.notes, tell);
    const index_t left = edit_graph(graph_, [&](journal<G>& edits) {
      std::vector<placed_fake_quant<G>> placed = placed_;
      if constexpr (arithmetic_graph<G>) {
        if (trainer_) trainer_->fold(edits, indexed, trained.numbers, placed);
      }
      replace_fake_quants(edits, indexed, placed, parameters);
      if (trainer_) trainer_->erase_form(edits, trained.numbers);
    });
    state_ = state::finalized;
    if (left > 0) tell(text_of(left) + " dead nodes could not be erased from the graph");
    return report;
  }

  // What prepare() and the scopes have added to graph and config: all fake-quantizers, with the step count.
  // load() continues where save() was called, on a quantizer prepared from the same graph and config; it
  // raises corrupt_data, unsupported or incompatible, and changes nothing then.
  std::vector<std::uint8_t> save() const {
    need_prepared("quantizer::save");
    return save_state(held_, plan_);
  }
  void load(std::span<const std::uint8_t> bytes) {
    need_prepared("quantizer::load");
    refuse_scope(mode_, "quantizer::load");
    held_ = load_state(bytes, plan_, held_, "quantizer::load");
    samples_.assign(held_.fake_quants.size(), {});  // of other parameters
    held_.switch_all(false, true);
  }

  // After prepare() with train_batch_norms: which batch norms have the form, and why others do not.
  batch_norm_report batch_norms() const {
    return trainer_ ? trainer_->report() : batch_norm_report();
  }
  bool prepared() const noexcept { return state_ == state::prepared; }
  // After prepare(): the plan that was applied, and its fake-quantizers (fake_quant_id::index).
  const quantization_plan& applied_plan() const noexcept { return plan_; }
  const std::vector<fake_quantizer>& fake_quantizers() const noexcept { return held_.fake_quants; }

 private:
  friend mode_scope;
  enum class state : unsigned char { fresh, prepared, finalized };

  void need_prepared(const char* where) const {
    if (state_ != state::prepared) {
      raise(errc::invalid_state,
            state_ == state::fresh ? "prepare() was not called" : "finalize() was called before",
            where);
    }
  }
  mode_scope enter(quantizer_mode mode, const char* where) {
    need_prepared(where);
    refuse_scope(mode_, where);
    const bool training = mode == quantizer_mode::training;
    mode_scope scope(*this, graph_, training);
    mode_ = mode;
    training ? held_.follow_schedules() : held_.switch_all(true, false);
    return scope;
  }
  void leave_mode() noexcept {
    mode_ = quantizer_mode::none;
    held_.switch_all(false, true);
  }
  void switch_by_hand(void (fake_quantizer::*what)(bool), bool on, std::string_view path,
                      const char* where) {
    need_prepared(where);
    if (std::string scheduled = scheduled_part(config_); !scheduled.empty()) {
      raise(errc::invalid_state, "a qat_schedule decides", where, std::move(scheduled));
    }
    const std::vector<char> chosen = groups_below(plan_, path, where);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (chosen[i] != 0) (held_.fake_quants[i].*what)(on);
    }
  }
  template <class Batch> decltype(auto) execute(const Batch& batch) {
    auto on_node = [this](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
      on_fake_quant(id, in, out);
    };
    static_assert(executable_graph<G, Batch, decltype(on_node)>);
    if (!LUTRA_HAS_EXCEPTIONS || mode_ != quantizer_mode::calibration) {
      return traits::run(graph_, batch, on_node);
    }
    const batch_undo undo(held_, samples_, undo_);
    return traits::run(graph_, batch, on_node);
  }

  // first_run(*this) runs between the insertion and its commit.
  template <class F> void prepare_with(F&& first_run) {
    if (state_ != state::fresh) {
      raise(errc::invalid_state, "prepare() was called before", "quantizer::prepare");
    }
    preparation attempt(*this);
    const training_switch<G> in_use(graph_, false);  // batch norms by their own statistics
    auto indexed = index_of(std::as_const(graph_));
    refuse_prepared(indexed.index, "quantizer::prepare");
    plan_ = plan_index(indexed.index, config_, options_.planning);
    held_ = quantizer_state::of(plan_);
    samples_.assign(held_.fake_quants.size(), {});
    find_batch_norms();
    observe_weights(indexed);
    edit_graph(graph_, [&](journal<G>& edits) {
      std::unordered_map<index_t, value_id_t<G>> stand_ins;
      if constexpr (arithmetic_graph<G>) {
        if (trainer_) stand_ins = trainer_->insert(edits);
      }
      placed_ = insert_fake_quants(edits, indexed, plan_, held_.fake_quants, stand_ins);
      first_run(*this);
      // A sink may throw, like everything else in here.
      for (const std::string& note : plan_.notes) log(options_.log, log_level::warning, note);
    });
    attempt.succeeded();
    held_.switch_all(false, true);
    values_ = std::move(indexed.values);
  }
  // The state while prepare() works; fresh again, and empty, if it fails.
  class preparation {
   public:
    explicit preparation(quantizer& q) : quantizer_(q) { q.state_ = state::prepared; }
    ~preparation() {
      if (succeeded_) return;
      quantizer_.state_ = state::fresh;
      quantizer_.plan_ = {};
      quantizer_.held_ = {};
      quantizer_.samples_.clear();
      quantizer_.placed_.clear();
      quantizer_.trainer_.reset();
    }
    void succeeded() noexcept { succeeded_ = true; }

   private:
    quantizer& quantizer_;
    bool succeeded_ = false;
  };
  void find_batch_norms() {
    trainer_.reset();
    if (!options_.train_batch_norms) return;
    if constexpr (arithmetic_graph<G>) {
      trainer_.emplace(std::as_const(graph_), plan_);
      for (const batch_norm_record& r : trainer_->report().records) {
        if (r.outcome == fold_outcome::folded) continue;
        plan_.notes.push_back(r.name + ": batch norm stays, " + std::string(name_of(r.outcome)) +
                              (r.detail.empty() ? "" : " (" + r.detail + ")"));
      }
    } else {
      raise(errc::unsupported, "train_batch_norms needs nodes that compute", "quantizer::prepare",
            "an adapter without emit_arithmetic", "a graph of the concept arithmetic_graph");
    }
  }
  // Weights get their final parameters at once. A weight whose blocks do not fit is left alone.
  void observe_weights(const indexed_graph<G>& indexed) {
    for (const plan_node& place : plan_.places) {
      if (!plan_.on_state(place)) continue;
      fake_quantizer& fq = held_.fake_quants[to_size(place.group)];
      const tensor_view<const float> data =
          traits::constant(std::as_const(graph_), indexed.values[to_size(place.value)]);
      const std::string name = indexed.index.label(place.value);
      if (!data.empty()) grid_of(fq.spec().granularity, data.extents(), name, short_groups::allow);
      check_finite(data, name);
      tensor<float> scaled;
      if (trainer_) scaled = trainer_->scaled_weight(graph_, place.value);
      fq.observe(scaled.size() == 0 ? data : tensor_view<const float>(lutra::view(scaled)));
      if (fq.disabled()) {
        plan_.notes.push_back(name + ": not quantized, " + fq.disabled_reason());
      }
    }
  }

  G& graph_;
  quantizer_config config_;
  quantizer_options options_;
  state state_ = state::fresh;
  quantizer_mode mode_ = quantizer_mode::none;
  bool told_of_no_schedule_ = false;
  batch_undo* undo_ = nullptr;  // of the batch of calibration that runs
  quantization_plan plan_;
  std::vector<value_id_t<G>> values_;  // handles of the plan's values
  quantizer_state held_;
  std::vector<value_sample> samples_;  // by group: of the batches run inside scopes
  std::vector<placed_fake_quant<G>> placed_;
  std::optional<batch_norm_trainer<G>> trainer_;
};

}  // namespace lutra::inline LUTRA_ABI
