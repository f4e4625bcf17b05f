#include "kernels.hpp"

#include <lutra/runtime/gemm.hpp>

namespace {
lutra::lut_matrix load(const lutra::packed_palette& weight) {
  return lutra::make_lut_matrix(weight);
}
void multiply(const lutra::lut_matrix& weight, std::span<const std::int8_t> x,
              std::span<std::int32_t> y) {
  lutra::gemv(weight, x, y);
}
}  // namespace

template <> const kernels& kernels_of<lutra::simd::native>() {
  static constexpr kernels here{load, multiply};
  return here;
}
