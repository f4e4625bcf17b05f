// lutra: window.hpp - window2d: stride, padding and dilation of a 2-D convolution or pooling.
// SPDX-License-Identifier: Apache-2.0
//
// Pairs are (height, width). 1-D operations use height 1: stride {1, s}, kernel {1, k}.
#pragma once

#include <array>
#include <lutra/core/error.hpp>
#include <string>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

struct window2d {
  std::array<index_t, 2> stride{1, 1};
  std::array<index_t, 2> padding{0, 0};      // before the first row and column
  std::array<index_t, 2> padding_end{0, 0};  // after the last ones
  std::array<index_t, 2> dilation{1, 1};

  // The same padding on both sides.
  static constexpr window2d symmetric(std::array<index_t, 2> stride, std::array<index_t, 2> padding,
                                      std::array<index_t, 2> dilation = {1, 1}) {
    return {stride, padding, padding, dilation};
  }
  friend constexpr bool operator==(const window2d&, const window2d&) = default;
};

// Output extent along `axis` (0 height, 1 width); 0 when the kernel does not fit. For any input and kernel that are
// extents of a shape, if `w` has passed check().
constexpr index_t output_extent(const window2d& w, int axis, index_t input, index_t kernel) {
  const auto a = to_size(axis);
  const index_t last = input + w.padding[a] + w.padding_end[a] - 1;  // padded position
  if (last < 0 || kernel < 1 || kernel - 1 > last / w.dilation[a]) return 0;
  return (last - w.dilation[a] * (kernel - 1)) / w.stride[a] + 1;
}

// Raises invalid_argument naming the first field out of range.
inline void check(const window2d& w, std::string_view where) {
  // Keeps the product of two fields, and of a field with an extent up to this, in range. Products of more are checked
  // where they are made: conv/planes.hpp.
  constexpr index_t most = index_t{1} << 31;
  const auto field = [&](const char* name, const std::array<index_t, 2>& v, index_t lowest) {
    for (const index_t x : v) {
      if (x >= lowest && x <= most) continue;
      raise(errc::invalid_argument, std::string(name) + " out of range", std::string(where),
            text_of(x), range_text(lowest, most));
    }
  };
  field("stride", w.stride, 1);
  field("padding", w.padding, 0);
  field("padding_end", w.padding_end, 0);
  field("dilation", w.dilation, 1);
}

}  // namespace lutra::inline LUTRA_ABI
