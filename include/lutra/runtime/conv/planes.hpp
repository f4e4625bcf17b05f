// lutra: planes.hpp - the input of a convolution, padded and cut so that every tap is contiguous.
// SPDX-License-Identifier: Apache-2.0
//
// Output position (i, j) reads the padded input at (i * s + a * d, j * s + b * d) for tap (a, b). Taps
// with the same remainders (a * d % s, b * d % s) see one sub-image in which neighbouring outputs
// are neighbouring elements: a plane. With `width` elements per plane row, output (i, j) is the flat
// position i * width + j in every plane, and tap (a, b) reads at a constant offset from it. So the
// kernels load whole vectors of positions for any stride, dilation and padding.
// Rows of the output are at most as long as those of a plane: a block of positions consists of runs (runs_of).
#pragma once

#include <cstring>
#include <initializer_list>
#include <lutra/core/executor.hpp>
#include <lutra/runtime/window.hpp>
#include <lutra/simd/primitives.hpp>
#include <lutra/tensor/view.hpp>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// The taps of a kernel along one axis: which plane, and how far into it. With `phases`, phase p has the
// outputs p, p + phases, ..: neighbours in a plane are neighbours of a phase. The taps of one phase
// follow those of the other.
struct axis_taps {
  std::vector<index_t> remainders;  // distinct, in order of first use: one plane each
  std::vector<index_t> plane;       // of tap t
  std::vector<index_t> offset;      // of tap t within its plane
  index_t step;                     // elements of the input from one output of a phase to the next
  index_t reach = 0;                // largest offset

  axis_taps(index_t taps, index_t stride, index_t dilation, index_t phases)
      : step(phases * stride) {
    for (index_t t = 0; t < phases * taps; ++t) {
      const index_t position = t / taps * stride + t % taps * dilation;
      const index_t remainder = position % step;
      std::size_t at = 0;
      while (at < remainders.size() && remainders[at] != remainder) ++at;
      if (at == remainders.size()) remainders.push_back(remainder);
      plane.push_back(static_cast<index_t>(at));
      offset.push_back(position / step);
      reach = std::max(reach, offset.back());
    }
  }
  index_t planes() const noexcept { return static_cast<index_t>(remainders.size()); }
};

// Geometry of one convolution; immutable. Its sizes are in range after check_kernel() before, check() behind it.
struct plane_geometry {
  window2d window;
  axis_taps rows;
  axis_taps columns;
  index_t channels;
  index_t row_phases;  // 2: even and odd output rows apart, for pooling
  index_t output_columns;
  index_t width;  // elements of a plane row

  plane_geometry(const window2d& w, index_t channels_in, std::array<index_t, 2> kernel,
                 index_t columns_out, index_t phases)
      : window(w),
        rows(kernel[0], w.stride[0], w.dilation[0], phases),
        columns(kernel[1], w.stride[1], w.dilation[1], 1),
        channels(channels_in),
        row_phases(phases),
        output_columns(columns_out),
        width(columns_out + columns.reach) {}

  index_t planes_per_channel() const noexcept { return rows.planes() * columns.planes(); }
  // Elements of one plane, and of all planes, that `count` output rows need.
  index_t plane_size(index_t count) const noexcept { return (count + rows.reach) * width; }
  index_t size(index_t count) const noexcept {
    return channels * planes_per_channel() * plane_size(count);
  }
  // Where tap `row` of the rows and one of the columns, of that plane and offset, begin in the planes of a channel.
  index_t offset(index_t count, index_t channel, std::size_t row, index_t column_plane,
                 index_t column_offset) const noexcept {
    const index_t number =
        channel * planes_per_channel() + rows.plane[row] * columns.planes() + column_plane;
    return number * plane_size(count) + rows.offset[row] * width + column_offset;
  }
  // Offset of every tap of a phase, in the order of the weight: channel, kernel row, kernel column.
  std::vector<index_t> taps(index_t count, index_t phase) const {
    const std::size_t kernel_rows = rows.plane.size() / to_size(row_phases);
    const std::size_t first = kernel_rows * to_size(phase);
    std::vector<index_t> offsets;
    for (index_t c = 0; c < channels; ++c) {
      for (std::size_t a = first; a < first + kernel_rows; ++a) {
        for (std::size_t b = 0; b < columns.plane.size(); ++b) {
          offsets.push_back(offset(count, c, a, columns.plane[b], columns.offset[b]));
        }
      }
    }
    return offsets;
  }
};

// Limits no layer of a network meets: bytes of the planes that one output row reads (those of a group's channels), or
// of the spread-out input of a transposed convolution, per channel; extents of a kernel, which with input channels
// are below the depth of exact sums.
inline constexpr index_t most_plane_bytes = index_t{1} << 32;
inline constexpr index_t most_kernel_extent = index_t{1} << 17;

// Raises size_overflow if the product of the factors, none negative, is beyond most_plane_bytes; `names` names them.
inline void check_plane_bytes(std::initializer_list<index_t> factors, const char* names,
                              std::string_view where) {
  index_t bytes = 1;
  for (const index_t f : factors) {
    if (f == 0) return;
  }
  for (const index_t f : factors) {
    if (bytes > most_plane_bytes / f) {
      raise(errc::size_overflow, "too many bytes behind one output row, with dilation and padding",
            std::string(where), std::string(names) + " " + text_of(std::span(factors)),
            "a product up to " + text_of(most_plane_bytes));
    }
    bytes *= f;
  }
}
// What plane_geometry can be made for; raises unsupported.
inline void check_kernel(const shape& weight, std::string_view where) {
  for (int axis = 2; axis < 4; ++axis) {
    if (weight[axis] <= most_kernel_extent) continue;
    raise(errc::unsupported, "kernel beyond exact int32 sums", std::string(where),
          text_of(weight[axis]), "<= " + text_of(most_kernel_extent));
  }
}

inline void check(const plane_geometry& g, std::string_view where) {
  check_plane_bytes({g.channels, g.planes_per_channel(), g.rows.reach + 1, g.width},
                    "[channels, planes, rows, columns]", where);
}

// Copies `bytes` bytes as two overlapping moves of a fixed size: runs are a few dozen bytes, where a
// call of memcpy costs more than the copy.
inline void copy_run(void* to, const void* from, std::size_t bytes) {
  auto* t = static_cast<std::uint8_t*>(to);
  const auto* f = static_cast<const std::uint8_t*>(from);
  const auto ends = [&](auto size) {
    constexpr std::size_t n = size;
    std::uint8_t head[n], tail[n];
    std::memcpy(head, f, n);
    std::memcpy(tail, f + bytes - n, n);
    std::memcpy(t, head, n);
    std::memcpy(t + bytes - n, tail, n);
  };
  using std::integral_constant;
  if (bytes > 64) {
    std::memcpy(to, from, bytes);
  } else if (bytes >= 32) {
    ends(integral_constant<std::size_t, 32>{});
  } else if (bytes >= 16) {
    ends(integral_constant<std::size_t, 16>{});
  } else if (bytes >= 8) {
    ends(integral_constant<std::size_t, 8>{});
  } else if (bytes >= 4) {
    ends(integral_constant<std::size_t, 4>{});
  } else {
    for (std::size_t i = 0; i < bytes; ++i) t[i] = f[i];
  }
}

// int8 <-> uint8 - 128, for n bytes.
template <class A> void flip_signs(std::int8_t* p, index_t n) {
  index_t at = 0;
  for (; at + simd::vector_size<A> <= n; at += simd::vector_size<A>) {
    store_bytes(p + at, flip_sign(load_bytes(p + at, A{}), A{}), A{});
  }
  for (; at < n; ++at) p[at] = static_cast<std::int8_t>(p[at] ^ -128);
}

// The j in [0, n) with 0 <= first + j * stride < size.
constexpr index_range inside(index_t first, index_t stride, index_t size, index_t n) {
  const auto index_at = [&](index_t z) {
    return z <= first ? 0 : (z - first + stride - 1) / stride;
  };
  const index_t begin = std::min(index_at(0), n);
  return {begin, std::max(std::min(index_at(size), n), begin)};
}

// Planes of output rows [first, first + count) of image n, channels [channel, channel + g.channels); of
// every phase.
inline void fill_planes(const plane_geometry& g, const tensor_view<const std::int8_t>& x, index_t n,
                        index_t channel, index_t first, index_t count, std::int8_t pad,
                        std::int8_t* out) {
  std::memset(out, pad, to_size(g.size(count)));
  const index_t row_stride = g.rows.step, column_stride = g.columns.step;
  const index_t step = x.extent(3) > 1 ? column_stride * x.stride(3) : 1;
  for (index_t c = channel; c < channel + g.channels; ++c) {
    const index_t image = n * x.stride(0) + c * x.stride(1);
    for (const index_t row_remainder : g.rows.remainders) {
      const index_t top = first * row_stride + row_remainder - g.window.padding[0];
      const index_range rows = inside(top, row_stride, x.extent(2), count + g.rows.reach);
      for (const index_t column_remainder : g.columns.remainders) {
        const index_t left = column_remainder - g.window.padding[1];
        const index_range columns = inside(left, column_stride, x.extent(3), g.width);
        for (index_t i = rows.begin; i < rows.end && columns.size() > 0; ++i) {
          const std::int8_t* from = x.data() + image + (top + i * row_stride) * x.stride(2) +
                                    (left + columns.begin * column_stride) * x.stride(3);
          std::int8_t* to = out + i * g.width + columns.begin;
          if (step == 1) {
            copy_run(to, from, to_size(columns.size()));
          } else {
            for (index_t j = 0; j < columns.size(); ++j) to[j] = from[j * step];
          }
        }
        out += g.plane_size(count);
      }
    }
  }
}

// From lane `from` of a block on, output positions are `offset` elements off their lane in every plane.
struct position_run {
  index_t from, offset;
};

// Runs of the `lanes` positions from `begin` on, counted without gaps: one per output row, or one for all where rows
// of the output are as long as those of a plane.
inline void runs_of(const plane_geometry& g, index_t begin, index_t lanes,
                    std::vector<position_run>& runs) {
  runs.clear();
  for (index_t lane = 0; lane < lanes;) {
    const index_t row = (begin + lane) / g.output_columns;
    const index_t column = begin + lane - row * g.output_columns;
    const index_t offset = row * g.width + column - lane;
    if (runs.empty() || runs.back().offset != offset) runs.push_back({lane, offset});
    lane += g.output_columns - column;
  }
}

// What a tap meets at the positions of a block. Whole vectors are read: up to one before and one behind
// the planes. Count: of runs, or 0 where it is not known to the compiler.
template <class A, std::size_t Count>
[[gnu::always_inline]] inline simd::bytes_of<A> load_runs(const std::int8_t* tap,
                                                          std::span<const position_run> runs) {
  auto v = load_bytes(tap + runs[0].offset, A{});
  for (std::size_t i = 1; i < (Count > 0 ? Count : runs.size()); ++i) {
    v = splice(v, load_bytes(tap + runs[i].offset, A{}), runs[i].from, A{});
  }
  return v;
}

}  // namespace lutra::inline LUTRA_ABI
