// lutra: quantizer.hpp - quantizer: the activations (and affine weights) of a graph become quantized.
// SPDX-License-Identifier: Apache-2.0
//
//   prepare()            plans (graph/plan.hpp), inserts fake-quant nodes, observes the weights
//   prepare(batch)       also runs one batch, which gives activations a first range
//   calibration_mode()   a scope: observers on, fake-quant off; run batches inside
//   finalize()           quantize/dequantize pairs in place of the fake-quant nodes
// Outside the scope observers are off and fake-quant is on; an activation that has seen no data yet
// passes unchanged. Several nodes may share one fake-quantizer, which is then updated once per node.
// An error leaves the graph as it was (edits are journalled). The graph must outlive the quantizer and
// must not be edited between prepare() and finalize(). One quantizer belongs to one thread.
#pragma once

#include <lutra/core/progress.hpp>
#include <lutra/fake_quant/fake_quantizer.hpp>
#include <lutra/flow/journal.hpp>
#include <lutra/flow/report.hpp>
#include <lutra/graph/plan.hpp>
#include <lutra/tensor/tensor.hpp>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct quantizer_options {
  pattern_registry patterns = reference_patterns();
  progress_callback progress{};  // "calibrate", batches done so far; returning false cancels
  log_sink log{};                // notes of the plan, disabled quantizers
  bool allow_uncalibrated =
      false;  // finalize() without calibration: ranges of prepare(batch), or float
};

template <editable_graph G> class quantizer {
 public:
  using traits = graph_traits<G>;

  explicit quantizer(G& graph, quantizer_config config = {}, quantizer_options options = {})
      : graph_(graph), config_(std::move(config)), options_(std::move(options)) {
    check(config_);
  }
  quantizer(const quantizer&) = delete;
  quantizer& operator=(const quantizer&) = delete;

  // What prepare() would do. Touches nothing.
  quantization_plan plan() const {
    return lutra::plan(std::as_const(graph_), config_, {options_.patterns});
  }

  // Raises invalid_state when called twice or on a graph that holds fake-quant nodes, invalid_graph,
  // non_finite for NaN or infinite weights, and what the plan raises.
  void prepare() {
    prepare_with([](auto&) {});
  }
  template <class Batch> void prepare(const Batch& batch) {
    prepare_with([&](quantizer& self) {
      self.switch_all(true, false);
      self.execute(batch);
    });
  }

  // While it lives, observers are on and fake-quant is off; ends however the scope is left.
  class calibration_scope {
   public:
    calibration_scope(calibration_scope&& other) noexcept
        : quantizer_(std::exchange(other.quantizer_, nullptr)) {}
    calibration_scope& operator=(calibration_scope&&) = delete;
    ~calibration_scope() {
      if (quantizer_ != nullptr) quantizer_->leave_mode();
    }

   private:
    friend class quantizer;
    explicit calibration_scope(quantizer& q) : quantizer_(&q) {}
    quantizer* quantizer_;
  };
  [[nodiscard]] calibration_scope calibration_mode() {
    need_prepared("quantizer::calibration_mode");
    if (calibrating_) {
      raise(errc::invalid_state, "a calibration scope is open", "quantizer::calibration_mode");
    }
    calibrating_ = true;
    switch_all(true, false);
    return calibration_scope(*this);
  }

  // Runs one batch through the graph with the current switches; returns what graph_traits::run returns.
  template <class Batch> decltype(auto) run(const Batch& batch) {
    need_prepared("quantizer::run");
    return execute(batch);
  }
  // calibration_mode() around a run of every batch of a range.
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
    if (id.index < 0 || id.index >= index_t(fake_quants_.size())) {
      raise(errc::invalid_argument, "no such fake-quantizer", "quantizer::on_fake_quant",
            text_of(id.index), range_text<index_t>(0, index_t(fake_quants_.size()) - 1));
    }
    fake_quantizer& fq = fake_quants_[to_size(id.index)];
    // Nothing observed yet: pass the data on, as with fake-quant off.
    const bool idle = !fq.initialized() && !fq.observer_enabled() && fq.fake_quant_enabled();
    if (idle) fq.enable_fake_quant(false);
    fq.forward(in, out);
    if (idle) fq.enable_fake_quant(true);
    if (calibrating_) calibrated_[to_size(id.index)] = 1;
  }

  // Raises invalid_state before prepare(), inside a calibration scope, when called twice, and for activations
  // without calibration data (unless allow_uncalibrated).
  compression_report finalize() {
    need_prepared("quantizer::finalize");
    if (calibrating_) {
      raise(errc::invalid_state, "a calibration scope is open", "quantizer::finalize");
    }
    refuse_uncalibrated();
    const auto indexed = index_of(std::as_const(graph_));
    edit_graph(graph_, [&](journal<G>& edits) { replace_fake_quants(edits, indexed); });
    compression_report report = make_report();
    prepared_ = false;
    finalized_ = true;
    return report;
  }

  bool prepared() const noexcept { return prepared_; }
  // After prepare(): the plan that was applied, and its fake-quantizers (fake_quant_id::index).
  const quantization_plan& applied_plan() const noexcept { return plan_; }
  const std::vector<fake_quantizer>& fake_quantizers() const noexcept { return fake_quants_; }

 private:
  using value_id = value_id_t<G>;
  // An inserted fake-quant node.
  struct placed {
    index_t group;
    value_id source;
    value_id result;
  };

  void need_prepared(const char* where) const {
    if (!prepared_) {
      raise(errc::invalid_state,
            finalized_ ? "finalize() was called before" : "prepare() was not called", where);
    }
  }
  void switch_all(bool observer, bool fake_quant) noexcept {
    for (fake_quantizer& fq : fake_quants_) {
      fq.enable_observer(observer);
      fq.enable_fake_quant(fake_quant);
    }
  }
  void leave_mode() noexcept {
    calibrating_ = false;
    switch_all(false, true);
  }
  template <class Batch> decltype(auto) execute(const Batch& batch) {
    auto on_node = [this](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
      on_fake_quant(id, in, out);
    };
    static_assert(executable_graph<G, Batch, decltype(on_node)>);
    return traits::run(graph_, batch, on_node);
  }

  // first_run(*this) runs between the insertion and its commit.
  template <class F> void prepare_with(F&& first_run) {
    if (prepared_ || finalized_) {
      raise(errc::invalid_state, "prepare() was called before", "quantizer::prepare");
    }
    const auto indexed = index_of(std::as_const(graph_));
    refuse_prepared_graph(indexed.index);
    quantization_plan made = plan_index(indexed.index, config_, {options_.patterns});
    std::vector<fake_quantizer> fakes;
    for (const plan_group& g : made.groups) {
      fakes.emplace_back(g.spec, g.weight ? target::weight : target::activation);
    }
    std::vector<std::string> notes = observe_weights(indexed, made, fakes);
    plan_ = std::move(made);
    fake_quants_ = std::move(fakes);
    calibrated_.assign(fake_quants_.size(), 0);
    prepared_ = true;
    const rollback undo(*this);
    edit_graph(graph_, [&](journal<G>& edits) {
      insert_fake_quants(edits, indexed);
      first_run(*this);
    });
    switch_all(false, true);
    undo.dismiss();
    plan_.notes.insert(plan_.notes.end(), notes.begin(), notes.end());
    for (const std::string& note : plan_.notes) log(options_.log, log_level::warning, note);
  }
  // Forgets a prepare() that failed.
  class rollback {
   public:
    explicit rollback(quantizer& q) : quantizer_(q) {}
    ~rollback() {
      if (!active_) return;
      quantizer_.prepared_ = false;
      quantizer_.plan_ = {};
      quantizer_.fake_quants_.clear();
      quantizer_.places_.clear();
    }
    void dismiss() const noexcept { active_ = false; }

   private:
    quantizer& quantizer_;
    mutable bool active_ = true;
  };
  static void refuse_prepared_graph(const graph_index& g) {
    for (index_t n = 0; n < g.node_count(); ++n) {
      if (g.op[to_size(n)] == "fake_quant") {
        raise(errc::invalid_state, "the graph is already prepared", "quantizer::prepare",
              "node " + text_of(std::string_view(g.name[to_size(n)])));
      }
    }
  }
  // Weights get their final parameters at once. A weight whose blocks do not fit is left alone.
  std::vector<std::string> observe_weights(const indexed_graph<G>& indexed,
                                           const quantization_plan& made,
                                           std::vector<fake_quantizer>& fakes) const {
    std::vector<std::string> notes;
    for (const plan_node& place : made.places) {
      fake_quantizer& fq = fakes[to_size(place.group)];
      if (!made.on_state(place)) continue;
      const auto data =
          traits::constant(std::as_const(graph_), indexed.values[to_size(place.value)]);
      refuse_non_finite(data, indexed.index.label(place.value));
      fq.observe(data);
      if (fq.disabled()) {
        notes.push_back(indexed.index.label(place.value) + ": not quantized, " +
                        fq.disabled_reason());
      }
    }
    return notes;
  }
  static void refuse_non_finite(const tensor_view<const float>& data, const std::string& name) {
    index_t at = 0;
    for_each_element(data, [&](const float& x) {
      if (!(x - x == 0.0F)) {
        raise(errc::non_finite, "a weight is not finite", name,
              text_of(x) + " at element " + text_of(at), "finite values");
      }
      ++at;
    });
  }

  void insert_fake_quants(journal<G>& edits, const indexed_graph<G>& indexed) {
    const graph_index& g = plan_.index;
    places_.clear();
    std::vector<std::optional<value_id>> result;  // of each place; absent: left out
    for (const plan_node& p : plan_.places) {
      const value_id source = source_of(p, result, indexed);
      if (fake_quants_[to_size(p.group)].disabled()) {
        result.push_back(source);
        continue;
      }
      const value_id made = edits.insert_fake_quant(source, {p.group});
      result.push_back(made);
      places_.push_back({p.group, source, made});
    }
    const auto reads = [&](index_t place, index_t value) {
      return !(*result[to_size(place)] == indexed.values[to_size(value)]);
    };
    for (index_t u = 0; u < g.operand_count(); ++u) {
      const index_t place = plan_.operand_place[to_size(u)];
      if (place < 0 || !reads(place, g.operands.items[to_size(u)])) continue;
      edits.set_operand(indexed.nodes[to_size(g.user(u))], to_size(g.slot(u)),
                        *result[to_size(place)]);
    }
    for (std::size_t i = 0; i < g.outputs.size(); ++i) {
      const index_t place = plan_.output_place[i];
      if (place >= 0 && reads(place, g.outputs[i])) {
        edits.set_output(i, *result[to_size(place)]);
      }
    }
  }
  static value_id source_of(const plan_node& p, const std::vector<std::optional<value_id>>& result,
                            const indexed_graph<G>& indexed) {
    return p.after >= 0 ? *result[to_size(p.after)] : indexed.values[to_size(p.value)];
  }

  void refuse_uncalibrated() const {
    if (options_.allow_uncalibrated) return;
    std::string missing;
    for (std::size_t i = 0; i < fake_quants_.size(); ++i) {
      if (plan_.groups[i].weight || fake_quants_[i].disabled() || calibrated_[i] != 0) continue;
      missing += (missing.empty() ? "" : ", ") + plan_.groups[i].name;
    }
    if (!missing.empty()) {
      raise(errc::invalid_state, "activations saw no calibration batch", "quantizer::finalize",
            missing, "a batch run inside calibration_mode(), or allow_uncalibrated");
    }
  }

  // Each fake-quant value is replaced by a quantize/dequantize pair, or by what it read if it has no
  // parameters.
  void replace_fake_quants(journal<G>& edits, const indexed_graph<G>& indexed) {
    const graph_index& g = indexed.index;
    std::unordered_map<value_id, index_t> number;
    for (std::size_t v = 0; v < indexed.values.size(); ++v) {
      number.emplace(indexed.values[v], index_t(v));
    }
    std::unordered_map<value_id, value_id> replaced;
    for (const placed& p : places_) {
      const fake_quantizer& fq = fake_quants_[to_size(p.group)];
      const auto below = replaced.find(p.source);
      const value_id source = below == replaced.end() ? p.source : below->second;
      const bool keep = fq.initialized() && !fq.disabled();
      const value_id made = keep ? edits.emit_quantize_dequantize(source, fq.params()) : source;
      replaced.emplace(p.result, made);
      for (const index_t use : g.uses[number.at(p.result)]) {
        if (g.user(use) >= 0) {
          edits.set_operand(indexed.nodes[to_size(g.user(use))], to_size(g.slot(use)), made);
        } else {
          edits.set_output(to_size(g.slot(use)), made);
        }
      }
      edits.erase(p.result);
    }
  }

  compression_report make_report() const {
    compression_report report;
    report.notes = plan_.notes;
    std::vector<index_t> record_of(fake_quants_.size(), -1);
    for (const plan_node& p : plan_.places) {
      const fake_quantizer& fq = fake_quants_[to_size(p.group)];
      if (plan_.on_state(p) || !fq.initialized() || fq.disabled()) continue;
      index_t& at = record_of[to_size(p.group)];
      if (at < 0) {
        at = index_t(report.activations.size());
        const qparams q = fq.params();
        report.activations.push_back(
            {plan_.groups[to_size(p.group)].name, {}, q.scale, q.zero_point, fq.samples()});
      }
      report.activations[to_size(at)].values.push_back(plan_.index.label(p.value));
    }
    return report;
  }

  G& graph_;
  quantizer_config config_;
  quantizer_options options_;
  bool prepared_ = false;
  bool finalized_ = false;
  bool calibrating_ = false;
  quantization_plan plan_;
  std::vector<fake_quantizer> fake_quants_;  // by group
  std::vector<char> calibrated_;             // by group
  std::vector<placed> places_;
};

}  // namespace lutra::inline LUTRA_ABI
