// Built once per level by lutra_add_dispatched_library.
#include "kernels.hpp"

#include <lutra/runtime/gemm.hpp>

namespace {
std::vector<std::int32_t> product(const lutra::packed_palette& weight,
                                  const std::vector<std::int8_t>& x) {
  std::vector<std::int32_t> y(static_cast<std::size_t>(weight.weight_shape[0]));
  lutra::gemv(lutra::make_lut_matrix(weight), x, y);
  return y;
}
}  // namespace

template <> product_function product_at<lutra::simd::native>() { return product; }
