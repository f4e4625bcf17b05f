// lutra: windows.hpp - products of few output channels per input: output positions in lanes, inputs read where they are.
// SPDX-License-Identifier: Apache-2.0
//
// A panel (panel.hpp) pays where many output channels read it. A depthwise convolution has one: here four taps of a
// kernel row whose inputs lie side by side in a plane are a group, and one 32-bit lane gets its four bytes from the
// vector that begins there (load_windows). So positions are counted with the gaps between the rows of a plane, and what
// is summed there is dropped. Taps that are missing in a group have weight 0.
#pragma once

#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>

namespace lutra::inline LUTRA_ABI {

// The groups of a kernel: those of a kernel row, for every row of every input channel.
struct window_groups {
  struct group {
    index_t plane, offset;       // of tap 0, as in axis_taps
    std::array<index_t, 4> tap;  // columns of the kernel, -1 for none
  };
  std::vector<group> of_row;
  index_t kernel_rows, kernel_columns, channels;

  explicit window_groups(const plane_geometry& g)
      : kernel_rows(static_cast<index_t>(g.rows.plane.size()) / g.row_phases),
        kernel_columns(static_cast<index_t>(g.columns.plane.size())),
        channels(g.channels) {
    std::vector<index_t> open(g.columns.remainders.size(),
                              -1);  // of each plane, whose offsets rise
    for (index_t tap = 0; tap < kernel_columns; ++tap) {
      const index_t plane = g.columns.plane[to_size(tap)];
      const index_t offset = g.columns.offset[to_size(tap)];
      index_t& at = open[to_size(plane)];
      if (at < 0 || offset > of_row[to_size(at)].offset + 3) {
        at = static_cast<index_t>(of_row.size());
        of_row.push_back({plane, offset, {-1, -1, -1, -1}});
      }
      group& to = of_row[to_size(at)];
      to.tap[to_size(offset - to.offset)] = tap;
    }
  }
  index_t size() const noexcept {
    return channels * kernel_rows * static_cast<index_t>(of_row.size());
  }
  // Whether products are faster so than with a panel, where a group takes three times as long to load.
  bool pays(index_t output_channels) const noexcept {
    return output_channels * size() <= 2 * ((channels * kernel_rows * kernel_columns + 3) / 4);
  }
  // f(group, k, j): tap k of the weight is number j of a group.
  template <class F> void each_tap(F&& f) const {
    index_t at = 0;
    for (index_t row = 0; row < channels * kernel_rows; ++row) {
      for (const group& g : of_row) {
        for (std::size_t j = 0; j < 4; ++j) {
          if (g.tap[j] >= 0) f(at, row * kernel_columns + g.tap[j], static_cast<index_t>(j));
        }
        ++at;
      }
    }
  }
  // Adds where the groups of a phase begin in the planes of `count` output rows.
  void add_offsets(const plane_geometry& g, index_t count, index_t phase,
                   std::vector<index_t>& all) const {
    for (index_t c = 0; c < channels; ++c) {
      for (index_t a = phase * kernel_rows; a < (phase + 1) * kernel_rows; ++a) {
        const auto row = to_size(a);
        for (const group& k : of_row) all.push_back(g.offset(count, c, row, k.plane, k.offset));
      }
    }
  }
};

// Weights in the order of groups, as panel_weight reads them: [row][group][panel_vectors / 4] 32-bit lanes.
template <class A> class window_weights {
 public:
  static constexpr index_t group_bytes = group_vectors<A>;

  window_weights() = default;
  // taps: of the matrix, those of the groups.
  window_weights(const byte_weights<A>& decoded, index_t rows, const window_groups& groups,
                 std::span<const index_t> taps)
      : row_bytes_(groups.size() * group_bytes),
        bytes_(static_cast<std::size_t>(rows * row_bytes_)) {
    groups.each_tap([&](index_t group, index_t k, index_t j) {
      const index_t tap = taps[static_cast<std::size_t>(k)];
      for (index_t r = 0; r < rows; ++r) put(r, group, j, decoded.weight(r, tap));
    });
  }
  // One row of weights 1, for sums of activations.
  static window_weights ones(const window_groups& groups) {
    window_weights out;
    out.row_bytes_ = groups.size() * group_bytes;
    out.bytes_.resize(to_size(out.row_bytes_));
    groups.each_tap([&](index_t group, index_t, index_t j) { out.put(0, group, j, 1); });
    return out;
  }
  const std::uint8_t* row(index_t r) const noexcept { return bytes_.data() + r * row_bytes_; }

 private:
  void put(index_t r, index_t group, index_t j, std::int8_t w) {
    std::uint8_t* to = bytes_.data() + r * row_bytes_ + group * group_bytes;
    if constexpr (group_vectors<A> == 4) {
      to[j] = static_cast<std::uint8_t>(w);
    } else {  // pairs of int16, of the taps 0 and 2, 1 and 3
      const std::int16_t wide = w;
      std::memcpy(to + j % 2 * 4 + j / 2 * 2, &wide, 2);
    }
  }

  index_t row_bytes_ = 0;
  std::vector<std::uint8_t> bytes_;
};

// sum[v] = start + (one row of weights times what the groups meet at a vector of positions, the first one at x).
template <class A>
[[gnu::always_inline]] inline void multiply_windows(const std::int8_t* x,
                                                    std::span<const index_t> offsets,
                                                    const std::uint8_t* weights, std::int32_t start,
                                                    simd::ints_of<A> (&sum)[4]) {
  decltype(as_sum(splat_ints(0, A{}), A{})) s[4];
  simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
    s[v] = as_sum(splat_ints(start, A{}), A{});
  });
  for (const index_t offset : offsets) {
    simd::bytes_of<A> in[to_size(group_vectors<A>)];
    simd::load_windows(in, x + offset, A{});
    simd::unroll<group_vectors<A> / 4>([&](auto part) __attribute__((always_inline)) {
      const auto lane = panel_weight(weights + 4 * part, A{});
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        s[v] = as_sum(panel_dot(as_ints(s[v], A{}), in[4 * part + v], lane, A{}), A{});
      });
    });
    weights += window_weights<A>::group_bytes;
  }
  simd::unroll<4>([&](auto v) __attribute__((always_inline)) { sum[v] = as_ints(s[v], A{}); });
}

}  // namespace lutra::inline LUTRA_ABI
