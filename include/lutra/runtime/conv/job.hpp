// lutra: job.hpp - what is the same for all images of one convolution.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/runtime/conv/channels.hpp>
#include <lutra/runtime/conv/kernel_part.hpp>
#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>
#include <lutra/runtime/conv/tiles.hpp>
#include <lutra/runtime/conv/windows.hpp>
#include <lutra/runtime/epilogue.hpp>
#include <optional>
#include <span>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Of the planes or lines of as many output rows as fit: a band stays in the second-level cache.
inline constexpr index_t plane_bytes = 256 * 1024;

// What makes the products of a call.
enum class conv_products {
  panel,     // panel.hpp
  tiles,     // tiles.hpp, of a panel
  lines,     // lines.hpp
  windows,   // windows.hpp
  channels,  // channels.hpp
};

// How they are made. Taps that the kernel has and the call has not meet the padding.
struct conv_plan {
  kernel_part part;
  plane_geometry geometry;
  line_geometry lines;    // of the products of that name
  window_groups windows;  // likewise
  index_t channels;       // of the output, of a group
  conv_products products = conv_products::panel;
};

// What is added to the products of a row.
struct conv_addends {
  std::int32_t padding;  // as the kernel sees it
  std::int32_t row_sum_factor =
      0;  // what is missing from every activation (exact_sums of the GEMM)
  std::span<const std::int32_t> bias;  // by row, or empty
};

// The weights of a slice, decoded when the first phase of a call asks for them. Not for two threads at once.
template <class A> class weights_on_demand {
 public:
  explicit weights_on_demand(const lut_matrix& w) : matrix_(w) {}
  const byte_weights<A>& operator()() {
    if (!decoded_) decoded_.emplace(matrix_);
    return *decoded_;
  }

 private:
  const lut_matrix& matrix_;
  std::optional<byte_weights<A>> decoded_;
};

// Consecutive taps with a matrix of their own: all of them, or those of a block of input channels.
//   sum = raw + start[row] - zero_point[row] * (sum of the activations at the position)
template <class A> struct conv_slice {
  panel_weights<A> weights;  // each as the products need it, or empty
  tile_weights<A> tiles;
  window_weights<A> windows;
  channel_weights<A> channels;
  const lut_matrix& matrix;
  std::vector<std::int32_t> start;       // row sums, bias, missing taps, minus what panel_bias adds
  std::vector<std::int32_t> zero_point;  // empty when all are 0
  index_t first_tap;
  index_t first_group;
  index_t depth;  // taps of the call

  conv_slice(const lut_matrix& w, index_t tap, index_t group, const conv_plan& plan,
             const conv_addends& call, weights_on_demand<A>& decoded)
      : matrix(w), first_tap(tap), first_group(group), depth(plan.part.depth(w.depth())) {
    const std::uint32_t added =  // to every activation
        plan.products == conv_products::lines ? 0 : static_cast<std::uint32_t>(panel_bias(A{}));
    const std::uint32_t padding = static_cast<std::uint32_t>(call.padding);
    const std::vector<std::int32_t> sums =
        take_weights(plan, decoded, !plan.part.whole() && padding + added != 0);
    start.reserve(static_cast<std::size_t>(w.rows()));
    for (index_t row = 0; row < w.rows(); ++row) {
      const auto r = static_cast<std::size_t>(row);
      const auto row_sum = static_cast<std::uint32_t>(w.row_sum(row));
      const auto zeros =
          static_cast<std::uint32_t>(w.zero_point(row)) * static_cast<std::uint32_t>(depth);
      const std::uint32_t raw =
          sums.empty() ? row_sum + zeros : static_cast<std::uint32_t>(sums[r]);
      const std::uint32_t bias = call.bias.empty() ? 0U : static_cast<std::uint32_t>(call.bias[r]);
      const std::uint32_t from = static_cast<std::uint32_t>(call.row_sum_factor) * row_sum + bias +
                                 padding * (row_sum + zeros) - (padding + added) * raw;
      start.push_back(static_cast<std::int32_t>(from));
      if (w.has_zero_points()) zero_point.push_back(w.zero_point(row));
    }
  }
  index_t groups() const noexcept { return (depth + 3) / 4; }

 private:
  // Makes what the products read. Sums of a row's weights, without zero points, if asked for.
  std::vector<std::int32_t> take_weights(const conv_plan& plan, weights_on_demand<A>& decoded,
                                         bool summed) {
    std::vector<std::int32_t> sums;
    if constexpr (has_tiles(A{})) {
      if (plan.products == conv_products::lines) {
        if (summed) sums = line_sums<A>(plan.lines, matrix);
        return sums;
      }
    }
    if (plan.products == conv_products::windows || plan.products == conv_products::channels) {
      if (depth == 0) return std::vector<std::int32_t>(static_cast<std::size_t>(matrix.rows()));
      const std::vector<index_t> taps = plan.part.taps(matrix.depth());
      if (plan.products == conv_products::windows) {
        windows = window_weights<A>(decoded(), matrix.rows(), plan.windows, taps);
      } else {
        const channel_geometry<A> g(plan.geometry);
        channels = channel_weights<A>(decoded(), matrix.rows(), g, taps);
      }
      for (index_t row = 0; summed && row < matrix.rows(); ++row) {
        std::int32_t sum = 0;
        for (const index_t k : taps) sum += decoded().weight(row, k);
        sums.push_back(sum);
      }
      return sums;
    }
    if (plan.part.whole()) {
      weights = panel_weights<A>(matrix);
    } else {
      weights = panel_weights<A>(matrix, decoded(), plan.part.taps(matrix.depth()));
      if (summed) sums.assign(weights.sums().begin(), weights.sums().end());
    }
    if (plan.products == conv_products::tiles) {
      tiles = tile_weights<A>(weights, matrix.rows(), depth, plan.channels);
      weights = {};
    }
    return sums;
  }
};

// An epilogue that adds the slices in float. Others take the sums of the only slice.
template <class E>
concept slice_epilogue = E::adds_slices;
// One for the sums of a matrix W.
template <class E, class W>
concept epilogue_of = (std::same_as<W, lut_matrix> && sum_epilogue<E>) || slice_epilogue<E>;

// Everything that is the same for all images of one call or, of a transposed convolution, of one phase.
template <class A, class Epilogue, class Out> struct conv_job {
  conv_plan plan;
  const Epilogue& epilogue;
  tensor_view<const std::int8_t> x;
  tensor_view<Out> out;
  std::int8_t pad;
  bool flip;  // bytes of x and pad are uint8: the kernel sees them minus 128
  std::vector<conv_slice<A>> slices;
  index_t depth = 0;  // of all slices

  // padding: of the input, as its type has it.
  template <class X>
  conv_job(conv_plan p, const tensor_view<const X>& input, const tensor_view<Out>& output,
           std::int32_t padding, const Epilogue& e, std::span<const lut_matrix> matrices,
           std::span<weights_on_demand<A>> decoded)
      : plan(std::move(p)),
        epilogue(e),
        x(reinterpret_cast<const std::int8_t*>(input.data()), input.extents(), input.strides()),
        out(output),
        pad(static_cast<std::int8_t>(padding)),
        flip(std::is_unsigned_v<X>) {
    const std::int32_t missing = flip ? 128 : 0;
    conv_addends call{padding - missing, missing, {}};
    if constexpr (slice_epilogue<Epilogue>) {
      call.row_sum_factor -= e.x_zero_point;
    } else if constexpr (!std::is_same_v<Epilogue, keep_sums>) {
      call.bias = e.bias;
    }
    slices.reserve(matrices.size());
    index_t group = 0;
    for (std::size_t i = 0; i < matrices.size(); ++i) {
      slices.emplace_back(matrices[i], depth, group, plan, call, decoded[i]);
      depth += slices.back().depth;
      group += slices.back().groups();
    }
  }
};

// Bands of rows, as many in each as plane_bytes hold.
class row_bands {
 public:
  // Calls f(first, count) for each, and before it prepare(count) where count is not that of the band before, also of an
  // earlier call. `around` bytes are taken, and per_row by each row.
  template <class Prepare, class F>
  void each(index_range rows, index_t around, index_t per_row, Prepare&& prepare, F&& f) {
    const index_t fit =
        std::clamp<index_t>((plane_bytes - around) / std::max<index_t>(per_row, 1), 1, rows.size());
    for (index_t first = rows.begin; first < rows.end; first += fit) {
      const index_t count = std::min(fit, rows.end - first);
      if (count != prepared_) prepare(count);
      prepared_ = count;
      f(first, count);
    }
  }

 private:
  index_t prepared_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI
