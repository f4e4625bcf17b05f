// lutra: quantizer_report.hpp - the report of a quantizer: every stored tensor, every activation.
// SPDX-License-Identifier: Apache-2.0
//
// Figures of weights compare the float weight with its quantized values, sums in double. Linear.
#pragma once

#include <algorithm>
#include <lutra/flow/batch_norm_report.hpp>
#include <lutra/flow/final_parameters.hpp>
#include <lutra/flow/report.hpp>
#include <lutra/graph/quantization_plan.hpp>
#include <lutra/graph/traits.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class quantizer_reporter {
 public:
  // `g` was indexed before prepare(); its graph may have been edited since. `trained`: constants that are about
  // to be others.
  quantizer_reporter(const G& graph, const std::vector<value_id_t<G>>& values,
                     const quantization_plan& plan, const std::vector<fake_quantizer>& fakes,
                     const final_parameters& parameters, const trained_layers& trained = {})
      : graph_(graph),
        values_(values),
        plan_(plan),
        fakes_(fakes),
        parameters_(parameters),
        trained_(trained),
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
        report.left_float.push_back({plan_.index.label(v), why_float(v)});
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
    for (const plan_node& p : plan_.places) {
      if (plan_.on_state(p) || !active(p)) continue;
      index_t& at = record_of[to_size(p.group)];
      if (at < 0) {
        at = index_t(report.activations.size());
        const fake_quantizer& fq = fakes_[to_size(p.group)];
        const qparams& q = *parameters_.of[to_size(p.group)];
        report.activations.push_back(
            {plan_.group_name(p.group), {}, q.scale, q.zero_point, fq.samples()});
      }
      report.activations[to_size(at)].values.push_back(plan_.index.label(p.value));
    }
  }
  // Why a value is float: its own decision, or what became of its fake-quantizer.
  std::string why_float(index_t v) const {
    if (const plan_node* p = first_place(v)) return parameters_.why_none[to_size(p->group)];
    const decision& own = plan_.value_decision[to_size(v)];
    if (own.why != reason::decided_by_readers) return plan_.describe(own);
    for (const index_t use : plan_.index.uses[v]) {
      if (plan_.index.user(use) >= 0) {
        return plan_.describe(plan_.operand_decision[to_size(use)]);
      }
    }
    return "no op reads it";
  }
  weight_record weight(index_t v) const {
    weight_record record;
    record.name = plan_.index.label(v);
    if (plan_.index.role[to_size(v)] == value_role::packed_state ||
        plan_.index.is_float[to_size(v)] == 0) {
      record.reason = plan_.describe(plan_.value_decision[to_size(v)]);
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
      record.reason = left->second;
    } else if (place != nullptr && active(*place)) {
      measure(record, data, fakes_[to_size(place->group)]);
    } else {
      record.reason = why_float(v);
    }
    return record;
  }
  static void measure(weight_record& record, const tensor_view<const float>& data,
                      fake_quantizer fq) {
    fq.set_switches(false, true);
    tensor<float> rounded(data.extents());
    fq.forward(data, lutra::view(rounded));
    const qparams q = fq.params();
    record.status = tensor_status::compressed;
    record.reason = text_of(fq.spec().granularity);
    record.n_bits = bits_of(q.dtype);
    record.groups = index_t(q.scale.size());
    const auto any = [](const auto& xs) {
      return std::any_of(xs.begin(), xs.end(), [](auto x) { return x != 0; });
    };
    // A symmetric weight needs no offsets; else one per group: zero point or minval.
    const bool offsets = q.qformulation == qformulation::minval || any(q.zero_point);
    record.bytes_after =
        (data.size() * record.n_bits + 7) / 8 + 4 * record.groups * (offsets ? 2 : 1);
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
  std::vector<index_t> place_of_;  // value -> its first place, or -1
};

}  // namespace lutra::inline LUTRA_ABI
