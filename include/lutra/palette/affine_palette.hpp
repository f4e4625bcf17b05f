// lutra: affine_palette.hpp - an affine_constant as a palette: what the integer kernels take.
// SPDX-License-Identifier: Apache-2.0
//
// The table of a palette with as many entries as a code has values lists the codes themselves, so the kernels need
// nothing else for affine weights. Where groups lie along axis 0 only and zero points agree, the scales become
// row scales of one table for all, which the kernels read at its packed width; otherwise each group has its own.
// restore() gives the same bits of both. Integer dtypes, zero-point formulation. Linear.
#pragma once

#include <algorithm>
#include <lutra/pack/affine_constant.hpp>
#include <lutra/palette/packed.hpp>

namespace lutra::inline LUTRA_ABI {

enum class affine_scales : unsigned char {
  by_row,  // row scales where they can stand for groups
  by_group  // of tables alone, e.g. for transposed convolutions, whose output channels are not axis 0
};

// Raises unsupported for float dtypes and minvals, and what check(affine_constant) does.
inline packed_palette palette_of_codes(const affine_constant& c, std::string_view where,
                                       affine_scales scales = affine_scales::by_row) {
  check(c, where);
  const qparams& q = c.parameters;
  if (!is_integer(q.dtype) || q.qformulation != qformulation::zp) {
    raise(
        errc::unsupported, "the integer kernels need integer codes with zero points",
        std::string(where),
        std::string(name_of(q.dtype)) + (q.qformulation == qformulation::minval ? ", minval" : ""),
        "int1..int8, uint1..uint8, zp");
  }
  packed_palette p;
  p.weight_shape = c.extents;
  p.n_bits = c.n_bits();
  p.lut_dtype = dtype::int8;
  p.codes = c.codes;
  p.block = grid_of(q.granularity, c.extents, where, short_groups::allow).block();
  const bool is_signed = has_signed_codes(q);
  const int moved = q.dtype == dtype::uint8 ? 128 : 0;  // into int8
  std::vector<std::uint8_t> table;
  for (int code = 0; code < p.entries(); ++code) {
    const bool negative = is_signed && code >= p.entries() / 2;
    table.push_back(static_cast<std::uint8_t>(code - (negative ? p.entries() : 0) - moved));
  }
  const shape grid = p.groups().grid();
  bool rows = scales == affine_scales::by_row && c.extents.rank() > 0 && q.scale.size() > 1;
  for (int axis = 1; axis < grid.rank(); ++axis) rows = rows && grid[axis] == 1;
  rows = rows && std::ranges::all_of(q.zero_point, [&](auto z) { return z == q.zero_point[0]; });
  const index_t per_scale = p.block.rank() > 0 ? p.block[0] : 1;
  if (rows) {
    p.block = p.block.with(0, c.extents[0]);
    for (index_t r = 0; r < c.extents[0]; ++r) {
      p.row_scale.push_back(q.scale[to_size(r / per_scale)]);
    }
  }
  for (std::size_t group = 0; group < (rows ? 1 : q.scale.size()); ++group) {
    p.lut_codes.insert(p.lut_codes.end(), table.begin(), table.end());
    p.scale.push_back(rows ? 1.0F : q.scale[group]);
    p.zero_point.push_back(q.zero_point[group] - moved);
  }
  return p;
}

}  // namespace lutra::inline LUTRA_ABI
