// lutra: report_json.hpp - inspections and compression reports as JSON.
// SPDX-License-Identifier: Apache-2.0
//
// Needs nlohmann-json; not in the umbrella lutra.hpp. An SQNR that is infinite or was not measured is null; "why" is
// the typed reason's name, "reason" the sentence.
#pragma once

#include <cmath>
#include <lutra/flow/report.hpp>
#include <lutra/graph/inspect.hpp>
#include <lutra/graph/json/text.hpp>

namespace lutra::inline LUTRA_ABI {

inline json_value json_of(const compression_report& report) {
  const auto decibels = [](double x) {
    return std::isfinite(x) ? json_value(x) : json_value(nullptr);
  };
  const auto shape_of = [](const shape& extents) {
    json_value list = json_value::array();
    for (int i = 0; i < extents.rank(); ++i) list.push_back(extents[i]);
    return list;
  };
  json_value weights = json_value::array();
  for (const weight_record& w : report.weights) {
    json_value j = {{"name", w.name},
                    {"status", std::string(name_of(w.status))},
                    {"why", std::string(name_of(w.why))},
                    {"reason", w.reason},
                    {"shape", shape_of(w.extents)}};
    j["bytes_before"] = w.bytes_before;
    j["bytes_after"] = w.bytes_after;
    if (w.status == tensor_status::compressed) {
      j["form"] = w.form;
      j["bits"] = w.n_bits;
      j["groups"] = w.groups;
      j["inertia"] = w.inertia;
      j["bits_per_weight"] = w.bits_per_weight();
      j["sqnr_db"] = decibels(w.sqnr_db());
    }
    weights.push_back(std::move(j));
  }
  json_value activations = json_value::array();
  for (const activation_record& a : report.activations) {
    json_value reasons = json_value::array();
    for (const value_reason& r : a.reasons) {
      reasons.push_back({{"why", std::string(name_of(r.why))}, {"reason", r.text}});
    }
    activations.push_back({{"name", a.name},
                           {"values", a.values},
                           {"reasons", std::move(reasons)},
                           {"dtype", std::string(name_of(a.dtype))},
                           {"granularity", text_of(a.granularity)},
                           {"scale", a.scale},
                           {"zero_point", a.zero_point},
                           {"samples", a.samples},
                           {"shape", shape_of(a.extents)},
                           {"bytes_before", a.bytes_before()},
                           {"bytes_after", a.bytes_after()},
                           {"sqnr_db", decibels(a.sqnr_db())}});
  }
  json_value left = json_value::array();
  for (const float_record& f : report.left_float) {
    left.push_back({{"name", f.name}, {"why", std::string(name_of(f.why))}, {"reason", f.reason}});
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
