// lutra: conv.hpp - 2-D convolution of int8 NCHW tensors with a palettized weight.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i][j] = sum over c, a, b of w[o][c][a][b] * x[n][group(o)*C + c][i*s - p + a*d][...]
// x [n, in, h, w]; weight [out, in/groups, kh, kw]; positions outside x count as `padding_value`, the
// zero point of x. Sums are exact int32; the epilogue of a row is the one of its output channel.
#pragma once

#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/window.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct conv2d_options {
  window2d window{};
  index_t groups = 1;             // divides the channels of input and output
  std::int8_t padding_value = 0;  // zero point of the input
};

template <class Out>
void check_conv2d(const lut_matrix& w, const tensor_view<const std::int8_t>& x,
                  const conv2d_options& o, const tensor_view<Out>& out, std::string_view where) {
  const std::string at(where);
  check(o.window, where);
  const shape& ws = w.weight_shape();
  if (ws.rank() != 4) {
    raise(errc::shape_mismatch, "a conv2d weight has four axes", at, text_of(ws));
  }
  if (o.groups < 1 || ws[0] % o.groups != 0) {
    raise(errc::invalid_argument, "groups must divide the output channels", at, text_of(o.groups),
          "a divisor of " + text_of(ws[0]));
  }
  if (x.rank() != 4 || x.extent(1) != ws[1] * o.groups) {
    raise(errc::shape_mismatch, "x does not match the weight", at, text_of(x.extents()),
          "[n, " + text_of(ws[1] * o.groups) + ", h, w]");
  }
  const shape wanted{x.extent(0), ws[0], output_extent(o.window, 0, x.extent(2), ws[2]),
                     output_extent(o.window, 1, x.extent(3), ws[3])};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", at, text_of(out.extents()),
          text_of(wanted));
  }
  if (w.depth() > w.template max_depth<std::int8_t>()) {
    raise(errc::unsupported, "depth beyond exact int32 sums", at, text_of(w.depth()),
          "<= " + text_of(w.template max_depth<std::int8_t>()));
  }
}

// Calls f(n, o, i, j, sum) for every output.
template <class F>
void for_each_conv_sum(const lut_matrix& w, const tensor_view<const std::int8_t>& x,
                       const conv2d_options& o, const shape& out, F&& f) {
  const shape& ws = w.weight_shape();
  const window2d& win = o.window;
  std::vector<std::int8_t> column(static_cast<std::size_t>(w.depth()));
  const index_t rows = ws[0] / o.groups;
  for (index_t n = 0; n < out[0]; ++n) {
    for (index_t g = 0; g < o.groups; ++g) {
      for (index_t i = 0; i < out[2]; ++i) {
        for (index_t j = 0; j < out[3]; ++j) {
          std::size_t k = 0;
          for (index_t c = 0; c < ws[1]; ++c) {
            for (index_t a = 0; a < ws[2]; ++a) {
              for (index_t b = 0; b < ws[3]; ++b) {
                const index_t y = i * win.stride[0] - win.padding[0] + a * win.dilation[0];
                const index_t z = j * win.stride[1] - win.padding[1] + b * win.dilation[1];
                const bool inside = y >= 0 && y < x.extent(2) && z >= 0 && z < x.extent(3);
                column[k++] = inside ? x(n, g * ws[1] + c, y, z) : o.padding_value;
              }
            }
          }
          for (index_t r = g * rows; r < (g + 1) * rows; ++r) {
            const std::int16_t* weights = w.decoded().data() + r * w.depth();
            std::int32_t sum = 0;
            for (std::size_t d = 0; d < column.size(); ++d) sum += weights[d] * column[d];
            f(n, r, i, j, sum);
          }
        }
      }
    }
  }
}

template <class A = simd::native>
void conv2d(const lut_matrix& w, tensor_view<const std::int8_t> x, const conv2d_options& o,
            tensor_view<std::int32_t> out, A = {}) {
  check_conv2d(w, x, o, out, "conv2d");
  for_each_conv_sum(
      w, x, o, out.extents(),
      [&](index_t n, index_t r, index_t i, index_t j, std::int32_t sum) { out(n, r, i, j) = sum; });
}
template <class A = simd::native>
void conv2d(const lut_matrix& w, tensor_view<const std::int8_t> x, const conv2d_options& o,
            const requantize& e, tensor_view<std::int8_t> out, A = {}) {
  check_conv2d(w, x, o, out, "conv2d");
  check<std::int8_t>(e, w.rows(), "conv2d");
  for_each_conv_sum(
      w, x, o, out.extents(), [&](index_t n, index_t r, index_t i, index_t j, std::int32_t sum) {
        out(n, r, i, j) = static_cast<std::int8_t>(finish(e, static_cast<std::size_t>(r), sum));
      });
}
template <class A = simd::native>
void conv2d(const lut_matrix& w, tensor_view<const std::int8_t> x, const conv2d_options& o,
            const dequantize_rows& e, tensor_view<float> out, A = {}) {
  check_conv2d(w, x, o, out, "conv2d");
  check(e, w.rows(), "conv2d");
  for_each_conv_sum(w, x, o, out.extents(),
                    [&](index_t n, index_t r, index_t i, index_t j, std::int32_t sum) {
                      out(n, r, i, j) = finish(e, static_cast<std::size_t>(r), sum);
                    });
}

}  // namespace lutra::inline LUTRA_ABI
