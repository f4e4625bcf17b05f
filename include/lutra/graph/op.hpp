// lutra: op.hpp - the op vocabulary: what the library knows about an op from its canonical name.
// SPDX-License-Identifier: Apache-2.0
//
// Adapters name ops as the reference does: the framework's function name ("conv2d", "linear",
// "max_pool2d"). In-place spellings ("relu_", "iadd") mean the same op. An op that is not listed here is legal: it
// is never quantized by op-level config, and may still read or produce quantized tensors.
#pragma once

#include <array>
#include <lutra/core/types.hpp>
#include <optional>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

enum class op_family : unsigned char {
  weighted,          // conv, transposed conv, linear: data, weight[, bias]
  embedding,         // weight, indices
  nary,              // matmul, add, mul: every float operand
  nary_unfused,      // sub: as nary, but no fused activation
  range_preserving,  // pools, flatten, mean, concatenation: one range for inputs and output
  activation,        // only as the tail of a fused pattern
  batch_norm,        // only in the middle of a fused pattern
  other
};

namespace op_names {
inline constexpr std::array<std::string_view, 3> conv{"conv1d", "conv2d", "conv3d"};
inline constexpr std::array<std::string_view, 3> conv_transpose{
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};
inline constexpr std::array<std::string_view, 1> linear{"linear"};
inline constexpr std::array<std::string_view, 3> nary{"matmul", "add", "mul"};
inline constexpr std::array<std::string_view, 3> max_pool{"max_pool1d", "max_pool2d", "max_pool3d"};
inline constexpr std::array<std::string_view, 7> avg_pool{
    "avg_pool1d",          "avg_pool2d",          "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "mean"};
inline constexpr std::array<std::string_view, 2> concat{"cat", "concat"};
inline constexpr std::array<std::string_view, 15> activation{
    "relu",     "relu6",     "leaky_relu",  "silu", "elu",     "celu",       "selu", "mish",
    "hardtanh", "hardswish", "hardsigmoid", "gelu", "sigmoid", "logsigmoid", "tanh"};
inline constexpr std::array<std::string_view, 12> axis_destroying{
    "flatten",   "reshape", "permute", "transpose", "t",     "view",
    "unsqueeze", "squeeze", "slice",   "split",     "chunk", "pad"};

template <std::size_t N>
constexpr bool contains(const std::array<std::string_view, N>& names, std::string_view op) {
  for (const std::string_view name : names) {
    if (name == op) return true;
  }
  return false;
}
}  // namespace op_names

// The canonical spelling of in-place forms: "relu_" and "add_" lose the underscore, "iadd", "imul" and "isub"
// their prefix, "@" is matmul.
constexpr std::string_view canonical_op(std::string_view op) {
  if (op == "iadd" || op == "imul" || op == "isub") return op.substr(1);
  if (op == "@") return "matmul";
  if (op.size() > 1 && op.back() == '_') return op.substr(0, op.size() - 1);
  return op;
}

constexpr op_family family_of(std::string_view op) {
  using namespace op_names;
  op = canonical_op(op);
  if (contains(conv, op) || contains(conv_transpose, op) || contains(linear, op)) {
    return op_family::weighted;
  }
  if (op == "embedding") return op_family::embedding;
  if (contains(nary, op)) return op_family::nary;
  if (op == "sub") return op_family::nary_unfused;
  if (op == "flatten" || contains(max_pool, op) || contains(avg_pool, op) || contains(concat, op)) {
    return op_family::range_preserving;
  }
  if (contains(activation, op)) return op_family::activation;
  if (op == "batch_norm") return op_family::batch_norm;
  return op_family::other;
}

// Ops after which a channel axis means something else, or has another extent (slice, split, chunk, pad; which axis
// they work on is not looked at). The reference shares no range over the last five, shape_patterns() does.
constexpr bool destroys_axes(std::string_view op) {
  return op_names::contains(op_names::axis_destroying, canonical_op(op));
}

// What is known of the weight of an op that has one.
struct weight_operand {
  std::size_t slot;  // among the op's operands
  int rank;          // of the weight
  int channel_axis;  // output channels: default axis of per-channel parameters and of grouped palettes
  int block_axis;  // input channels: default axis of per-block parameters
};
constexpr std::optional<weight_operand> weight_of(std::string_view op) {
  using namespace op_names;
  op = canonical_op(op);
  for (std::size_t i = 0; i < conv.size(); ++i) {
    const int rank = static_cast<int>(i) + 3;
    if (op == conv[i]) return weight_operand{1, rank, 0, 1};
    if (op == conv_transpose[i]) return weight_operand{1, rank, 1, 0};
  }
  if (op == "linear") return weight_operand{1, 2, 0, 1};
  if (op == "embedding") return weight_operand{0, 2, 0, 1};
  return std::nullopt;
}

}  // namespace lutra::inline LUTRA_ABI
