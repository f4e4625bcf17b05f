// lutra: pool3d.hpp - max, average and adaptive pools of volumes, of the float interpreter.
// SPDX-License-Identifier: Apache-2.0
//
// Input [batch, channels, depth, height, width]; the rules of pool.hpp with one axis more: sums run over slices,
// rows and columns in this order, in f32, every addition rounded. Thread-safe.
#pragma once

#include <lutra/ir/ops/pool.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

// Literals of a window over volumes.
struct volume_window {
  std::array<index_t, 3> kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0};
};
inline std::array<index_t, 3> three(const node& n, const char* key, index_t fallback,
                                    index_t least) {
  const auto x = integers(n, key, 3, fallback, least);
  return {x[0], x[1], x[2]};
}
inline volume_window pool_window_of(const node& n) {
  refuse_pool_literals(n);
  need_kernel_size(n);
  const volume_window w{three(n, "kernel_size", 0, 1), three(n, "stride", 1, 1),
                        three(n, "padding", 0, 0)};
  for (const index_t d : three(n, "dilation", 1, 1)) {
    if (d != 1) raise(errc::unsupported, "dilated pooling", {}, text_of(d), "1");
  }
  for (std::size_t a = 0; a < 3; ++a) {
    if (2 * w.padding[a] > w.kernel[a]) {
      bad_shape("padding exceeds half of the kernel", text_of(w.padding[a]),
                "<= " + text_of(w.kernel[a] / 2));
    }
  }
  return w;
}
// Extent of the result along axis `a`; 0 if the window does not fit.
inline index_t pooled_extent(const volume_window& w, std::size_t a, index_t input) {
  return output_extent(window2d::symmetric({1, w.stride[a]}, {0, w.padding[a]}), 1, input,
                       w.kernel[a]);
}
[[noreturn]] inline void window_too_large(const shape& in) {
  raise(errc::shape_mismatch, "window does not fit into the padded input", {}, text_of(in));
}

struct pool_range {
  index_t begin = 0, end = 0;
};

// Each output is finish(combine over the positions of its ranges, from `start`, their number). range(axis, output)
// are positions inside the input.
template <class Range, class F, class Finish>
tensor<float> pool_volumes(const float_view& x, const std::array<index_t, 3>& size, float start,
                           Range&& range, F&& combine, Finish&& finish) {
  const index_t height = x.extent(3);
  const index_t width = x.extent(4);
  tensor<float> out(shape{x.extent(0), x.extent(1), size[0], size[1], size[2]});
  float* y = out.data();
  const float* volume = x.data();
  for (index_t v = 0; v < x.extent(0) * x.extent(1); ++v, volume += x.extent(2) * height * width) {
    for (index_t o = 0; o < size[0] * size[1] * size[2]; ++o) {
      const pool_range slices = range(0, o / (size[1] * size[2]));
      const pool_range rows = range(1, o / size[2] % size[1]);
      const pool_range columns = range(2, o % size[2]);
      float result = start;
      for (index_t i = slices.begin; i < slices.end; ++i) {
        for (index_t j = rows.begin; j < rows.end; ++j) {
          const float* row = volume + (i * height + j) * width;
          for (index_t k = columns.begin; k < columns.end; ++k) result = combine(result, row[k]);
        }
      }
      *y++ = finish(result, (slices.end - slices.begin) * (rows.end - rows.begin) *
                                (columns.end - columns.begin));
    }
  }
  return out;
}

template <class F, class Finish>
tensor<float> pool3d(const call& c, float start, F&& combine, Finish&& finish) {
  expect_operands(c, 1, 1);
  expect_rank(c, 0, 5);
  const float_view& x = c.operand(0);
  const volume_window w = pool_window_of(c.at);
  std::array<index_t, 3> size{};
  for (std::size_t a = 0; a < 3; ++a) {
    size[a] = pooled_extent(w, a, x.extent(static_cast<int>(a) + 2));
    if (size[a] == 0) window_too_large(x.extents());
  }
  const auto range = [&](std::size_t a, index_t o) -> pool_range {
    const index_t first = o * w.stride[a] - w.padding[a];
    return {std::max<index_t>(first, 0),
            std::min(first + w.kernel[a], x.extent(static_cast<int>(a) + 2))};
  };
  const index_t whole = w.kernel[0] * w.kernel[1] * w.kernel[2];
  return pool_volumes(x, size, start, range, combine,
                      [&](float result, index_t) { return finish(result, whole); });
}
template <class F, class Finish>
tensor<float> adaptive_pool3d(const call& c, float start, F&& combine, Finish&& finish) {
  expect_operands(c, 1, 1);
  expect_rank(c, 0, 5);
  const float_view& x = c.operand(0);
  const std::array<index_t, 3> size = three(c.at, "output_size", 1, 1);
  const auto range = [&](std::size_t a, index_t o) -> pool_range {
    const index_t extent = x.extent(static_cast<int>(a) + 2);
    return {o * extent / size[a], ((o + 1) * extent + size[a] - 1) / size[a]};
  };
  if (x.extents().product(2, 5) == 0) {
    bad_shape("empty volume", text_of(x.extents()), "depth, height and width >= 1");
  }
  return pool_volumes(x, size, start, range, combine, finish);
}

inline float larger(float best, float v) { return v > best || v != v ? v : best; }
inline float plus(float sum, float v) { return sum + v; }
inline float the_same(float x, index_t) { return x; }
inline float divided(float sum, index_t count) { return sum / static_cast<float>(count); }

inline tensor<float> max_pool3d(const call& c) {
  return pool3d(c, -std::numeric_limits<float>::infinity(), larger, the_same);
}
inline tensor<float> avg_pool3d(const call& c) { return pool3d(c, 0.0F, plus, divided); }
inline tensor<float> adaptive_max_pool3d(const call& c) {
  return adaptive_pool3d(c, -std::numeric_limits<float>::infinity(), larger, the_same);
}
inline tensor<float> adaptive_avg_pool3d(const call& c) {
  return adaptive_pool3d(c, 0.0F, plus, divided);
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
