// lutra: lines.hpp - the input of a convolution with channels last, for products on tile registers.
// SPDX-License-Identifier: Apache-2.0
//
// The padded input of a group, one pixel behind the other, channels innermost: the bytes that one kernel row meets at
// an output position lie together, a segment of kernel width times channels, and at the next position the same, stride
// pixels further. So rows of a tile of activations, 16 positions by 64 bytes of a segment, are read where they are,
// for any stride, padding and dilation (a dilated kernel row is a segment per tap). Output rows lie one behind the
// other with a gap, where positions reach into the next row: what is summed there is dropped.
// Weights are decoded at load (line_layout.hpp).
#pragma once

#include <lutra/runtime/conv/kernel_part.hpp>
#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>
#include <lutra/runtime/gemm/tiles.hpp>

namespace lutra::inline LUTRA_ABI {

// A segment of the kernel: where it begins in the lines, and in a strip of weights.
struct line_segment {
  index_t input, weights;
};

struct line_geometry {
  line_layout layout;   // of the weights
  kernel_part part;     // of the kernel
  index_t channels;     // of a group
  index_t dilation;     // of columns
  bool apart;           // a segment is a column
  index_t kernel_rows;  // of the part
  index_t kernel_columns;
  index_t parts;           // of a segment
  index_t position_bytes;  // from one position to the next
  index_t width;           // positions from one output row to the next

  line_geometry(const plane_geometry& g, const line_layout& weights, const kernel_part& taps)
      : layout(weights),
        part(taps),
        channels(g.channels),
        dilation(g.window.dilation[1]),
        apart(layout.apart || dilation != 1),
        kernel_rows(part.axis[0].count),
        kernel_columns(part.axis[1].count),
        parts(apart ? (channels + tile_depth - 1) / tile_depth : layout.parts()),
        position_bytes(g.window.stride[1] * channels) {
    const index_t stride = g.window.stride[1];
    const index_t reach = std::max<index_t>(kernel_columns - 1, 0) * dilation;
    width = ((g.output_columns - 1) * stride + reach + stride) / stride;
    width += width % g.row_phases;  // pairs of positions are pooled
  }
  index_t row_bytes() const noexcept { return width * position_bytes; }
  // Bytes for `count` output rows, and behind them what tiles of 64 positions may read.
  index_t size(const plane_geometry& g, index_t count) const noexcept {
    return g.rows.planes() * (count + g.rows.reach) * row_bytes();
  }
  index_t read_behind() const noexcept {
    return 64 * position_bytes + 2 * row_bytes() + tile_depth;
  }
  // Calls f(a, b, weights) for the first column b of every segment of kernel row a of the part.
  template <class F> void each_segment(F&& f) const {
    for (index_t a = 0; a < kernel_rows; ++a) {
      const index_t row = part.axis[0].first + a * part.axis[0].step;
      for (index_t b = 0; b < (apart ? kernel_columns : 1); ++b) {
        f(a, b, layout.offset(row, part.axis[1].first + b * part.axis[1].step, 0));
      }
    }
  }
  // Adds every segment of a phase.
  void add_segments(const plane_geometry& g, index_t count, index_t phase,
                    std::vector<line_segment>& all) const {
    each_segment([&](index_t a, index_t b, index_t weights) {
      const auto at = to_size(phase * kernel_rows + a);
      const index_t row = g.rows.plane[at] * (count + g.rows.reach) + g.rows.offset[at];
      all.push_back({row * row_bytes() + b * dilation * channels, weights});
    });
  }
  // Whether the weights are in the order of segments, and the rows behind one output row take at most `bytes`.
  bool fits(const plane_geometry& g, index_t bytes) const noexcept {
    return (apart == layout.apart || channels % tile_depth == 0) &&
           width <= bytes / position_bytes / g.rows.planes() / (1 + g.rows.reach);
  }
};

// `count` pixels of a row by up to 64 channels, which lie `stride` apart in x: pixel p goes to to + p * step. The row
// that follows lies `next` behind x: a line of each channel, too many for the cache to foresee.
template <class A>
void fill_line(const std::int8_t* x, index_t stride, index_t next, index_t count, index_t channels,
               bool flip, std::int8_t* to, index_t step) {
  for (index_t c = 0; c < channels; ++c) __builtin_prefetch(x + c * stride + next);
  for (index_t at = 0; at < count; at += 16) {
    const index_t pixels = std::min<index_t>(count, 16);
    const index_t first = std::min(at, count - pixels);  // the last ones once more
    simd::bytes_of<A> v[16];
    simd::unroll<16>([&](auto i) __attribute__((always_inline)) {
      const index_t lines = std::max<index_t>(channels + 15 - i, 0) / 16;
      // An address within x also where there is no channel.
      const std::int8_t* const from = x + (lines > 0 ? i * stride : 0) + first;
      v[i] = load_lines(from, lines > 1 ? 16 * stride : 0, lines, pixels, A{});
    });
    transpose_lines(v, A{});
    std::int8_t* const pixel = to + first * step;
    simd::unroll<16>([&](auto i) __attribute__((always_inline)) {
      if (flip) v[i] = flip_sign(v[i], A{});
      if (i < pixels) store_bytes_of(pixel + i * step, v[i], 0, channels, A{});
    });
  }
}

// The lines of output rows [first, first + count) of image n, channels from `channel` on; of every phase.
template <class A>
void fill_lines(const plane_geometry& g, const line_geometry& l,
                const tensor_view<const std::int8_t>& x, index_t n, index_t channel, index_t first,
                index_t count, std::int8_t pad, bool flip, std::int8_t* out) {
  const int sign = flip ? -128 : 0;
  const auto fill = [&](std::int8_t* begin, const std::int8_t* end) {
    std::memset(begin, pad ^ sign, to_size(end - begin));
  };
  const index_t step = g.rows.step, left = g.window.padding[1];
  const index_range columns = inside(-left, 1, x.extent(3), l.width * g.window.stride[1]);
  const index_t image = n * x.stride(0) + channel * x.stride(1);
  for (const index_t remainder : g.rows.remainders) {
    const index_t top = first * step + remainder - g.window.padding[0];
    const index_range rows = inside(top, step, x.extent(2), count + g.rows.reach);
    for (index_t i = 0; i < count + g.rows.reach; ++i, out += l.row_bytes()) {
      if (i < rows.begin || i >= rows.end || columns.size() == 0) {
        fill(out, out + l.row_bytes());
        continue;
      }
      const std::int8_t* from =
          x.data() + image + (top + i * step) * x.stride(2) + (columns.begin - left) * x.stride(3);
      std::int8_t* to = out + columns.begin * l.channels;
      fill(out, to);
      fill(out + columns.end * l.channels, out + l.row_bytes());
      if (x.stride(3) == 1) {
        const index_t next = i + 1 < rows.end ? step * x.stride(2) : 0;
        for (index_t c = 0; c < l.channels; c += 64) {
          fill_line<A>(from + c * x.stride(1), x.stride(1), next, columns.size(),
                       std::min<index_t>(l.channels - c, 64), flip, to + c, l.channels);
        }
        continue;
      }
      const bool last = x.stride(1) == 1;  // channels
      if (last && x.stride(3) == l.channels) {
        std::memcpy(to, from, static_cast<std::size_t>(columns.size() * l.channels));
      } else {
        for (index_t j = 0; j < columns.size(); ++j, to += l.channels) {
          const std::int8_t* const at = from + j * x.stride(3);
          if (last) {
            copy_run(to, at, static_cast<std::size_t>(l.channels));
          } else {
            for (index_t c = 0; c < l.channels; ++c) to[c] = at[c * x.stride(1)];
          }
        }
      }
      if (flip) flip_signs<A>(out + columns.begin * l.channels, columns.size() * l.channels);
    }
  }
}

// A strip of weights that are all 1.
inline std::vector<cache_line> line_ones(const line_layout& l) {
  std::vector<cache_line> ones(to_size(l.strip_bytes() / 64));
  line_layout strip = l;
  strip.rows = tile_rows;
  write_line_tiles(strip, reinterpret_cast<std::uint8_t*>(ones.data()),  // of all lines
                   [](index_t, index_t) { return std::uint8_t{1}; });
  return ones;
}

// By row, the sums of the weights of a part, as they are stored.
template <class A>
std::vector<std::int32_t> line_sums(const line_geometry& l, const lut_matrix& w) {
  static_assert(panel_bias(A{}) != 0, "panel_dot takes unsigned bytes, and weights as they are");
  std::vector<std::int32_t> sums(to_size(w.strips() * tile_rows));
  for (index_t row = 0; row < w.strips() * tile_rows; row += tile_rows) {
    constexpr index_t size = simd::vector_size<A>;
    simd::ints_of<A> sum[4];  // one alone would wait for itself
    for (auto& s : sum) s = splat_ints(0, A{});
    l.each_segment([&](index_t, index_t, index_t weights) {
      const std::int8_t* const from = w.line_tiles(row) + weights;
      for (index_t at = 0; at < l.parts * tile_bytes; at += 4 * size) {
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
          sum[i] =
              panel_dot(sum[i], splat_bytes(1, A{}), load_bytes(from + at + i * size, A{}), A{});
        });
      }
    });
    store_ints(sums.data() + row, add(add(sum[0], sum[1], A{}), add(sum[2], sum[3], A{}), A{}),
               A{});
  }
  return sums;
}

// sums[position][row] = products of the first `positions` of 64 at x by Strips strips, rows of Strips * tile_rows
// elements; of some more, while these share tiles. between() is called while the products of each part of a segment are
// made, Strips times for all positions: a little other work takes less time there than behind them.
template <class A, int Strips, class Between>
[[gnu::always_inline]] inline void multiply_lines(const std::int8_t* x, const line_geometry& l,
                                                  std::span<const line_segment> segments,
                                                  const std::int8_t* weights, index_t strip_bytes,
                                                  index_t positions, std::int32_t* sums,
                                                  Between&& between) {
  using simd::tile_dot, simd::tile_load, simd::tile_store, simd::tile_zero;
  constexpr int together = 4 / Strips,
                inputs = 4 - Strips;  // tiles of positions, those loaded at once
  constexpr index_t stride = Strips * tile_rows;
  const index_t next = l.position_bytes, parts = l.parts;
  for (int first = 0; first * tile_rows < positions; first += together) {
    simd::unroll<4>([&](auto i) __attribute__((always_inline)) { tile_zero<i>(A{}); });
    for (const line_segment& segment : segments) {
      const std::int8_t* w = weights + segment.weights;
      const std::int8_t* at = x + segment.input + first * tile_rows * next;
      for (index_t part = 0; part < parts; ++part) {
        const auto load = [&](auto v) __attribute__((always_inline)) {
          tile_load<4 + Strips + v % inputs>(at + v * tile_rows * next, next, A{});
        };
        simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
          tile_load<4 + s>(w + s * strip_bytes, tile_depth, A{});
        });
        simd::unroll<inputs>(load);
        simd::unroll<together>([&](auto v) __attribute__((always_inline)) {
          if constexpr (v >= inputs) load(v);
          simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
            tile_dot<v * Strips + s, 4 + Strips + v % inputs, 4 + s>(A{});
          });
          if constexpr (v == 0) between();
        });
        w += tile_bytes;
        at += tile_depth;
      }
    }
    simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
      constexpr int v = i / Strips, s = i % Strips;
      tile_store<i>(sums + (first + v) * tile_rows * stride + s * tile_rows,
                    stride * index_t{sizeof(std::int32_t)}, A{});
    });
  }
}

}  // namespace lutra::inline LUTRA_ABI
