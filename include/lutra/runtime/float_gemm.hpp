// lutra: float_gemm.hpp - products with scales: an int8 palette matrix times float or scaled activations.
// SPDX-License-Identifier: Apache-2.0
//
//   out[m][r] = min(max(sum_k w[r][k] * x[m][k] + bias[r], lo), hi)     x [m, depth], out [m, rows]
// out is float; with a quantized_output it holds the int8 or uint8 codes of these floats (gemm/quantized_output.hpp).
// w[r][k] = (table[code] - zero_point) * scale. All three multiply in integers and never decode to float:
//   gemm_float     weight-only: each row of x becomes three int8 digits under a common power of two
//                  (gemm/digits.hpp), and their products with the tables are summed exactly. Differs from the exact
//                  value by at most   (2^-22.9 * max_k |x[m][k]| * sum_k |w[r][k]|
//                                      + (slices + 4) * 2^-24 * sum_k |w[r][k] * x[m][k]|) * (1 + 2^-20)
//                  plus 2^-127 * sum_k |w[r][k]| (digits end at 2^-126) and 2^-24 times the output for the bias, but for
//                  results below the normal numbers and overflow, also of scale times integer sum: as good as float
//                  sums of some ten terms.
//   gemm_dynamic   each row of x is quantized to int8 with a scale of its own (affine/row_quantize.hpp): three times
//                  as fast. Differs from the exact value for finite x by at most
//                    (scale / 2 * sum_k |w[r][k]| + (slices + 4) * 2^-24 * sum_k |w[r][k] * x[m][k]|) * (1 + 2^-15)
//                  with scale = max(max_k |x[m][k]| / 127, 2^-23), and for bias, subnormals and overflow as gemm_float.
//   gemm_scaled    x is int8 or uint8 already, x = (q - zero_point) * scale. With a zero point slices of int8 may be
//                  as deep as those of uint8.
// The arithmetic is that of gemm/to_float.hpp, then of the output: the same bits at every level and for every
// executor. A row of x with a NaN or an infinity gives NaN from gemm_float; gemm_dynamic reads NaN as 0 and saturates
// infinities, as quantize_rows does. Views may have any strides, but x and out are aligned for their types,
// and elements of out share no memory with others, x or the bias (tensor/overlap.hpp). m, rows, depth may be 0.
// Depth of a slice is limited as in lut_matrix.hpp; gemm_dynamic takes depths up to 2^24 in all.
#pragma once

#include <lutra/affine/row_quantize.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/gemm/activation_scale.hpp>
#include <lutra/runtime/gemm/digits.hpp>
#include <lutra/runtime/gemm/to_float.hpp>

namespace lutra::inline LUTRA_ABI {

template <class Digit, palette_matrix W, class X, product_output Output, class Out>
void check_float_gemm(const W& w, const tensor_view<const X>& x, const tensor_view<Out>& out,
                      const Output& o, std::string_view level, std::string_view where) {
  check_slices<Digit>(w, level, where);
  check_product(x, out, w.rows(), w.depth(), where);
  check_output(o, w.rows(), out, where);
}

// Rows of x pass through in chunks of this many, whose 8-bit form stays in the second-level cache.
inline index_t chunk_of(index_t bytes_of_row) {
  constexpr index_t chunk_bytes = 256 * 1024;
  return std::max<index_t>(chunk_bytes / std::max<index_t>(bytes_of_row, 1), 8);
}

// Calls f(pointer) with the elements of one row lying densely.
template <class F> auto with_dense_row(const tensor_view<const float>& x, index_t row, F&& f) {
  const float* from = x.data() + row * x.stride(0);
  if (x.stride(1) == 1) return f(from);
  std::vector<float> copy(to_size(x.extent(1)));
  for (float& v : copy) {
    v = *from;
    from += x.stride(1);
  }
  return f(static_cast<const float*>(copy.data()));
}

// How a row of floats becomes integer columns: three digits of each, or int8 codes. Both return the row's scale.
struct split_rows {
  using digit = std::uint8_t;
  static constexpr int digits = row_digits;
  static constexpr index_t max_depth = max_size;
  template <class A> static float columns_of(const float* x, index_t depth, digit* to) {
    return split_row<A>(x, depth, to, depth);
  }
};
struct quantized_rows {
  using digit = std::int8_t;
  static constexpr int digits = 1;
  static constexpr index_t max_depth = index_t{1} << 24;
  template <class A> static float columns_of(const float* x, index_t depth, digit* to) {
    return quantize_row<A>(x, depth, to).scale;
  }
};

template <class Rows> struct float_rows_product {
  template <class A, class E, palette_matrix W, product_output Output, class Out>
  static void run(std::string_view where, const E& ex, const W& w,
                  const tensor_view<const float>& x, const tensor_view<Out>& out, const Output& o) {
    check_float_gemm<std::int8_t>(w, x, out, o, A::name, where);
    const index_t depth = w.depth();
    if (depth > Rows::max_depth) {
      raise(errc::unsupported, "rows are too long", std::string(where), text_of(depth),
            "<= " + text_of(Rows::max_depth));
    }
    if (out.empty()) return;
    constexpr int digits = Rows::digits;
    const index_t chunk = chunk_of(depth * digits);
    float_product<A, digits, Output, Out> product(slices_of(w), o, out);
    std::vector<typename Rows::digit> columns;
    std::vector<float> scales;
    for (index_t first = 0; first < out.extent(0); first += chunk) {
      const index_t rows = std::min(chunk, out.extent(0) - first);
      columns.resize(to_size(rows * digits * depth));
      scales.resize(to_size(rows));
      ex.bulk(rows, [&](index_t i) {
        scales[to_size(i)] = with_dense_row(x, first + i, [&](const float* row) {
          return Rows::template columns_of<A>(row, depth, columns.data() + i * digits * depth);
        });
      });
      product.run(
          ex, tensor_view<const typename Rows::digit>(columns.data(), shape{rows * digits, depth}),
          first, std::span<const float>(scales));
    }
  }
};

class float_lut_matrix;
struct float_weight_product : float_rows_product<split_rows> {
  using float_rows_product<split_rows>::run;
  template <class A, class E>  // float_matrix.hpp
  static void run(std::string_view where, const E& ex, const float_lut_matrix& w,
                  const tensor_view<const float>& x, const tensor_view<float>& out,
                  const float_output& o);
};
using dynamic_product = float_rows_product<quantized_rows>;

struct scaled_product {
  template <class A, class E, palette_matrix W, class X, product_output Output, class Out>
  static void run(std::string_view where, const E& ex, const W& w, const tensor_view<const X>& x,
                  const tensor_view<Out>& out, const activation_scale& s, const Output& o) {
    check_float_gemm<X>(w, x, out, o, A::name, where);
    check_activation_scale<X>(w, s, where);
    if (out.empty()) return;
    float_product<A, 1, Output, Out> product(slices_of(w), o, out);
    product.row_sum_factor = (std::is_signed_v<X> ? 0 : 128) - s.zero_point;
    const index_t chunk = std::min(chunk_of(w.depth()), x.extent(0));
    const std::vector<float> scales(to_size(chunk), s.scale);
    for (index_t first = 0; first < x.extent(0); first += chunk) {
      const index_t rows = std::min(chunk, x.extent(0) - first);
      const tensor_view<const X> part(x.data() + first * x.stride(0), shape{rows, w.depth()},
                                      x.strides());
      product.run(ex, part, first, std::span(scales).first(to_size(rows)));
    }
  }
};

// gemm_float([ex,] w, x, [output,] out [, level]), likewise gemm_dynamic; gemm_scaled([ex,] w, x, scale, [output,] out
// [, level]) with the activation_scale of x: as product_call.hpp says. output is a float_output or quantized_output;
// without one out has the floats as they are, no bias and no bounds.
inline constexpr product_call<float_weight_product, float_output> gemm_float{"gemm_float"};
inline constexpr product_call<dynamic_product, float_output> gemm_dynamic{"gemm_dynamic"};
inline constexpr product_call<scaled_product, float_output, activation_scale> gemm_scaled{
    "gemm_scaled"};
// One vector: x [depth], out [rows].
inline constexpr product_call<vector_product<float_weight_product>, float_output> gemv_float{
    "gemv_float"};
inline constexpr product_call<vector_product<dynamic_product>, float_output> gemv_dynamic{
    "gemv_dynamic"};
inline constexpr product_call<vector_product<scaled_product>, float_output, activation_scale>
    gemv_scaled{"gemv_scaled"};

}  // namespace lutra::inline LUTRA_ABI
