// lutra: pieces.hpp - cuts a tensor into pieces that one call of a loop can handle.
// SPDX-License-Identifier: Apache-2.0
//
//   run     n elements of one unit
//   blocks  consecutive units of equal length, a multiple of what the caller asks for
//   row     short runs, with constants per element
// Starting a loop costs about as much as 300 elements; the last two spare it where units are small. Units
// that are not regular (lanes.hpp) only come as runs. The cut depends on shape and parameters alone.
// Constants are made by whole registers, once per unit where rows share them, in tables that fit an L1 cache.
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
  unit_table(const qparams& p, index_t most) : params_(&p), values_(most) {}

  // At most `most` units. False if the units asked for are those held already.
  bool load(index_t first, index_t count) {
    if (first == first_ && count == count_) return false;
    first_ = first;
    count_ = count;
    fill();
    return true;
  }
  bool regular() const noexcept { return regular_; }
  const row_constants& values() const noexcept { return values_; }

 private:
  // constants_of() for all, by loops without branches that compilers turn into vector code.
  void fill() noexcept {
    const qparams& p = *params_;
    const float* from = p.scale.data() + first_;
    float* scale = values_.field(0);
    float* reciprocal = values_.field(1);
    float* lowest = values_.field(2);
    float* highest = values_.field(3);
    float* float_offset = values_.field(4);
    float* integer_offset = values_.field(5);
    const float lo = p.quant_min;
    const float hi = p.quant_max;
    for (index_t i = 0; i < count_; ++i) {
      scale[i] = from[i];
      reciprocal[i] = 1.0F / from[i];
    }
    int irregular = 0;
    for (index_t i = 0; i < count_; ++i) irregular |= is_regular(from[i]) ? 0 : 1;
    regular_ = irregular == 0;
    if (!is_integer(p.dtype) || p.qformulation == qformulation::minval) {
      std::fill_n(integer_offset, count_, is_integer(p.dtype) ? lo : 0.0F);
    } else {
      const std::int32_t* zero = p.zero_point.data() + first_;
      for (index_t i = 0; i < count_; ++i) integer_offset[i] = static_cast<float>(zero[i]);
    }
    for (index_t i = 0; i < count_; ++i) {
      lowest[i] = (lo - integer_offset[i]) * scale[i];
      highest[i] = (hi - integer_offset[i]) * scale[i];
    }
    if (is_integer(p.dtype) && p.qformulation == qformulation::minval) {
      std::copy_n(p.minval.data() + first_, count_, float_offset);
    } else {
      std::fill_n(float_offset, count_, 0.0F);
    }
  }

  const qparams* params_;
  index_t first_ = -1;
  index_t count_ = -1;
  bool regular_ = true;
  row_constants values_;
};

// Gives n elements of `to` the constants of their units, `length` elements each; the offsets only if asked for.
// Writes whole registers, each over the end of the one before; there is room behind the last.
template <class V>
void repeat_constants(const row_constants& units, index_t length, bool offsets, index_t at,
                      index_t n, row_constants& to) noexcept {
  constexpr index_t lanes = simd::lanes<V>;
  const float* from = units.data();
  const index_t next = units.stride();
  float* const out = to.field(0) + at;
  const index_t stride = to.stride();
  for (index_t i = 0; i < n; i += length, ++from) {
    const V scale(from[0]), reciprocal(from[next]), lowest(from[2 * next]), highest(from[3 * next]);
    const index_t end = std::min(i + length, n);
    for (index_t k = i; k < end; k += lanes) {
      simd::store(out + k, scale);
      simd::store(out + stride + k, reciprocal);
      simd::store(out + 2 * stride + k, lowest);
      simd::store(out + 3 * stride + k, highest);
    }
    if (!offsets) continue;
    for (index_t k = i; k < end; k += lanes) {
      simd::store(out + 4 * stride + k, V(from[4 * next]));
      simd::store(out + 5 * stride + k, V(from[5 * next]));
    }
  }
}

// Covers every element once with calls of run(first, n, parameter),
// blocks(first, length, count, constants per unit) where length is a multiple of Multiple, and
// row(first, n, constants per element; their offsets only if asked for). V is the register that the loops use.
template <class V, index_t Multiple, class Run, class Blocks, class Row>
void for_each_piece(const qparams& p, const block_grid& units, bool offsets, Run&& run,
                    Blocks&& blocks, Row&& row) {
  constexpr index_t long_run = 1024;       // starting a loop does not matter here
  constexpr index_t most_units = 256;      // of a piece of blocks
  constexpr index_t most_elements = 1024;  // of a piece with constants per element
  const index_t size = units.extents().size();
  const index_t length = units.run_length();
  if (size == 0) return;
  // Every run has a unit of its own: the whole tensor is one row.
  const bool in_order = units.row_length() % length == 0 && units.count() * length == size;
  const index_t row_length = in_order ? size : units.row_length();
  if (length >= long_run || length >= row_length) {
    units.for_each_run(run);
    return;
  }
  const bool by_blocks = length % Multiple == 0;
  // If no outer axis is cut, all rows have the same parameters; several short ones make one piece.
  const bool repeats = units.count() == (row_length + length - 1) / length;
  const index_t rows = repeats && !by_blocks ? std::max<index_t>(1, most_elements / row_length) : 1;
  const index_t most = by_blocks ? most_units * length : most_elements / length * length;
  const index_t piece = std::min(most, row_length);
  unit_table table(p, (piece + length - 1) / length);
  const bool direct = length == 1 && rows == 1;  // the table is what row() wants
  row_constants constants(by_blocks || direct ? 0 : rows * piece);
  const auto runs = [&](index_t first, index_t n, index_t parameter) {
    for (index_t at = 0; at < n; at += length)
      run(first + at, std::min(length, n - at), parameter++);
  };
  const auto one_piece = [&](index_t first, index_t n, index_t parameter) {
    const index_t in_row = std::min(n, piece);
    const bool changed = table.load(parameter, (in_row + length - 1) / length);
    if (!table.regular()) {
      for (index_t at = 0; at < n; at += piece)
        runs(first + at, std::min(piece, n - at), parameter);
    } else if (by_blocks) {
      blocks(first, length, n / length, table.values());
      if (n % length != 0) run(first + n / length * length, n % length, parameter + n / length);
    } else if (direct) {
      row(first, n, table.values());
    } else {
      for (index_t r = 0; changed && r < rows; ++r) {
        repeat_constants<V>(table.values(), length, offsets, r * piece, in_row, constants);
      }
      row(first, n, constants);
    }
  };
  if (rows > 1) {  // whole rows, piece == row_length
    for (index_t first = 0; first < size; first += rows * piece) {
      one_piece(first, std::min(rows * piece, size - first), 0);
    }
  } else if (repeats) {  // a piece of every row, then the next, so that each table is made once
    for (index_t at = 0; at < row_length; at += piece) {
      for (index_t first = at; first < size; first += row_length) {
        one_piece(first, std::min(piece, row_length - at), at / length);
      }
    }
  } else {
    units.for_each_row([&](index_t first, index_t parameter) {
      for (index_t at = 0; at < row_length; at += piece) {
        one_piece(first + at, std::min(piece, row_length - at), parameter + at / length);
      }
    });
  }
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
