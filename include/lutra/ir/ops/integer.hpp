// lutra: integer.hpp - the operations of integer mode: int8 tensors in, int8 tensors out.
// SPDX-License-Identifier: Apache-2.0
//
// The real value of a code is (q - zero_point) * scale. Sums are int32 and exact.
//   conv, conv_transpose, linear  requantize(sum w q + bias), runtime/epilogue.hpp; a relu, relu6 or hardtanh is a
//                 bound of the clamp. Any other activation is computed in f32 on the exact sums and encoded, within
//                 the step: there is no int8 range before it that a table could start from
//   max pool      the largest code; of 2 x 2 blocks of a convolution's output within its step
//   mean pool     requantize(sum (q - zero_point) / count), runtime/pool.hpp; within 2^-13 of a step of a tie it may go
//                 either way, as may the float simulation, whose sums are rounded: ties go to even where scales are
//                 equal and count is a power of two
//   add           clamp(round(((qa - za) sa + (qb - zb) sb) / s) + z), each float operation rounded
//   matmul        requantize(sum (qa - za) (qb - zb)), plain loops
//   elementwise   every code decoded, the float operation, encoded: sub, mul, softmax, activations behind them
//   map           one table look-up per element: a relu on its own, or a change of scale
// Weights with groups of inputs are in integer_grouped.hpp, volumes in integer_volume.hpp, embeddings and batch norms
// in integer_table.hpp.
// An executor shares the work of conv, conv_transpose and linear; all others run on the calling thread.
// The same bits on every instruction set and compiler and for every executor. Thread-safe: pure functions.
#pragma once

#include <lutra/affine/element.hpp>
#include <lutra/core/executor_ref.hpp>
#include <lutra/ir/ops/registry.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/conv_transpose.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/pool.hpp>
#include <lutra/runtime/reference.hpp>
#include <optional>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

// Every value of integer mode; no float tensor can take its place.
using integer_value = tensor<std::int8_t>;
static_assert(std::is_same_v<integer_value::value_type, std::int8_t>);
using integer_operands = std::span<const integer_value* const>;

// An activation between the sums of a layer and its codes.
struct activated_sums {
  dequantize_rows sums;
  node activation;
  unit_params out;
};
struct integer_conv {
  lut_matrix weight;  // [filters, channels / groups, kh, kw]
  lutra::conv2d_options options;
  requantize finish;
  int axes = 2;                               // 1: height 1
  std::optional<activated_sums> activated{};  // instead of `finish`; of the other two as well
};
struct integer_conv_transpose {
  lut_matrix weight;  // [filters, channels / groups, kh, kw], of a transposed_palette()
  lutra::conv_transpose2d_options options;
  requantize finish;
  int axes = 2;
  std::optional<activated_sums> activated{};
};
struct integer_linear {
  lut_matrix weight;  // [rows, depth]
  requantize finish;
  std::optional<activated_sums> activated{};
};
struct integer_max_pool {
  lutra::pool2d_options options;
  std::array<index_t, 2> adaptive{0, 0};  // extents of the result, or 0: options.kernel stands
  int axes = 2;
};
struct integer_mean_pool {
  mean_pool2d_options options;
  std::array<index_t, 2> adaptive{0, 0};  // as above
  int axes = 2;
  bool flat = false;  // the result is [n, channels]
};
struct integer_add {
  unit_params a, b, out;
};
struct integer_matmul {
  std::int32_t a_zero_point = 0, b_zero_point = 0;
  float multiplier = 1;  // a_scale * b_scale / out_scale
  std::int32_t zero_point = 0, lo = -128, hi = 127;
  std::optional<activated_sums> activated{};  // one multiplier: a_scale * b_scale
};
struct integer_elementwise {
  node at;
  std::optional<node> activation;  // applied to its result
  std::vector<unit_params> operands;
  unit_params out;
};
struct integer_map {
  std::array<std::int8_t, 256> table{};  // by code + 128
};
struct integer_layout {
  node at;  // flatten, reshape, permute or transpose
};
struct integer_concat {
  int axis = 0;
};

// 1-D operations run as 2-D ones of height 1.
inline tensor_view<const std::int8_t> as_images(const integer_value& x, int axes) {
  const shape& s = x.extents();
  if (s.rank() != axes + 2) {
    raise(errc::shape_mismatch, "input has the wrong rank", {}, text_of(s),
          "rank " + text_of(axes + 2));
  }
  return {x.data(), s.rank() == 3 ? shape{s[0], s[1], 1, s[2]} : s};
}
// Runs f(view of the result as images) on a new value and gives it the rank of x.
template <class F> integer_value make_images(const integer_value& x, const shape& result, F&& f) {
  integer_value out(result);
  f(lutra::view(out));
  if (x.rank() == 4) return out;
  return std::move(out).reshaped({result[0], result[1], result[3]});
}
// [n, channels, height, width] of a sliding window over x; raises if it does not fit.
inline shape slide(const tensor_view<const std::int8_t>& x, index_t channels, const window2d& w,
                   index_t kernel_height, index_t kernel_width) {
  const index_t height = output_extent(w, 0, x.extent(2), kernel_height);
  const index_t width = output_extent(w, 1, x.extent(3), kernel_width);
  if (height == 0 || width == 0) {
    raise(errc::shape_mismatch, "window does not fit into the padded input", {},
          text_of(x.extents()));
  }
  return {x.extent(0), channels, height, width};
}

// The same of a transposed convolution by w [channels, ..., kh, kw].
inline shape spread_out(const tensor_view<const std::int8_t>& x, const shape& w,
                        const transposed_window& geometry) {
  const index_t height = output_extent(geometry, 0, x.extent(2), w[2]);
  const index_t width = output_extent(geometry, 1, x.extent(3), w[3]);
  if (height == 0 || width == 0) {
    raise(errc::shape_mismatch, "nothing is left of the output", {}, text_of(x.extents()));
  }
  return {x.extent(0), w[0], height, width};
}
// Rows of `depth` on the last axis become rows of `rows`.
inline shape linear_result(const integer_value& x, index_t depth, index_t rows) {
  if (x.rank() < 1 || x.extent(x.rank() - 1) != depth) {
    raise(errc::shape_mismatch, "weight does not fit the input's last axis", {},
          text_of(x.extents()), text_of(depth));
  }
  return x.extents().with(x.rank() - 1, rows);
}

// What the float operation makes of these operands.
inline tensor<float> run_float(const node& n, std::span<const tensor<float>> operands) {
  std::vector<float_view> views;
  for (const tensor<float>& x : operands) views.push_back(lutra::view(x));
  const operation* op = find_operation(n.op);
  if (op == nullptr) raise(errc::unsupported, "no such operation", {}, text_of(n.op));
  return op->run({n, views, {}});
}
// The same of an activation, a node of its own behind the one whose step it is part of: errors are about it.
inline tensor<float> activated(const node& activation, const tensor<float>& x) {
  const node_place here(activation);
  return run_float(activation, std::span<const tensor<float>>(&x, 1));
}

// Codes of activation(x) for real values x.
inline void encode_activated(const activated_sums& a, tensor<float> x, std::int8_t* out) {
  const tensor<float> y = activated(a.activation, x);
  for (index_t i = 0; i < y.size(); ++i) {
    out[i] = static_cast<std::int8_t>(encode_one(y[i], a.out));
  }
}
// Runs layer(epilogue, output view) into dense codes.
template <class Op, class F>
void run_layer(const Op& op, const tensor_view<std::int8_t>& out, F&& layer) {
  if (!op.activated) return layer(op.finish, out);
  tensor<float> sums(out.extents());
  layer(op.activated->sums, lutra::view(sums));
  encode_activated(*op.activated, std::move(sums), out.data());
}

inline integer_value execute(const integer_conv& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  const shape& w = op.weight.weight_shape();
  shape result = slide(x, w[0], op.options.window, w[2], w[3]);
  if (op.options.pool) {
    if (result[2] < 2 || result[3] < 2) {
      raise(errc::shape_mismatch, "the 2 x 2 pool of its output does not fit into it", {},
            text_of(result), "at least 2 x 2 positions");
    }
    result = {result[0], result[1], result[2] / 2, result[3] / 2};
  }
  return make_images(*in[0], result, [&](tensor_view<std::int8_t> out) {
    run_layer(op, out, [&](const auto& epilogue, const auto& to) {
      lutra::conv2d(ex, op.weight, x, op.options, epilogue, to);
    });
  });
}

inline integer_value execute(const integer_conv_transpose& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  const shape result = spread_out(x, op.weight.weight_shape(), op.options.geometry);
  return make_images(*in[0], result, [&](tensor_view<std::int8_t> out) {
    run_layer(op, out, [&](const auto& epilogue, const auto& to) {
      lutra::conv_transpose2d(ex, op.weight, x, op.options, epilogue, to);
    });
  });
}

inline integer_value execute(const integer_linear& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const integer_value& x = *in[0];
  integer_value out(linear_result(x, op.weight.depth(), op.weight.rows()));
  const index_t m = x.extents().product(0, x.rank() - 1);
  const tensor_view<const std::int8_t> rows(x.data(), shape{m, op.weight.depth()});
  run_layer(op, tensor_view<std::int8_t>(out.data(), shape{m, op.weight.rows()}),
            [&](const auto& epilogue, const auto& to) { gemm(ex, op.weight, rows, epilogue, to); });
  return out;
}

// The extent of windows that divide an axis into `count` equal ones.
inline index_t whole_windows(index_t extent, index_t count) {
  if (extent % count == 0) return extent / count;
  raise(errc::unsupported, "adaptive pool with windows of different sizes", {}, text_of(extent),
        "a multiple of " + text_of(count));
}
// Kernel and stride of windows that divide x into `adaptive` outputs; axes of 0 keep what they have.
inline void divide(const tensor_view<const std::int8_t>& x, const std::array<index_t, 2>& adaptive,
                   std::array<index_t, 2>& kernel, window2d& window) {
  for (std::size_t a = 0; a < 2; ++a) {
    if (adaptive[a] == 0) continue;
    kernel[a] = window.stride[a] = whole_windows(x.extent(static_cast<int>(a) + 2), adaptive[a]);
  }
}

inline integer_value execute(const integer_max_pool& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  lutra::pool2d_options options = op.options;
  divide(x, op.adaptive, options.kernel, options.window);
  const shape result = slide(x, x.extent(1), options.window, options.kernel[0], options.kernel[1]);
  return make_images(*in[0], result,
                     [&](tensor_view<std::int8_t> out) { max_pool2d(x, options, out); });
}

inline integer_value execute(const integer_mean_pool& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  mean_pool2d_options options = op.options;
  divide(x, op.adaptive, options.kernel, options.window);
  const shape result = slide(x, x.extent(1), options.window, options.kernel[0], options.kernel[1]);
  integer_value out =
      make_images(*in[0], result, [&](tensor_view<std::int8_t> y) { mean_pool2d(x, options, y); });
  return op.flat ? std::move(out).reshaped({result[0], result[1]}) : out;
}

inline integer_value execute(const integer_matmul& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  const integer_value& a = *in[0];
  const integer_value& b = *in[1];
  const auto [extents, plain] = matmul_shape(a.extents(), b.extents());
  integer_value out(extents);
  const index_t k = a.extent(a.rank() - 1);
  const index_t n = extents[extents.rank() - 1];
  const index_t rows = extents[extents.rank() - 2];
  constexpr index_t deepest = 0x7fffffff / (255 * 255);
  if (k > deepest) {
    raise(errc::unsupported, "depth beyond exact int32 sums", {}, text_of(k),
          "<= " + text_of(deepest));
  }
  if (op.activated) check_rows(op.activated->sums.multiplier, {}, 1, "");
  tensor<float> sums(op.activated ? extents : shape{0});
  for (index_t i = 0; i < out.size(); ++i) {
    const std::int8_t* row = a.data() + i / n * k;
    const std::int8_t* column = b.data() + (plain ? 0 : i / (rows * n) * k * n) + i % n;
    std::int32_t sum = 0;
    for (index_t p = 0; p < k; ++p) {
      sum += (row[p] - op.a_zero_point) * (column[p * n] - op.b_zero_point);
    }
    if (op.activated) {
      sums[i] = static_cast<float>(sum) * op.activated->sums.multiplier[0];
    } else {
      out[i] = static_cast<std::int8_t>(
          reference::requantize(sum, 0, op.multiplier, op.zero_point, op.lo, op.hi));
    }
  }
  if (op.activated) encode_activated(*op.activated, std::move(sums), out.data());
  return out;
}

inline integer_value execute(const integer_elementwise& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  std::vector<tensor<float>> operands;
  for (std::size_t i = 0; i < in.size(); ++i) {
    tensor<float>& x = operands.emplace_back(in[i]->extents());
    for (index_t k = 0; k < x.size(); ++k) x[k] = decode_one((*in[i])[k], op.operands[i]);
  }
  tensor<float> y = run_float(op.at, operands);
  if (op.activation) y = activated(*op.activation, y);
  integer_value out(y.extents());
  for (index_t k = 0; k < y.size(); ++k) {
    out[k] = static_cast<std::int8_t>(encode_one(y[k], op.out));
  }
  return out;
}

inline integer_value execute(const integer_add& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  if (in[0]->extents() != in[1]->extents()) {
    node at;  // repeats as the float operation does
    at.op = "add";
    return execute(integer_elementwise{at, {}, {op.a, op.b}, op.out}, in);
  }
  integer_value out(in[0]->extents());
  for (index_t i = 0; i < out.size(); ++i) {
    const float sum = decode_one((*in[0])[i], op.a) + decode_one((*in[1])[i], op.b);
    out[i] = static_cast<std::int8_t>(encode_one(sum, op.out));
  }
  return out;
}

inline integer_value execute(const integer_map& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  integer_value out(in[0]->extents());
  for (index_t i = 0; i < out.size(); ++i) {
    out[i] = op.table[to_size((*in[0])[i] + 128)];
  }
  return out;
}

// Only the shape changes.
inline bool keeps_order(const integer_layout& op) {
  return op.at.op == "flatten" || op.at.op == "reshape";
}
inline shape new_shape(const integer_layout& op, const shape& s) {
  return op.at.op == "flatten" ? flattened_shape(op.at, s) : reshaped_shape(op.at, s);
}
inline integer_value execute(const integer_layout& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  const shape& s = in[0]->extents();
  if (keeps_order(op)) return in[0]->reshaped(new_shape(op, s));
  return permuted<std::int8_t>(lutra::view(*in[0]), axis_order(op.at, s.rank()));
}

inline integer_value execute(const integer_concat& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  std::vector<tensor_view<const std::int8_t>> views;
  for (const integer_value* x : in) views.push_back(lutra::view(*x));
  return joined<std::int8_t>(views, op.axis);
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
