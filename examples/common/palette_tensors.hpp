// lutra examples: palette_tensors.hpp - packed palettes as tensors of a safetensors file.
// SPDX-License-Identifier: Apache-2.0
//
// A palettized weight NAME is stored as
//   NAME.codes       U8                     the bit stream (lutra/pack/bit_pack.hpp)
//   NAME.lut         I8, U8, F8_E4M3, F8_E5M2 or F32   [groups, 2^n_bits]
//   NAME.scale       F32 [groups]           of 8-bit tables
//   NAME.zero_point  I32 [groups]           of integer tables; left out when all are 0
//   NAME.row_scale   F32 [rows]             with per-channel scale
//   NAME.outlier_position  I64 [outliers], NAME.outlier_value  F32 [outliers]   where there are any
// and the metadata says "lutra.palette.NAME": {"block":[..],"n_bits":n,"shape":[..]} and
// "lutra.schema": "1". Reading checks everything (lutra::check) before anything is used.
#pragma once

#include <common/safetensors.hpp>
#include <lutra/palette/pack.hpp>

namespace lutra_examples {

inline constexpr std::string_view palette_schema = "1";
inline constexpr std::string_view palette_key = "lutra.palette.";

inline std::string_view table_dtype(lutra::dtype d) {
  switch (d) {
    case lutra::dtype::int8:
      return "I8";
    case lutra::dtype::uint8:
      return "U8";
    case lutra::dtype::float8_e4m3fn:
      return "F8_E4M3";
    case lutra::dtype::float8_e5m2:
      return "F8_E5M2";
    default:
      return "F32";
  }
}

// Adds the tensors and the metadata of one palette; `p` must outlive the writing.
inline void add_palette(const std::string& name, const lutra::packed_palette& p,
                        std::vector<tensor_bytes>& tensors,
                        std::map<std::string, std::string>& metadata) {
  const lutra::index_t groups = p.groups().count();
  const lutra::shape table{groups, p.entries()};
  tensors.push_back(tensor_of(name + ".codes", {std::ssize(p.codes)}, p.codes));
  if (p.quantized()) {
    tensors.push_back(
        {name + ".lut", std::string(table_dtype(p.lut_dtype)), table, byte_span(p.lut_codes)});
    tensors.push_back(tensor_of(name + ".scale", {groups}, p.scale));
    if (std::ranges::any_of(p.zero_point, [](std::int32_t z) { return z != 0; })) {
      tensors.push_back(tensor_of(name + ".zero_point", {groups}, p.zero_point));
    }
  } else {
    tensors.push_back(tensor_of(name + ".lut", table, p.lut));
  }
  if (!p.row_scale.empty()) {
    tensors.push_back(tensor_of(name + ".row_scale", {std::ssize(p.row_scale)}, p.row_scale));
  }
  if (!p.outliers.empty()) {
    const lutra::shape count{std::ssize(p.outliers.position)};
    tensors.push_back(tensor_of(name + ".outlier_position", count, p.outliers.position));
    tensors.push_back(tensor_of(name + ".outlier_value", count, p.outliers.value));
  }
  const auto list = [](const lutra::shape& s) {
    return std::vector<lutra::index_t>(s.begin(), s.end());
  };
  const nlohmann::json form{
      {"shape", list(p.weight_shape)}, {"block", list(p.block)}, {"n_bits", p.n_bits}};
  metadata[std::string(palette_key) + name] = form.dump();
  metadata["lutra.schema"] = palette_schema;
}

// Names of the palettes of a file, in alphabetical order.
inline std::vector<std::string> palette_names(const safetensors_reader& file) {
  std::vector<std::string> names;
  for (const auto& [key, text] : file.metadata()) {
    if (key.starts_with(palette_key)) names.push_back(key.substr(palette_key.size()));
  }
  return names;
}

// Shape, block and width of a palette from its metadata entry.
inline void read_palette_form(const std::string& text, const std::string& where,
                              lutra::packed_palette& p) {
  const auto corrupt = [&](const char* what) {
    lutra::raise(lutra::errc::corrupt_data, what, where, text.substr(0, 200));
  };
  const nlohmann::json form = nlohmann::json::parse(text, nullptr, false);
  const auto extents = [&](const char* key) {
    std::vector<lutra::index_t> out;
    if (!form.contains(key) || !form[key].is_array()) corrupt("palette entry without a shape");
    for (const auto& e : form[key]) {
      if (!e.is_number_integer()) corrupt("extent of a palette is not an integer");
      out.push_back(e.template get<lutra::index_t>());
    }
    return lutra::shape(std::span<const lutra::index_t>(out));
  };
  if (!form.is_object()) corrupt("palette entry is not a JSON object");
  p.weight_shape = extents("shape");
  p.block = extents("block");
  if (!form.contains("n_bits") || !form["n_bits"].is_number_integer()) {
    corrupt("palette entry without n_bits");
  }
  const auto n_bits = form["n_bits"].get<std::int64_t>();
  if (n_bits < 1 || n_bits > 8) corrupt("n_bits of a palette out of range");
  p.n_bits = static_cast<int>(n_bits);
}

// Reads the palette of the weight `name`. Raises corrupt_data for anything that is not one, and
// unsupported for a schema of a later version.
inline lutra::packed_palette read_palette(safetensors_reader& file, const std::string& name) {
  using lutra::errc;
  const std::string where = file.path() + ", palette " + lutra::text_of(name);
  const auto& metadata = file.metadata();
  const auto schema = metadata.find("lutra.schema");
  if (schema == metadata.end() || schema->second != palette_schema) {
    lutra::raise(errc::unsupported, "palette schema is not known", where,
                 schema == metadata.end() ? "none" : schema->second, std::string(palette_schema));
  }
  const auto form = metadata.find(std::string(palette_key) + name);
  if (form == metadata.end()) {
    lutra::raise(errc::invalid_argument, "no such palette", file.path(), lutra::text_of(name));
  }
  lutra::packed_palette p;
  read_palette_form(form->second, where, p);
  p.codes = file.read<std::uint8_t>(name + ".codes").elements();
  const tensor_entry& table = file.at(name + ".lut");
  p.lut_dtype = lutra::dtype::float32;
  for (const auto d : {lutra::dtype::int8, lutra::dtype::uint8, lutra::dtype::float8_e4m3fn,
                       lutra::dtype::float8_e5m2}) {
    if (table.dtype == table_dtype(d)) p.lut_dtype = d;
  }
  if (p.quantized()) {
    p.lut_codes = file.read_bytes(table);
    p.scale = file.read<float>(name + ".scale").elements();
    if (file.find(name + ".zero_point") != nullptr) {
      p.zero_point = file.read<std::int32_t>(name + ".zero_point").elements();
    } else if (lutra::is_integer(p.lut_dtype)) {
      p.zero_point.resize(p.scale.size());
    }
  } else {
    p.lut = file.read<float>(name + ".lut").elements();
  }
  if (file.find(name + ".row_scale") != nullptr) {
    p.row_scale = file.read<float>(name + ".row_scale").elements();
  }
  if (file.find(name + ".outlier_position") != nullptr) {
    p.outliers.position = file.read<std::int64_t>(name + ".outlier_position").elements();
    p.outliers.value = file.read<float>(name + ".outlier_value").elements();
  }
  lutra::check(p, where);
  return p;
}

}  // namespace lutra_examples
