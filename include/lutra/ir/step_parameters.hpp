// lutra: step_parameters.hpp - the numbers of an integer step, from the nodes and parameters around it.
// SPDX-License-Identifier: Apache-2.0
//
// What lower.hpp knows about single nodes: kinds of operations, int8 parameters, the codes that an activation
// leaves possible, look-up tables, windows of pools. Pure functions; thread-safe.
#pragma once

#include <lutra/ir/ops/integer_operation.hpp>
#include <lutra/runtime/layer_epilogue.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

inline bool one_of(const node& n, std::initializer_list<std::string_view> ops) {
  return std::ranges::find(ops, std::string_view(n.op)) != ops.end();
}
// max(low, min(high, x)), which bounds of codes can do.
inline bool is_clamp(const node& n) { return one_of(n, {"relu", "relu6", "hardtanh"}); }
inline bool is_activation(const node& n) {
  return is_clamp(n) || one_of(n, {"leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu",
                                   "hardsigmoid", "hardswish"});
}
// Of "conv2d" and the like; 0 for others.
inline int axes_of(const node& n) {
  for (const int axes : {1, 2, 3}) {
    if (n.op.ends_with(text_of(axes) + "d")) return axes;
  }
  return 0;
}
inline bool is_elementwise(const node& n) { return one_of(n, {"add", "sub", "mul"}); }

// The parameters of a quantize or dequantize as int8.
inline qparams parameters_of(const node& n) {
  if (!n.quantization) raise(errc::invalid_graph, "no quantization parameters");
  qparams q = *n.quantization;
  check(q, "");
  const bool eight = q.dtype == dtype::int8 || q.dtype == dtype::uint8;
  if (!eight || q.qformulation != qformulation::zp || q.scale.size() != 1) {
    raise(errc::unsupported, "integer mode needs 8-bit per-tensor activations with a zero point",
          {}, std::string(name_of(q.dtype)) + ", " + text_of(q.scale.size()) + " scales",
          "int8 or uint8, 1 scale, zp");
  }
  if (q.dtype == dtype::uint8) {  // q - 128 and zero_point - 128 mean the same value
    q.dtype = dtype::int8;
    q.quant_min -= 128;
    q.quant_max -= 128;
    q.zero_point[0] -= 128;
  }
  q.granularity = granularity::per_tensor();
  return q;
}

// Codes of `in` to codes of `out`, through an activation if one is given: what the float
// operations would do, for each of the 256 codes.
inline integer_map table_between(const qparams& in, const qparams& out, const node* activation) {
  tensor<float> x({256});
  for (index_t q = 0; q < 256; ++q) {
    x[q] = decode_one(static_cast<std::int32_t>(q) - 128, unit_of(in, 0));
  }
  if (activation != nullptr) x = activated(*activation, x);
  integer_map map;
  for (index_t q = 0; q < 256; ++q) {
    map.table[to_size(q)] = static_cast<std::int8_t>(encode_one(x[q], unit_of(out, 0)));
  }
  return map;
}
inline float clamped(float x, const node& clamp) { return activated(clamp, {{1}, {x}})[0]; }
// The codes a clamp leaves possible. Quantizing is monotone, so clamping the codes is the same.
inline std::array<std::int32_t, 2> bounds(const qparams& out, const node* clamp) {
  if (clamp == nullptr) {
    return {static_cast<std::int32_t>(out.quant_min), static_cast<std::int32_t>(out.quant_max)};
  }
  constexpr float far = std::numeric_limits<float>::max();
  return {encode_one(clamped(-far, *clamp), unit_of(out, 0)),
          encode_one(clamped(far, *clamp), unit_of(out, 0))};
}

inline std::array<index_t, 2> kernel_of(const node& n, int axes) {
  need_kernel_size(n);
  const auto k = integers(n, "kernel_size", to_size(axes), 0, 1);
  return axes == 1 ? std::array<index_t, 2>{1, k[0]} : std::array<index_t, 2>{k[0], k[1]};
}

// Extents of an adaptive pool's result; 1-D ones have height 1.
inline std::array<index_t, 2> adaptive_size(const node& n, int axes) {
  const auto size = integers(n, "output_size", to_size(axes), 1, 1);
  return {axes == 1 ? 1 : size[0], size.back()};
}
// A mean over the last `axes` axes of a value with two more: "dim" names them all.
inline bool is_mean_of(const node& n, int axes) {
  const auto it = n.literals.find("dim");
  if (n.op != "mean" || it == n.literals.end()) return false;
  std::vector<double> first, last;
  for (int i = 0; i < axes; ++i) {
    first.push_back(2 + i);
    last.push_back(i - axes);
  }
  return it->second == first || it->second == last;
}
inline bool is_volume_pool(const node& n) { return n.op.ends_with("pool3d") || is_mean_of(n, 3); }

// A mean pool of any window.
inline integer_mean_pool mean_numbers_of(const node& n, const qparams& in, const qparams& out) {
  if (out.quant_min != -128 || out.quant_max != 127) {
    raise(errc::unsupported, "integer mode pools into the full int8 range only", {},
          range_text(out.quant_min, out.quant_max), range_text(-128, 127));
  }
  integer_mean_pool pool;
  pool.options.count_padding = true;  // as the float operation: padding counts as 0
  pool.options.zero_point = static_cast<std::int8_t>(in.zero_point[0]);
  pool.options.output_zero_point = static_cast<std::int8_t>(out.zero_point[0]);
  pool.options.multiplier =
      normal_multiplier(static_cast<double>(in.scale[0]) / static_cast<double>(out.scale[0]), "");
  pool.flat = n.op == "mean" && number(n, "keepdim", 0) == 0;
  return pool;
}
inline integer_mean_pool mean_pool_of(const node& n, const qparams& in, const qparams& out) {
  integer_mean_pool pool = mean_numbers_of(n, in, out);
  pool.axes = n.op.ends_with("1d") ? 1 : 2;
  if (n.op == "mean") {
    if (!is_mean_of(n, 2)) {
      const auto it = n.literals.find("dim");
      const bool all = it == n.literals.end() || it->second.empty();
      raise(errc::unsupported, "integer mode takes means of whole images and volumes only", {},
            all ? "all axes" : text_of(std::span<const double>(it->second)),
            "dim [2, 3], [2, 3, 4] or the same from behind");
    }
    pool.adaptive = {1, 1};
  } else if (n.op.starts_with("adaptive")) {
    pool.adaptive = adaptive_size(n, pool.axes);
  } else {
    pool.options.kernel = kernel_of(n, pool.axes);
    pool.options.window = sliding(n, pool.axes);
  }
  return pool;
}
template <class Pool> integer_pool3d<Pool> volume_pool_of(const node& n, const Pool& rows) {
  integer_pool3d<Pool> pool{rows, {}, {0, 0, 0}};
  if (n.op == "mean") {
    pool.adaptive = {1, 1, 1};
  } else if (n.op.starts_with("adaptive")) {
    pool.adaptive = three(n, "output_size", 1, 1);
  } else {
    pool.window = pool_window_of(n);
  }
  return pool;
}

// Codes of `in` to codes of `out` through a batch norm of constants (and an activation), for every channel.
inline integer_channel_map channel_tables(const node& norm, std::span<const float_view> constants,
                                          const node* activation, const qparams& in,
                                          const qparams& out) {
  if (constants.empty() || constants[0].rank() != 1) {
    bad_shape("per-channel operand does not fit",
              constants.empty() ? "none" : text_of(constants[0].extents()),
              "one value per channel");
  }
  const index_t channels = constants[0].size();
  tensor<float> x({256, channels});
  for (index_t i = 0; i < x.size(); ++i) {
    x[i] = decode_one(static_cast<int>(i / channels) - 128, unit_of(in, 0));
  }
  std::vector<float_view> operands{lutra::view(std::as_const(x))};
  operands.insert(operands.end(), constants.begin(), constants.end());
  tensor<float> y = find_operation(norm.op)->run({norm, operands, {}});
  if (activation != nullptr) y = activated(*activation, y);
  integer_channel_map map;
  map.tables.resize(to_size(channels));
  for (index_t i = 0; i < y.size(); ++i) {
    map.tables[to_size(i % channels)][to_size(i / channels)] =
        static_cast<std::int8_t>(encode_one(y[i], unit_of(out, 0)));
  }
  return map;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
