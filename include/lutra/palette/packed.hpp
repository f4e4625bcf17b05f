// lutra: packed.hpp - packed_palette: the storage and interchange form of a palettized weight.
// SPDX-License-Identifier: Apache-2.0
//
// codes    ceil(size * n_bits / 8) bytes: the row-major codes as one little-endian bit stream, first
//          code in the lowest bits of byte 0, unused top bits of the last byte 0 (pack/bit_pack.hpp). check()
//          refuses others; make_lut_matrix() and make_grouped_lut_matrix() ignore these bits
// tables   one table of 2^n_bits entries per group, groups row-major over `grid`
// value    w = (table[code] - zero_point[group]) * scale[group] [* row_scale[row]]     quantized table
//          w = table[code] [* row_scale[row]]                                          float table
// Element k belongs to the group floor(k[i] / block[i]) on every axis (tensor/slices.hpp).
#pragma once

#include <cstdint>
#include <lutra/number/dtype.hpp>
#include <lutra/palette/outliers.hpp>
#include <lutra/tensor/slices.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct packed_palette {
  shape weight_shape{0};
  shape block{1};  // extents of one group, rank of weight_shape
  int n_bits = 4;
  dtype lut_dtype = dtype::int8;         // int8, uint8, float8_e4m3fn, float8_e5m2 or float32
  std::vector<std::uint8_t> codes;       // bit stream
  std::vector<std::uint8_t> lut_codes;   // [groups, 2^n_bits] bytes of 8-bit tables
  std::vector<float> lut;                // [groups, 2^n_bits] float tables (lut_dtype float32)
  std::vector<float> scale;              // [groups]; empty for float tables
  std::vector<std::int32_t> zero_point;  // [groups]; empty for float and float8 tables
  std::vector<float> row_scale;          // [weight_shape[0]], or empty
  outlier_list outliers;                 // elements that are these values instead; mostly none
  bool transposed = false;  // of transposed_palette(), for transposed convolutions; not saved

  int entries() const noexcept { return 1 << n_bits; }
  block_grid groups() const { return block_grid(weight_shape, block).at_least_one(); }
  bool quantized() const noexcept { return lut_dtype != dtype::float32; }
  // Bytes of codes, tables, scales, zero points, row scales and outliers as stored.
  index_t bytes() const noexcept {
    return static_cast<index_t>(codes.size() + lut_codes.size() +
                                4 * (lut.size() + scale.size() + row_scale.size()) +
                                (lut_dtype == dtype::uint8 ? zero_point.size() : 0)) +
           outliers.bytes(weight_shape.size());
  }
  friend bool operator==(const packed_palette&, const packed_palette&) = default;
};

}  // namespace lutra::inline LUTRA_ABI
