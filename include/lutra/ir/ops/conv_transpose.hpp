// lutra: conv_transpose.hpp - float transposed convolutions: conv_transpose1d, conv_transpose2d.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i * stride - padding + k * dilation] += w[c][o][k] * in[n][c][i],   then + bias[o]
// Weight [channels, filters / groups, kernel...]. Computed as the ordinary convolution over the spread-out
// input (runtime/transposed_window.hpp): the sum of an output runs over c, then over k from the last position
// to the first; positions between inputs count as 0 and take part. Sums as in ordered_gemm.hpp: the
// same bits everywhere. The reversed weight is made once per interpreter when it is constant.
// Memory: one spread-out image and a block of columns. Thread-safe.
#pragma once

#include <lutra/ir/ops/conv.hpp>
#include <lutra/runtime/transposed_window.hpp>

namespace lutra::inline LUTRA_ABI::ir {

struct conv_transpose_shape {
  transposed_window geometry;
  std::array<index_t, 2> kernel{1, 1}, input{1, 1}, output{1, 1};
  index_t batch = 0, channels = 0, filters = 0, groups = 1;
};

// Literals stride, padding, dilation and output_padding of `axes` (1 or 2) axes; 1-D ones have height 1.
inline transposed_window transposed_window_of(const node& n, int axes) {
  transposed_window t;
  t.window = sliding(n, axes);
  const auto count = to_size(axes);
  const auto more = integers(n, "output_padding", count, 0, 0);
  for (std::size_t i = 0; i < count; ++i) t.output_padding[2 - count + i] = more[i];
  check(t, "");
  return t;
}

// Checks operand shapes: input [n, c, ...], weight [c, o / groups, ...].
inline conv_transpose_shape conv_transpose_shape_of(const node& n, int axes, const shape& in,
                                                    const shape& weight) {
  if (in.rank() != axes + 2) {
    bad_shape("input has the wrong rank", text_of(in), "rank " + text_of(axes + 2));
  }
  if (weight.rank() != axes + 2) {
    bad_shape("weight has the wrong rank", text_of(weight), "rank " + text_of(axes + 2));
  }
  conv_transpose_shape s;
  s.geometry = transposed_window_of(n, axes);
  s.batch = in[0];
  s.channels = in[1];
  s.groups = integer(n, "groups", 1, 1);
  s.filters = weight[1] * s.groups;
  if (weight[0] != s.channels || s.channels % s.groups != 0) {
    bad_shape("weight does not fit the input's channels", "weight " + text_of(weight),
              text_of(s.channels) + " on axis 0 for input " + text_of(in) + " in " +
                  text_of(s.groups) + " groups");
  }
  for (int i = 0; i < axes; ++i) {
    const auto axis = to_size(2 - axes + i);
    s.kernel[axis] = weight[2 + i];
    s.input[axis] = in[2 + i];
    s.output[axis] =
        output_extent(s.geometry, static_cast<int>(axis), s.input[axis], s.kernel[axis]);
    if (s.output[axis] == 0) {
      bad_shape("nothing is left of the output", text_of(in),
                "an output extent >= 1 on axis " + text_of(2 + i));
    }
  }
  return s;
}

inline std::vector<float> prepare_conv_transpose(const node& n, const float_view& w) {
  const index_t groups = integer(n, "groups", 1, 1);
  if (w.rank() < 3 || w.extent(0) % groups != 0) return {};  // refused when it runs
  return reversed_weight<float>({w.data(), to_size(w.size())}, w.extents(), groups);
}

inline tensor<float> conv_transpose(const call& c, int axes) {
  expect_operands(c, 2, 3);
  const float_view& in = c.operand(0);
  const conv_transpose_shape s =
      conv_transpose_shape_of(c.at, axes, in.extents(), c.operand(1).extents());
  if (c.has(2)) expect_channels(c, 2, s.filters);
  const std::array<spread_axis, 2> spread{spread_of(s.geometry, 0, s.input[0], s.kernel[0]),
                                          spread_of(s.geometry, 1, s.input[1], s.kernel[1])};
  conv_shape plain;  // of the ordinary convolution
  plain.batch = s.batch;
  plain.channels = s.channels;
  plain.filters = s.filters;
  plain.groups = s.groups;
  plain.geometry.dilation = s.geometry.window.dilation;
  plain.geometry.kernel = s.kernel;
  plain.geometry.input = {spread[0].extent, spread[1].extent};
  plain.geometry.output = s.output;
  tensor<float> out(result_shape(plain.geometry, axes, s.batch, s.filters));
  if (out.size() == 0) return out;
  std::vector<float> made;
  if (c.prepared.empty()) made = prepare_conv_transpose(c.at, c.operand(1));
  const float* weight = c.prepared.empty() ? made.data() : c.prepared.data();
  // Positions that are not an input stay 0 from image to image.
  std::vector<float> image(to_size(s.channels * spread[0].extent * spread[1].extent));
  for (index_t n = 0; n < s.batch; ++n) {
    spread_planes(in.data() + n * (in.size() / s.batch), s.channels, s.input[0], s.input[1],
                  spread[0], spread[1], image.data());
    convolve_image(plain, image.data(), weight, c.has(2) ? c.operand(2).data() : nullptr,
                   out.data() + n * (out.size() / s.batch));
  }
  return out;
}
inline tensor<float> conv_transpose1d(const call& c) { return conv_transpose(c, 1); }
inline tensor<float> conv_transpose2d(const call& c) { return conv_transpose(c, 2); }

}  // namespace lutra::inline LUTRA_ABI::ir
