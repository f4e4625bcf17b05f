// lutra examples: mnist/report.cpp - writes the two forms of the figures.
// SPDX-License-Identifier: Apache-2.0
#include <common/table.hpp>
#include <cstdlib>
#include <lutra/core/version.hpp>
#include <mnist/report.hpp>
#include <nlohmann/json.hpp>

namespace lutra_examples {
namespace {

// Rows that share a table.
std::string rows_of(const lutra::layer_choice& c) {
  const lutra::granularity& g = c.spec.granularity;
  if (g.is_tuple()) return std::to_string(g.tuple()[0]) + " x " + std::to_string(g.tuple()[1]);
  return g.kind() == lutra::granularity_kind::per_tensor ? "all" : std::to_string(g.block_size());
}

std::string mixed_text(const mixed_figures& m) {
  table chosen({"weight", "bits", "rows per table", "bytes", "error", "uniform bytes", "error"});
  for (std::size_t i = 0; i < m.table.size(); ++i) {
    const auto at = [&](lutra::index_t c) { return m.table[i].choices[std::size_t(c)]; };
    const lutra::layer_choice c = at(m.target.found.choice[i]);
    const lutra::layer_choice u = at(m.uniform[i]);
    chosen.row({m.table[i].name, std::to_string(c.spec.n_bits), rows_of(c), thousands(c.bytes),
                fixed(c.error, 5), thousands(u.bytes), fixed(u.error, 5)});
  }
  const auto& found = m.target.found;
  chosen.row({"sum", "", "", thousands(found.bytes), fixed(found.error, 5),
              thousands(m.target.uniform.bytes), fixed(m.target.uniform.error, 5)});
  table sizes({"size of uniform", "bytes", "error", "mixed bytes", "error", "least possible"});
  for (const auto& s : m.sizes) {
    sizes.row({std::to_string(s.bits) + (s.bits == 1 ? " bit" : " bits"),
               thousands(s.uniform.bytes), fixed(s.uniform.error, 5), thousands(s.found.bytes),
               fixed(s.found.error, 5), fixed(s.found.lower_bound, 5)});
  }
  return "mixed precision, error: mean over images of the squared error of the logits\n\n" +
         chosen.text() + "\n" + sizes.text() + "\n";
}

nlohmann::ordered_json mixed_json(const mixed_figures& m) {
  using object = nlohmann::ordered_json;
  const auto cost = [](const auto& c) { return object{{"bytes", c.bytes}, {"error", c.error}}; };
  object layers = object::array();
  for (std::size_t i = 0; i < m.table.size(); ++i) {
    object measured = object::array();
    for (const auto& c : m.table[i].choices) {
      measured.push_back({{"bits", c.spec.n_bits},
                          {"rows_per_table", rows_of(c)},
                          {"bytes", c.bytes},
                          {"error", c.error}});
    }
    layers.push_back({{"name", m.table[i].name},
                      {"chosen", measured[std::size_t(m.target.found.choice[i])]},
                      {"uniform", measured[std::size_t(m.uniform[i])]},
                      {"measured", measured}});
  }
  object sizes = object::array();
  for (const auto& s : m.sizes) {
    object found = cost(s.found);
    found["lower_bound"] = s.found.lower_bound;
    found["proven"] = s.found.proven;
    sizes.push_back({{"uniform_bits", s.bits}, {"uniform", cost(s.uniform)}, {"mixed", found}});
  }
  object curve = object::array();
  for (const auto& c : m.curve) curve.push_back(cost(c));
  return {{"layers", layers}, {"sizes", sizes}, {"curve", curve}};
}

}  // namespace

std::string table_text(const mnist_figures& f) {
  const auto bits = [](double bytes, double elements) { return fixed(8.0 * bytes / elements, 2); };
  double elements = 0;
  for (const auto& w : f.weights.weights) {
    if (w.status == lutra::tensor_status::compressed) elements += double(w.extents.size());
  }
  const std::string packed = thousands(f.bytes_after);
  const std::string packed_bits = bits(double(f.bytes_after), elements);
  table models({"model", "accuracy", "weight bytes", "bits/weight", "seconds"});
  const auto model = [&](const char* name, const model_accuracy& m, const std::string& bytes,
                         const std::string& width) {
    models.row({name, fixed(f.percent(m), 2) + " %", bytes, width, fixed(m.seconds, 2)});
  };
  model("float", f.original, thousands(f.bytes_before), "32.00");
  model("palettized, float", f.palettized, packed, packed_bits);
  model("simulated", f.simulated, packed, packed_bits);
  model("integer", f.integer, packed, packed_bits);

  table layers({"weight", "bits", "groups", "bytes", "bits/weight", "SQNR dB", "inertia"});
  for (const auto& w : f.weights.weights) {
    if (w.status != lutra::tensor_status::compressed) continue;
    layers.row({w.name, std::to_string(w.n_bits), std::to_string(w.groups),
                thousands(w.bytes_after), fixed(w.bits_per_weight(), 2), fixed(w.sqnr_db(), 2),
                fixed(w.inertia, 8)});
  }
  table activations({"activation", "scale", "zero point", "shared by"});
  for (const auto& a : f.activations.activations) {
    std::string values;
    for (const std::string& v : a.values) values.append(values.empty() ? "" : ", ").append(v);
    activations.row(
        {a.name, lutra::text_of(a.scale.at(0)), std::to_string(a.zero_point.at(0)), values});
  }
  const auto& d = f.integer_logits;
  const auto& norms = f.batch_norms;
  const std::string folded = norms.records.empty()
                                 ? ""
                                 : "batch norms folded: " + std::to_string(norms.folded()) +
                                       " of " + std::to_string(norms.records.size()) + "\n";
  return models.text() + "\n" + (f.mixed ? mixed_text(*f.mixed) : "") + layers.text() + "\n" +
         activations.text() + "\n" + folded +
         "finalized simulation equals the calibrated fake-quant model: " +
         (f.simulated_equals_fake_quant ? "bit for bit" : "NO") + "\n" +
         "integer logits that differ from it: " + thousands(d.differing) + " of " +
         thousands(d.total) + ", by at most " + thousands(d.largest) +
         (d.largest == 1 ? " step" : " steps") + "\n" + "palettize " +
         fixed(f.palettize_seconds, 2) + " s, calibrate " + fixed(f.calibrate_seconds, 2) + " s (" +
         thousands(f.calibration_images) + " images), evaluate " + fixed(f.evaluate_seconds(), 2) +
         " s (" + thousands(f.images) + " images)" +
         (f.mixed ? ", measure widths " + fixed(f.mixed_seconds, 2) + " s" : "") + "\n";
}

std::string json_text(const mnist_figures& f, const mnist_options& o) {
  using object = nlohmann::ordered_json;
  // The double whose shortest text is that of the float.
  const auto exact = [](float x) { return std::strtod(lutra::text_of(x).c_str(), nullptr); };
  const auto with_digits = [](double x, int digits) {
    return std::strtod(fixed(x, digits).c_str(), nullptr);
  };
  object layers = object::array();
  for (const auto& w : f.weights.weights) {
    if (w.status != lutra::tensor_status::compressed) continue;
    layers.push_back({{"name", w.name},
                      {"bits", w.n_bits},
                      {"groups", w.groups},
                      {"bytes", w.bytes_after},
                      {"sqnr_db", with_digits(w.sqnr_db(), 4)},
                      {"inertia", w.inertia}});
  }
  object activations = object::array();
  for (const auto& a : f.activations.activations) {
    activations.push_back({{"name", a.name},
                           {"scale", exact(a.scale.at(0))},
                           {"zero_point", a.zero_point.at(0)},
                           {"values", a.values}});
  }
  const auto ms = [&](double seconds) { return with_digits(seconds, 3); };
  object batch_norms = object::array();
  for (const auto& r : f.batch_norms.records) {
    batch_norms.push_back(
        {{"name", r.name}, {"layer", r.layer}, {"outcome", std::string(name_of(r.outcome))}});
  }
  object report{{"lutra", LUTRA_VERSION_STRING},
                {"options",
                 {{"bits", o.bits},
                  {"group_size", o.group_size},
                  {"lut_scheme", std::string(name_of(o.lut_scheme))},
                  {"calibration_images", f.calibration_images},
                  {"test_images", f.images}}},
                {"accuracy",
                 {{"float", f.percent(f.original)},
                  {"palettized", f.percent(f.palettized)},
                  {"simulated", f.percent(f.simulated)},
                  {"integer", f.percent(f.integer)}}},
                {"weights", {{"bytes_before", f.bytes_before}, {"bytes_after", f.bytes_after}}},
                {"layers", layers},
                {"activations", activations},
                {"checks",
                 {{"simulated_equals_fake_quant", f.simulated_equals_fake_quant},
                  {"integer_logits",
                   {{"total", f.integer_logits.total},
                    {"differing", f.integer_logits.differing},
                    {"largest_difference_in_steps", f.integer_logits.largest}}}}},
                {"seconds",
                 {{"palettize", ms(f.palettize_seconds)},
                  {"calibrate", ms(f.calibrate_seconds)},
                  {"evaluate", ms(f.evaluate_seconds())},
                  {"evaluate_integer", ms(f.integer.seconds)}}}};
  if (!batch_norms.empty()) report["batch_norms"] = batch_norms;
  if (f.mixed) {
    report["options"]["target_bits"] = o.target_bits;
    report["options"]["measured_images"] = o.measured_images;
    report["mixed"] = mixed_json(*f.mixed);
    report["seconds"]["measure"] = ms(f.mixed_seconds);
  }
  return report.dump(2) + "\n";
}

}  // namespace lutra_examples
