// lutra: tiles.hpp - the products of a convolution on tile registers, for levels with has_tiles.
// SPDX-License-Identifier: Apache-2.0
//
// A vector of a group of the panel (panel.hpp), 16 positions by 4 taps, is one row of a tile as it stands; the tile of
// weights has 64 taps of one channel in each row. So products are sums of 16 channels by 16 positions, and what tiles
// do not do - the panel, the order of positions, biases - is as without them.
// Bytes behind the last tap of a channel are zeros, and those behind the last channel of a group as well, so that all
// tiles are whole and configured once.
// For what lines.hpp does not do: few taps, slices, groups whose channels share strips of the matrix, dilated columns
// of channels that are no whole tiles, windows of more input than the cache holds, and matrices without weights decoded
// at load.
#pragma once

#include <cstring>
#include <lutra/runtime/conv/lines.hpp>
#include <lutra/runtime/conv/panel.hpp>
#include <lutra/simd/tile_permission.hpp>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Weights of a matrix in tiles: [group of channels][16 channels of it][64 taps] of tile_bytes each.
template <class A> class tile_weights {
 public:
  tile_weights() = default;
  // Of so many rows and taps.
  tile_weights(const panel_weights<A>& decoded, index_t rows, index_t depth,
               index_t channels_per_group)
      : channels_(channels_per_group),
        strips_((channels_ + tile_rows - 1) / tile_rows),
        parts_((depth + tile_depth - 1) / tile_depth),
        lines_(to_size(rows / channels_ * strips_ * parts_ * tile_rows)) {
    constexpr index_t groups_of_part = tile_depth / 4;
    const index_t groups = (depth + 3) / 4;
    for (index_t row = 0; row < rows; ++row) {
      const index_t channel = row % channels_;
      const index_t first = first_line(row / channels_, channel) + channel % tile_rows;
      const std::uint8_t* from = decoded.row(row);
      for (index_t group = 0; group < groups; ++group, from += panel_weights<A>::group_bytes) {
        const index_t line = first + group / groups_of_part * tile_rows;
        std::memcpy(lines_[to_size(line)].byte + group % groups_of_part * 4, from, 4);
      }
    }
  }
  index_t parts() const noexcept { return parts_; }
  // Tiles of the channels from `row` on, which is a multiple of tile_rows within its group.
  const std::int8_t* tiles(index_t row) const noexcept {
    return lines_[to_size(first_line(row / channels_, row % channels_))].byte;
  }

 private:
  index_t first_line(index_t group, index_t channel) const noexcept {
    return (group * strips_ + channel / tile_rows) * parts_ * tile_rows;
  }

  index_t channels_ = 1, strips_ = 0, parts_ = 0;
  std::vector<cache_line> lines_;
};

// Whether channels of a group are made so; asks the system for leave. depth: of all slices of a weight, first_depth: of
// the first, the deepest. Each has tiles of its own: shallow ones would be mostly zeros, in memory as in products (64
// to 64 channels, 1 x 1, blocks of 4 inputs: a third slower than by vectors).
template <class A>
bool convolves_in_tiles(index_t channels_per_group, index_t first_depth, index_t depth) noexcept {
  if constexpr (has_tiles(A{})) {
    return first_depth >= tile_depth / 2 && tiles_pay(channels_per_group, depth) &&
           simd::tiles_permitted();
  }
  return false;
}

// sums[c][p] = products of 16 or 32 channels by the positions of a block, in the order of the panel, of which all
// groups of the parts may be read. Tiles come from the cache more slowly than they are multiplied if each is used once.
template <class A, int Channels>
[[gnu::always_inline]] inline void multiply_panel_tiles(const std::int8_t* panel, index_t parts,
                                                        const std::int8_t* weights,
                                                        std::int32_t* sums) {
  using simd::tile_dot_unsigned, simd::tile_load, simd::tile_store, simd::tile_zero;
  static_assert(group_vectors<A> == 4 && simd::vector_size<A> == 64 && panel_bias(A{}) == 128);
  constexpr index_t size = simd::vector_size<A>, group = 4 * size;
  constexpr int strips = Channels / static_cast<int>(tile_rows), together = 4 / strips;
  static_assert(strips * together == 4);
  const index_t strip = parts * tile_bytes;
  for (int first = 0; first < 4; first += together) {
    simd::unroll<4>([&](auto i) __attribute__((always_inline)) { tile_zero<i>(A{}); });
    const std::int8_t *w = weights, *x = panel + first * size;
    for (index_t part = 0; part < parts; ++part) {
      simd::unroll<strips>([&](auto s) __attribute__((always_inline)) {
        tile_load<4 + s>(w + s * strip, tile_depth, A{});
      });
      simd::unroll<together>([&](auto v) __attribute__((always_inline)) {
        constexpr int in = 4 + strips + v % (4 - strips);
        tile_load<in>(x + v * size, group, A{});
        simd::unroll<strips>([&](auto s) __attribute__((always_inline)) {
          tile_dot_unsigned<s * together + v, 4 + s, in>(A{});
        });
      });
      w += tile_bytes;
      x += tile_depth / 4 * group;
    }
    simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
      constexpr int s = i / together, v = i % together;
      tile_store<i>(sums + s * tile_rows * size + (first + v) * simd::int_lanes<A>, group, A{});
    });
  }
}

}  // namespace lutra::inline LUTRA_ABI
