// lutra: pool.hpp - max, average and adaptive pools, and means, of the float interpreter.
// SPDX-License-Identifier: Apache-2.0
//
// Max pools ignore padded positions; average pools divide by the whole window (padding counts as 0),
// summing row by row in f32, every addition rounded. Adaptive pools take the positions
// [floor(i in / out), ceil((i + 1) in / out)). A mean sums its axes in order, in f32, and divides once.
// NaN wins a maximum. Thread-safe.
#pragma once

#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/ir/ops/window.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

struct pool_shape {
  window geometry;
  index_t batch = 0, channels = 0;
};
inline pool_shape pool_shape_of(const node& n, int axes, const shape& in) {
  if (in.rank() != axes + 2)
    bad_shape("input has the wrong rank", text_of(in), "rank " + text_of(axes + 2));
  need_kernel_size(n);
  const auto kernel = integers(n, "kernel_size", to_size(axes), 1, 1);
  pool_shape s{window_of(n, axes, in, kernel), in[0], in[1]};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (2 * s.geometry.padding[axis] > s.geometry.kernel[axis]) {
      bad_shape("padding exceeds half of the kernel", text_of(s.geometry.padding[axis]),
                "<= " + text_of(s.geometry.kernel[axis] / 2));
    }
  }
  return s;
}

// One row of outputs: out[x] = combine(out[x], in) for the window's positions inside the plane, row by
// row of the window. Outputs are the inner loop, so they vectorise and keep the order of a sum.
template <class F>
void slide_row(const window& w, const float* plane, index_t y, float* out, F&& combine) {
  const index_t step = w.stride[1];
  for (index_t a = 0; a < w.kernel[0]; ++a) {
    const index_t row = y * w.stride[0] - w.padding[0] + a;
    if (row < 0 || row >= w.input[0]) continue;
    for (index_t b = 0; b < w.kernel[1]; ++b) {
      const index_t shift = b - w.padding[1];  // output x reads column x * step + shift
      const index_t first = shift < 0 ? (step - 1 - shift) / step : 0;
      const index_t inside = w.input[1] - shift;  // columns to the right of `shift`
      const index_t last = std::min(w.output[1], (inside + step - 1) / step);
      const float* in = plane + row * w.input[1];
      for (index_t x = first; x < last; ++x) out[x] = combine(out[x], in[x * step + shift]);
    }
  }
}

// Every output starts as `start`, combines its window and goes through finish.
template <class F, class Finish>
tensor<float> pool(const call& c, int axes, float start, F&& combine, Finish&& finish) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  const pool_shape s = pool_shape_of(c.at, axes, x.extents());
  const window& w = s.geometry;
  if (w.dilation[0] != 1 || w.dilation[1] != 1) {
    raise(errc::unsupported, "dilated pooling", {}, "dilation above 1", "1");
  }
  tensor<float> out(result_shape(w, axes, s.batch, s.channels));
  std::ranges::fill(out.elements(), start);
  const float* plane = x.data();
  float* row = out.data();
  for (index_t p = 0; p < s.batch * s.channels; ++p, plane += w.input[0] * w.input[1]) {
    for (index_t y = 0; y < w.output[0]; ++y, row += w.output[1]) {
      slide_row(w, plane, y, row, combine);
    }
  }
  for (float& y : out.elements()) y = finish(w, y);
  return out;
}

inline tensor<float> max_pool(const call& c, int axes) {
  return pool(
      c, axes, -std::numeric_limits<float>::infinity(),
      [](float best, float v) { return v > best || v != v ? v : best; },
      [](const window&, float best) { return best; });
}
inline tensor<float> max_pool1d(const call& c) { return max_pool(c, 1); }
inline tensor<float> max_pool2d(const call& c) { return max_pool(c, 2); }

inline tensor<float> avg_pool(const call& c, int axes) {
  return pool(
      c, axes, 0.0F, [](float sum, float v) { return sum + v; },
      [](const window& w, float sum) {
        return sum / static_cast<float>(w.kernel[0] * w.kernel[1]);
      });
}
inline tensor<float> avg_pool1d(const call& c) { return avg_pool(c, 1); }
inline tensor<float> avg_pool2d(const call& c) { return avg_pool(c, 2); }

// Each output is finish(combine over its positions, row by row, from `start`, their number).
template <class F, class Finish>
tensor<float> adaptive_pool(const call& c, int axes, float start, F&& combine, Finish&& finish) {
  expect_operands(c, 1, 1);
  expect_rank(c, 0, axes + 2);
  const float_view& x = c.operand(0);
  const auto size = integers(c.at, "output_size", to_size(axes), 1, 1);
  const std::array<index_t, 2> out_size{axes == 1 ? 1 : size[0], size.back()};
  const index_t height = axes == 1 ? 1 : x.extent(2);
  const index_t width = x.extent(axes + 1);
  if (height < 1 || width < 1) {
    bad_shape("empty plane", text_of(x.extents()), "height and width >= 1");
  }
  shape extents = x.extents();
  for (int i = 0; i < axes; ++i) extents = extents.with(2 + i, size[to_size(i)]);
  tensor<float> out(extents);
  float* y = out.data();
  for (index_t plane = 0; plane < x.extent(0) * x.extent(1); ++plane) {
    const float* in = x.data() + plane * height * width;
    for (index_t i = 0; i < out_size[0]; ++i) {
      const index_t y0 = i * height / out_size[0];
      const index_t y1 = ((i + 1) * height + out_size[0] - 1) / out_size[0];
      for (index_t j = 0; j < out_size[1]; ++j) {
        const index_t x0 = j * width / out_size[1];
        const index_t x1 = ((j + 1) * width + out_size[1] - 1) / out_size[1];
        float result = start;
        for (index_t r = y0; r < y1; ++r) {
          for (index_t k = x0; k < x1; ++k) result = combine(result, in[r * width + k]);
        }
        *y++ = finish(result, (y1 - y0) * (x1 - x0));
      }
    }
  }
  return out;
}
inline tensor<float> adaptive_avg_pool(const call& c, int axes) {
  return adaptive_pool(
      c, axes, 0.0F, [](float sum, float v) { return sum + v; },
      [](float sum, index_t count) { return sum / static_cast<float>(count); });
}
inline tensor<float> adaptive_avg_pool1d(const call& c) { return adaptive_avg_pool(c, 1); }
inline tensor<float> adaptive_avg_pool2d(const call& c) { return adaptive_avg_pool(c, 2); }
inline tensor<float> adaptive_max_pool(const call& c, int axes) {
  return adaptive_pool(
      c, axes, -std::numeric_limits<float>::infinity(),
      [](float best, float v) { return v > best || v != v ? v : best; },
      [](float best, index_t) { return best; });
}
inline tensor<float> adaptive_max_pool1d(const call& c) { return adaptive_max_pool(c, 1); }
inline tensor<float> adaptive_max_pool2d(const call& c) { return adaptive_max_pool(c, 2); }

// Over the axes of the literal "dim" (all without it); "keepdim" != 0 leaves them with extent 1.
inline tensor<float> mean(const call& c) {
  expect_operands(c, 1, 1);
  const float_view& x = c.operand(0);
  const bool keep = number(c.at, "keepdim", 0) != 0;
  const auto it = c.at.literals.find("dim");
  const bool all = it == c.at.literals.end() || it->second.empty();
  std::vector<char> reduced(to_size(x.rank()), all ? 1 : 0);
  if (!all) {
    for (const double axis : it->second) {
      reduced[to_size(axis_of(axis, x.rank()))] = 1;
    }
  }
  std::vector<index_t> extents, steps(reduced.size(), 0);
  index_t count = 1, step = 1;
  for (std::size_t i = reduced.size(); i-- > 0;) {
    const index_t extent = x.extent(static_cast<int>(i));
    if (reduced[i] != 0) {
      count *= extent;
    } else {
      steps[i] = step;
      step *= extent;
    }
    if (reduced[i] == 0 || keep) extents.insert(extents.begin(), reduced[i] != 0 ? 1 : extent);
  }
  if (count == 0) bad_shape("mean of no elements", text_of(x.extents()));
  tensor<float> out{shape(std::span<const index_t>(extents))};
  const auto strides = row_major_strides(x.extents());
  for (index_t i = 0; i < x.size(); ++i) {
    index_t at = 0;
    for (std::size_t axis = 0; axis < steps.size(); ++axis) {
      at += i / strides[axis] % x.extent(static_cast<int>(axis)) * steps[axis];
    }
    out[at] += x.data()[i];
  }
  for (float& y : out.elements()) y /= static_cast<float>(count);
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
