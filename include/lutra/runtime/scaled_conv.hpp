// lutra: scaled_conv.hpp - convolutions with scales: of palettes with groups of input channels, too.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i][j] = min(max(sum of w * x + bias[o], lo), hi)       over the window of conv.hpp or conv_transpose.hpp
// with w = (table[code] - zero_point) * scale and x = (q - zero_point) * scale, q int8 or uint8. out is float, or the
// codes of these floats with a quantized_output. The weight is a lut_matrix or, with blocks of input channels, a
// grouped_lut_matrix; sums of a block are exact int32 and blocks are added in float as in gemm/to_float.hpp: the
// same bits at every level and for every executor. Positions outside x count as `padding_value`, which is
// the zero point of x where they are to be 0. Outputs cannot be pooled.
#pragma once

#include <lutra/runtime/conv_transpose.hpp>
#include <lutra/runtime/gemm/activation_scale.hpp>
#include <lutra/runtime/gemm/to_float.hpp>

namespace lutra::inline LUTRA_ABI {

// The epilogue that conv_worker runs.
template <product_output Output> struct scaled_sums {
  static constexpr bool adds_slices = true;
  const Output& output;
  float x_scale;
  std::int32_t x_zero_point;

  template <class A> static void add(const std::int32_t* raw, float scale, index_t n, float* sums) {
    add_scaled<A>(raw, scale, n, sums);
  }
  // n positions of output channel `row`.
  template <class A, class Out>
  void write(index_t row, const float* sums, index_t n, Out* out) const {
    write_outputs<A>(output, {row, true}, sums, x_scale, n, out, 1);
  }
  // n output channels from `row` on at one position, of one slice; raw and scale are read in whole registers.
  template <class A, class Out>
  void write_rows(index_t row, const std::int32_t* raw, const float* scale, index_t n,
                  Out* out) const {
    alignas(64) float sums[static_cast<std::size_t>(simd::vector_size<A>)] = {};
    add_scaled<A>(raw, scale, n, sums);
    write_outputs<A>(output, {row}, sums, x_scale, n, out, 1);
  }
};
template <product_output Output, class Out>
void check_epilogue(const scaled_sums<Output>& e, index_t rows, const tensor_view<Out>& out,
                    std::string_view where) {
  check_output(e.output, rows, out, where);
}

template <class Convolution> struct scaled_convolution {
  template <class A, class E, palette_matrix W, class X, class Out, class Options,
            product_output Output>
  static void run(std::string_view where, const E& ex, const W& w, const tensor_view<const X>& x,
                  const tensor_view<Out>& out, const Options& o, const activation_scale& s,
                  const Output& output) {
    check_activation_scale<X>(w, s, where);
    Convolution::template run<A>(where, ex, w, x, out, o,
                                 scaled_sums<Output>{output, s.scale, s.zero_point});
  }
};

// conv2d_scaled([ex,] w, x, options, scale, [output,] out [, level]), as product_call.hpp says; output: gemm_scaled's.
inline constexpr product_call<scaled_convolution<conv2d_product>, float_output, conv2d_options,
                              activation_scale>
    conv2d_scaled{"conv2d_scaled"};
// Likewise; w is made from a transposed_palette().
inline constexpr product_call<scaled_convolution<conv_transpose2d_product>, float_output,
                              conv_transpose2d_options, activation_scale>
    conv_transpose2d_scaled{"conv_transpose2d_scaled"};

}  // namespace lutra::inline LUTRA_ABI
