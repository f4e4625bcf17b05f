// lutra: to_float.hpp - products of int8 palettes whose outputs are float, slice by slice of the depth.
// SPDX-License-Identifier: Apache-2.0
//
// A matrix is given as its slices: consecutive parts of the depth, each a lut_matrix with scales of its own.
// A row of x is one column of 8-bit activations per digit, the lowest first. For row m of x and row r of w,
// with s_gd the exact int32 sum of slice g and digit d,
//   t_g = (float(s_g2) * 256 + float(s_g1)) * 256 + float(s_g0)         (float(s_g0) for one digit)
//   sum = ((0 + t_0 * scale_0[r]) + t_1 * scale_1[r]) + ...
// in float, each operation rounded on its own: the same bits at every level and for every executor.
#pragma once

#include <array>
#include <lutra/runtime/gemm/finish.hpp>
#include <lutra/runtime/gemm/panel.hpp>
#include <lutra/runtime/gemm/quantized_output.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Adds one slice's part of one row of x and one panel: raw [Digits][width] to sums [width].
template <class A, int Digits>
void add_slice(const lut_matrix& w, index_t panel,
               const std::array<std::int32_t, to_size(Digits)>& x_sum, std::int32_t row_sum_factor,
               const std::int32_t* raw, float* sums) {
  constexpr index_t lanes = simd::int_lanes<A>;
  const index_t first = panel * panel_strips * lanes;
  const index_t count = w.strips_of(panel) * lanes;
  const auto one = splat_floats(1.0F, A{});
  const auto base = splat_floats(256.0F, A{});
  for (index_t at = 0; at < count; at += lanes) {
    const auto exact = [&](int d) __attribute__((always_inline)) {
      return exact_sums<A>(w, raw + d * panel_strips * lanes + at, first + at,
                           negative<A>(x_sum[to_size(d)]), row_sum_factor);
    };
    const auto scale = load_floats(w.row_scales() + first + at, A{});
    auto part = scaled(exact(Digits - 1), Digits == 1 ? scale : base, A{});
    if constexpr (Digits > 1) {
      for (int d = Digits - 2; d >= 0; --d) {
        part = add_floats(part, scaled(exact(d), one, A{}), A{});
        part = multiply_floats(part, d == 0 ? scale : base, A{});
      }
    }
    store_floats(sums + at, add_floats(load_floats(sums + at, A{}), part, A{}), A{});
  }
}

// The same where all sums belong to one row: sums[i] += float(raw[i]) * scale, n whole registers of them.
template <class A> void add_scaled(const std::int32_t* raw, float scale, index_t n, float* sums) {
  const auto factor = splat_floats(scale, A{});
  for (index_t i = 0; i < n; i += simd::int_lanes<A>) {
    const auto part = scaled(load_ints(raw + i, A{}), factor, A{});
    store_floats(sums + i, add_floats(load_floats(sums + i, A{}), part, A{}), A{});
  }
}

// Where each has a scale of its own: sums[i] += float(raw[i]) * scale[i], n of them and the rest of a register.
template <class A>
void add_scaled(const std::int32_t* raw, const float* scale, index_t n, float* sums) {
  for (index_t i = 0; i < n; i += simd::int_lanes<A>) {
    const auto part = scaled(load_ints(raw + i, A{}), load_floats(scale + i, A{}), A{});
    store_floats(sums + i, add_floats(load_floats(sums + i, A{}), part, A{}), A{});
  }
}

// One product; immutable while it runs. x [rows of x * Digits, depth] int8, or uint8 that are 128 too large.
template <class A, int Digits, product_output Output, class Out> class float_product {
 public:
  float_product(std::span<const lut_matrix> slices, const Output& o, tensor_view<Out> out)
      : slices_(slices), output_(o), out_(out) {}

  // What is left of an activation's offset after the kernel: see exact_sums.
  std::int32_t row_sum_factor = 0;

  // Rows [first, first + scale.size()) of out; x has theirs only.
  template <class E, class X>
  void run(const E& ex, const tensor_view<const X>& x, index_t first,
           std::span<const float> scale) {
    columns_.clear();
    index_t begin = 0;
    for (const lut_matrix& w : slices_) {
      const tensor_view<const X> part(x.data() + begin * x.stride(1), shape{x.extent(0), w.depth()},
                                      x.strides());
      columns_
          .emplace_back(w.depth(), w.layout().step_depth(), w.product_bytes(), block_rows * Digits)
          .prepare(part, 0, x.extent(0));
      begin += w.depth();
    }
    // Slices lie apart in memory: some panels of each are read in one go.
    const lut_matrix& slice = slices_.front();
    const index_t panel_bytes = slice.step_bytes(0) * slice.steps();
    const index_t at_once =
        slices_.size() == 1
            ? 1
            : std::clamp<index_t>(read_bytes / std::max<index_t>(panel_bytes, 1), 1, most_panels);
    const index_t shards = (slice.panels() + at_once - 1) / at_once;
    ex.bulk(shards, [&](index_t s) {
      const index_t end = std::min(slice.panels(), (s + 1) * at_once);
      for (index_t row = 0; row < static_cast<index_t>(scale.size()); row += block_rows) {
        run_block(s * at_once, end, row, first, scale);
      }
    });
  }

 private:
  static constexpr index_t width = panel_strips * simd::int_lanes<A>;
  static constexpr auto digit_count = to_size(Digits);
  static constexpr index_t read_bytes = 16 * 1024;
  static constexpr index_t most_panels = has_tiles(A{}) ? 4 : 8;
  // Rows of x at once: what tiles hold, or registers.
  static constexpr index_t block_rows = has_tiles(A{}) ? tiled_columns / Digits
                                        : Digits == 1  ? 8
                                                       : 4;

  void run_block(index_t panel, index_t end, index_t row, index_t first,
                 std::span<const float> scale) const {
    const index_t rows = std::min(block_rows, static_cast<index_t>(scale.size()) - row);
    alignas(64) std::int32_t raw[to_size(block_rows * Digits * width)];
    alignas(64) float sums[to_size(block_rows * most_panels * width)];
    const index_t stride = (end - panel) * width;
    std::fill_n(sums, rows * stride, 0.0F);
    for (std::size_t g = 0; g < slices_.size(); ++g) {
      const lut_matrix& w = slices_[g];
      const activation_rows<A>& x = columns_[g];
      for (index_t p = panel; p < end; ++p) {
        multiply_panels<A>(w, {p, p + 1}, x, row * Digits, rows * Digits, {raw, width, true},
                           nothing_to_do);
        for (index_t i = 0; i < rows; ++i) {
          std::array<std::int32_t, digit_count> x_sum;
          for (int d = 0; d < Digits; ++d) x_sum[to_size(d)] = x.sum((row + i) * Digits + d);
          add_slice<A, Digits>(w, p, x_sum, row_sum_factor, raw + i * Digits * width,
                               sums + i * stride + (p - panel) * width);
        }
      }
    }
    const index_t begin = panel * width;
    const index_t count = std::min(end * width, slices_.front().rows()) - begin;
    for (index_t i = 0; i < rows; ++i) {
      Out* to = out_.data() + (first + row + i) * out_.stride(0) + begin * out_.stride(1);
      write_outputs<A>(output_, {begin}, sums + i * stride, scale[to_size(row + i)], count, to,
                       out_.stride(1));
    }
  }

  std::span<const lut_matrix> slices_;
  const Output& output_;
  tensor_view<Out> out_;
  std::vector<activation_rows<A>> columns_;  // per slice
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
