// lutra: integer_volume.hpp - 3-D convolutions and pools of integer mode, by the 2-D ones.
// SPDX-License-Identifier: Apache-2.0
//
//   convolutions  output slice by output slice: the input slices that its kernel reads become channels of one image,
//                 (channel, kernel slice), as the weight [filters, channels, kd, kh, kw] is one of channels * kd
//                 already. Slices outside the input, and between those of a transposed convolution, hold the zero point
//   pools         the rows that a window reads are stacked, so that it becomes kd * kh rows high
// So sums, epilogues and ties are those of integer.hpp, bit for bit. Memory: the images of one slice, and kd * kh
// times the rows of a pool's input at stride 1. Thread-safe: pure functions.
#pragma once

#include <lutra/ir/ops/integer.hpp>
#include <lutra/ir/ops/pool3d.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

struct integer_conv3d {
  integer_conv slice;  // weight [filters, channels / groups * kernel, kh, kw]
  window2d depth;      // as a width
  index_t kernel = 1;
};
struct integer_conv_transpose3d {
  integer_conv_transpose slice;  // likewise
  transposed_window depth;
  index_t kernel = 1;
};
// Pool is integer_max_pool or integer_mean_pool.
template <class Pool> struct integer_pool3d {
  Pool rows;  // its kernel and window are made from these
  volume_window window;
  std::array<index_t, 3> adaptive{0, 0, 0};  // extents of the result, or 0: the window stands
};

// Slices [n, c * kernel, h, w] of x [n, c, d, h, w]; source(k) is the slice of x for kernel position k, -1 for none.
template <class Source>
void gather_slices(const integer_value& x, index_t kernel, std::int8_t fill, Source&& source,
                   integer_value& images) {
  const index_t slice = x.extent(3) * x.extent(4);
  std::int8_t* out = images.data();
  for (index_t c = 0; c < x.extent(0) * x.extent(1); ++c) {
    for (index_t k = 0; k < kernel; ++k, out += slice) {
      const index_t from = source(k);
      if (from < 0) {
        std::fill_n(out, slice, fill);
      } else {
        std::copy_n(x.data() + (c * x.extent(2) + from) * slice, slice, out);
      }
    }
  }
}
// The whole result, of `depth` slices. source(z, k): what kernel position k of output slice z reads.
template <class Op, class Source>
integer_value run_slices(const Op& op, const integer_value& x, index_t depth, executor_ref ex,
                         Source&& source) {
  const auto fill = static_cast<std::int8_t>(op.slice.options.padding_value);
  integer_value images({x.extent(0), x.extent(1) * op.kernel, x.extent(3), x.extent(4)});
  integer_value out;
  for (index_t z = 0; z < depth; ++z) {
    gather_slices(
        x, op.kernel, fill, [&](index_t k) { return source(z, k); }, images);
    const integer_value* const operand = &images;
    const integer_value made = execute(op.slice, {&operand, 1}, ex);
    const index_t slice = made.extent(2) * made.extent(3);
    if (z == 0) {
      out = integer_value({made.extent(0), made.extent(1), depth, made.extent(2), made.extent(3)});
    }
    for (index_t c = 0; c < made.extent(0) * made.extent(1); ++c) {
      std::copy_n(made.data() + c * slice, slice, out.data() + (c * depth + z) * slice);
    }
  }
  return out;
}
inline void expect_volumes(const integer_value& x) {
  if (x.rank() == 5) return;
  raise(errc::shape_mismatch, "input has the wrong rank", {}, text_of(x.extents()), "rank 5");
}

inline integer_value execute(const integer_conv3d& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const integer_value& x = *in[0];
  expect_volumes(x);
  const index_t depth = output_extent(op.depth, 1, x.extent(2), op.kernel);
  if (depth == 0) window_too_large(x.extents());
  return run_slices(op, x, depth, ex, [&](index_t z, index_t k) {
    const index_t from = z * op.depth.stride[1] - op.depth.padding[1] + k * op.depth.dilation[1];
    return from < x.extent(2) ? std::max<index_t>(from, -1) : -1;
  });
}
inline integer_value execute(const integer_conv_transpose3d& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const integer_value& x = *in[0];
  expect_volumes(x);
  const index_t depth = output_extent(op.depth, 1, x.extent(2), op.kernel);
  if (depth == 0) {
    raise(errc::shape_mismatch, "nothing is left of the output", {}, text_of(x.extents()));
  }
  const spread_axis spread = spread_of(op.depth, 1, x.extent(2), op.kernel);
  return run_slices(op, x, depth, ex, [&](index_t z, index_t k) -> index_t {
    const index_t at = z + k * op.depth.window.dilation[1] - spread.first;
    if (at < 0 || at % spread.stride != 0 || at / spread.stride >= x.extent(2)) return -1;
    return at / spread.stride;
  });
}

// Rows [n, c * slices, rows * kd * kh, w] of x [n, c, d, h, w]: those of one window next to each other.
inline integer_value stacked_rows(const integer_value& x, const volume_window& w, index_t slices,
                                  index_t rows, std::int8_t fill) {
  const index_t width = x.extent(4);
  const index_t high = w.kernel[0] * w.kernel[1];
  integer_value out({x.extent(0), x.extent(1) * slices, rows * high, width});
  std::int8_t* to = out.data();
  for (index_t row = 0; row < out.extent(0) * out.extent(1) * out.extent(2); ++row, to += width) {
    const index_t o = row / high;  // of the result
    const index_t z = o / rows % slices * w.stride[0] - w.padding[0] + row % high / w.kernel[1];
    const index_t y = o % rows * w.stride[1] - w.padding[1] + row % w.kernel[1];
    if (z < 0 || z >= x.extent(2) || y < 0 || y >= x.extent(3)) {
      std::fill_n(to, width, fill);
      continue;
    }
    const index_t volume = o / (rows * slices);
    std::copy_n(x.data() + ((volume * x.extent(2) + z) * x.extent(3) + y) * width, width, to);
  }
  return out;
}
// What takes no part in a pool.
inline std::int8_t outside(const integer_max_pool&) { return -128; }
inline std::int8_t outside(const integer_mean_pool& p) { return p.options.zero_point; }

template <class Pool>
integer_value execute(const integer_pool3d<Pool>& op, integer_operands in,
                      executor_ref = serial_executor{}) {
  const integer_value& x = *in[0];
  expect_volumes(x);
  volume_window w = op.window;
  std::array<index_t, 3> size{};
  for (std::size_t a = 0; a < 3; ++a) {
    const index_t extent = x.extent(static_cast<int>(a) + 2);
    if (op.adaptive[a] != 0) {
      w.kernel[a] = w.stride[a] = whole_windows(extent, op.adaptive[a]);
    }
    size[a] = w.kernel[a] < 1 ? 0 : pooled_extent(w, a, extent);
    if (size[a] == 0) window_too_large(x.extents());
  }
  const integer_value rows = stacked_rows(x, w, size[0], size[1], outside(op.rows));
  Pool plane = op.rows;
  const index_t high = w.kernel[0] * w.kernel[1];
  plane.options.kernel = {high, w.kernel[2]};
  plane.options.window = window2d::symmetric({high, w.stride[2]}, {0, w.padding[2]});
  const integer_value* const operand = &rows;
  integer_value out = execute(plane, {&operand, 1});
  if (out.rank() == 2) return std::move(out).reshaped({x.extent(0), x.extent(1)});
  return std::move(out).reshaped({x.extent(0), x.extent(1), size[0], size[1], size[2]});
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
