// lutra: quantizer_report.hpp - the report of a quantizer: every stored tensor, every activation.
// SPDX-License-Identifier: Apache-2.0
//
// Figures of weights compare the float weight with its quantized values, sums in double; those of activations are
// measured on samples of the calibration data. Bytes are those that stay stored: of the codes, and of the floats where
// the adapter or a reader needs them. Linear.
#pragma once

#include <algorithm>
#include <lutra/flow/batch_norm_report.hpp>
#include <lutra/flow/final_parameters.hpp>
#include <lutra/flow/report.hpp>
#include <lutra/flow/value_sample.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <lutra/graph/traits.hpp>
#include <lutra/pack/affine_constant.hpp>
#include <lutra/tensor/tensor.hpp>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class quantizer_reporter {
 public:
  // `g` was indexed before prepare(); its graph may have been edited since. `trained`: constants that are about
  // to be others. `samples`: by fake-quantizer, or none at all.
  quantizer_reporter(const G& graph, const std::vector<value_id_t<G>>& values,
                     const quantization_plan& plan, const std::vector<fake_quantizer>& fakes,
                     const final_parameters& parameters, const trained_layers& trained = {},
                     std::span<const value_sample> samples = {})
      : graph_(graph),
        values_(values),
        plan_(plan),
        fakes_(fakes),
        parameters_(parameters),
        trained_(trained),
        samples_(samples),
        place_of_(values.size(), -1) {
    for (std::size_t i = plan.places.size(); i-- > 0;) {
      place_of_[to_size(plan.places[i].value)] = index_t(i);
    }
  }

  compression_report run() {
    compression_report report;
    report.notes = plan_.notes;
    std::vector<char> quantized(values_.size(), 0);
    for (const plan_node& p : plan_.places) {
      if (active(p)) quantized[to_size(p.value)] = 1;
    }
    activations(report);
    for (index_t v = 0; v < index_t(values_.size()); ++v) {
      if (plan_.index.is_state(v)) {
        report.weights.push_back(weight(v));
      } else if (quantized[to_size(v)] == 0) {
        const value_reason why = why_float(v);
        report.left_float.push_back({plan_.index.label(v), why.why, why.text});
      }
    }
    return report;
  }

 private:
  bool active(const plan_node& p) const { return parameters_.has(p.group); }
  const plan_node* first_place(index_t v) const {
    const index_t at = place_of_[to_size(v)];
    return at < 0 ? nullptr : &plan_.places[to_size(at)];
  }
  void activations(compression_report& report) const {
    std::vector<index_t> record_of(fakes_.size(), -1);
    for (std::size_t i = 0; i < plan_.places.size(); ++i) {
      const plan_node& p = plan_.places[i];
      if (plan_.on_state(p) || !active(p)) continue;
      index_t& at = record_of[to_size(p.group)];
      if (at < 0) {
        at = index_t(report.activations.size());
        const fake_quantizer& fq = fakes_[to_size(p.group)];
        const qparams& q = *parameters_.of[to_size(p.group)];
        activation_record& made = report.activations.emplace_back();
        made.name = plan_.group_name(p.group);
        made.dtype = q.dtype;
        made.granularity = fq.spec().granularity;
        made.scale = q.scale;
        made.zero_point = q.zero_point;
        made.samples = fq.samples();
        if (!samples_.empty()) measure(made, samples_[to_size(p.group)], q);
      }
      activation_record& record = report.activations[to_size(at)];
      record.values.push_back(plan_.index.label(p.value));
      record.reasons.push_back(why_place(index_t(i)));
    }
  }
  static void measure(activation_record& record, const value_sample& sample, const qparams& q) {
    record.extents = sample.extents();
    const sampled_error sum = sample.error_of(q);
    record.signal = sum.signal;
    record.error = sum.error;
    record.measured = sum.count;
  }
  value_reason told(const decision& d) const { return {d.why, plan_.describe(d)}; }
  // What put a fake-quantizer there: the value's own decision, or that of the operand that asked for it.
  value_reason why_place(index_t place) const {
    const index_t v = plan_.places[to_size(place)].value;
    if (plan_.value_place[to_size(v)] == place) {
      return {plan_.value_decision[to_size(v)].why, plan_.describe_value(v)};
    }
    return why_read(v, [&](index_t use) { return plan_.operand_place[to_size(use)] == place; });
  }
  // The decision of the first operand that reads v and for which counts(operand), and what others lost to it.
  template <class F> value_reason why_read(index_t v, F&& counts) const {
    value_reason made{reason::unread, "no op reads it"};
    for (const index_t use : plan_.index.uses[v]) {
      if (plan_.index.user(use) < 0 || !counts(use)) continue;
      const decision& d = plan_.operand_decision[to_size(use)];
      if (made.why == reason::unread) {
        made = told(d);
      } else if (d.overridden >= 0) {
        const std::string& lost = plan_.sources[to_size(d.overridden)];
        if (made.text.find(lost) == std::string::npos) {
          made.text += "; overridden: config entry " + lost;
        }
      }
    }
    return made;
  }
  // Why a value is float: its own decision, or what became of its fake-quantizer.
  value_reason why_float(index_t v) const {
    if (const plan_node* p = first_place(v)) {
      return {parameters_.cause[to_size(p->group)], parameters_.why_none[to_size(p->group)]};
    }
    const decision& own = plan_.value_decision[to_size(v)];
    return own.why != reason::decided_by_readers ? told(own)
                                                 : why_read(v, [](index_t) { return true; });
  }
  static void give(weight_record& record, const value_reason& why) {
    record.why = why.why;
    record.reason = why.text;
  }
  weight_record weight(index_t v) const {
    weight_record record;
    record.name = plan_.index.label(v);
    if (plan_.index.role[to_size(v)] == value_role::packed_state ||
        plan_.index.is_float[to_size(v)] == 0) {
      give(record, told(plan_.value_decision[to_size(v)]));
      return record;
    }
    const auto change = trained_.numbers.find(v);
    const tensor_view<const float> data =
        change != trained_.numbers.end() ? tensor_view<const float>(lutra::view(change->second))
                                         : graph_traits<G>::constant(graph_, values_[to_size(v)]);
    record.extents = data.extents();
    record.bytes_before = 4 * data.size();
    record.bytes_after = record.bytes_before;
    const plan_node* place = first_place(v);
    if (const auto left = trained_.left.find(v); left != trained_.left.end()) {
      give(record, {reason::not_folded, left->second});
    } else if (place != nullptr && active(*place)) {
      measure(record, data, fakes_[to_size(place->group)]);
      give(record,
           why_read(v, [&](index_t use) { return plan_.operand_place[to_size(use)] >= 0; }));
      count_bytes(record, v);
    } else {
      give(record, why_float(v));
    }
    return record;
  }
  // Codes and parameters for every place on the weight, and its floats if something reads on.
  void count_bytes(weight_record& record, index_t v) const {
    const char* floats = nullptr;
    record.bytes_after = 0;
    for (const plan_node& p : plan_.places) {
      if (index_t(p.value) != v || !plan_.on_state(p) || !active(p)) continue;
      const qparams& q = *parameters_.of[to_size(p.group)];
      record.bytes_after += parameter_bytes(q);
      if (becomes_codes(p)) {
        record.bytes_after += packed_bytes(record.extents.size(), bits_of(q.dtype));
      } else {
        floats = affine_constant_graph<G> ? "it is quantized as an activation"
                                          : "the adapter has no emit_affine_constant";
      }
    }
    for (const index_t use : plan_.index.uses[v]) {
      if (!reads_codes(use)) floats = floats != nullptr ? floats : "something reads them";
    }
    if (floats == nullptr) return;
    record.bytes_after += record.bytes_before;
    record.reason += std::string("; the floats stay, ") + floats;
  }
  bool becomes_codes(const plan_node& p) const {
    return affine_constant_graph<G> && fakes_[to_size(p.group)].target() == target::weight;
  }
  // Of a use of a quantized state; without emit_affine_constant that has been said already.
  bool reads_codes(index_t use) const {
    index_t place = plan_.index.user(use) >= 0 ? plan_.operand_place[to_size(use)]
                                               : plan_.output_place[to_size(plan_.index.slot(use))];
    bool active_root = false;
    for (; place >= 0; place = plan_.places[to_size(place)].after) {
      active_root = active(plan_.places[to_size(place)]);
    }
    return active_root;
  }
  static void measure(weight_record& record, const tensor_view<const float>& data,
                      fake_quantizer fq) {
    fq.set_switches(false, true);
    tensor<float> rounded(data.extents());
    fq.forward(data, lutra::view(rounded));
    const qparams q = fq.params();
    record.status = tensor_status::compressed;
    record.form = std::string(name_of(q.dtype)) + " " + text_of(fq.spec().granularity);
    record.n_bits = bits_of(q.dtype);
    record.groups = index_t(q.scale.size());
    index_t i = 0;
    for_each_element(data, [&](const float& w) {
      const double x = static_cast<double>(w);
      const double d = x - static_cast<double>(rounded[i++]);
      record.signal += x * x;
      record.error += d * d;
    });
    record.inertia = record.error;
  }

  const G& graph_;
  const std::vector<value_id_t<G>>& values_;
  const quantization_plan& plan_;
  const std::vector<fake_quantizer>& fakes_;
  const final_parameters& parameters_;
  const trained_layers& trained_;
  std::span<const value_sample> samples_;
  std::vector<index_t> place_of_;  // value -> its first place, or -1
};

}  // namespace lutra::inline LUTRA_ABI
