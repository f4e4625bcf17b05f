// What main.cpp calls of kernels.cpp, which is compiled once per level.
#pragma once

#include <lutra/palette/packed.hpp>
#include <lutra/runtime/lut_matrix.hpp>

struct kernels {
  lutra::lut_matrix (*load)(const lutra::packed_palette& weight);
  void (*multiply)(const lutra::lut_matrix& weight, std::span<const std::int8_t> x,
                   std::span<std::int32_t> y);
};
template <class Level> const kernels& kernels_of();
