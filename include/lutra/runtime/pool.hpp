// lutra: pool.hpp - max and average pooling of int8 NCHW tensors.
// SPDX-License-Identifier: Apache-2.0
//
//   max   the largest element of the window inside x; -128 if dilation steps over all of it
//   mean  clamp(round_half_even(float(sum of (x - zero_point)) * (multiplier / float(count)))
//               + output_zero_point, -128, 127),        multiplier = scale_x / scale_out
// count is the number of elements inside x, or the whole window with count_padding (outside elements
// are zero_point, so they add nothing to the sum). Each float operation is rounded on its own: same
// bits on every level. Views may have any strides; out must not overlap x or itself. Rows of more than 2^32 elements,
// padding included, raise size_overflow: one of them is held in memory.
#pragma once

#include <lutra/runtime/pool/worker.hpp>
#include <lutra/tensor/overlap.hpp>
#include <lutra/tensor/traits.hpp>

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
  if (x.rank() != 4) {
    raise(errc::shape_mismatch, "x needs four axes", at, text_of(x.extents()), "[n, c, h, w]");
  }
  for (std::size_t a = 0; a < 2; ++a) {
    if (kernel[a] < 1 || kernel[a] > (index_t{1} << 31)) {
      raise(errc::invalid_argument, "kernel out of range", at, text_of(kernel[a]),
            range_text(index_t{1}, index_t{1} << 31));
    }
    const index_t reach = w.dilation[a] * (kernel[a] - 1);
    if (w.padding[a] > reach || w.padding_end[a] > reach) {
      raise(errc::invalid_argument, "padding lets a window miss the input", at,
            text_of(std::max(w.padding[a], w.padding_end[a])), "<= " + text_of(reach));
    }
  }
  constexpr index_t most = index_t{1} << 32;  // paddings are below it
  const index_t around = w.padding[1] + w.padding_end[1];
  if (x.extent(3) > most || x.extent(3) + around > most) {
    raise(errc::size_overflow, "rows are too long, with padding", at,
          text_of(x.extent(3)) + " and " + text_of(around), "up to " + text_of(most) + " in all");
  }
  const shape wanted{x.extent(0), x.extent(1), output_extent(w, 0, x.extent(2), kernel[0]),
                     output_extent(w, 1, x.extent(3), kernel[1])};
  if (!(out.extents() == wanted)) {
    raise(errc::shape_mismatch, "out does not match x and the window", at, text_of(out.extents()),
          text_of(wanted));
  }
  check_memory(x, out, where);
}

// Calls f(plane of x, plane of out) for every image and channel.
template <class F>
void for_each_plane(const tensor_view<const std::int8_t>& x, const tensor_view<std::int8_t>& out,
                    F&& f) {
  for (index_t n = 0; n < out.extent(0); ++n) {
    for (index_t c = 0; c < out.extent(1); ++c) {
      f(pool_plane<const std::int8_t>(x, n, c), pool_plane<std::int8_t>(out, n, c));
    }
  }
}

template <readable_tensor X, writable_tensor Out, class A = simd::native>
void max_pool2d(const X& x, const pool2d_options& o, Out&& out, A = {}) {
  const tensor_view<const std::int8_t> from = view(x);
  const tensor_view<std::int8_t> to = view(out);
  check_pool2d(from, o.kernel, o.window, to, "max_pool2d");
  if (to.empty()) return;
  max_pool_worker<A> worker(o.kernel, o.window, from, to);
  for_each_plane(from, to, [&](const auto& in, const auto& result) { worker.run(in, result); });
}

template <readable_tensor X, writable_tensor Out, class A = simd::native>
void mean_pool2d(const X& x, const mean_pool2d_options& o, Out&& out, A = {}) {
  const tensor_view<const std::int8_t> from = view(x);
  const tensor_view<std::int8_t> to = view(out);
  check_pool2d(from, o.kernel, o.window, to, "mean_pool2d");
  check_rows({o.multiplier}, {}, 1, "mean_pool2d");
  constexpr index_t most = index_t{1} << 23;  // sums of (x - zero_point) fit int32
  const index_t area =
      std::min(o.kernel[0], from.extent(2)) * std::min(o.kernel[1], from.extent(3));
  if (area > most) {
    raise(errc::unsupported, "window beyond exact int32 sums", "mean_pool2d", text_of(area),
          "<= " + text_of(most));
  }
  if (to.empty()) return;
  mean_pool_worker<A> worker(o.kernel, o.window, from, to, o.count_padding, o.multiplier);
  worker.set_zero_points(o.zero_point, o.output_zero_point);
  for_each_plane(from, to, [&](const auto& in, const auto& result) { worker.run(in, result); });
}

}  // namespace lutra::inline LUTRA_ABI
