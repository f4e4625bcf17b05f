// lutra: pool.hpp - max and average pooling of int8 NCHW tensors.
// SPDX-License-Identifier: Apache-2.0
//
//   max   the largest element of the window inside x; a window entirely outside x is an error
//   mean  clamp(round_half_even(float(sum of (x - zero_point)) * (multiplier / float(count)))
//               + output_zero_point, -128, 127),        multiplier = scale_x / scale_out
// count is the number of elements inside x, or the whole window with count_padding (outside elements
// are zero_point, so they add nothing to the sum).
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/window.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/tensor/view.hpp>

namespace lutra::inline LUTRA_ABI {

struct pool2d_options {
  std::array<index_t, 2> kernel{1, 1};
  window2d window{};
};
struct mean_pool2d_options {
  std::array<index_t, 2> kernel{1, 1};
  window2d window{};
  bool count_padding = false;
  std::int8_t zero_point = 0;         // of x
  std::int8_t output_zero_point = 0;  // of out
  float multiplier = 1.0F;            // finite, > 0
};

inline void check_pool2d(const tensor_view<const std::int8_t>& x,
                         const std::array<index_t, 2>& kernel, const window2d& w,
                         const tensor_view<std::int8_t>& out, std::string_view where) {
  const std::string at(where);
  check(w, where);
  if (x.rank() != 4) raise(errc::shape_mismatch, "x has four axes", at, text_of(x.extents()));
  for (std::size_t a = 0; a < 2; ++a) {
    if (kernel[a] < 1 || kernel[a] > (index_t{1} << 31)) {
      raise(errc::invalid_argument, "kernel out of range", at, text_of(kernel[a]), ">= 1");
    }
    const index_t reach = w.dilation[a] * (kernel[a] - 1);
    if (w.padding[a] > reach || w.padding_end[a] > reach) {
      raise(errc::invalid_argument, "padding lets a window miss the input", at,
            text_of(std::max(w.padding[a], w.padding_end[a])), "<= " + text_of(reach));
    }
  }
  const shape wanted{x.extent(0), x.extent(1), output_extent(w, 0, x.extent(2), kernel[0]),
                     output_extent(w, 1, x.extent(3), kernel[1])};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", at, text_of(out.extents()),
          text_of(wanted));
  }
}

// Calls f(value) for the elements of one window inside the plane (n, c).
template <class F>
void for_each_in_window(const tensor_view<const std::int8_t>& x, index_t n, index_t c,
                        const std::array<index_t, 2>& kernel, const window2d& w, index_t i,
                        index_t j, F&& f) {
  for (index_t a = 0; a < kernel[0]; ++a) {
    const index_t y = i * w.stride[0] - w.padding[0] + a * w.dilation[0];
    if (y < 0 || y >= x.extent(2)) continue;
    for (index_t b = 0; b < kernel[1]; ++b) {
      const index_t z = j * w.stride[1] - w.padding[1] + b * w.dilation[1];
      if (z >= 0 && z < x.extent(3)) f(x(n, c, y, z));
    }
  }
}

template <class A = simd::native>
void max_pool2d(tensor_view<const std::int8_t> x, const pool2d_options& o,
                tensor_view<std::int8_t> out, A = {}) {
  check_pool2d(x, o.kernel, o.window, out, "max_pool2d");
  for (index_t n = 0; n < out.extent(0); ++n) {
    for (index_t c = 0; c < out.extent(1); ++c) {
      for (index_t i = 0; i < out.extent(2); ++i) {
        for (index_t j = 0; j < out.extent(3); ++j) {
          std::int8_t largest = -128;
          for_each_in_window(x, n, c, o.kernel, o.window, i, j,
                             [&](std::int8_t v) { largest = std::max(largest, v); });
          out(n, c, i, j) = largest;
        }
      }
    }
  }
}

template <class A = simd::native>
void mean_pool2d(tensor_view<const std::int8_t> x, const mean_pool2d_options& o,
                 tensor_view<std::int8_t> out, A = {}) {
  check_pool2d(x, o.kernel, o.window, out, "mean_pool2d");
  const requantize base{
      .multiplier = {o.multiplier}, .bias = {}, .zero_point = o.output_zero_point};
  check<std::int8_t>(base, 1, "mean_pool2d");
  requantize e = base;
  for (index_t n = 0; n < out.extent(0); ++n) {
    for (index_t c = 0; c < out.extent(1); ++c) {
      for (index_t i = 0; i < out.extent(2); ++i) {
        for (index_t j = 0; j < out.extent(3); ++j) {
          std::int32_t sum = 0;
          index_t count = 0;
          for_each_in_window(x, n, c, o.kernel, o.window, i, j, [&](std::int8_t v) {
            sum += v - o.zero_point;
            ++count;
          });
          if (o.count_padding) count = o.kernel[0] * o.kernel[1];
          e.multiplier[0] = o.multiplier / static_cast<float>(std::max<index_t>(count, 1));
          out(n, c, i, j) = static_cast<std::int8_t>(finish(e, 0, sum));
        }
      }
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
