// What the test calls of every level: products, a convolution, with and without an epilogue.
#pragma once

#include <lutra/palette/packed.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/gemm.hpp>

struct kernels {
  lutra::lut_matrix (*load)(const lutra::packed_palette&);
  void (*gemm)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
               lutra::tensor_view<std::int32_t> out);
  void (*gemm_unsigned)(const lutra::lut_matrix&, lutra::tensor_view<const std::uint8_t> x,
                        lutra::tensor_view<std::int32_t> out);
  void (*gemm_narrow)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
                      const lutra::requantize&, lutra::tensor_view<std::int8_t> out);
  void (*conv2d)(const lutra::lut_matrix&, lutra::tensor_view<const std::int8_t> x,
                 const lutra::conv2d_options&, lutra::tensor_view<std::int32_t> out);
};
template <class Level> const kernels& kernels_of();
