#include "kernels.hpp"

namespace {
using namespace lutra;

lut_matrix load(const packed_palette& p) { return make_lut_matrix(p); }
void multiply(const lut_matrix& w, tensor_view<const std::int8_t> x,
              tensor_view<std::int32_t> out) {
  gemm(w, x, out);
}
void multiply_unsigned(const lut_matrix& w, tensor_view<const std::uint8_t> x,
                       tensor_view<std::int32_t> out) {
  gemm(w, x, out);
}
void multiply_narrow(const lut_matrix& w, tensor_view<const std::int8_t> x, const requantize& e,
                     tensor_view<std::int8_t> out) {
  gemm(w, x, e, out);
}
void convolve(const lut_matrix& w, tensor_view<const std::int8_t> x, const conv2d_options& o,
              tensor_view<std::int32_t> out) {
  conv2d(w, x, o, out);
}
}  // namespace

template <> const kernels& kernels_of<lutra::simd::native>() {
  static constexpr kernels here{load, multiply, multiply_unsigned, multiply_narrow, convolve};
  return here;
}
