// lutra: conv.hpp - float convolutions: conv1d, conv2d with stride, padding, dilation, groups.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][y][x] = sum over (c, ky, kx), in this order, of w[o][c][ky][kx] * in + bias[o]
// The input channel is group * channels/groups + c; padded positions count as 0 and take part in the
// sum. Sums as in ordered_gemm.hpp: the same bits everywhere. Memory: one padded image and a block
// of columns. Thread-safe.
#pragma once

#include <lutra/ir/ops/ordered_gemm.hpp>
#include <lutra/ir/ops/window.hpp>

namespace lutra::inline LUTRA_ABI::ir {

struct conv_shape {
  window geometry;
  index_t batch = 0, channels = 0, filters = 0, groups = 1;
  index_t depth() const { return channels / groups * geometry.kernel[0] * geometry.kernel[1]; }
};

// Checks a convolution's operand shapes: input [n, c, ...], weight [o, c/groups, ...], bias [o].
inline conv_shape conv_shape_of(const node& n, int axes, const shape& in, const shape& weight) {
  if (in.rank() != axes + 2)
    bad_shape("input has the wrong rank", text_of(in), "rank " + text_of(axes + 2));
  if (weight.rank() != axes + 2) {
    bad_shape("weight has the wrong rank", text_of(weight), "rank " + text_of(axes + 2));
  }
  conv_shape s;
  s.batch = in[0];
  s.channels = in[1];
  s.filters = weight[0];
  s.groups = integer(n, "groups", 1, 1);
  if (s.channels % s.groups != 0 || s.filters % s.groups != 0) {
    bad_shape("groups do not divide the channels", text_of(s.groups),
              "a divisor of " + text_of(s.channels) + " and " + text_of(s.filters));
  }
  if (weight[1] != s.channels / s.groups) {
    bad_shape("weight does not fit the input's channels", "weight " + text_of(weight),
              text_of(s.channels / s.groups) + " on axis 1 for input " + text_of(in));
  }
  s.geometry = window_of(n, axes, in, weight.extents().subspan(2));
  return s;
}

// Columns of one group: row (c, ky, kx), one column per output position of rows [first, last).
inline void gather_columns(const conv_shape& s, const float* image, index_t first, index_t last,
                           float* columns, index_t column_stride) {
  const window& w = s.geometry;
  const index_t height = w.input[0] + 2 * w.padding[0];
  const index_t width = w.input[1] + 2 * w.padding[1];
  for (index_t c = 0; c < s.channels / s.groups; ++c) {
    for (index_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (index_t kx = 0; kx < w.kernel[1]; ++kx, columns += column_stride) {
        float* out = columns;
        for (index_t y = first; y < last; ++y, out += w.output[1]) {
          const float* in = image + (c * height + y * w.stride[0] + ky * w.dilation[0]) * width +
                            kx * w.dilation[1];
          if (w.stride[1] == 1) {
            std::copy(in, in + w.output[1], out);
          } else {
            for (index_t x = 0; x < w.output[1]; ++x) out[x] = in[x * w.stride[1]];
          }
        }
      }
    }
  }
}

// One image [channels, height, width] with a border of zeros.
inline void pad_image(const conv_shape& s, const float* in, std::vector<float>& out) {
  const window& w = s.geometry;
  const index_t height = w.input[0] + 2 * w.padding[0];
  const index_t width = w.input[1] + 2 * w.padding[1];
  out.assign(to_size(s.channels * height * width), 0.0F);
  for (index_t c = 0; c < s.channels; ++c) {
    for (index_t y = 0; y < w.input[0]; ++y, in += w.input[1]) {
      std::copy(in, in + w.input[1],
                out.data() + (c * height + y + w.padding[0]) * width + w.padding[1]);
    }
  }
}

template <class Level = simd::native>
void convolve_image(const conv_shape& s, const float* in, const float* weight, const float* bias,
                    float* out) {
  const window& w = s.geometry;
  const index_t positions = w.output[0] * w.output[1];
  const index_t group_filters = s.filters / s.groups;
  const index_t plane = (w.input[0] + 2 * w.padding[0]) * (w.input[1] + 2 * w.padding[1]);
  std::vector<float> padded;
  if (w.padding[0] != 0 || w.padding[1] != 0) {
    pad_image(s, in, padded);
    in = padded.data();
  }
  // About 256 positions at a time keep the columns of a deep layer in the second-level cache.
  const index_t block = std::min(w.output[0], std::max<index_t>(1, 256 / w.output[1]));
  const index_t stride = padded_columns(block * w.output[1]);
  std::vector<float> columns(to_size(s.depth() * stride));
  for (index_t g = 0; g < s.groups; ++g) {
    for (index_t y = 0; y < w.output[0]; y += block) {
      const index_t rows = std::min(block, w.output[0] - y);
      gather_columns(s, in + g * (s.channels / s.groups) * plane, y, y + rows, columns.data(),
                     stride);
      gemm_problem p{.m = group_filters, .n = rows * w.output[1], .k = s.depth()};
      p.a = weight + g * group_filters * s.depth();
      p.a_stride = s.depth();
      p.b = columns.data();
      p.b_stride = stride;
      p.out = out + g * group_filters * positions + y * w.output[1];
      p.out_stride = positions;
      if (bias != nullptr) p.row_bias = bias + g * group_filters;
      ordered_gemm<Level>(p);
    }
  }
}

inline tensor<float> conv(const call& c, int axes) {
  expect_operands(c, 2, 3);
  const float_view& in = c.operand(0);
  const float_view& weight = c.operand(1);
  const conv_shape s = conv_shape_of(c.at, axes, in.extents(), weight.extents());
  if (c.has(2)) expect_channels(c, 2, s.filters);
  tensor<float> out(result_shape(s.geometry, axes, s.batch, s.filters));
  if (out.size() == 0) return out;
  const index_t image = in.size() / s.batch;
  for (index_t n = 0; n < s.batch; ++n) {
    convolve_image(s, in.data() + n * image, weight.data(),
                   c.has(2) ? c.operand(2).data() : nullptr,
                   out.data() + n * (out.size() / s.batch));
  }
  return out;
}
inline tensor<float> conv1d(const call& c) { return conv(c, 1); }
inline tensor<float> conv2d(const call& c) { return conv(c, 2); }

}  // namespace lutra::inline LUTRA_ABI::ir
