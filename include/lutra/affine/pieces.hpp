// lutra: pieces.hpp - cuts a tensor into pieces that one call of a loop can handle.
// SPDX-License-Identifier: Apache-2.0
//
//   run     n elements of one unit
//   blocks  consecutive units of equal length, a multiple of the register
//   row     short runs, with constants per element
// Starting a loop costs about as much as 300 elements; the last two spare it where units are small. Units
// that are not regular (lanes.hpp) only come as runs. The cut depends on shape and parameters alone.
#pragma once

#include <algorithm>
#include <lutra/affine/loops.hpp>
#include <lutra/affine/qparams.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// The constants of consecutive units, kept while the same ones are asked for again.
class unit_table {
 public:
  explicit unit_table(const qparams& p) : params_(&p) {}

  // False if the units asked for are those held already.
  bool load(index_t first, index_t count) {
    if (first == first_ && count == static_cast<index_t>(values_.size())) return false;
    first_ = first;
    values_.resize(static_cast<std::size_t>(count));
    regular_ = true;
    for (index_t i = 0; i < count; ++i) {
      const unit_params u = unit_of(*params_, first + i);
      regular_ = regular_ && is_regular(u.scale);
      values_[static_cast<std::size_t>(i)] = constants_of(u);
    }
    return true;
  }
  bool regular() const noexcept { return regular_; }
  const unit_constants<float>* data() const noexcept { return values_.data(); }

 private:
  const qparams* params_;
  index_t first_ = -1;
  bool regular_ = true;
  std::vector<unit_constants<float>> values_;
};

// Covers every element once with calls of run(first, n, parameter),
// blocks(first, length, count, constants) and row(first, n, row_constants).
template <index_t Lanes, class Run, class Blocks, class Row>
void for_each_piece(const qparams& p, const block_grid& units, Run&& run, Blocks&& blocks,
                    Row&& row) {
  constexpr index_t long_run = 1024;    // starting a loop does not matter here
  constexpr index_t short_row = 256;    // elements worth a start
  constexpr index_t piece_size = 4096;  // elements; bounds the memory of the constants
  const index_t length = units.run_length();
  const index_t row_length = units.row_length();
  if (length >= long_run || length >= row_length) {
    units.for_each_run(run);
    return;
  }
  const bool by_blocks = length % Lanes == 0;
  unit_table table(p);
  const auto runs = [&](index_t first, index_t n, index_t parameter) {
    for (index_t at = 0; at < n; at += length)
      run(first + at, std::min(length, n - at), parameter++);
  };
  // If no outer axis is cut, every row has the same parameters, and several short ones make one piece.
  const bool repeats = units.count() == (row_length + length - 1) / length;
  const index_t rows = repeats && !by_blocks ? std::max<index_t>(1, short_row / row_length) : 1;
  const index_t piece = std::min(piece_size / length * length, row_length);
  row_constants constants(by_blocks ? 0 : rows * piece);
  const auto one_piece = [&](index_t first, index_t n, index_t parameter) {
    const bool changed = table.load(parameter, (std::min(n, piece) + length - 1) / length);
    if (by_blocks && table.regular()) {
      blocks(first, length, n / length, table.data());
      if (n % length != 0) run(first + n / length * length, n % length, parameter + n / length);
    } else if (table.regular()) {
      if (changed) {
        const index_t filled = rows > 1 ? piece : std::min(n, piece);
        for (index_t i = 0, u = 0; i < filled; i += length, ++u) {
          for (index_t k = i; k < std::min(i + length, filled); ++k) {
            for (index_t r = 0; r < rows; ++r) constants.set(r * piece + k, table.data()[u]);
          }
        }
      }
      row(first, n, constants);
    } else {
      for (index_t at = 0; at < n; at += piece)
        runs(first + at, std::min(piece, n - at), parameter);
    }
  };
  if (rows > 1) {  // whole rows, piece == row_length
    const index_t size = units.extents().size();
    for (index_t first = 0; first < size; first += rows * piece) {
      one_piece(first, std::min(rows * piece, size - first), 0);
    }
    return;
  }
  units.for_each_row([&](index_t first, index_t parameter) {
    for (index_t at = 0; at < row_length; at += piece) {
      one_piece(first + at, std::min(piece, row_length - at), parameter + at / length);
    }
  });
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
