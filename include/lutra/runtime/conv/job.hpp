// lutra: job.hpp - what is the same for all images of one convolution.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/runtime/conv/kernel_part.hpp>
#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>
#include <lutra/runtime/conv/tiles.hpp>
#include <lutra/runtime/conv/windows.hpp>
#include <lutra/runtime/epilogue.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// Of the planes or lines of as many output rows as fit: a band stays in the second-level cache.
inline constexpr index_t plane_bytes = 256 * 1024;

// What makes the products of a call.
enum class conv_products {
  panel,    // panel.hpp
  tiles,    // tiles.hpp, of a panel
  lines,    // lines.hpp
  windows,  // windows.hpp
};

// What the slices of a call have in common. Taps that the kernel has and the call has not meet the padding.
struct conv_weights {
  conv_products products;
  const kernel_part& part;
  const line_geometry& lines;
  const window_groups& windows;
  index_t channels;                // of the output, of a group
  std::int32_t padding;            // as the kernel sees it
  std::int32_t row_sum_factor;     // what is missing from every activation (exact_sums of the GEMM)
  std::vector<std::int32_t> bias;  // by row, or empty
};

// Consecutive taps with a matrix of their own: all of them, or those of a block of input channels.
//   sum = raw + start[row] - zero_point[row] * (sum of the activations at the position)
template <class A> struct conv_slice {
  panel_weights<A> weights;  // each as the products need it, or empty
  tile_weights<A> tiles;
  window_weights<A> windows;
  const lut_matrix& matrix;
  std::vector<std::int32_t> start;       // row sums, bias, missing taps, minus what panel_bias adds
  std::vector<std::int32_t> zero_point;  // empty when all are 0
  index_t first_tap;
  index_t first_group;
  index_t depth;  // taps of the call

  conv_slice(const lut_matrix& w, index_t tap, index_t group, const conv_weights& call)
      : matrix(w), first_tap(tap), first_group(group), depth(call.part.depth(w.depth())) {
    const bool whole = call.part.whole();
    std::uint32_t added = 0;  // to every activation
    if (call.products != conv_products::lines) {
      added = static_cast<std::uint32_t>(panel_bias(A{}));
      weights = whole ? panel_weights<A>(w) : panel_weights<A>(w, call.part.taps(w.depth()));
    }
    std::vector<std::int32_t> sums(weights.sums().begin(), weights.sums().end());  // of a part
    if constexpr (has_tiles(A{})) {
      if (!whole && call.products == conv_products::lines) sums = line_sums<A>(call.lines, w);
    }
    for (index_t r = 0; r < w.rows(); ++r) {
      const auto row_sum = static_cast<std::uint32_t>(w.row_sum(r));
      const auto zeros =
          static_cast<std::uint32_t>(w.zero_point(r)) * static_cast<std::uint32_t>(depth);
      const std::uint32_t raw =
          whole ? row_sum + zeros : static_cast<std::uint32_t>(sums[static_cast<std::size_t>(r)]);
      const std::uint32_t from =
          static_cast<std::uint32_t>(call.row_sum_factor) * row_sum +
          static_cast<std::uint32_t>(bias_of(call.bias, r)) +
          static_cast<std::uint32_t>(call.padding) * (row_sum + zeros - raw) - added * raw;
      start.push_back(static_cast<std::int32_t>(from));
      if (w.has_zero_points()) zero_point.push_back(w.zero_point(r));
    }
    if (call.products == conv_products::tiles) {
      tiles = tile_weights<A>(weights, w.rows(), depth, call.channels);
    } else if (call.products == conv_products::windows) {
      windows = window_weights<A>(weights, w.rows(), call.windows);
    }
    if (call.products != conv_products::panel) weights = {};
  }
  index_t groups() const noexcept { return (depth + 3) / 4; }
};

// An epilogue that adds the slices in float. Others take the sums of the only slice.
template <class E>
concept slice_epilogue = E::adds_slices;

// Everything that is the same for all images of one call.
template <class A, class Epilogue, class Out> struct conv_job {
  std::span<const conv_slice<A>> slices;
  const Epilogue& epilogue;
  const plane_geometry& geometry;
  const line_geometry& lines;    // of the products of that name
  const window_groups& windows;  // likewise
  const tensor_view<const std::int8_t>& x;
  const tensor_view<Out>& out;
  index_t depth;               // of all slices
  index_t channels_per_group;  // of the output
  std::int8_t pad;
  conv_products products;
  bool flip;  // bytes of x and pad are uint8: the kernel sees them minus 128
};

// call: without row_sum_factor and bias, which X, the type of the activations, and the epilogue say.
template <class A, class X, class Epilogue>
std::vector<conv_slice<A>> conv_slices(std::span<const lut_matrix> matrices,
                                       const Epilogue& epilogue, conv_weights call) {
  call.row_sum_factor = std::is_signed_v<X> ? 0 : 128;
  if constexpr (slice_epilogue<Epilogue>) {
    call.row_sum_factor -= epilogue.x_zero_point;
  } else if constexpr (!std::is_same_v<Epilogue, keep_sums>) {
    call.bias = epilogue.bias;
  }
  std::vector<conv_slice<A>> slices;
  index_t tap = 0, group = 0;
  for (const lut_matrix& w : matrices) {
    slices.emplace_back(w, tap, group, call);
    tap += slices.back().depth;
    group += slices.back().groups();
  }
  return slices;
}

// Rows in bands of as many as plane_bytes hold, where `around` are taken and per_row by each: f(first, count).
template <class F> void for_each_band(index_range rows, index_t around, index_t per_row, F&& f) {
  const index_t fit =
      std::clamp<index_t>((plane_bytes - around) / std::max<index_t>(per_row, 1), 1, rows.size());
  for (index_t first = rows.begin; first < rows.end; first += fit) {
    f(first, std::min(fit, rows.end - first));
  }
}

}  // namespace lutra::inline LUTRA_ABI
