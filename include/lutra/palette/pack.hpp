// lutra: pack.hpp - palette to packed_palette and back, and the checks a stored one must pass.
// SPDX-License-Identifier: Apache-2.0
//
// Lossless: unpack(pack(p)) has the same tables, codes and scales; what palettize knows about the
// groups (status, inertia, ...) is not stored.
#pragma once

#include <cmath>
#include <lutra/pack/bit_pack.hpp>
#include <lutra/palette/lut_quantize.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/palette/palette.hpp>
#include <string>

namespace lutra::inline LUTRA_ABI {

inline packed_palette pack(const palette<float>& p) {
  packed_palette out;
  out.weight_shape = p.weight_shape;
  out.block = p.block;
  out.n_bits = p.n_bits;
  out.lut_dtype = p.lut_dtype;
  out.codes.resize(to_size(packed_bytes(static_cast<index_t>(p.codes.size()), p.n_bits)));
  pack_bits(p.codes, p.n_bits, out.codes);
  out.lut_codes = p.lut_codes;
  if (!p.quantized()) out.lut = p.lut;
  out.scale = p.scale;
  out.zero_point = p.zero_point;
  out.row_scale = p.row_scale;
  out.outliers = p.outliers;
  return out;
}

// The scale and zero point of one group of a quantized table.
inline lut_scale lut_scale_of(const packed_palette& p, index_t group) {
  const auto g = to_size(group);
  return {p.lut_dtype, p.scale[g], p.zero_point.empty() ? 0 : p.zero_point[g]};
}

// All table entries as floats, [groups, 2^n_bits]. `p` has passed check().
inline std::vector<float> table_values(const packed_palette& p) {
  if (!p.quantized()) return p.lut;
  std::vector<float> values;
  values.reserve(p.lut_codes.size());
  const auto entries = to_size(p.entries());
  for (std::size_t i = 0; i < p.lut_codes.size(); ++i) {
    values.push_back(lut_value(lut_scale_of(p, static_cast<index_t>(i / entries)), p.lut_codes[i]));
  }
  return values;
}

// Raises corrupt_data naming the first field that cannot be part of a palette. After it, every
// function of the library may be called on `p` without reading out of bounds.
inline void check(const packed_palette& p, std::string_view where) {
  const auto corrupt = [&](const char* what, std::string value, std::string allowed) {
    raise(errc::corrupt_data, what, std::string(where), std::move(value), std::move(allowed));
  };
  const auto expect_size = [&](const char* what, std::size_t got, index_t want) {
    if (static_cast<index_t>(got) == want) return;
    corrupt(what, text_of(static_cast<index_t>(got)), text_of(want));
  };
  if (p.n_bits < 1 || p.n_bits > 8) {
    corrupt("n_bits out of range", text_of(p.n_bits), range_text(1, 8));
  }
  const bool is_float = p.lut_dtype == dtype::float32;
  const bool is_integer8 = p.lut_dtype == dtype::int8 || p.lut_dtype == dtype::uint8;
  if (!is_float && !is_integer8 && p.lut_dtype != dtype::float8_e4m3fn &&
      p.lut_dtype != dtype::float8_e5m2) {
    corrupt("lut_dtype is not one of a table", std::string(name_of(p.lut_dtype)),
            "float32, int8, uint8, float8_e4m3fn, float8_e5m2");
  }
  if (p.block.rank() != p.weight_shape.rank()) {
    corrupt("block rank differs from the weight's", text_of(p.block),
            "rank " + text_of(p.weight_shape.rank()));
  }
  for (const index_t b : p.block) {
    if (b < 1) corrupt("block extent below 1", text_of(p.block), ">= 1");
  }
  const index_t groups = p.groups().count();
  if (groups > max_size / p.entries()) {
    corrupt("table size overflows", text_of(groups) + " groups", "fewer groups");
  }
  const index_t entries = groups * p.entries();
  expect_size("wrong size of the code stream", p.codes.size(),
              packed_bytes(p.weight_shape.size(), p.n_bits));
  expect_size("wrong number of float table entries", p.lut.size(), is_float ? entries : 0);
  expect_size("wrong number of table codes", p.lut_codes.size(), is_float ? 0 : entries);
  expect_size("wrong number of scales", p.scale.size(), is_float ? 0 : groups);
  expect_size("wrong number of zero points", p.zero_point.size(), is_integer8 ? groups : 0);
  if (!p.row_scale.empty()) {
    if (p.weight_shape.rank() == 0) corrupt("row scales of a scalar", text_of(p.weight_shape), "");
    expect_size("wrong number of row scales", p.row_scale.size(), p.weight_shape[0]);
  }
  if (!padding_is_zero(p.codes, p.weight_shape.size(), p.n_bits)) {
    corrupt("unused bits of the code stream are set", text_of(int{p.codes.back()}), "zero bits");
  }
  const auto expect_finite = [&](const char* what, const std::vector<float>& xs, bool positive) {
    for (const float x : xs) {
      if (!std::isfinite(x) || (positive && !(x > 0.0F))) {
        corrupt(what, text_of(x), positive ? "finite and > 0" : "finite");
      }
    }
  };
  expect_finite("scale", p.scale, true);
  expect_finite("row scale", p.row_scale, true);
  const int lowest = p.lut_dtype == dtype::int8 ? -128 : 0;
  for (const std::int32_t z : p.zero_point) {
    if (z < lowest || z > lowest + 255) {
      corrupt("zero point out of range", text_of(z), range_text(lowest, lowest + 255));
    }
  }
  check(p.outliers, p.weight_shape.size(), where);
  // NaN codes of float8, products beyond float.
  expect_finite("value of a table entry", table_values(p), false);
}

// Raises corrupt_data as check() does.
inline palette<float> unpack(const packed_palette& p) {
  check(p, "unpack");
  palette<float> out;
  out.weight_shape = p.weight_shape;
  out.block = p.block;
  out.n_bits = p.n_bits;
  out.lut_dtype = p.lut_dtype;
  out.lut = table_values(p);
  out.codes.resize(to_size(p.weight_shape.size()));
  unpack_bits(p.codes, p.n_bits, out.codes);
  out.lut_codes = p.lut_codes;
  out.scale = p.scale;
  out.zero_point = p.zero_point;
  out.row_scale = p.row_scale;
  out.outliers = p.outliers;
  return out;
}

}  // namespace lutra::inline LUTRA_ABI
