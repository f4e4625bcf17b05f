// CONCEPT: palette_matrix
// A product of quantized activations by a table of floats.
#include <lutra/runtime/float_matrix.hpp>

void multiply_scaled(const lutra::packed_palette& p, lutra::tensor_view<const std::int8_t> x,
                     lutra::tensor_view<float> out) {
#if defined(LUTRA_WRONG)
  lutra::gemm_scaled(lutra::make_float_lut_matrix(p), x, {0.5F, 1}, out);
#else
  lutra::gemm_scaled(lutra::make_lut_matrix(p), x, {0.5F, 1}, out);
#endif
}
