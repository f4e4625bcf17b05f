// lutra: pieces.hpp - cuts a tensor into pieces that one call of a loop can handle.
// SPDX-License-Identifier: Apache-2.0
//
//   run     n elements of one unit
//   blocks  consecutive units of equal length, a multiple of what the caller asks for, regular or not; it makes their
//           constants itself
//   rows    short runs, with constants per element, the same in every row of `period` elements
// Starting a loop costs about as much as 300 elements; the last two spare it where units are small. Units
// that are not regular (lanes.hpp) never come as rows. The cut depends on shape and parameters alone.
// Constants are made by whole registers, once per unit where rows share them, in tables that fit an L1 cache.
#pragma once

#include <algorithm>
#include <lutra/affine/loop_constants.hpp>
#include <lutra/affine/units.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// The constants of consecutive units, kept while the same ones are asked for again. Made by registers V.
template <class V> class unit_table {
 public:
  unit_table(const qparams& p, index_t most)
      : params_(&p), kind_(offsets_of(form_of(p))), values_(most) {}

  // At most `most` units. False if the units asked for are those held already.
  bool load(index_t first, index_t count) {
    if (first == first_ && count == count_) return false;
    first_ = first;
    count_ = count;
    regular_ = all_regular<V>(params_->scale.data() + first, count);
    kind_ == unit_offsets::none     ? fill<unit_offsets::none>()
    : kind_ == unit_offsets::minval ? fill<unit_offsets::minval>()
                                    : fill<unit_offsets::zero_point>();
    return true;
  }
  bool regular() const noexcept { return regular_; }
  const row_constants& values() const noexcept { return values_; }

 private:
  // Past the end there is room for a register.
  template <unit_offsets Kind> void fill() noexcept {
    constexpr index_t lanes = simd::lanes<V>;
    const unit_source units = units_from(*params_, first_);
    index_t i = 0;
    for (; i + lanes <= count_; i += lanes) {
      ask_ahead<Kind>(units, i);
      set(i, constants_from<Kind, V>(units, i));
    }
    if (i < count_) set(i, last_constants_from<Kind, V>(units, i, count_ - i));
    share_bounds<Kind>(units.zero_point);
  }
  template <unit_offsets Kind> void share_bounds(const std::int32_t* zero) noexcept {
    bool same = Kind != unit_offsets::minval;
    float qo = 0;
    if constexpr (Kind == unit_offsets::zero_point) {
      std::int32_t differ = 0;
      for (index_t i = 1; i < count_; ++i) differ |= zero[i] ^ zero[0];
      same = differ == 0;
      qo = static_cast<float>(zero[0]);
    }
    values_.shared = {same, params_->quant_min - qo, params_->quant_max - qo, qo};
  }
  void set(index_t i, const unit_constants<V>& c) noexcept {
    float* const to = values_.field(0) + i;
    const index_t stride = values_.stride();
    simd::store(to, c.scale);
    simd::store(to + stride, c.reciprocal);
    simd::store(to + 2 * stride, c.lowest);
    simd::store(to + 3 * stride, c.highest);
    simd::store(to + 4 * stride, c.float_offset);
    simd::store(to + 5 * stride, c.integer_offset);
  }

  const qparams* params_;
  unit_offsets kind_;
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
// blocks(first, length, count, first parameter) where length is a multiple of Multiple, and
// rows(first, n, period, constants per element; their offsets only if asked for) where period is a multiple of
// Multiple or at least n. V is the register that the loops use.
template <class V, index_t Multiple, class Run, class Blocks, class Rows>
void for_each_piece(const qparams& p, const block_grid& units, bool offsets, Run&& run,
                    Blocks&& blocks, Rows&& rows) {
  constexpr index_t long_run = 1024;  // starting a loop does not matter here
  constexpr index_t most_elements =
      1024;  // of a piece with constants per element: an L1 cache holds them
  constexpr index_t most_shared =
      8192;  // of such a row that all rows share: an L2 cache holds them
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
  // If no outer axis is cut, all rows have the same parameters. They are read in order where the registers of
  // the rows match; else several short ones make one piece.
  const bool repeats = units.count() == (row_length + length - 1) / length;
  const bool shared =
      repeats && !by_blocks && !in_order && row_length % Multiple == 0 && row_length <= most_shared;
  const index_t together =
      repeats && !by_blocks && !shared ? std::max<index_t>(1, most_elements / row_length) : 1;
  const index_t most = by_blocks || shared ? row_length : most_elements / length * length;
  const index_t piece = std::min(most, row_length);
  unit_table<V> table(p, by_blocks ? 0 : (piece + length - 1) / length);
  const bool direct = length == 1 && together == 1;  // the table is what rows() wants
  row_constants constants(by_blocks || direct ? 0 : together * piece);
  const auto runs = [&](index_t first, index_t n, index_t parameter) {
    for (index_t at = 0; at < n; at += length)
      run(first + at, std::min(length, n - at), parameter++);
  };
  const auto one_piece = [&](index_t first, index_t n, index_t parameter) {
    const index_t in_row = std::min(n, piece);
    const index_t count = (in_row + length - 1) / length;
    if (by_blocks) {
      blocks(first, length, n / length, parameter);
      if (n % length != 0) run(first + n / length * length, n % length, parameter + n / length);
      return;
    }
    const bool changed = table.load(parameter, count);
    if (!table.regular()) {
      for (index_t at = 0; at < n; at += piece)
        runs(first + at, std::min(piece, n - at), parameter);
    } else {
      for (index_t r = 0; changed && !direct && r < together; ++r) {
        repeat_constants<V>(table.values(), length, offsets, r * piece, in_row, constants);
      }
      constants.shared = table.values().shared;
      rows(first, n, shared ? piece : n, direct ? table.values() : constants);
    }
  };
  if (shared) {
    one_piece(0, size, 0);
  } else if (together > 1) {  // whole rows, piece == row_length
    for (index_t first = 0; first < size; first += together * piece) {
      one_piece(first, std::min(together * piece, size - first), 0);
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
