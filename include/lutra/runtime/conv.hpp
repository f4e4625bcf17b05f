// lutra: conv.hpp - 2-D convolution of int8 or uint8 NCHW tensors with a palettized weight.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i][j] = sum over c, a, b of
//                     w[o][c][a][b] * x[n][group(o) * C + c][i*s - p + a*d][j*s - p + b*d]
// x [n, in, h, w]; weight [out, in/groups, kh, kw]; positions outside x count as `padding_value`, the
// zero point of x. Sums are exact int32; the epilogue of a row is the one of its output channel.
// Any groups, depthwise included. 1-D convolutions use height 1. Views may have any strides; out must
// not overlap x, the epilogue or itself, as in gemm.hpp. An executor runs (image, group) pairs and, where these are
// few, bands of rows of each; results do not depend on it.
// Products are made by tiles (conv/tiles.hpp, lines.hpp) or vectors: of few channels, as depthwise, where the input lies
// (conv/windows.hpp), else with a panel of it that all channels read (conv/panel.hpp).
// Windows that spread the input over more memory than any network needs (conv/planes.hpp) raise size_overflow.
// With `pool` outputs are the largest of each 2 x 2 block of those above, a last row or column without a
// partner is dropped: the bits of max_pool2d, but the map between never exists.
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/runtime/conv/line_worker.hpp>
#include <lutra/runtime/conv/window_worker.hpp>
#include <lutra/runtime/conv/worker.hpp>
#include <lutra/runtime/grouped_matrix.hpp>
#include <lutra/tensor/overlap.hpp>
#include <lutra/tensor/traits.hpp>

namespace lutra::inline LUTRA_ABI {

struct conv2d_options {
  window2d window{};               // padding is of one side: window2d::symmetric() pads both
  index_t groups = 1;              // divides the channels of input and output
  std::int32_t padding_value = 0;  // zero point of the input
  bool pool = false;               // only with requantize
};

// Raises invalid_argument unless the value fits activations of type X.
template <class X> void check_padding_value(std::int32_t value, std::string_view where) {
  static_assert(std::is_same_v<X, std::int8_t> || std::is_same_v<X, std::uint8_t>,
                "activations are int8 or uint8");
  constexpr std::int32_t lowest = std::is_signed_v<X> ? -128 : 0;
  if (value >= lowest && value <= lowest + 255) return;
  raise(errc::invalid_argument, "padding_value out of range", std::string(where), text_of(value),
        range_text(lowest, lowest + 255));
}

// channels == of_group * groups, which need not be an integer of the type; groups >= 1.
constexpr bool are_channels(index_t channels, index_t of_group, index_t groups) noexcept {
  return channels % groups == 0 && channels / groups == of_group;
}

template <palette_matrix W, class X, class Out>
void check_conv2d(const W& w, const tensor_view<const X>& x, const conv2d_options& o,
                  const tensor_view<Out>& out, std::string_view level) {
  check(o.window, "conv2d");
  check_padding_value<X>(o.padding_value, "conv2d");
  const shape& ws = w.weight_shape();
  if (ws.rank() != 4) {
    raise(errc::shape_mismatch, "a conv2d weight has four axes", "conv2d", text_of(ws));
  }
  if (o.groups < 1 || ws[0] % o.groups != 0) {
    raise(errc::invalid_argument, "groups must divide the output channels", "conv2d",
          text_of(o.groups), "a divisor of " + text_of(ws[0]));
  }
  if (x.rank() != 4 || !are_channels(x.extent(1), ws[1], o.groups)) {
    raise(errc::shape_mismatch, "x does not match the weight", "conv2d", text_of(x.extents()),
          "[n, " +
              (ws[1] <= max_size / o.groups ? text_of(ws[1] * o.groups)
                                            : text_of(ws[1]) + " * " + text_of(o.groups)) +
              ", h, w]");
  }
  check_kernel(ws, "conv2d");
  const index_t side = o.pool ? 2 : 1;
  const shape wanted{x.extent(0), ws[0], output_extent(o.window, 0, x.extent(2), ws[2]) / side,
                     output_extent(o.window, 1, x.extent(3), ws[3]) / side};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", "conv2d",
          text_of(out.extents()), text_of(wanted));
  }
  check_memory(x, out, "conv2d");
  check_slices<X>(w, level, "conv2d");
}

// Output rows of `columns` positions that run on their own: bands for 16 shards, but each of eight blocks of positions
// or more, since a band reads the rows around it again; of up to twice as many rows where that makes fewer blocks.
template <class A>
constexpr index_t rows_of_band(index_t columns, index_t rows, index_t pairs) noexcept {
  constexpr index_t block = simd::vector_size<A>;
  const auto blocks_of = [&](index_t n) { return (n * columns + block - 1) / block; };
  const index_t of_each = (15 + pairs) / pairs;
  const index_t least =
      std::max((rows + of_each - 1) / of_each, (8 * block + columns - 1) / columns);
  if (least >= rows) return rows;
  index_t best = least, fewest = blocks_of(rows) * rows;  // more than any choice takes
  for (index_t band = least; band < std::min(2 * least, rows); ++band) {
    const index_t all = rows / band * blocks_of(band) + blocks_of(rows % band);
    if (all >= fewest) continue;
    fewest = all;
    best = band;
  }
  return best;
}

// One convolution of checked operands; out says how many rows and columns it has.
struct convolution {
  window2d window;  // without padding_end
  kernel_part part;
  index_t groups;
  std::int32_t padding_value;
  bool pool = false;
  std::string_view where;
};

// channels: of the output, of a group.
template <class A>
conv_products products_of(const plane_geometry& g, const line_geometry& lines,
                          const window_groups& windows, const convolution& c, index_t channels,
                          std::span<const lut_matrix> slices) {
  const index_t first_depth = c.part.depth(slices.front().depth());
  index_t depth = 0;
  for (const lut_matrix& w : slices) depth += c.part.depth(w.depth());
  if (convolves_in_tiles<A>(channels, first_depth, depth)) {
    const bool whole_strips = c.groups == 1 || channels % tile_rows == 0;
    const bool by_line = whole_strips && slices.size() == 1 && slices.front().has_line_tiles() &&
                         lines.fits(g, plane_bytes);
    return by_line ? conv_products::lines : conv_products::tiles;
  }
  return slices.size() == 1 && windows.pays(channels) ? conv_products::windows
                                                      : conv_products::panel;
}

// w: of several slices only with a slice_epilogue. out is not empty.
template <class A, class X, class E, palette_matrix W, class Epilogue, class Out>
void convolve(const E& ex, const W& w, const tensor_view<const X>& x, const convolution& c,
              const Epilogue& epilogue, const tensor_view<Out>& out) {
  const shape& ws = w.weight_shape();
  const index_t side = c.pool ? 2 : 1;
  plane_geometry geometry(c.window, ws[1], {c.part.axis[0].count, c.part.axis[1].count},
                          side * out.extent(3), side);
  check(geometry, c.where);
  const index_t channels = w.rows() / c.groups;
  const line_geometry lines(geometry, slices_of(w).front().lines(), c.part);
  const window_groups windows(geometry);
  const conv_products products =
      products_of<A>(geometry, lines, windows, c, channels, slices_of(w));
  if (products == conv_products::windows)
    geometry.width += geometry.width % side;  // pairs of columns
  const std::int32_t padding = c.padding_value - (std::is_unsigned_v<X> ? 128 : 0);
  const std::vector<conv_slice<A>> slices = conv_slices<A, X>(
      slices_of(w), epilogue, {products, c.part, lines, windows, channels, padding, 0, {}});
  const tensor_view<const std::int8_t> bytes(reinterpret_cast<const std::int8_t*>(x.data()),
                                             x.extents(), x.strides());
  const conv_job<A, Epilogue, Out> job{slices,   epilogue,
                                       geometry, lines,
                                       windows,  bytes,
                                       out,      c.part.depth(w.depth()),
                                       channels, static_cast<std::int8_t>(c.padding_value),
                                       products, std::is_unsigned_v<X>};
  // One worker per shard keeps its buffers; a shard is a part of the bands of all (image, group) pairs, and what is
  // serial has one.
  const index_t pairs = out.extent(0) * c.groups, rows = out.extent(2);
  const index_t band = rows_of_band<A>(geometry.output_columns, rows, pairs);
  const index_t bands = (rows + band - 1) / band;
  const index_t shards = is_serial(ex) ? 1 : std::min<index_t>(pairs * bands, 64);
  ex.bulk(shards, [&](index_t s) {
    const index_range part = shard(pairs * bands, shards, s);
    const auto run = [&](auto&& worker) {
      for (index_t i = part.begin; i < part.end; ++i) {
        const index_t pair = i / bands, first = i % bands * band;
        worker.run(pair / c.groups, pair % c.groups, {first, std::min(first + band, rows)});
      }
    };
    if constexpr (has_tiles(A{})) {
      if (products == conv_products::lines) return run(line_worker<A, Epilogue, Out>(job));
    }
    if (products == conv_products::windows) return run(window_worker<A, Epilogue, Out>(job));
    run(conv_worker<A, Epilogue, Out>(job));
  });
}

template <class A, class X, class E, palette_matrix W, class Epilogue, class Out>
void conv2d_views(const E& ex, const W& w, const tensor_view<const X>& x, const conv2d_options& o,
                  const Epilogue& epilogue, const tensor_view<Out>& out) {
  check_conv2d(w, x, o, out, A::name);
  check_epilogue(epilogue, w.rows(), out, "conv2d");
  if (o.pool && !std::is_same_v<Epilogue, requantize>) {
    raise(errc::unsupported, "only requantized outputs are pooled", "conv2d");
  }
  if (out.empty()) return;
  const shape& ws = w.weight_shape();
  const convolution c{
      o.window, kernel_part::whole_of(ws[2], ws[3]), o.groups, o.padding_value, o.pool, "conv2d"};
  convolve<A, X>(ex, w, x, c, epilogue, out);
}

// Calls without an executor run on the calling thread. out int32: the exact sums.
template <executor E, readable_tensor X, writable_tensor Out, class A = simd::native>
void conv2d(const E& ex, const lut_matrix& w, const X& x, const conv2d_options& o, Out&& out,
            A = {}) {
  conv2d_views<A, element_t<X>>(ex, w, view(x), o, keep_sums{}, view(out));
}
template <readable_tensor X, writable_tensor Out, class A = simd::native>
void conv2d(const lut_matrix& w, const X& x, const conv2d_options& o, Out&& out, A level = {}) {
  conv2d(serial_executor{}, w, x, o, out, level);
}
// With requantize out is int8 or uint8, with dequantize_rows float.
template <executor E, readable_tensor X, row_epilogue Epilogue, writable_tensor Out,
          class A = simd::native>
void conv2d(const E& ex, const lut_matrix& w, const X& x, const conv2d_options& o,
            const Epilogue& epilogue, Out&& out, A = {}) {
  conv2d_views<A, element_t<X>>(ex, w, view(x), o, epilogue, view(out));
}
template <readable_tensor X, row_epilogue Epilogue, writable_tensor Out, class A = simd::native>
void conv2d(const lut_matrix& w, const X& x, const conv2d_options& o, const Epilogue& epilogue,
            Out&& out, A level = {}) {
  conv2d(serial_executor{}, w, x, o, epilogue, out, level);
}

}  // namespace lutra::inline LUTRA_ABI
