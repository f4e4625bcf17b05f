// lutra: report_json.hpp - inspections and compression reports as JSON.
// SPDX-License-Identifier: Apache-2.0
//
// Needs nlohmann-json; not in the umbrella lutra.hpp. An infinite SQNR is written as null.
#pragma once

#include <cmath>
#include <lutra/flow/report.hpp>
#include <lutra/graph/inspect.hpp>
#include <lutra/graph/json/text.hpp>

namespace lutra::inline LUTRA_ABI {

inline json_value json_of(const compression_report& report) {
  json_value weights = json_value::array();
  for (const weight_record& w : report.weights) {
    json_value j = {{"name", w.name}, {"status", std::string(name_of(w.status))}};
    if (!w.reason.empty()) j["reason"] = w.reason;
    json_value extents = json_value::array();
    for (int i = 0; i < w.extents.rank(); ++i) extents.push_back(w.extents[i]);
    j["shape"] = std::move(extents);
    j["bytes_before"] = w.bytes_before;
    j["bytes_after"] = w.bytes_after;
    if (w.status == tensor_status::compressed) {
      j["bits"] = w.n_bits;
      j["groups"] = w.groups;
      j["inertia"] = w.inertia;
      j["bits_per_weight"] = w.bits_per_weight();
      j["sqnr_db"] = std::isfinite(w.sqnr_db()) ? json_value(w.sqnr_db()) : json_value(nullptr);
    }
    weights.push_back(std::move(j));
  }
  json_value activations = json_value::array();
  for (const activation_record& a : report.activations) {
    activations.push_back({{"name", a.name},
                           {"values", a.values},
                           {"scale", a.scale},
                           {"zero_point", a.zero_point},
                           {"samples", a.samples}});
  }
  json_value left = json_value::array();
  for (const float_record& f : report.left_float) {
    left.push_back({{"name", f.name}, {"reason", f.reason}});
  }
  return {{"weights", std::move(weights)},
          {"activations", std::move(activations)},
          {"left_float", std::move(left)},
          {"notes", report.notes}};
}

inline json_value json_of(const graph_inspection& inspection) {
  const auto values = [](const std::vector<inspected_value>& all) {
    json_value list = json_value::array();
    for (const inspected_value& v : all) {
      json_value j = {{"name", v.name}};
      if (!v.state.empty()) j["role"] = v.state;
      if (!v.decision.empty()) {
        j["quantized"] = v.on;
        j["decision"] = v.decision;
      }
      list.push_back(std::move(j));
    }
    return list;
  };
  json_value modules = json_value::array();
  for (const inspected_module& m : inspection.modules) {
    json_value ops = json_value::array();
    for (const inspected_op& o : m.ops) {
      ops.push_back({{"name", o.name},
                     {"type", o.type},
                     {"target", o.target},
                     {"inputs", values(o.inputs)},
                     {"outputs", values(o.outputs)}});
    }
    modules.push_back({{"path", m.path}, {"type", m.type}, {"ops", std::move(ops)}});
  }
  return {{"modules", std::move(modules)}, {"notes", inspection.notes}};
}

}  // namespace lutra::inline LUTRA_ABI
