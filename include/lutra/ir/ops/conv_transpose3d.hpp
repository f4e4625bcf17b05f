// lutra: conv_transpose3d.hpp - float transposed 3-D convolution.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i * stride - padding + k * dilation] += w[c][o][k] * in[n][c][i],   then + bias[o]
// Weight [channels, filters / groups, depth, height, width]. Computed as conv_transpose.hpp does, with the same order
// of sums: over c, then over k backwards. Memory: the spread-out batch. Thread-safe.
#pragma once

#include <lutra/ir/ops/conv3d.hpp>
#include <lutra/ir/ops/conv_transpose.hpp>

namespace lutra::inline LUTRA_ABI::ir {

// The ordinary convolution, and where inputs lie in what it reads.
struct conv_transpose3d_shape {
  conv3d_shape plain;
  std::array<spread_axis, 3> spread{};
};

inline conv_transpose3d_shape conv_transpose3d_shape_of(const node& n, const shape& in,
                                                        const shape& weight) {
  if (in.rank() != 5) bad_shape("input has the wrong rank", text_of(in), "rank 5");
  if (weight.rank() != 5) bad_shape("weight has the wrong rank", text_of(weight), "rank 5");
  conv_transpose3d_shape s;
  conv3d_shape& p = s.plain;
  p.batch = in[0];
  p.channels = in[1];
  p.groups = integer(n, "groups", 1, 1);
  p.filters = weight[1] * p.groups;
  if (weight[0] != p.channels || p.channels % p.groups != 0) {
    bad_shape("weight does not fit the input's channels", "weight " + text_of(weight),
              "input " + text_of(in) + " in " + text_of(p.groups) + " groups");
  }
  const auto stride = integers(n, "stride", 3, 1, 1);
  const auto padding = integers(n, "padding", 3, 0, 0);
  const auto dilation = integers(n, "dilation", 3, 1, 1);
  const auto more = integers(n, "output_padding", 3, 0, 0);
  for (std::size_t a = 0; a < 3; ++a) {
    const int axis = static_cast<int>(a) + 2;
    transposed_window one;  // this axis alone, as a width
    one.window = window2d::symmetric({1, stride[a]}, {0, padding[a]}, {1, dilation[a]});
    one.output_padding = {0, more[a]};
    check(one, "");
    p.kernel[a] = weight[axis];
    p.stride[a] = 1;
    p.dilation[a] = dilation[a];
    p.output[a] = output_extent(one, 1, in[axis], weight[axis]);
    if (p.output[a] == 0) {
      bad_shape("nothing is left of the output", text_of(in),
                "an output extent >= 1 on axis " + text_of(axis));
    }
    s.spread[a] = spread_of(one, 1, in[axis], weight[axis]);
    p.input[a] = s.spread[a].extent;
  }
  return s;
}

inline tensor<float> conv_transpose3d(const call& c) {
  expect_operands(c, 2, 3);
  const float_view& in = c.operand(0);
  const auto [plain, spread] =
      conv_transpose3d_shape_of(c.at, in.extents(), c.operand(1).extents());
  if (c.has(2)) expect_channels(c, 2, plain.filters);
  tensor<float> out(
      shape{plain.batch, plain.filters, plain.output[0], plain.output[1], plain.output[2]});
  if (out.size() == 0) return out;
  const index_t slice = plain.input[1] * plain.input[2];
  tensor<float> volumes(
      shape{plain.batch * plain.channels, plain.input[0], plain.input[1], plain.input[2]});
  const float* from = in.data();
  for (index_t v = 0; v < volumes.extent(0); ++v) {
    for (index_t z = 0; z < in.extent(2); ++z, from += in.extent(3) * in.extent(4)) {
      const index_t to = spread[0].first + z * spread[0].stride;
      if (to < 0 || to >= spread[0].extent) continue;
      spread_planes(from, 1, in.extent(3), in.extent(4), spread[1], spread[2],
                    volumes.data() + (v * spread[0].extent + to) * slice);
    }
  }
  std::vector<float> made;
  if (c.prepared.empty()) made = prepare_conv_transpose(c.at, c.operand(1));
  convolve_volumes(plain, volumes.data(), c.prepared.empty() ? made.data() : c.prepared.data(),
                   c.has(2) ? c.operand(2).data() : nullptr, out.data());
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir
