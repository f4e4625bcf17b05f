// lutra: conv3d.hpp - float 3-D convolution with stride, padding, dilation, groups.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][z][y][x] = sum over (c, kz, ky, kx), in this order, of w[o][c][kz][ky][kx] * in + bias[o]
// Input [batch, channels, depth, height, width]; otherwise as conv.hpp: padded positions count as 0 and take
// part, sums as in ordered_gemm.hpp, the same bits everywhere. Memory: a block of columns. Thread-safe.
#pragma once

#include <lutra/ir/ops/call.hpp>
#include <lutra/ir/ops/ordered_gemm.hpp>

namespace lutra::inline LUTRA_ABI::ir {

struct conv3d_shape {
  std::array<index_t, 3> kernel{}, stride{}, padding{}, dilation{}, input{}, output{};
  index_t batch = 0, channels = 0, filters = 0, groups = 1;
  index_t depth() const { return channels / groups * kernel[0] * kernel[1] * kernel[2]; }
};

inline conv3d_shape conv3d_shape_of(const node& n, const shape& in, const shape& weight) {
  if (in.rank() != 5) bad_shape("input has the wrong rank", text_of(in), "rank 5");
  if (weight.rank() != 5) bad_shape("weight has the wrong rank", text_of(weight), "rank 5");
  conv3d_shape s;
  s.batch = in[0];
  s.channels = in[1];
  s.filters = weight[0];
  s.groups = integer(n, "groups", 1, 1);
  if (s.channels % s.groups != 0 || s.filters % s.groups != 0 ||
      weight[1] != s.channels / s.groups) {
    bad_shape("weight does not fit the input's channels", "weight " + text_of(weight),
              "input " + text_of(in) + " in " + text_of(s.groups) + " groups");
  }
  const auto stride = integers(n, "stride", 3, 1, 1);
  const auto padding = integers(n, "padding", 3, 0, 0);
  const auto dilation = integers(n, "dilation", 3, 1, 1);
  for (std::size_t a = 0; a < 3; ++a) {
    const int axis = static_cast<int>(a) + 2;
    s.kernel[a] = weight[axis];
    s.stride[a] = stride[a];
    s.padding[a] = padding[a];
    s.dilation[a] = dilation[a];
    s.input[a] = in[axis];
    const index_t room = in[axis] + 2 * padding[a] - dilation[a] * (weight[axis] - 1) - 1;
    if (room < 0 || weight[axis] < 1) {
      bad_shape("window does not fit into the padded input", text_of(in),
                "more on axis " + text_of(axis));
    }
    s.output[a] = room / stride[a] + 1;
  }
  return s;
}

// Columns of one group for rows [first, last) of output slice z: row (c, kz, ky, kx), one column per position.
inline void gather_columns(const conv3d_shape& s, const float* in, index_t z, index_t first,
                           index_t last, float* columns, index_t column_stride) {
  const auto source = [&](std::size_t axis, index_t out, index_t k) {
    return out * s.stride[axis] - s.padding[axis] + k * s.dilation[axis];
  };
  const index_t window = s.kernel[0] * s.kernel[1] * s.kernel[2];
  for (index_t row = 0; row < s.channels / s.groups * window; ++row, columns += column_stride) {
    const index_t k = row % window;
    const index_t iz = source(0, z, k / (s.kernel[1] * s.kernel[2]));
    const index_t slice = row / window * s.input[0] + iz;
    float* out = columns;
    for (index_t y = first; y < last; ++y, out += s.output[2]) {
      const index_t iy = source(1, y, k / s.kernel[2] % s.kernel[1]);
      const bool inside = iz >= 0 && iz < s.input[0] && iy >= 0 && iy < s.input[1];
      const float* line = inside ? in + (slice * s.input[1] + iy) * s.input[2] : nullptr;
      for (index_t x = 0; x < s.output[2]; ++x) {
        const index_t ix = source(2, x, k % s.kernel[2]);
        out[x] = inside && ix >= 0 && ix < s.input[2] ? line[ix] : 0.0F;
      }
    }
  }
}

// Every image of a batch; `in` and `out` are dense.
inline void convolve_volumes(const conv3d_shape& s, const float* in, const float* weight,
                             const float* bias, float* out) {
  const index_t filters = s.filters / s.groups;
  const index_t positions = s.output[0] * s.output[1] * s.output[2];
  const index_t volume = s.channels / s.groups * s.input[0] * s.input[1] * s.input[2];
  // About 256 positions at a time, as in conv.hpp.
  const index_t block = std::min(s.output[1], std::max<index_t>(1, 256 / s.output[2]));
  gemm_problem p{.m = filters, .k = s.depth()};
  p.b_stride = padded_columns(block * s.output[2]);
  std::vector<float> columns(to_size(p.k * p.b_stride));
  p.a_stride = p.k;
  p.b = columns.data();
  p.out_stride = positions;
  for (index_t i = 0; i < s.batch * s.groups; ++i) {  // (image, group) pairs
    const index_t g = i % s.groups;
    p.a = weight + g * filters * p.k;
    if (bias != nullptr) p.row_bias = bias + g * filters;
    for (index_t z = 0; z < s.output[0]; ++z) {
      for (index_t y = 0; y < s.output[1]; y += block) {
        const index_t rows = std::min(block, s.output[1] - y);
        gather_columns(s, in + i * volume, z, y, y + rows, columns.data(), p.b_stride);
        p.n = rows * s.output[2];
        p.out = out + i * filters * positions + (z * s.output[1] + y) * s.output[2];
        ordered_gemm(p);
      }
    }
  }
}

inline tensor<float> conv3d(const call& c) {
  expect_operands(c, 2, 3);
  const float_view& in = c.operand(0);
  const conv3d_shape s = conv3d_shape_of(c.at, in.extents(), c.operand(1).extents());
  if (c.has(2)) expect_channels(c, 2, s.filters);
  tensor<float> out(shape{s.batch, s.filters, s.output[0], s.output[1], s.output[2]});
  if (out.size() == 0) return out;
  convolve_volumes(s, in.data(), c.operand(1).data(), c.has(2) ? c.operand(2).data() : nullptr,
                   out.data());
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir
