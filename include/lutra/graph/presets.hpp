// lutra: presets.hpp - ready-made configs. Each returns a value to edit further.
// SPDX-License-Identifier: Apache-2.0
//
// Palettizers fill "weight" and "in_proj_weight", tables stay float; quantizers of weights leave activations
// alone. An absent axis is the output channel of the consuming op (input channel for blocks).
#pragma once

#include <lutra/graph/config.hpp>

namespace lutra::inline LUTRA_ABI {

namespace presets {

inline palettizer_config palettize(const palettization_spec& spec) {
  return {.global_config = {.op_state_spec = {{"weight", spec}, {"in_proj_weight", spec}}}};
}
inline quantizer_config quantize_weights(const quantization_spec& spec) {
  return {.global_config = {
              .op_state_spec = {{"weight", spec}}, .op_input_spec = off, .op_output_spec = off}};
}

// Palettes of 16 and 64 entries for groups of channels, of 256 entries per tensor.
inline palettizer_config w4(index_t group_size = 16, std::optional<int> axis = {}) {
  return palettize(
      {.n_bits = 4, .granularity = granularity::per_grouped_channel(group_size, axis)});
}
inline palettizer_config w6(index_t group_size = 16, std::optional<int> axis = {}) {
  return palettize(
      {.n_bits = 6, .granularity = granularity::per_grouped_channel(group_size, axis)});
}
inline palettizer_config w8() { return palettize({.n_bits = 8}); }

// Affine weights, symmetric: int8 and int4 per channel, int4 in blocks. (w4 and w8 are palettes, as the reference's.)
inline quantizer_config affine_w8(std::optional<int> axis = {}) {
  return quantize_weights({.granularity = granularity::per_channel(axis)});
}
inline quantizer_config affine_w4(std::optional<int> axis = {}) {
  return quantize_weights({.dtype = dtype::int4, .granularity = granularity::per_channel(axis)});
}
inline quantizer_config w4_per_block(index_t block_size = 32, std::optional<int> axis = {}) {
  return quantize_weights(
      {.dtype = dtype::int4, .granularity = granularity::per_block(block_size, axis)});
}

// int8 weights per output channel, int8 activations.
inline quantizer_config w8a8(std::optional<int> axis = {}) {
  quantizer_config config = affine_w8(axis);
  config.global_config.op_input_spec = {{"*", default_activation_spec}};
  config.global_config.op_output_spec = {{"*", default_activation_spec}};
  return config;
}
// int8 activations around weights that stay as they are.
inline quantizer_config a8() {
  quantizer_config config = w8a8();
  config.global_config.op_state_spec = off;
  return config;
}
// 4-bit indices into int8 tables that every integer kernel takes exactly, and int8 activations.
inline joint_config p4a8(const granularity& groups = {}) {
  const palettization_spec spec{
      .n_bits = 4, .lut_qspec = int8_symmetric_with_clipping, .granularity = groups};
  return {palettize(spec), a8()};
}

}  // namespace presets
}  // namespace lutra::inline LUTRA_ABI
