// lutra: integer.hpp - integer_program: a finalized graph as a list of steps on int8 tensors.
// SPDX-License-Identifier: Apache-2.0
//
// Made by ir/lower.hpp, step by step as ops/integer*.hpp say. Between the quantization of the input, or the look-up of
// its indices, and the codes of the output every value is an integer_value, that is int8: no float tensor can be held.
// Weights are packed palettes; there are no float weights, biases are int32.
// run() is const and may be called from several threads at once. It uses those of an executor, within a layer, or only
// the calling thread; results do not depend on it. A value is freed after its last use. Errors name the graph's node.
#pragma once

#include <lutra/affine/quantize.hpp>
#include <lutra/ir/ops/integer_operation.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI::ir {

struct integer_step {
  std::string name;  // label of the graph's node, for messages
  integer_operation operation;
  std::vector<index_t> operands;  // numbers of values
  index_t result = 0;
};

class integer_program {
 public:
  const std::vector<integer_step>& steps() const noexcept { return steps_; }
  // What the output codes mean: per tensor, int8.
  const qparams& output_parameters() const noexcept { return output_; }

  // Codes of the output for one float batch (of an embedding: whole numbers).
  integer_value run_codes(const tensor_view<const float>& input,
                          executor_ref ex = serial_executor{}) const {
    std::vector<integer_value> values(last_use_.size());
    for (const input_step& s : inputs_) {
      const error_place here(s.name);
      values[to_size(s.result)] =
          std::visit([&](const auto& how) { return codes_of(input, how); }, s.how);
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const integer_step& s = steps_[i];
      const error_place here(s.name);
      const auto dies = [&](index_t v) { return last_use_[to_size(v)] == static_cast<index_t>(i); };
      const auto* layout = std::get_if<integer_layout>(&s.operation);
      if (layout != nullptr && keeps_order(*layout) && dies(s.operands[0])) {
        integer_value& x = values[to_size(s.operands[0])];
        const shape extents = new_shape(*layout, x.extents());
        values[to_size(s.result)] = std::exchange(x, integer_value()).reshaped(extents);
        continue;
      }
      std::vector<const integer_value*> operands;
      for (const index_t v : s.operands) operands.push_back(&values[to_size(v)]);
      integer_value made =
          std::visit([&](const auto& op) { return execute(op, operands, ex); }, s.operation);
      for (const index_t v : s.operands) {
        if (dies(v)) values[to_size(v)] = integer_value();
      }
      values[to_size(s.result)] = std::move(made);
    }
    return std::move(values[to_size(output_value_)]);
  }
  // The same, dequantized at the very end.
  tensor<float> run(const tensor_view<const float>& input,
                    executor_ref ex = serial_executor{}) const {
    const integer_value codes = run_codes(input, ex);
    tensor<float> out(codes.extents());
    dequantize(lutra::view(codes), output_, lutra::view(out));
    return out;
  }
  tensor<float> run(const tensor<float>& input, executor_ref ex = serial_executor{}) const {
    return run(lutra::view(input), ex);
  }

 private:
  friend class lowering;
  struct input_step {  // reads the program's only input
    std::string name;
    std::variant<qparams, integer_embedding> how;
    index_t result = 0;
  };
  static integer_value codes_of(const tensor_view<const float>& input, const qparams& q) {
    integer_value codes(input.extents());
    quantize(input, q, lutra::view(codes));
    return codes;
  }
  static integer_value codes_of(const tensor_view<const float>& input, const integer_embedding& e) {
    if (input.is_contiguous()) return look_up(e, input);
    const auto dense = tensor<float>::copy_of(input);
    return look_up(e, lutra::view(dense));
  }

  std::vector<input_step> inputs_;
  std::vector<integer_step> steps_;
  std::vector<index_t> last_use_;  // by value: the step after which it is not needed
  index_t output_value_ = 0;
  qparams output_;
};

}  // namespace lutra::inline LUTRA_ABI::ir
