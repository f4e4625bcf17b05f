// lutra: kernel_part.hpp - the taps of a kernel that a call multiplies: all, or every so many of each axis.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <lutra/core/types.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// The taps first, first + step, ... of one axis.
struct axis_part {
  index_t first = 0, step = 1, count = 0;
};

struct kernel_part {
  std::array<index_t, 2> kernel;  // extents of the whole
  std::array<axis_part, 2> axis;  // rows, columns

  // All taps of a kernel of that size.
  static constexpr kernel_part whole_of(index_t rows, index_t columns) noexcept {
    return {{rows, columns}, {{{0, 1, rows}, {0, 1, columns}}}};
  }
  constexpr bool whole() const noexcept {
    return axis[0].count == kernel[0] && axis[1].count == kernel[1];
  }
  // What is left of the depth of a matrix, of whole kernels.
  constexpr index_t depth(index_t all) const noexcept {
    return all == 0 ? 0 : all / (kernel[0] * kernel[1]) * (axis[0].count * axis[1].count);
  }
  // The taps of such a matrix, in order.
  std::vector<index_t> taps(index_t all) const {
    std::vector<index_t> out;
    out.reserve(static_cast<std::size_t>(depth(all)));
    for (index_t first = 0; first < all; first += kernel[0] * kernel[1]) {
      for (index_t a = 0; a < axis[0].count; ++a) {
        const index_t row = first + (axis[0].first + a * axis[0].step) * kernel[1];
        for (index_t b = 0; b < axis[1].count; ++b) {
          out.push_back(row + axis[1].first + b * axis[1].step);
        }
      }
    }
    return out;
  }
};

}  // namespace lutra::inline LUTRA_ABI
