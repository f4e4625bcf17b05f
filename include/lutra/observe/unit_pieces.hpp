// lutra: unit_pieces.hpp - the elements of a tensor, unit by unit, as dense pieces of useful length.
// SPDX-License-Identifier: Apache-2.0
//
// Long runs, and those that are whole units, are handed out as they lie in memory, in ascending order. Short ones (a
// channel on the last axis is a run of 1) are gathered from tiles of rows first. The cut depends on the shape alone.
#pragma once

#include <algorithm>
#include <lutra/tensor/slices.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Calls f(elements, n, unit) so that every element comes once; pieces of a unit come in its order. x is dense.
template <class F> void for_each_dense_piece(const float* x, const block_grid& units, F&& f) {
  constexpr index_t long_run = 64;
  constexpr index_t tile_elements = index_t{1} << 16;
  const index_t run = units.run_length();
  const index_t row = units.row_length();
  const index_t runs = row == 0 ? 0 : units.extents().size() / row * ((row + run - 1) / run);
  if (run >= long_run || run >= row || runs == units.count()) {
    units.for_each_run([&](index_t first, index_t n, index_t unit) { f(x + first, n, unit); });
    return;
  }
  const index_t rows_at_once = std::max(long_run, tile_elements / row);
  std::vector<float> buffer(to_size(rows_at_once * run));
  index_t begin = 0;  // of the tile
  index_t rows = 0;
  index_t unit_of_tile = 0;
  const auto hand_out = [&] {
    for (index_t at = 0, unit = unit_of_tile; at < row; at += run, ++unit) {
      const index_t n = std::min(run, row - at);
      float* to = buffer.data();
      for (index_t r = 0; r < rows; ++r) to = std::copy_n(x + begin + r * row + at, n, to);
      f(static_cast<const float*>(buffer.data()), rows * n, unit);
    }
  };
  units.for_each_row([&](index_t first, index_t unit) {
    if (rows == rows_at_once || (rows != 0 && unit != unit_of_tile)) {
      hand_out();
      rows = 0;
    }
    if (rows == 0) {
      begin = first;
      unit_of_tile = unit;
    }
    ++rows;
  });
  if (rows != 0) hand_out();
}

// The same for any view; one that is not dense is copied once.
template <class F>
void for_each_unit_piece(const tensor_view<const float>& x, const block_grid& units, F&& f) {
  if (x.empty()) return;
  std::vector<float> gathered;
  if (!x.is_contiguous()) gathered = to_vector<float>(x);
  for_each_dense_piece(gathered.empty() ? x.data() : gathered.data(), units, f);
}

}  // namespace lutra::inline LUTRA_ABI
