// lutra: transposed_window.hpp - a transposed convolution as an ordinary one over a spread-out input.
// SPDX-License-Identifier: Apache-2.0
//
// Input position i adds w[k] to output i * stride - padding + k * dilation. Seen from the output that is a
// convolution of stride 1 with the kernel reversed, over an input whose positions lie `stride` apart with
// zeros in between. Float and integer operations share this geometry. Pairs are (height, width).
// Outputs that lie `stride` apart, a phase, meet the same taps and no zeros: an ordinary convolution with these alone.
#pragma once

#include <algorithm>
#include <lutra/runtime/conv/kernel_part.hpp>
#include <lutra/runtime/window.hpp>
#include <lutra/tensor/shape.hpp>
#include <numeric>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct transposed_window {
  window2d
      window{};  // padding cuts the output: it is what an ordinary convolution would have padded
  std::array<index_t, 2> output_padding{0, 0};  // more output after the last row and column
  friend constexpr bool operator==(const transposed_window&, const transposed_window&) = default;
};

// Raises invalid_argument naming the first field out of range.
inline void check(const transposed_window& t, std::string_view where) {
  check(t.window, where);
  for (std::size_t a = 0; a < 2; ++a) {
    const index_t most = std::max(t.window.stride[a], t.window.dilation[a]) - 1;
    if (t.output_padding[a] >= 0 && t.output_padding[a] <= most) continue;
    raise(errc::invalid_argument, "output_padding out of range", std::string(where),
          text_of(t.output_padding[a]), range_text<index_t>(0, most));
  }
}

// Output extent along `axis` (0 height, 1 width); 0 when nothing is left of it.
constexpr index_t output_extent(const transposed_window& t, int axis, index_t input,
                                index_t kernel) {
  const auto a = to_size(axis);
  const index_t whole = (input - 1) * t.window.stride[a] + t.window.dilation[a] * (kernel - 1) + 1;
  const index_t out = whole - t.window.padding[a] - t.window.padding_end[a] + t.output_padding[a];
  return input < 1 || kernel < 1 || out < 1 ? 0 : out;
}

// Where the positions of one axis lie in the spread-out input: i at first + i * stride, in [0, extent).
struct spread_axis {
  index_t extent = 0;
  index_t first = 0;
  index_t stride = 1;
};
constexpr spread_axis spread_of(const transposed_window& t, int axis, index_t input,
                                index_t kernel) {
  const auto a = to_size(axis);
  const index_t reach = t.window.dilation[a] * (kernel - 1);
  return {output_extent(t, axis, input, kernel) + reach, reach - t.window.padding[a],
          t.window.stride[a]};
}

// Outputs `output`, output + stride, ..: all that meet the taps first, first + step, .. of the reversed kernel at input
// positions, and the other taps between these. So they are an ordinary convolution of stride 1 with those taps alone:
// output number i meets tap number t at position i + offset + t * dilation.
struct axis_phase {
  index_t output, outputs;
  axis_part taps;
  index_t dilation, offset;
};
// The phases of `axis` that have taps and outputs, by their first tap. Those without taps are all others.
inline std::vector<axis_phase> phases_of(const transposed_window& t, int axis, index_t input,
                                         index_t kernel) {
  const index_t stride = t.window.stride[to_size(axis)];
  const index_t dilation = t.window.dilation[to_size(axis)];
  const index_t out = output_extent(t, axis, input, kernel);
  const index_t first = spread_of(t, axis, input, kernel).first;
  const index_t common = std::gcd(stride, dilation), step = stride / common;
  std::vector<axis_phase> phases;
  for (index_t tap = 0; tap < std::min(kernel, step); ++tap) {
    const index_t output = ((first - tap * dilation) % stride + stride) % stride;
    if (output >= out) continue;
    phases.push_back({output,
                      (out - output + stride - 1) / stride,
                      {tap, step, (kernel - tap + step - 1) / step},
                      dilation / common,
                      (output + tap * dilation - first) / stride});
  }
  return phases;
}

// Copies `planes` dense planes of [height, width] elements into dense spread-out ones; positions between
// and around them keep what `out` holds.
template <class T>
void spread_planes(const T* in, index_t planes, index_t height, index_t width,
                   const spread_axis& rows, const spread_axis& columns, T* out) {
  for (index_t p = 0; p < planes; ++p, out += rows.extent * columns.extent) {
    for (index_t y = 0; y < height; ++y, in += width) {
      const index_t row = rows.first + y * rows.stride;
      if (row < 0 || row >= rows.extent) continue;
      T* to = out + row * columns.extent;
      for (index_t x = 0; x < width; ++x) {
        const index_t column = columns.first + x * columns.stride;
        if (column >= 0 && column < columns.extent) to[column] = in[x];
      }
    }
  }
}

// The shape of the ordinary convolution's weight: [in, out / groups, kernel...] to
// [out, in / groups, kernel...]. `groups` divides in.
inline shape reversed_shape(const shape& s, index_t groups) {
  return s.with(0, s[1] * groups).with(1, s[0] / groups);
}
// Its elements: input and output channels trade places inside each group, the kernel runs backwards.
template <class T>
std::vector<T> reversed_weight(std::span<const T> w, const shape& s, index_t groups) {
  const index_t outputs = s[1];
  const index_t inputs = s[0] / groups;
  const index_t kernel = s.product(2, s.rank());
  std::vector<T> out(w.size());
  if (w.empty()) return out;  // of any number of groups
  auto to = out.begin();
  for (index_t o = 0; o < outputs * groups; ++o) {
    for (index_t c = 0; c < inputs; ++c) {
      const index_t from = (o / outputs * inputs + c) * outputs + o % outputs;
      const auto part = w.subspan(to_size(from * kernel), to_size(kernel));
      to = std::reverse_copy(part.begin(), part.end(), to);
    }
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI
