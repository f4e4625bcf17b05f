// check_groups_bounded(conv): conv(w, x, groups), w of shape [0, 2, 3, 3], refuses more groups than x has channels, also
// where their product with the channels of w wraps.
#pragma once

#include <limits>
#include <lutra/runtime/lut_matrix.hpp>
#include <lutra/tensor/tensor.hpp>

#include "errors.hpp"
#include "runtime/palettes.hpp"

namespace test {

template <class Conv> void check_groups_bounded(Conv&& conv) {
  using lutra::index_t;
  using lutra::shape;
  using lutra::tensor;
  lutra::random_stream r(12);
  const lutra::lut_matrix w = lutra::make_lut_matrix(random_palette(r, shape{0, 2, 3, 3}, {}));
  // 2 * (2^63 - 1) wraps to -2, 2 * 2^62 to -2^63.
  constexpr index_t most = std::numeric_limits<index_t>::max();
  CHECK_ERROR(conv(w, tensor<std::int8_t>(shape{1, 2, 5, 5}), most), shape_mismatch,
              "x does not match", "[1, 2, 5, 5]", "9223372036854775807");
  CHECK_ERROR(conv(w, tensor<std::int8_t>(shape{1, 0, 5, 5}), index_t{1} << 62), shape_mismatch,
              "x does not match", "[1, 0, 5, 5]", "4611686018427387904");
}

}  // namespace test
