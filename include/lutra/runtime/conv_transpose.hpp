// lutra: conv_transpose.hpp - transposed 2-D convolution of int8 or uint8 NCHW tensors with a palettized weight.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i*s - p + a*d][j*s - p + b*d] += w[c][o][a][b] * x[n][c][i][j]
// The matrix is that of make_lut_matrix(transposed_palette(packed, groups)); one of the palette itself is incompatible.
// Run as the ordinary convolution over the spread-out input (transposed_window.hpp): positions between inputs hold
// the zero point, sums are exact int32 and the epilogue of a row is the one of its output channel, as in conv.hpp.
// Costs stride^2 times the needed products; stride 1 costs nothing extra and copies nothing. 1-D ones use height 1.
// An executor runs what conv.hpp says; results do not depend on it. out must not overlap x, the epilogue or itself.
#pragma once

#include <lutra/palette/pack.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/transposed_window.hpp>
#include <lutra/tensor/overlap.hpp>
#include <lutra/tensor/tensor.hpp>

namespace lutra::inline LUTRA_ABI {

struct conv_transpose2d_options {
  transposed_window geometry{};
  index_t groups = 1;              // divides the channels of input and output
  std::int32_t padding_value = 0;  // zero point of the input
};

// Tables and scales of `out`, whose shape and block are set, from those of p, block by block.
inline void take_tables(const packed_palette& p, index_t groups, packed_palette& out) {
  const index_t outputs = p.weight_shape[1];
  const index_t inputs = p.weight_shape[0] / groups;
  const index_t across = p.groups().grid()[1];
  const auto entries = static_cast<std::size_t>(p.entries());
  const auto take = [](auto& to, const auto& from, std::size_t first, std::size_t count) {
    if (from.empty()) return;
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
    to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  out.lut_codes.clear();
  out.lut.clear();
  out.scale.clear();
  out.zero_point.clear();
  for (index_t row = 0; row < out.weight_shape[0]; row += out.block[0]) {
    for (index_t column = 0; column < inputs; column += out.block[1]) {
      const index_t input = row / outputs * inputs + column;
      const auto table =
          static_cast<std::size_t>(input / p.block[0] * across + row % outputs / p.block[1]);
      take(out.lut_codes, p.lut_codes, table * entries, entries);
      take(out.lut, p.lut, table * entries, entries);
      take(out.scale, p.scale, table, 1);
      take(out.zero_point, p.zero_point, table, 1);
    }
  }
}

// The palette of a weight [in, out / groups, kh, kw], laid out for make_lut_matrix() as
// [out, in / groups, kh, kw] (reversed_weight). Tables stay with their channels: those of blocks of input channels
// become groups along axis 1, for make_grouped_lut_matrix(). Raises corrupt_data for vectors of the wrong size as
// make_lut_matrix() does, and check() for tables that are not int8; unsupported for groups along the kernel, for
// blocks of channels that do not divide a group of several, row scales and outliers; incompatible for a palette that
// is transposed already.
inline packed_palette transposed_palette(const packed_palette& p, index_t groups) {
  const std::string at = "transposed_palette";
  if (p.transposed) raise(errc::incompatible, "the palette is transposed already", at);
  const shape& s = p.weight_shape;
  if (s.rank() < 3 || groups < 1 || s[0] % groups != 0 || s[1] > max_size / groups) {
    raise(errc::shape_mismatch, "not the weight of a transposed convolution in so many groups", at,
          text_of(s), text_of(groups) + " groups");
  }
  if (!p.row_scale.empty() || !p.outliers.empty()) {
    raise(errc::unsupported, "scales per input channel and outliers have no place here", at,
          p.row_scale.empty() ? "outliers" : "row scales", "none");
  }
  const shape grid = p.groups().grid();
  const index_t outputs = s[1];
  const index_t inputs = s[0] / groups;
  const index_t rows = std::min(p.block[1], outputs);    // of one table in the result
  const index_t columns = std::min(p.block[0], inputs);  // likewise
  const auto divides = [&](index_t block, index_t n) {
    return groups == 1 || block == 0 || n % block == 0;
  };
  bool fits = grid[0] <= 1 || divides(columns, inputs);
  fits = fits && (p.block[0] <= inputs || grid[0] <= 1 || p.block[0] % inputs == 0);
  fits = fits && divides(rows, outputs);
  for (int axis = 2; axis < s.rank(); ++axis) fits = fits && grid[axis] <= 1;
  if (!fits) {
    raise(errc::unsupported, "the groups of the palette are not those of channels", at,
          "block " + text_of(p.block) + " of " + text_of(s),
          "blocks that divide the channels of a group");
  }
  if (p.lut_dtype == dtype::int8) {
    check_lut_matrix(p, at, s.rank());  // its groups fit
  } else {
    check(p, at);
  }
  packed_palette out = p;
  out.transposed = true;
  out.weight_shape = reversed_shape(s, groups);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(s.size()));
  unpack_bits(p.codes, p.n_bits, codes);
  codes = reversed_weight<std::uint8_t>(codes, s, groups);
  pack_bits(codes, p.n_bits, out.codes);
  out.block = out.weight_shape;
  for (int axis = 0; axis < s.rank(); ++axis) {  // there may be no channels
    out.block = out.block.with(axis, std::max<index_t>(out.block[axis], 1));
  }
  if (p.groups().count() <= 1) return out;
  out.block = out.block.with(0, rows).with(1, columns);
  take_tables(p, groups, out);
  return out;
}

// `w` is made from a transposed_palette().
template <class A, class X, class E, palette_matrix W, class Epilogue, class Out>
void conv_transpose2d_views(const E& ex, const W& w, const tensor_view<const X>& x,
                            const conv_transpose2d_options& o, const Epilogue& epilogue,
                            const tensor_view<Out>& out) {
  check(o.geometry, "conv_transpose2d");
  check_padding_value<X>(o.padding_value, "conv_transpose2d");
  const shape& ws = w.weight_shape();
  if (ws.rank() != 4 || x.rank() != 4) {
    raise(errc::shape_mismatch, "weight and input have four axes", "conv_transpose2d",
          text_of(ws) + " and " + text_of(x.extents()));
  }
  check_kernel(ws, "conv_transpose2d");
  for (int axis = 2; axis < 4; ++axis) {  // products with the stride are in range
    constexpr index_t most = index_t{1} << 31;
    if (x.extent(axis) <= most) continue;
    raise(errc::unsupported, "x is too large", "conv_transpose2d", text_of(x.extent(axis)),
          "<= " + text_of(most));
  }
  const shape wanted{x.extent(0), ws[0], output_extent(o.geometry, 0, x.extent(2), ws[2]),
                     output_extent(o.geometry, 1, x.extent(3), ws[3])};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", "conv_transpose2d",
          text_of(out.extents()), text_of(wanted));
  }
  check_memory(x, out, "conv_transpose2d");
  if (o.groups < 1 || ws[0] % o.groups != 0 || !are_channels(x.extent(1), ws[1], o.groups)) {
    raise(errc::shape_mismatch, "x does not match the weight and its groups", "conv_transpose2d",
          text_of(x.extents()) + " in " + text_of(o.groups) + " groups", text_of(ws));
  }
  check_slices<X>(w, A::name, "conv_transpose2d");
  if (!slices_of(w).front().transposed()) {
    raise(errc::incompatible, "the matrix is not made of a transposed palette", "conv_transpose2d",
          text_of(ws), "that of transposed_palette(packed, groups)");
  }
  check_epilogue(epilogue, w.rows(), out, "conv_transpose2d");
  if (out.empty()) return;
  const spread_axis rows = spread_of(o.geometry, 0, x.extent(2), ws[2]);
  const spread_axis columns = spread_of(o.geometry, 1, x.extent(3), ws[3]);
  check_plane_bytes({rows.extent, columns.extent}, "[rows, columns]", "conv_transpose2d");
  conv2d_options plain{.groups = o.groups, .padding_value = o.padding_value};
  plain.window.dilation = o.geometry.window.dilation;
  const index_t bottom = rows.extent - rows.first - x.extent(2);
  const index_t right = columns.extent - columns.first - x.extent(3);
  const bool dense = rows.stride == 1 && columns.stride == 1;
  if (dense && rows.first >= 0 && columns.first >= 0 && bottom >= 0 && right >= 0) {
    plain.window.padding = {rows.first, columns.first};
    plain.window.padding_end = {bottom, right};
    conv2d_views<A, X>(ex, w, x, plain, epilogue, out);
    return;
  }
  tensor<X> spread(shape{x.extent(0), x.extent(1), rows.extent, columns.extent});
  std::ranges::fill(spread.elements(), static_cast<X>(o.padding_value));
  const tensor<X> copy = x.is_contiguous() ? tensor<X>() : tensor<X>::copy_of(x);
  spread_planes(x.is_contiguous() ? x.data() : copy.data(), x.extent(0) * x.extent(1), x.extent(2),
                x.extent(3), rows, columns, spread.data());
  conv2d_views<A, X>(ex, w, view(std::as_const(spread)), plain, epilogue, out);
}

// Calls without an executor run on the calling thread. out int32: the exact sums.
template <executor E, readable_tensor X, writable_tensor Out, class A = simd::native>
void conv_transpose2d(const E& ex, const lut_matrix& w, const X& x,
                      const conv_transpose2d_options& o, Out&& out, A = {}) {
  conv_transpose2d_views<A, element_t<X>>(ex, w, view(x), o, keep_sums{}, view(out));
}
template <readable_tensor X, writable_tensor Out, class A = simd::native>
void conv_transpose2d(const lut_matrix& w, const X& x, const conv_transpose2d_options& o, Out&& out,
                      A level = {}) {
  conv_transpose2d(serial_executor{}, w, x, o, out, level);
}
// With requantize out is int8 or uint8, with dequantize_rows float.
template <executor E, readable_tensor X, row_epilogue Epilogue, writable_tensor Out,
          class A = simd::native>
void conv_transpose2d(const E& ex, const lut_matrix& w, const X& x,
                      const conv_transpose2d_options& o, const Epilogue& epilogue, Out&& out,
                      A = {}) {
  conv_transpose2d_views<A, element_t<X>>(ex, w, view(x), o, epilogue, view(out));
}
template <readable_tensor X, row_epilogue Epilogue, writable_tensor Out, class A = simd::native>
void conv_transpose2d(const lut_matrix& w, const X& x, const conv_transpose2d_options& o,
                      const Epilogue& epilogue, Out&& out, A level = {}) {
  conv_transpose2d(serial_executor{}, w, x, o, epilogue, out, level);
}

}  // namespace lutra::inline LUTRA_ABI
