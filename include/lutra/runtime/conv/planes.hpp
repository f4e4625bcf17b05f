// lutra: planes.hpp - the input of a convolution, padded and cut so that every tap is contiguous.
// SPDX-License-Identifier: Apache-2.0
//
// Output position (i, j) reads the padded input at (i * s + a * d, j * s + b * d) for tap (a, b). Taps
// with the same remainders (a * d % s, b * d % s) see one sub-image in which neighbouring outputs
// are neighbouring elements: a plane. With `width` elements per plane row, output (i, j) is the flat
// position i * width + j in every plane, and tap (a, b) reads at a constant offset from it. So the
// kernels load whole vectors of positions for any stride, dilation and padding; positions with
// j >= output columns are computed and dropped.
#pragma once

#include <cstring>
#include <lutra/runtime/window.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// The taps of a kernel along one axis: which plane, and how far into it.
struct axis_taps {
  std::vector<index_t> remainders;  // distinct, in order of first use: one plane each
  std::vector<index_t> plane;       // of tap t
  std::vector<index_t> offset;      // of tap t within its plane
  index_t reach = 0;                // largest offset

  axis_taps(index_t taps, index_t stride, index_t dilation) {
    for (index_t t = 0; t < taps; ++t) {
      const index_t remainder = t * dilation % stride;
      std::size_t at = 0;
      while (at < remainders.size() && remainders[at] != remainder) ++at;
      if (at == remainders.size()) remainders.push_back(remainder);
      plane.push_back(static_cast<index_t>(at));
      offset.push_back(t * dilation / stride);
      reach = offset.back();
    }
  }
  index_t planes() const noexcept { return static_cast<index_t>(remainders.size()); }
};

// Geometry of one convolution; immutable.
struct plane_geometry {
  window2d window;
  axis_taps rows;
  axis_taps columns;
  index_t channels;
  index_t output_columns;
  index_t width;  // elements of a plane row

  plane_geometry(const window2d& w, index_t channels_in, std::array<index_t, 2> kernel,
                 index_t columns_out)
      : window(w),
        rows(kernel[0], w.stride[0], w.dilation[0]),
        columns(kernel[1], w.stride[1], w.dilation[1]),
        channels(channels_in),
        output_columns(columns_out),
        width(columns_out + columns.reach) {}

  index_t planes_per_channel() const noexcept { return rows.planes() * columns.planes(); }
  // Elements of the planes that `count` output rows need.
  index_t size(index_t count) const noexcept {
    return channels * planes_per_channel() * (count + rows.reach) * width;
  }
  // Offset of every tap, in the order of the weight: channel, kernel row, kernel column.
  std::vector<index_t> taps(index_t count) const {
    const index_t plane = (count + rows.reach) * width;
    std::vector<index_t> offsets;
    for (index_t c = 0; c < channels; ++c) {
      for (std::size_t a = 0; a < rows.plane.size(); ++a) {
        for (std::size_t b = 0; b < columns.plane.size(); ++b) {
          const index_t number =
              c * planes_per_channel() + rows.plane[a] * columns.planes() + columns.plane[b];
          offsets.push_back(number * plane + rows.offset[a] * width + columns.offset[b]);
        }
      }
    }
    return offsets;
  }
};

// One plane row: elements first, first + stride, ... of the padded row whose inside is `x`.
inline void fill_plane_row(const std::int8_t* x, index_t x_stride, index_t x_size, index_t first,
                           index_t stride, std::int8_t pad, std::int8_t* out, index_t width) {
  // Smallest j with first + j * stride >= 0, and the first one at or beyond x_size.
  const auto index_at = [&](index_t z) {
    return z <= first ? 0 : (z - first + stride - 1) / stride;
  };
  const index_t from = std::min(index_at(0), width);
  const index_t to = std::max(std::min(index_at(x_size), width), from);
  std::memset(out, pad, static_cast<std::size_t>(from));
  if (stride * x_stride == 1) {
    if (to > from) std::memcpy(out + from, x + first + from, static_cast<std::size_t>(to - from));
  } else {
    for (index_t j = from; j < to; ++j) out[j] = x[(first + j * stride) * x_stride];
  }
  std::memset(out + to, pad, static_cast<std::size_t>(width - to));
}

// Planes of output rows [first, first + count) of image n, channels [channel, channel + g.channels).
inline void fill_planes(const plane_geometry& g, const tensor_view<const std::int8_t>& x, index_t n,
                        index_t channel, index_t first, index_t count, std::int8_t pad,
                        std::int8_t* out) {
  const index_t height = count + g.rows.reach;
  for (index_t c = channel; c < channel + g.channels; ++c) {
    const std::int8_t* image = x.data() + n * x.stride(0) + c * x.stride(1);
    for (const index_t row_remainder : g.rows.remainders) {
      for (const index_t column_remainder : g.columns.remainders) {
        for (index_t i = 0; i < height; ++i, out += g.width) {
          const index_t y = (first + i) * g.window.stride[0] + row_remainder - g.window.padding[0];
          if (y < 0 || y >= x.extent(2)) {
            std::memset(out, pad, static_cast<std::size_t>(g.width));
            continue;
          }
          fill_plane_row(image + y * x.stride(2), x.stride(3), x.extent(3),
                         column_remainder - g.window.padding[1], g.window.stride[1], pad, out,
                         g.width);
        }
      }
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
