// What the test calls of every level: products and convolutions, with and without an epilogue, and those with scales.
// One pointer per kind of kernel and type of its operands.
#pragma once

#include <lutra/palette/packed.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/scaled_conv.hpp>

struct kernels {
  lutra::lut_matrix (*load)(const lutra::packed_palette&);
  void (*gemm)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
               lutra::tensor_view<std::int32_t> out);
  void (*gemm_unsigned)(const lutra::lut_matrix&, lutra::tensor_view<const std::uint8_t> x,
                        lutra::tensor_view<std::int32_t> out);
  void (*gemm_narrow)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
                      const lutra::requantize&, lutra::tensor_view<std::int8_t> out);
  void (*gemm_narrow_unsigned)(const lutra::lut_matrix&, lutra::tensor_view<const std::uint8_t> x,
                               const lutra::requantize&, lutra::tensor_view<std::uint8_t> out);
  void (*gemm_rows)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
                    const lutra::dequantize_rows&, lutra::tensor_view<float> out);
  void (*conv2d)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
                 const lutra::conv2d_options&, lutra::tensor_view<std::int32_t> out);
  void (*conv2d_narrow)(const lutra::lut_matrix&, lutra::tensor_view<const std::uint8_t> x,
                        const lutra::conv2d_options&, const lutra::requantize&,
                        lutra::tensor_view<std::int8_t> out);
  lutra::grouped_lut_matrix (*load_grouped)(const lutra::packed_palette&);
  void (*gemm_float)(const lutra::grouped_lut_matrix&, lutra::tensor_view<const float> x,
                     const lutra::float_output&, lutra::tensor_view<float> out);
  void (*gemm_dynamic)(const lutra::grouped_lut_matrix&, lutra::tensor_view<const float> x,
                       const lutra::quantized_output&, lutra::tensor_view<std::int8_t> out);
  void (*conv2d_scaled)(const lutra::grouped_lut_matrix&, lutra::tensor_view<const std::uint8_t> x,
                        const lutra::conv2d_options&, const lutra::activation_scale&,
                        const lutra::quantized_output&, lutra::tensor_view<std::int8_t> out);
};
template <class Level> const kernels& kernels_of();
