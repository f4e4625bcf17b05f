// lutra: integer_grouped.hpp - layers of integer mode whose weights have groups of inputs (axis 1).
// SPDX-License-Identifier: Apache-2.0
//
// Sums of such a weight have no common scale: those of a group are exact int32, groups are added in f32 in order
// (runtime/gemm/to_float.hpp), then
//   codes = clamp(round((sum * s_x + bias) / s_y) + z_y)
// with each operation rounded; a relu, relu6 or hardtanh is a bound of the clamp, any other activation is computed in
// f32 before the codes. A 2 x 2 pool behind it stays a step of its own.
// The same bits on every instruction set and compiler and for every executor. Thread-safe: pure functions.
#pragma once

#include <lutra/ir/ops/integer.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/scaled_conv.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

struct grouped_finish {
  activation_scale input;
  quantized_output output;
  std::optional<node> activation{};  // that is no clamp
};
struct integer_grouped_conv {
  grouped_lut_matrix weight;  // [filters, channels / groups, kh, kw]
  lutra::conv2d_options options;
  grouped_finish finish;
  int axes = 2;  // 1: height 1
};
struct integer_grouped_conv_transpose {
  grouped_lut_matrix weight;  // likewise, of a transposed_palette()
  lutra::conv_transpose2d_options options;
  grouped_finish finish;
  int axes = 2;
};
struct integer_grouped_linear {
  grouped_lut_matrix weight;  // [rows, depth]
  grouped_finish finish;
};

// Runs layer(output, view) into dense codes.
template <class F>
void run_grouped(const grouped_finish& finish, const tensor_view<std::int8_t>& out, F&& layer) {
  if (!finish.activation) return layer(finish.output, out);
  tensor<float> sums(out.extents());
  layer(finish.output.real, lutra::view(sums));
  const quantized_output& o = finish.output;
  const unit_params codes{dtype::int8,
                          true,
                          o.scale,
                          static_cast<float>(o.zero_point),
                          0,
                          static_cast<float>(o.lo),
                          static_cast<float>(o.hi)};
  encode_activated({{}, *finish.activation, codes}, std::move(sums), out.data());
}

inline integer_value execute(const integer_grouped_conv& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  const shape& w = op.weight.weight_shape();
  const shape result = slide(x, w[0], op.options.window, w[2], w[3]);
  return make_images(*in[0], result, [&](tensor_view<std::int8_t> out) {
    run_grouped(op.finish, out, [&](const auto& output, const auto& to) {
      conv2d_scaled(ex, op.weight, x, op.options, op.finish.input, output, to);
    });
  });
}

inline integer_value execute(const integer_grouped_conv_transpose& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  const auto x = as_images(*in[0], op.axes);
  const shape result = spread_out(x, op.weight.weight_shape(), op.options.geometry);
  return make_images(*in[0], result, [&](tensor_view<std::int8_t> out) {
    run_grouped(op.finish, out, [&](const auto& output, const auto& to) {
      conv_transpose2d_scaled(ex, op.weight, x, op.options, op.finish.input, output, to);
    });
  });
}

inline integer_value execute(const integer_grouped_linear& op, integer_operands in,
                             executor_ref ex = serial_executor{}) {
  integer_value out(linear_result(*in[0], op.weight.depth(), op.weight.rows()));
  const index_t m = out.extents().product(0, out.rank() - 1);
  const tensor_view<const std::int8_t> rows(in[0]->data(), shape{m, op.weight.depth()});
  run_grouped(op.finish, tensor_view<std::int8_t>(out.data(), shape{m, op.weight.rows()}),
              [&](const auto& output, const auto& to) {
                gemm_scaled(ex, op.weight, rows, op.finish.input, output, to);
              });
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
