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
void multiply_narrow_unsigned(const lut_matrix& w, tensor_view<const std::uint8_t> x,
                              const requantize& e, tensor_view<std::uint8_t> out) {
  gemm(w, x, e, out);
}
void multiply_rows(const lut_matrix& w, tensor_view<const std::int8_t> x, const dequantize_rows& e,
                   tensor_view<float> out) {
  gemm(w, x, e, out);
}
void convolve(const lut_matrix& w, tensor_view<const std::int8_t> x, const conv2d_options& o,
              tensor_view<std::int32_t> out) {
  conv2d(w, x, o, out);
}
void convolve_narrow(const lut_matrix& w, tensor_view<const std::uint8_t> x,
                     const conv2d_options& o, const requantize& e, tensor_view<std::int8_t> out) {
  conv2d(w, x, o, e, out);
}
grouped_lut_matrix load_grouped(const packed_palette& p) { return make_grouped_lut_matrix(p); }
void multiply_floats(const grouped_lut_matrix& w, tensor_view<const float> x, const float_output& o,
                     tensor_view<float> out) {
  gemm_float(w, x, o, out);
}
void multiply_dynamic(const grouped_lut_matrix& w, tensor_view<const float> x,
                      const quantized_output& o, tensor_view<std::int8_t> out) {
  gemm_dynamic(w, x, o, out);
}
void convolve_scaled(const grouped_lut_matrix& w, tensor_view<const std::uint8_t> x,
                     const conv2d_options& o, const activation_scale& s, const quantized_output& q,
                     tensor_view<std::int8_t> out) {
  conv2d_scaled(w, x, o, s, q, out);
}
}  // namespace

template <> const kernels& kernels_of<lutra::simd::native>() {
  static constexpr kernels here{load,
                                multiply,
                                multiply_unsigned,
                                multiply_narrow,
                                multiply_narrow_unsigned,
                                multiply_rows,
                                convolve,
                                convolve_narrow,
                                load_grouped,
                                multiply_floats,
                                multiply_dynamic,
                                convolve_scaled};
  return here;
}
