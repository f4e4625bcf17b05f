// lutra: channels.hpp - products of a depthwise convolution with channels last: channels in lanes, weights beside them.
// SPDX-License-Identifier: Apache-2.0
//
// A block is one vector of channels. What up to four kernel rows meet at one column of the padded input is a group,
// four vectors of channels that are interleaved like those of a panel (panel.hpp): once for all outputs that read the
// column. Weights lie in the same order. Columns are counted as in planes.hpp, plane by plane, so that neighbouring
// outputs read neighbours for any stride and dilation:
//   panel    [plane of columns][column][group of kernel rows][panel_vectors] vectors
//   weights  [block of channels][kernel column][group of kernel rows][panel_vectors] vectors
#pragma once

#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>

namespace lutra::inline LUTRA_ABI {

// How the columns of an output row are cut, so that the panel of one piece stays in the first-level cache.
template <class A> struct channel_geometry {
  static constexpr index_t group_bytes = group_vectors<A> * simd::vector_size<A>;
  index_t kernel_rows;
  index_t row_groups;  // of kernel rows
  index_t columns;     // outputs of a piece
  index_t width;       // columns of a plane that these read

  explicit channel_geometry(const plane_geometry& g)
      : kernel_rows(static_cast<index_t>(g.rows.plane.size()) / g.row_phases),
        row_groups((kernel_rows + 3) / 4) {
    constexpr index_t panel_of_piece = 32 * 1024, fewest = 16;
    const index_t of_column =
        std::max<index_t>(g.row_phases * g.columns.planes() * column_bytes(), 1);
    columns = std::max(panel_of_piece / of_column - g.columns.reach, fewest);
    columns = std::min(columns / 2 * 2, g.output_columns);  // pairs are pooled
    width = columns + g.columns.reach;
  }
  index_t column_bytes() const noexcept { return row_groups * group_bytes; }
  index_t phase_bytes(const plane_geometry& g) const noexcept {
    return g.columns.planes() * width * column_bytes();
  }
  // Whether panels are of a reasonable size, and lanes are not mostly empty.
  bool pays(const plane_geometry& g, index_t channels, index_t most_bytes) const noexcept {
    const index_t planes = std::max<index_t>(g.row_phases * g.columns.planes(), 1);
    return channels >= simd::int_lanes<A> && row_groups > 0 &&
           width <= most_bytes / planes / column_bytes();
  }
};

// Plain bytes of four taps to the order of panel_dot.
template <class A>
void store_channel_weights(
    const std::int8_t (&taps)[4][static_cast<std::size_t>(simd::vector_size<A>)],
    std::int8_t* out) {
  const auto tap = [&](int i) {
    const auto v = load_bytes(taps[i], A{});
    return panel_bias(A{}) != 0 ? flip_sign(v, A{}) : v;  // which store_panel adds
  };
  store_panel(out, tap(0), tap(1), tap(2), tap(3), A{});
}

template <class A> class channel_weights {
 public:
  channel_weights() = default;
  // One row per channel; a kernel of as many rows and columns, whose taps are those of the matrix.
  channel_weights(const byte_weights<A>& decoded, index_t rows, const channel_geometry<A>& g,
                  std::span<const index_t> taps)
      : channel_weights((rows + size - 1) / size, g, static_cast<index_t>(taps.size())) {
    fill(rows, g, static_cast<index_t>(taps.size()), [&](index_t row, index_t k) {
      return decoded.weight(row, taps[static_cast<std::size_t>(k)]);
    });
  }
  // A block of weights 1, for sums of activations.
  static channel_weights ones(const channel_geometry<A>& g, index_t taps) {
    channel_weights out(1, g, taps);
    out.fill(size, g, taps, [](index_t, index_t) { return std::int8_t{1}; });
    return out;
  }
  const std::int8_t* block(index_t b) const noexcept { return bytes_.data() + b * block_bytes_; }

 private:
  static constexpr index_t size = simd::vector_size<A>;

  channel_weights(index_t blocks, const channel_geometry<A>& g, index_t taps)
      : block_bytes_(taps / std::max<index_t>(g.kernel_rows, 1) * g.column_bytes()),
        bytes_(static_cast<std::size_t>(blocks * block_bytes_)) {}
  template <class Weight>
  void fill(index_t rows, const channel_geometry<A>& g, index_t taps, Weight&& weight) {
    const index_t columns = taps / g.kernel_rows;
    std::int8_t* out = bytes_.data();
    for (index_t first = 0; first < rows; first += size) {
      for (index_t b = 0; b < columns; ++b) {
        for (index_t a = 0; a < g.kernel_rows; a += 4, out += channel_geometry<A>::group_bytes) {
          std::int8_t group[4][static_cast<std::size_t>(size)] = {};
          for (index_t i = 0; i < std::min<index_t>(4, g.kernel_rows - a); ++i) {
            for (index_t c = 0; c < std::min(size, rows - first); ++c) {
              group[i][c] = weight(first + c, (a + i) * columns + b);
            }
          }
          store_channel_weights<A>(group, out);
        }
      }
    }
  }

  index_t block_bytes_ = 0;
  std::vector<std::int8_t> bytes_;
};

// sum[p][v] = start[v] + (a block's weights times what output number p meets), of Positions neighbours. columns: where
// each kernel column begins in the panel for output 0, which lies at x.
template <class A, int Positions>
[[gnu::always_inline]] inline void multiply_channels(
    const std::int8_t* x, std::span<const index_t> columns, index_t column_bytes,
    const std::int8_t* weights, const std::int32_t* start,
    simd::ints_of<A> (&sum)[static_cast<std::size_t>(Positions)][4]) {
  constexpr index_t size = simd::vector_size<A>;
  decltype(as_sum(splat_ints(0, A{}), A{})) s[static_cast<std::size_t>(Positions)][4];
  simd::unroll<Positions>([&](auto p) __attribute__((always_inline)) {
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      s[p][v] = as_sum(load_ints(start + v * simd::int_lanes<A>, A{}), A{});
    });
  });
  for (const index_t column : columns) {
    const std::int8_t* at = x + column;
    for (index_t i = 0; i < column_bytes; i += 4 * size) {
      simd::bytes_of<A> w[4];
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        w[v] = load_bytes(weights + v * size, A{});
      });
      simd::unroll<Positions>([&](auto p) __attribute__((always_inline)) {
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          const auto in = load_bytes(at + p * column_bytes + v * size, A{});
          s[p][v] = as_sum(panel_dot(as_ints(s[p][v], A{}), in, w[v], A{}), A{});
        });
      });
      weights += 4 * size;
      at += 4 * size;
    }
  }
  simd::unroll<Positions>([&](auto p) __attribute__((always_inline)) {
    simd::unroll<4>([&](auto v)
                        __attribute__((always_inline)) { sum[p][v] = as_ints(s[p][v], A{}); });
  });
}

// Which channel of a block each lane of the four vectors of sums has.
template <class A>
std::array<index_t, static_cast<std::size_t>(simd::vector_size<A>)> channel_order() {
  constexpr index_t size = simd::vector_size<A>;
  std::int8_t taps[4][static_cast<std::size_t>(size)] = {};
  for (index_t c = 0; c < size; ++c) taps[0][c] = static_cast<std::int8_t>(c);
  std::int8_t panel[static_cast<std::size_t>(channel_geometry<A>::group_bytes)];
  store_channel_weights<A>(taps, panel);
  std::array<index_t, static_cast<std::size_t>(size)> order{};
  for (index_t lane = 0; lane < size; ++lane) {  // tap 0 is the first byte of a lane
    order[static_cast<std::size_t>(lane)] = panel[4 * lane];
  }
  return order;
}

}  // namespace lutra::inline LUTRA_ABI
