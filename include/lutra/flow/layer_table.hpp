// lutra: layer_table.hpp - how each weight of a model could be stored, and what that costs.
// SPDX-License-Identifier: Apache-2.0
//
// One row per weight, one choice per way to palettize it: bytes and error. flow/measure_layers.hpp fills the
// table, flow/bit_search.hpp takes one choice per row. What an error means is up to who measured it; errors
// of rows are added up, so they must be on one scale (all of them of the model's output, say).
// Value types; concurrent reads are safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <lutra/number/finite.hpp>
#include <lutra/observe/state.hpp>
#include <lutra/palette/spec.hpp>
#include <string>
#include <unordered_set>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct layer_choice {
  static constexpr double unmeasured = std::numeric_limits<double>::quiet_NaN();

  palettization_spec spec{};
  std::int64_t bytes = 0;     // packed: codes, tables, scales; 0 until measured
  double error = unmeasured;  // finite, >= 0, less is better

  bool measured() const noexcept { return error == error; }
};

struct layer_choices {
  std::string name;  // of the weight
  index_t elements = 0;
  std::vector<layer_choice> choices;
};

using layer_table = std::vector<layer_choices>;

// "weight 'fc.weight', choice 3 (4 bits)"
inline std::string text_of(const layer_choices& layer, std::size_t choice) {
  return "weight " + text_of(std::string_view(layer.name)) + ", choice " + text_of(choice) + " (" +
         text_of(layer.choices[choice].spec.n_bits) + " bits)";
}

// Raises what makes a table useless for a search: invalid_argument for no layers, a layer without choices,
// a name that occurs twice, a negative size or error; non_finite for an error that is not finite or was not
// measured, and for errors whose sum over the layers may not be finite; size_overflow for sizes whose sum may not
// fit.
inline void check(const layer_table& table, const std::string& where) {
  if (table.empty()) raise(errc::invalid_argument, "the table has no layers", where);
  std::int64_t bytes = 0;  // of the layers before, at most
  double error = 0;
  std::unordered_set<std::string_view> names;
  for (const layer_choices& layer : table) {
    const std::string name = text_of(std::string_view(layer.name));
    if (!names.insert(layer.name).second) {
      raise(errc::invalid_argument, "two layers have one name", where, name);
    }
    if (layer.choices.empty()) {
      raise(errc::invalid_argument, "a layer has no choices", where + ", weight " + name);
    }
    std::int64_t most_bytes = 0;
    double most_error = 0;
    for (std::size_t i = 0; i < layer.choices.size(); ++i) {
      const layer_choice& c = layer.choices[i];
      const std::string at = where + ", " + text_of(layer, i);
      if (!is_finite(c.error)) {
        raise(errc::non_finite, c.measured() ? "an error is infinite" : "an error was not measured",
              at, text_of(c.error), "a finite error");
      }
      if (c.error < 0) raise(errc::invalid_argument, "an error is negative", at, text_of(c.error));
      if (c.bytes < 0) raise(errc::invalid_argument, "a size is negative", at, text_of(c.bytes));
      if (c.bytes > largest_count - bytes) {
        raise(errc::size_overflow, "the sizes do not add up", at, text_of(c.bytes),
              "<= " + text_of(largest_count) + " for all layers");
      }
      if (!(error + c.error <= std::numeric_limits<double>::max())) {
        raise(errc::non_finite, "the errors do not add up", at, text_of(c.error),
              "a finite sum over all layers");
      }
      most_bytes = std::max(most_bytes, c.bytes);
      most_error = std::max(most_error, c.error);
    }
    bytes += most_bytes;
    error += most_error;
  }
}

// What a choice of one way per row costs.
struct table_cost {
  std::int64_t bytes = 0;
  double error = 0;  // summed in the order of the rows
};

// Raises invalid_argument for a choice that is none.
inline table_cost cost_of(const layer_table& table, std::span<const index_t> choice) {
  if (choice.size() != table.size()) {
    raise(errc::invalid_argument, "not one choice per layer", "cost_of",
          text_of(choice.size()) + " choices", text_of(table.size()));
  }
  table_cost cost;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto count = static_cast<index_t>(table[i].choices.size());
    if (choice[i] < 0 || choice[i] >= count) {
      raise(errc::invalid_argument, "a choice that the layer does not have",
            "cost_of, weight " + text_of(std::string_view(table[i].name)), text_of(choice[i]),
            text_of(count) + " choices");
    }
    const layer_choice& c = table[i].choices[to_size(choice[i])];
    cost.bytes += c.bytes;
    cost.error += c.error;
  }
  return cost;
}

// The first choice of every row with that many bits: a uniform model. Raises invalid_argument if a row has none.
inline std::vector<index_t> uniform_choice(const layer_table& table, int n_bits) {
  std::vector<index_t> choice;
  for (const layer_choices& layer : table) {
    std::size_t i = 0;
    while (i < layer.choices.size() && layer.choices[i].spec.n_bits != n_bits) ++i;
    if (i == layer.choices.size()) {
      raise(errc::invalid_argument, "a layer was not measured at this width",
            "weight " + text_of(std::string_view(layer.name)), text_of(n_bits) + " bits");
    }
    choice.push_back(static_cast<index_t>(i));
  }
  return choice;
}

// All of a spec that bytes and error depend on, readable.
inline std::string way_of(const palettization_spec& s) {
  const auto number = [](auto x) { return text_of(static_cast<int>(x)) + " "; };
  const quantization_spec& t = s.lut_qspec;
  std::string way = text_of(s.n_bits) + " bits, " + text_of(s.granularity) + ", table ";
  if (t.enabled) {
    const scale_rules& r = t.scale_rules;
    way += std::string(name_of(t.dtype)) + " " + std::string(name_of(t.qscheme)) + " ";
    way += number(r.e8m0) + number(r.no_clipping) + number(r.floor) + number(r.scale_type);
    for (const std::optional<float>& end : {t.float_range.lo, t.float_range.hi}) {
      way += (end ? text_of(*end) : "free") + " ";
    }
  } else {
    way += "float ";
  }
  way += number(s.cluster_dim) + number(s.enable_per_channel_scale) + number(s.short_groups);
  way += number(s.refine_lut) + text_of(s.outliers.count) + " " + text_of(s.outliers.fraction) +
         " " + number(s.outliers.by_gain);
  return way;
}

inline constexpr std::uint32_t measurements_magic = 0x5A4C544CU;  // "LTLZ"

// The measured figures as bytes, so that measuring may go on another day (restore_measurements).
inline std::vector<std::uint8_t> save_measurements(const layer_table& table) {
  state_writer w;
  w.u32(measurements_magic);
  w.u32(1);
  w.u64(table.size());
  for (const layer_choices& layer : table) {
    w.text(layer.name);
    w.i64(layer.elements);
    w.u64(layer.choices.size());
    for (const layer_choice& c : layer.choices) {
      w.text(way_of(c.spec));
      w.i64(c.bytes);
      w.f64(c.error);
    }
  }
  return w.take();
}

// Puts saved figures into a table made the same way (layer_choices_of). Raises corrupt_data, unsupported for
// another version, incompatible for figures of other layers or ways; the table is changed only if all fits.
inline void restore_measurements(layer_table& table, std::span<const std::uint8_t> bytes) {
  const std::string where = "restore_measurements";
  state_reader r(bytes, where);
  if (const std::uint32_t m = r.u32(); m != measurements_magic) {
    r.corrupt("not measurements of layers", text_of(m), text_of(measurements_magic));
  }
  r.version(1);
  const auto same = [&](auto saved, auto own, const char* what, const std::string& at) {
    if (saved != own) raise(errc::incompatible, what, at, text_of(saved), text_of(own));
  };
  layer_table found = table;
  same(r.count(24), table.size(), "the measurements are of another number of layers", where);
  for (layer_choices& layer : found) {
    const std::string at = where + ", weight " + text_of(std::string_view(layer.name));
    if (const std::string name = r.text(); name != layer.name) {
      raise(errc::incompatible, "the measurements are of other layers", at,
            text_of(std::string_view(name)), text_of(std::string_view(layer.name)));
    }
    same(r.i64(), static_cast<std::int64_t>(layer.elements), "another number of elements", at);
    same(r.count(24), layer.choices.size(), "another number of choices", at);
    for (layer_choice& c : layer.choices) {
      const std::string own = way_of(c.spec);
      if (const std::string way = r.text(); way != own) {
        raise(errc::incompatible, "the measurements are of another way to palettize", at, way, own);
      }
      c.bytes = r.i64();
      c.error = r.f64();
      if (c.bytes < 0) r.corrupt("a size is negative", text_of(c.bytes), ">= 0");
      if (c.error < 0 || c.error > std::numeric_limits<double>::max()) {
        r.corrupt("not an error", text_of(c.error), "finite, >= 0, or NaN");
      }
    }
  }
  r.expect_end();
  table = std::move(found);
}

}  // namespace lutra::inline LUTRA_ABI
