// lutra: line_layout.hpp - how the weights of a convolution lie in memory for products on tile registers.
// SPDX-License-Identifier: Apache-2.0
//
// Decoded, int8, in the order of a window with channels last: kernel row, kernel column, channel. A tile has 64 taps of
// a segment, 16 groups of four by 16 output channels of four bytes; behind the last tap of a segment are zeros. A
// segment is a kernel row or, of a transposed convolution, which multiplies every so many columns, one column of it.
//   [strip of 16 output channels][kernel row][segment][part of tile_depth taps][group][output channel][4]
#pragma once

#include <lutra/runtime/layout.hpp>
#include <lutra/tensor/shape.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t tile_rows = 16;
inline constexpr index_t tile_depth = 64;
inline constexpr index_t tile_bytes = tile_rows * tile_depth;

// Of a weight with four axes. apart: a segment is a column.
struct line_layout {
  index_t rows, channels, kernel_rows, kernel_columns;
  bool apart;

  explicit line_layout(const shape& weight, bool columns_apart = false)
      : rows(weight[0]),
        channels(weight[1]),
        kernel_rows(weight[2]),
        kernel_columns(weight[3]),
        apart(columns_apart) {}
  index_t segments() const noexcept { return apart ? kernel_columns : 1; }  // of a kernel row
  index_t parts() const noexcept {                                          // of a segment
    return ((apart ? 1 : kernel_columns) * channels + tile_depth - 1) / tile_depth;
  }
  index_t row_bytes() const noexcept { return segments() * parts() * tile_bytes; }
  index_t strip_bytes() const noexcept { return kernel_rows * row_bytes(); }
  // Within a strip: that tap, output channel 0.
  index_t offset(index_t row, index_t column, index_t channel) const noexcept {
    const index_t k = apart ? channel : column * channels + channel;
    return row * row_bytes() + ((apart ? column * parts() : 0) + k / tile_depth) * tile_bytes +
           k % tile_depth / 4 * 64 + k % 4;
  }
  // Whether products are faster so than with a panel of activations (conv/tiles.hpp): there are taps enough, also for
  // the order of sums that has to be changed, and zeros are few. A panel for some of the columns asks for weights in
  // another order at each call: more zeros are better.
  bool pays() const noexcept {
    const index_t all = kernel_rows * kernel_columns * channels;
    const index_t tiles = kernel_rows * segments() * parts();
    const index_t fewest = (all + tile_depth - 1) / tile_depth;
    return all >= 3 * tile_depth && (kernel_rows * kernel_columns > 1 || all >= 2 * rows) &&
           2 * tiles <= (apart ? 4 : 3) * fewest;
  }
};

// The tiles of a whole weight: entry(row, k) is its weight k of output channel `row`. `out` is 0 before.
template <class Entry>
void write_line_tiles(const line_layout& l, std::uint8_t* out, Entry&& entry) {
  for (index_t row = 0; row < l.rows; ++row) {
    std::uint8_t* const to = out + row / tile_rows * l.strip_bytes() + row % tile_rows * 4;
    index_t k = 0;
    for (index_t c = 0; c < l.channels; ++c) {
      for (index_t a = 0; a < l.kernel_rows; ++a) {
        for (index_t b = 0; b < l.kernel_columns; ++b) to[l.offset(a, b, c)] = entry(row, k++);
      }
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
