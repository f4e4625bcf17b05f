// lutra: palette.hpp - palette<T>: look-up tables plus one code per element, the working form.
// SPDX-License-Identifier: Apache-2.0
//
// Element k of the weight belongs to the group g = floor(k[i] / block[i]) on every axis
// (tensor/slices.hpp), and w[k] = lut[g * 2^n_bits + codes[k]] [* row_scale[k[0]]], but for the outliers.
// Tables are canonical: ascending, distinct values first, then the last value repeated. A quantized
// table keeps its codes, scale and zero point beside `lut`, which then holds the dequantized values.
// A weight without elements has tables of zeros. packed_palette (packed.hpp) is the storage form, pack.hpp converts.
#pragma once

#include <cstdint>
#include <lutra/number/dtype.hpp>
#include <lutra/palette/outliers.hpp>
#include <lutra/tensor/slices.hpp>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// How far the clustering of a group is from the best possible one; what rounding its centroids to float adds is
// stated apart (`rounding`).
enum class palette_status : unsigned char {
  empty,          // no elements
  optimal,        // the global optimum, by construction
  certified,      // inertia proven to be within the requested gap of the optimum
  not_certified,  // proven gap larger than requested
  unproven        // a mode without a proof (reference_fast, reference_exact)
};

constexpr std::string_view name_of(palette_status s) noexcept {
  switch (s) {
    case palette_status::empty:
      return "empty";
    case palette_status::optimal:
      return "optimal";
    case palette_status::certified:
      return "certified";
    case palette_status::not_certified:
      return "not_certified";
    case palette_status::unproven:
      return "unproven";
  }
  return "unknown";
}

template <class T> struct palette {
  shape weight_shape{0};
  shape block{1};  // extents of one group, rank of weight_shape
  int n_bits = 4;
  std::vector<T> lut;               // [groups, 2^n_bits]
  std::vector<std::uint8_t> codes;  // one per element, row-major, below 2^n_bits

  dtype lut_dtype = dtype::float32;      // int8, uint8, float8_e4m3fn, float8_e5m2: quantized table
  std::vector<std::uint8_t> lut_codes;   // [groups, 2^n_bits]; empty for float tables
  std::vector<float> scale;              // [groups]; empty for float tables
  std::vector<std::int32_t> zero_point;  // [groups]; empty for float and float8 tables

  std::vector<float> row_scale;  // [weight_shape[0]], or empty
  outlier_list outliers;         // elements that are these values instead

  // What is known about each group; empty for a palette that was unpacked.
  std::vector<palette_status> status;
  std::vector<double> inertia;      // sum of importance * (w - float table entry)^2
  std::vector<double> lower_bound;  // proven: no table of this size has less inertia
  std::vector<double> rounding;  // part of the inertia: optimal entries are means, these are floats
  std::vector<double> error;     // the same sum with the values `lut` holds (quantized tables)
  std::vector<int> used_entries;       // distinct values of the float table
  index_t ignored = 0;                 // NaN and infinite elements, which are part of no sum
  std::vector<int> collapsed_entries;  // how many of them lost their own value to quantization

  int entries() const noexcept { return 1 << n_bits; }
  block_grid groups() const { return block_grid(weight_shape, block).at_least_one(); }
  bool quantized() const noexcept { return lut_dtype != dtype::float32; }
};

}  // namespace lutra::inline LUTRA_ABI
