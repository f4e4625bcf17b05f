// lutra: interpreter.hpp - runs an ir::graph in float, fake-quantizers and finalized graphs included.
// SPDX-License-Identifier: Apache-2.0
//
// Float results are bit-identical on every instruction set, compiler and thread count (each operation
// says how in its header). A finalized graph runs here as a simulation: quantize makes int8 or uint8
// codes, dequantize turns them back into float, palettes and affine weights are restored to dense ones once.
//
// An interpreter holds what it prepared (restored and transposed weights) and refers to the graph,
// which must outlive it and not change. run() is const and may be called from several threads at
// once; it uses none of its own. A value is freed after its last use.
#pragma once

#include <lutra/affine/quantize.hpp>
#include <lutra/ir/ops/registry.hpp>
#include <lutra/pack/affine_constant.hpp>
#include <lutra/palette/restore.hpp>
#include <type_traits>
#include <variant>

namespace lutra::inline LUTRA_ABI::ir {

// The callback of run() for a graph that must not contain fake-quant nodes.
struct no_fake_quant {
  void operator()(fake_quant_id, tensor_view<const float>, tensor_view<float>) const {
    raise(errc::invalid_state, "fake-quant node without a callback", "ir::interpreter::run", "",
          "pass quantizer::on_fake_quant, or finalize the graph");
  }
};

class interpreter {
 public:
  // Raises invalid_graph for a graph that is none, unsupported for an unknown op type.
  explicit interpreter(const graph& g) : graph_(g), last_use_(g.values.size(), -1) {
    verify(g);
    for (const node_id n : g.order) plan(g.at(n));
    for (const value_id v : g.outputs) last_use_[index(v)] = static_cast<index_t>(g.order.size());
  }

  // Runs one batch: one dense tensor per graph input, in order. Returns the graph's outputs.
  template <class F = no_fake_quant>
  std::vector<tensor<float>> run(std::span<const float_view> inputs, F&& on_fake_quant = {}) const {
    std::vector<slot> slots = load(inputs);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const step& s = steps_[i];
      execute(s, slots, on_fake_quant);
      for (const value_id v : s.at->operands) {
        if (last_use_[index(v)] == static_cast<index_t>(i)) slots[index(v)].held = tensor<float>();
      }
    }
    const error_place here("graph output");
    std::vector<tensor<float>> out;
    for (const value_id v : graph_.outputs) {
      const float_view result = operand(slots, v);
      out.push_back(tensor<float>::copy_of(result));
    }
    return out;
  }
  template <class F = no_fake_quant>
  std::vector<tensor<float>> run(const std::vector<tensor<float>>& inputs,
                                 F&& on_fake_quant = {}) const {
    std::vector<float_view> views;
    for (const tensor<float>& x : inputs) views.push_back(lutra::view(x));
    return run(std::span<const float_view>(views), on_fake_quant);
  }
  // A graph of one input and one output.
  template <class F = no_fake_quant>
  tensor<float> run(const tensor<float>& input, F&& on_fake_quant = {}) const {
    return run(lutra::view(input), on_fake_quant);
  }
  template <class F = no_fake_quant>
  tensor<float> run(const float_view& input, F&& on_fake_quant = {}) const {
    std::vector<tensor<float>> out = run(std::span<const float_view>(&input, 1), on_fake_quant);
    if (out.size() != 1) {
      raise(errc::invalid_argument, "the graph does not have one output", "ir::interpreter::run",
            text_of(out.size()), "1");
    }
    return std::move(out[0]);
  }

 private:
  using codes = std::variant<tensor<float>, tensor<std::int8_t>, tensor<std::uint8_t>>;
  struct slot {
    codes held;
    float_view view;  // of a float value, held here or elsewhere
  };
  struct step {
    const node* at;
    const operation* op;  // null: fake_quant, quantize, dequantize
    std::vector<float> prepared;
  };

  static std::size_t index(value_id v) { return to_size(v.index); }

  void plan(const node& n) {
    const node_place here(n);
    for (const value_id v : n.operands) last_use_[index(v)] = static_cast<index_t>(steps_.size());
    if (n.op == "lut_to_dense") {
      need_one_result(n);
      const value& weight = graph_.at(n.results[0]);
      if (!weight.palette) raise(errc::invalid_graph, "no palette to restore");
      restored_.emplace(n.results[0], restore(*weight.palette));
      return;
    }
    if (n.op == "constexpr_blockwise_shift_scale") {
      need_one_result(n);
      const value& weight = graph_.at(n.results[0]);
      if (!weight.affine) raise(errc::invalid_graph, "no codes to restore");
      restored_.emplace(n.results[0], restore(*weight.affine));
      return;
    }
    step s{&n, find_operation(n.op), {}};
    const bool typed = n.op == "fake_quant" || n.op == "quantize" || n.op == "dequantize";
    if (typed) {
      if (n.operands.size() != 1) raise(errc::invalid_graph, "one operand is needed");
      if (n.op != "fake_quant" && !n.quantization) {
        raise(errc::invalid_graph, "no quantization parameters");
      }
    } else if (s.op == nullptr) {
      std::string known;
      for (const operation& o : operations) known.append(known.empty() ? "" : ", ").append(o.name);
      raise(errc::unsupported, "the interpreter does not know this op type", {}, text_of(n.op),
            known);
    }
    need_one_result(n);
    if (s.op != nullptr && s.op->prepare != nullptr && n.operands.size() > 1) {
      if (const float_view w = stored(n.operands[1]); w.data() != nullptr)
        s.prepared = s.op->prepare(n, w);
    }
    steps_.push_back(std::move(s));
  }
  // A state, or a packed state restored so far; a null view for anything computed.
  float_view stored(value_id v) const {
    if (graph_.at(v).role == value_role::state) return lutra::view(graph_.at(v).data);
    const auto it = restored_.find(v);
    return it == restored_.end() ? float_view{} : lutra::view(it->second);
  }

  std::vector<slot> load(std::span<const float_view> inputs) const {
    if (inputs.size() != graph_.inputs.size()) {
      raise(errc::invalid_argument, "wrong number of inputs", "ir::interpreter::run",
            text_of(inputs.size()), text_of(graph_.inputs.size()));
    }
    std::vector<slot> slots(graph_.values.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      slot& s = slots[index(graph_.inputs[i])];
      s.view = inputs[i];
      if (!inputs[i].is_contiguous()) hold(s, tensor<float>::copy_of(inputs[i]));
    }
    for (std::size_t v = 0; v < slots.size(); ++v) {
      if (graph_.values[v].role == value_role::state)
        slots[v].view = lutra::view(graph_.values[v].data);
    }
    for (const auto& [id, dense] : restored_) slots[index(id)].view = lutra::view(dense);
    return slots;
  }
  static void hold(slot& s, tensor<float> t) {
    s.held = std::move(t);
    s.view = lutra::view(std::as_const(std::get<tensor<float>>(s.held)));
  }
  float_view operand(const std::vector<slot>& slots, value_id v) const {
    const slot& s = slots[index(v)];
    if (!std::holds_alternative<tensor<float>>(s.held)) {
      raise(errc::invalid_graph, "quantized codes where a float tensor is needed", {},
            text_of(graph_.at(v).name), "a dequantize in between");
    }
    return s.view;
  }

  template <class F>
  void execute(const step& s, std::vector<slot>& slots, F&& on_fake_quant) const {
    const node& n = *s.at;
    const node_place here(n);
    slot& result = slots[index(n.results[0])];
    if (n.op == "dequantize") {
      hold(result, dequantized(n, slots[index(n.operands[0])].held));
      return;
    }
    std::vector<float_view> operands;
    for (const value_id v : n.operands) operands.push_back(operand(slots, v));
    if (n.op == "quantize") {
      result.held = quantized(*n.quantization, operands[0]);
    } else if (s.op == nullptr) {
      tensor<float> out(operands[0].extents());
      on_fake_quant(n.fake_quant, operands[0], lutra::view(out));
      hold(result, std::move(out));
    } else {
      hold(result, s.op->run({n, operands, s.prepared, graph_.training}));
    }
  }
  static codes quantized(const qparams& q, const float_view& x) {
    const auto into = [&](auto out) -> codes {
      quantize(x, q, lutra::view(out));
      return out;
    };
    if (info(q.dtype).is_signed && is_integer(q.dtype))
      return into(tensor<std::int8_t>(x.extents()));
    return into(tensor<std::uint8_t>(x.extents()));
  }
  static tensor<float> dequantized(const node& n, const codes& c) {
    if (std::holds_alternative<tensor<float>>(c)) {
      raise(errc::invalid_graph, "dequantize reads float values");
    }
    return std::visit(
        [&](const auto& q) {
          tensor<float> out(q.extents());
          if constexpr (!std::is_same_v<decltype(q), const tensor<float>&>) {
            dequantize(lutra::view(q), *n.quantization, lutra::view(out));
          }
          return out;
        },
        c);
  }

  const graph& graph_;
  std::vector<step> steps_;
  std::map<value_id, tensor<float>> restored_;  // weights of packed states
  std::vector<index_t> last_use_;               // step after which a value is not needed
};

}  // namespace lutra::inline LUTRA_ABI::ir
