// lutra: window.hpp - geometry of a sliding window: what convolutions and pools share.
// SPDX-License-Identifier: Apache-2.0
//
// Input [batch, channels, height, width]; 1-D operations have height 1 and slide along the width.
// The window must fit into the padded input at least once.
#pragma once

#include <lutra/ir/ops/call.hpp>
#include <lutra/runtime/window.hpp>

namespace lutra::inline LUTRA_ABI::ir {

struct window : window2d {
  std::array<index_t, 2> kernel{1, 1};
  std::array<index_t, 2> input{1, 1};
  std::array<index_t, 2> output{1, 1};
};

// Of a pool that is not adaptive.
inline void need_kernel_size(const node& n) {
  if (n.literals.contains("kernel_size")) return;
  raise(errc::invalid_graph, "pool without a literal 'kernel_size'");
}
// Literals of pools that would change the result and are not known here: refused, not ignored.
inline void refuse_pool_literals(const node& n) {
  const auto refuse = [&](const char* key, double known) {
    const double given = number(n, key, known);
    if (given == known) return;
    raise(errc::unsupported, "literal " + text_of(key) + " of a pool", {}, text_of(given),
          text_of(known));
  };
  refuse("ceil_mode", 0);
  refuse("count_include_pad", 1);
  refuse("divisor_override", 0);
}

// Literals stride, padding and dilation of `axes` (1 or 2) axes.
inline window2d sliding(const node& n, int axes) {
  window2d w;
  refuse_pool_literals(n);
  const auto count = to_size(axes);
  const auto stride = integers(n, "stride", count, 1, 1);
  const auto padding = integers(n, "padding", count, 0, 0);
  const auto dilation = integers(n, "dilation", count, 1, 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = 2 - count + i;
    w.stride[axis] = stride[i];
    w.padding[axis] = w.padding_end[axis] = padding[i];
    w.dilation[axis] = dilation[i];
  }
  return w;
}

// The window of node `n` with `axes` (1 or 2) sliding axes over an input of shape `in`.
inline window window_of(const node& n, int axes, const shape& in, std::span<const index_t> kernel) {
  window w;
  static_cast<window2d&>(w) = sliding(n, axes);
  const auto count = to_size(axes);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = 2 - count + i;
    w.kernel[axis] = kernel[i];
    w.input[axis] = in[in.rank() - axes + static_cast<int>(i)];
    w.output[axis] = output_extent(w, static_cast<int>(axis), w.input[axis], kernel[i]);
    if (w.output[axis] == 0) {
      bad_shape("window does not fit into the padded input", text_of(in),
                "at least " +
                    text_of(w.dilation[axis] * (kernel[i] - 1) + 1 - 2 * w.padding[axis]) +
                    " on axis " + text_of(in.rank() - axes + static_cast<int>(i)));
    }
  }
  return w;
}

// The shape of the result: [batch, channels, (height,) width].
inline shape result_shape(const window& w, int axes, index_t batch, index_t channels) {
  if (axes == 1) return {batch, channels, w.output[1]};
  return {batch, channels, w.output[0], w.output[1]};
}

}  // namespace lutra::inline LUTRA_ABI::ir
