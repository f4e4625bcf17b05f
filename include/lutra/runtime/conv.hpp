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
// Products are made by tiles (conv/tiles.hpp, lines.hpp) or vectors: of few channels, as depthwise, where the input
// lies (conv/windows.hpp, with channels last conv/channels.hpp), else with a panel of it that all channels read
// (conv/panel.hpp).
// Windows that spread the input over more memory than any network needs (conv/planes.hpp) raise size_overflow.
// With `pool` outputs are the largest of each 2 x 2 block of those above, a last row or column without a
// partner is dropped: the bits of max_pool2d, but the map between never exists.
#pragma once

#include <lutra/runtime/conv/channel_worker.hpp>
#include <lutra/runtime/conv/line_worker.hpp>
#include <lutra/runtime/conv/window_worker.hpp>
#include <lutra/runtime/conv/worker.hpp>
#include <lutra/runtime/grouped_matrix.hpp>
#include <lutra/runtime/product_call.hpp>
#include <lutra/tensor/overlap.hpp>

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
                  const tensor_view<Out>& out, std::string_view level, std::string_view where) {
  const std::string at(where);
  check(o.window, where);
  check_padding_value<X>(o.padding_value, at);
  const shape& ws = w.weight_shape();
  if (ws.rank() != 4) {
    raise(errc::shape_mismatch, "the weight needs four axes", at, text_of(ws),
          "[out, in / groups, kh, kw]");
  }
  if (o.groups < 1 || ws[0] % o.groups != 0) {
    raise(errc::invalid_argument, "groups must divide the output channels", at, text_of(o.groups),
          "a divisor of " + text_of(ws[0]));
  }
  if (x.rank() != 4 || !are_channels(x.extent(1), ws[1], o.groups)) {
    raise(errc::shape_mismatch, "x does not match the weight", at, text_of(x.extents()),
          "[n, " +
              (ws[1] <= max_size / o.groups ? text_of(ws[1] * o.groups)
                                            : text_of(ws[1]) + " * " + text_of(o.groups)) +
              ", h, w]");
  }
  check_kernel(ws, at);
  const index_t side = o.pool ? 2 : 1;
  const shape wanted{x.extent(0), ws[0], output_extent(o.window, 0, x.extent(2), ws[2]) / side,
                     output_extent(o.window, 1, x.extent(3), ws[3]) / side};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", at, text_of(out.extents()),
          text_of(wanted));
  }
  check_memory(x, out, at);
  check_slices<X>(w, level, at);
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

// One convolution of checked operands.
struct convolution {
  index_t groups;
  std::int32_t padding_value;
  bool pool = false;
  std::string_view where;
};
// The outputs that one part of the kernel makes: all, or a phase of those of a transposed convolution. `out`, which is
// not empty, says how many rows and columns there are.
template <class X, class Out> struct conv_phase {
  window2d window;  // without padding_end
  kernel_part part;
  tensor_view<const X> x;
  tensor_view<Out> out;
};

// side_by_side: channels of the input.
template <class A>
conv_products products_of(const conv_plan& p, index_t groups, bool side_by_side,
                          std::span<const lut_matrix> slices) {
  const index_t first_depth = p.part.depth(slices.front().depth());
  index_t depth = 0;
  for (const lut_matrix& w : slices) depth += p.part.depth(w.depth());
  if (convolves_in_tiles<A>(p.channels, first_depth, depth)) {
    const bool whole_strips = groups == 1 || p.channels % tile_rows == 0;
    const bool by_line = whole_strips && slices.size() == 1 && slices.front().has_line_tiles() &&
                         p.lines.fits(p.geometry, plane_bytes);
    return by_line ? conv_products::lines : conv_products::tiles;
  }
  if (slices.size() > 1) return conv_products::panel;
  if (side_by_side && p.geometry.channels == 1 && p.channels == 1 &&
      channel_geometry<A>(p.geometry).pays(p.geometry, groups, plane_bytes)) {
    return conv_products::channels;
  }
  return p.windows.pays(p.channels) ? conv_products::windows : conv_products::panel;
}
template <class A, class X, class Out, palette_matrix W>
conv_plan plan_of(const W& w, const convolution& c, const conv_phase<X, Out>& phase) {
  const index_t side = c.pool ? 2 : 1;
  plane_geometry geometry(phase.window, w.weight_shape()[1],
                          {phase.part.axis[0].count, phase.part.axis[1].count},
                          side * phase.out.extent(3), side);
  check(geometry, c.where);
  const line_geometry lines(geometry, slices_of(w).front().lines(), phase.part);
  window_groups windows(geometry);
  conv_plan p{phase.part, std::move(geometry), lines, std::move(windows), w.rows() / c.groups};
  p.products = products_of<A>(p, c.groups, phase.x.stride(1) == 1, slices_of(w));
  if (p.products == conv_products::windows) {
    p.geometry.width += p.geometry.width % side;  // pairs of columns
  }
  // Outputs that are one block anyway are counted with the gaps between rows: one run, of which a panel is filled
  // faster.
  const bool of_panel = p.products == conv_products::panel || p.products == conv_products::tiles;
  if (of_panel && p.geometry.width % side == 0 &&
      phase.out.extent(2) <= simd::vector_size<A> / p.geometry.width) {
    p.geometry.output_columns = p.geometry.width;
  }
  return p;
}

// Pieces of work of a job: the bands of all pairs of an image and what a worker runs at once: a group, or channels of
// as many groups as a vector holds.
struct conv_pieces {
  index_t groups, rows, band, bands, count;
};

template <class A, class Epilogue, class Out>
void run_pieces(const conv_job<A, Epilogue, Out>& job, const conv_pieces& p, index_range own) {
  const auto run = [&](auto&& worker) {
    for (index_t i = own.begin; i < own.end; ++i) {
      const index_t pair = i / p.bands, first = i % p.bands * p.band;
      worker.run(pair / p.groups, pair % p.groups, {first, std::min(first + p.band, p.rows)});
    }
  };
  if constexpr (has_tiles(A{})) {
    if (job.plan.products == conv_products::lines) {
      return run(line_worker<A, Epilogue, Out>(job));
    }
  }
  if (job.plan.products == conv_products::channels) {
    return run(channel_worker<A, Epilogue, Out>(job));
  }
  if (job.plan.products == conv_products::windows) {
    return run(window_worker<A, Epilogue, Out>(job));
  }
  run(conv_worker<A, Epilogue, Out>(job));
}

// Of each slice of w, which must stay as it is.
template <class A, palette_matrix W>
std::vector<weights_on_demand<A>> weights_on_demand_of(const W& w) {
  const std::span<const lut_matrix> slices = slices_of(w);
  return {slices.begin(), slices.end()};
}

// One call of bulk() runs all phases. decoded: of w, for all calls.
template <class A, class X, class E, palette_matrix W, epilogue_of<W> Epilogue, class Out>
void convolve(const E& ex, const W& w, std::span<weights_on_demand<A>> decoded,
              const convolution& c, std::span<const conv_phase<X, Out>> phases,
              const Epilogue& epilogue) {
  std::vector<conv_job<A, Epilogue, Out>> jobs;
  std::vector<conv_pieces> pieces;
  jobs.reserve(phases.size());
  pieces.reserve(phases.size());
  index_t all = 0;
  for (const conv_phase<X, Out>& phase : phases) {
    jobs.emplace_back(plan_of<A>(w, c, phase), phase.x, phase.out, c.padding_value, epilogue,
                      slices_of(w), decoded);
    const conv_plan& plan = jobs.back().plan;
    const index_t groups = plan.products == conv_products::channels
                               ? (c.groups + simd::vector_size<A> - 1) / simd::vector_size<A>
                               : c.groups;
    const index_t pairs = phase.out.extent(0) * groups, rows = phase.out.extent(2);
    const index_t band = rows_of_band<A>(plan.geometry.output_columns, rows,
                                         pairs * static_cast<index_t>(phases.size()));
    const index_t bands = (rows + band - 1) / band;
    pieces.push_back({groups, rows, band, bands, pairs * bands});
    all += pairs * bands;
  }
  // A shard is a part of the pieces, and what is serial has one. In it, a worker per phase keeps its buffers.
  const index_t shards = is_serial(ex) ? 1 : std::min<index_t>(all, 64);
  ex.bulk(shards, [&](index_t s) {
    const index_range part = shard(all, shards, s);
    index_t before = 0;  // pieces of other jobs
    for (std::size_t k = 0; k < jobs.size(); before += pieces[k++].count) {
      const index_range own{std::max<index_t>(part.begin - before, 0),
                            std::min(part.end - before, pieces[k].count)};
      if (own.begin < own.end) run_pieces(jobs[k], pieces[k], own);
    }
  });
}

struct conv2d_product {
  template <class A, class E, palette_matrix W, class X, class Out, epilogue_of<W> Epilogue>
  static void run(std::string_view where, const E& ex, const W& w, const tensor_view<const X>& x,
                  const tensor_view<Out>& out, const conv2d_options& o, const Epilogue& epilogue) {
    check_conv2d(w, x, o, out, A::name, where);
    check_epilogue(epilogue, w.rows(), out, where);
    if (o.pool && !std::is_same_v<Epilogue, requantize>) {
      raise(errc::unsupported, "only requantized outputs are pooled", std::string(where),
            "pool = true", "false, or an epilogue requantize");
    }
    if (out.empty()) return;
    const shape& ws = w.weight_shape();
    const conv_phase<X, Out> all{o.window, kernel_part::whole_of(ws[2], ws[3]), x, out};
    auto decoded = weights_on_demand_of<A>(w);
    convolve<A, X, E, W, Epilogue, Out>(ex, w, decoded, {o.groups, o.padding_value, o.pool, where},
                                        {&all, 1}, epilogue);
  }
};

// conv2d([ex,] w, x, options, [epilogue,] out [, level]), as product_call.hpp says. out is int8 or uint8 with
// requantize, float with dequantize_rows, and without an epilogue int32, the exact sums.
inline constexpr product_call<conv2d_product, keep_sums, conv2d_options> conv2d{"conv2d"};

}  // namespace lutra::inline LUTRA_ABI
