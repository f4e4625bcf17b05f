// lutra: line_layout.hpp - how the weights of a convolution lie in memory for products on tile registers.
// SPDX-License-Identifier: Apache-2.0
//
// Decoded, int8, in the order of a window with channels last: kernel row, kernel column, channel. A tile has 64 taps of
// a kernel row, 16 groups of four by 16 output channels of four bytes; behind the last tap of a row are zeros.
//   [strip of 16 output channels][kernel row][part of tile_depth taps][group][output channel][4]
#pragma once

#include <lutra/runtime/layout.hpp>
#include <lutra/tensor/shape.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t tile_rows = 16;
inline constexpr index_t tile_depth = 64;
inline constexpr index_t tile_bytes = tile_rows * tile_depth;

// Of a weight with four axes.
struct line_layout {
  index_t rows, channels, kernel_rows, kernel_columns;

  explicit line_layout(const shape& weight)
      : rows(weight[0]), channels(weight[1]), kernel_rows(weight[2]), kernel_columns(weight[3]) {}
  index_t depth() const noexcept { return kernel_columns * channels; }  // of a kernel row
  index_t parts() const noexcept { return (depth() + tile_depth - 1) / tile_depth; }
  index_t strip_bytes() const noexcept { return kernel_rows * parts() * tile_bytes; }
  // Within a strip: tap `k` of a kernel row, output channel 0.
  index_t offset(index_t row, index_t k) const noexcept {
    return (row * parts() + k / tile_depth) * tile_bytes + k % tile_depth / 4 * 64 + k % 4;
  }
  // Whether products are faster so than with a panel of activations (conv/tiles.hpp): there are taps enough, also for
  // the order of sums that has to be changed, and zeros are few.
  bool pays() const noexcept {
    const index_t all = kernel_rows * depth();
    return all >= 3 * tile_depth && (kernel_rows * kernel_columns > 1 || all >= 2 * rows) &&
           2 * kernel_rows * parts() <= 3 * ((all + tile_depth - 1) / tile_depth);
  }
};

}  // namespace lutra::inline LUTRA_ABI
