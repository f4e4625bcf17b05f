// lutra: lower.hpp - a finalized graph to an integer_program, or an error that names the first obstacle.
// SPDX-License-Identifier: Apache-2.0
//
// Walks the graph once. A float value is known either as codes with their parameters (what a dequantize
// reads; pools of it, layouts of it), or as an operation whose result waits for the quantize that
// follows, perhaps through a relu: together they become one step.
// Weights are palettes or the codes of affine weights; with groups of inputs a layer becomes one of
// ops/integer_grouped.hpp. Per-tensor int8 and uint8 activations (uint8 becomes int8 with zero point and bounds moved
// by 128), one input, one output, zero-point formulation. Linear in the size of the graph.
#pragma once

#include <lutra/ir/integer.hpp>
#include <lutra/ir/layer_parameters.hpp>
#include <lutra/ir/step_passes.hpp>
#include <unordered_map>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

class lowering {
 public:
  explicit lowering(const graph& g) : graph_(g) {}

  integer_program run() {
    verify(graph_);
    if (graph_.inputs.size() != 1 || graph_.outputs.size() != 1) {
      raise(errc::unsupported, "integer mode needs one input and one output", "ir::lower",
            text_of(graph_.inputs.size()) + " and " + text_of(graph_.outputs.size()));
    }
    for (const node_id n : graph_.order) lower(graph_.at(n));
    const error_place here("graph output");
    const codes out = codes_of(graph_.outputs[0]);
    program_.output_value_ = out.value;
    program_.output_ = out.parameters;
    fuse_pools(program_.steps_, out.value);
    program_.last_use_ = last_uses(program_.steps_, out.value, values_);
    return std::move(program_);
  }

 private:
  // Codes that stand for a float value, or what a quantize makes.
  struct codes {
    index_t value = 0;
    qparams parameters;
  };
  // A float result that waits for its quantize; `clamp` is the activation that ends it, or null.
  struct pending {
    const node* operation = nullptr;
    const node* clamp = nullptr;
  };

  // Errors name the node that they are about: n, or the operation that its quantize ends (finished()).
  void lower(const node& n) {
    const node_place here(n);
    if (one_of(n, {"lut_to_dense", "constexpr_blockwise_shift_scale"})) return need_one_result(n);
    if (n.op == "fake_quant") {
      raise(errc::invalid_state, "the graph is not finalized", {}, "fake_quant");
    }
    if (n.results.size() != 1 || n.operands.empty()) {
      raise(errc::unsupported, "integer mode needs operands and one result");
    }
    const value_id result = n.results[0];
    if (n.op == "quantize") {
      made_.insert_or_assign(result, quantized(n));
    } else if (n.op == "dequantize") {
      const codes& c = codes_of(n.operands[0]);
      if (!(c.parameters == parameters_of(n))) {
        raise(errc::invalid_graph, "dequantize and quantize disagree");
      }
      made_.insert_or_assign(result, c);
    } else if (one_of(n, {"max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d",
                          "adaptive_max_pool2d", "adaptive_max_pool3d", "flatten", "reshape",
                          "permute", "transpose", "cat"})) {
      made_.insert_or_assign(result, preserved(n));
    } else if (is_activation(n)) {
      const auto waiting = pending_.find(n.operands[0]);
      if (waiting != pending_.end() && waiting->second.clamp == nullptr &&
          (is_clamp(n) || is_elementwise(*waiting->second.operation) ||
           one_of(*waiting->second.operation, {"batch_norm"}) ||
           is_product(*waiting->second.operation))) {
        pending_.emplace(result, pending{waiting->second.operation, &n});
      } else {
        codes_of(n.operands[0]);
        pending_.emplace(result, pending{&n, &n});
      }
    } else if (is_elementwise(n) || is_product(n) ||
               one_of(n, {"softmax", "avg_pool1d", "avg_pool2d", "avg_pool3d",
                          "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
                          "mean", "embedding", "batch_norm"})) {
      refuse_norm_behind_layer(n);
      pending_.emplace(result, pending{&n, nullptr});
    } else {
      raise(errc::unsupported, "integer mode does not have this op type", {}, text_of(n.op));
    }
  }

  static bool is_product(const node& n) {
    return one_of(n, {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                      "conv_transpose3d", "linear", "matmul"});
  }
  const codes& codes_of(value_id v) const {
    const auto it = made_.find(v);
    if (it != made_.end()) return it->second;
    raise(errc::unsupported, "integer mode needs a quantized value here", {},
          text_of(graph_.at(v).name), "a quantize/dequantize pair before it");
  }
  index_t new_value() { return values_++; }
  codes emit(const node& n, integer_operation op, std::vector<index_t> operands, qparams q) {
    const index_t result = new_value();
    program_.steps_.push_back({label(n), std::move(op), std::move(operands), result});
    return {result, std::move(q)};
  }

  codes quantized(const node& n) {
    const qparams out = parameters_of(n);
    const value_id v = n.operands[0];
    if (graph_.at(v).role == value_role::graph_input) {
      const index_t result = new_value();
      program_.inputs_.push_back({label(n), out, result});
      return {result, out};
    }
    if (const auto it = pending_.find(v); it != pending_.end()) return finished(it->second, out);
    const codes& in = codes_of(v);
    if (in.parameters == out) return in;  // quantizing dequantized codes changes nothing
    return emit(n, table_between(in.parameters, out, nullptr), {in.value}, out);
  }

  // Operations that keep scale and zero point.
  codes preserved(const node& n) {
    const codes& first = codes_of(n.operands[0]);
    std::vector<index_t> operands;
    for (const value_id v : n.operands) {
      const codes& c = codes_of(v);
      if (!(c.parameters == first.parameters)) {
        raise(errc::unsupported, "integer mode joins only values of one scale", {},
              text_of(graph_.at(v).name));
      }
      operands.push_back(c.value);
    }
    if (n.op == "cat") {
      return emit(n, integer_concat{concat_axis(n)}, std::move(operands), first.parameters);
    }
    if (one_of(n, {"flatten", "reshape", "permute", "transpose"})) {
      return emit(n, integer_layout{n}, std::move(operands), first.parameters);
    }
    if (is_volume_pool(n)) {
      return emit(n, volume_pool_of(n, integer_max_pool()), std::move(operands), first.parameters);
    }
    const int axes = n.op.ends_with("1d") ? 1 : 2;
    if (n.op.starts_with("adaptive")) {
      return emit(n, integer_max_pool{{}, adaptive_size(n, axes), axes}, std::move(operands),
                  first.parameters);
    }
    return emit(n, integer_max_pool{{kernel_of(n, axes), sliding(n, axes)}, {0, 0}, axes},
                std::move(operands), first.parameters);
  }

  codes finished(const pending& p, const qparams& out) {
    const node& n = *p.operation;
    const node_place here(n);
    if (n.op == "embedding") return looked_up(n, p.clamp, out);
    const codes& x = codes_of(n.operands[0]);
    if (is_activation(n)) {
      return emit(n, table_between(x.parameters, out, p.clamp), {x.value}, out);
    }
    if (n.op == "batch_norm") return finished_norm(n, p.clamp, x, out);
    if (n.op == "matmul") return finished_matmul(n, p.clamp, out);
    if (n.op.starts_with("conv_transpose")) return finished_transposed(n, p.clamp, x, out);
    if (is_product(n)) return finished_layer(n, p.clamp, x, out);
    if (is_elementwise(n) || n.op == "softmax") {
      const bool clamped_sum =
          n.op == "add" && n.operands.size() == 2 && (p.clamp == nullptr || is_clamp(*p.clamp));
      return clamped_sum ? finished_add(n, p.clamp, out) : finished_elementwise(n, p.clamp, out);
    }
    refuse_activation(n, p.clamp);
    if (is_volume_pool(n)) {
      return emit(n, volume_pool_of(n, mean_numbers_of(n, x.parameters, out)), {x.value}, out);
    }
    return emit(n, mean_pool_of(n, x.parameters, out), {x.value}, out);
  }
  static void refuse_activation(const node& n, const node* activation) {
    if (activation == nullptr) return;
    const node_place here(*activation);
    raise(errc::unsupported, "integer mode has no fused relu here", {}, n.op,
          "convolutions, linear, matmul, batch_norm, add, sub, mul, or a quantize/dequantize pair "
          "between the two");
  }

  codes finished_layer(const node& n, const node* activation, const codes& x, const qparams& out) {
    const int axes = axes_of(n);  // of "linear": 0
    const packed_palette p = palette_of(graph_, n, axes + 2);
    if (axes < 3 && has_groups_of_inputs(p)) return finished_grouped(n, p, activation, x, out);
    const lut_matrix w = make_lut_matrix(axes == 0 ? p : as_planes(p));
    requantize e = epilogue_of(graph_, n, w, x.parameters, out, activation);
    auto activated = activation_of(graph_, n, w, x.parameters, out, activation);
    if (axes == 0) {
      return emit(n, integer_linear{w, std::move(e), std::move(activated)}, {x.value}, out);
    }
    lutra::conv2d_options options{
        {}, integer(n, "groups", 1, 1), static_cast<std::int8_t>(x.parameters.zero_point[0])};
    const auto layer = [&](const window2d& window) {
      options.window = window;
      return integer_conv{w, options, std::move(e), std::min(axes, 2), std::move(activated)};
    };
    if (axes < 3) return emit(n, layer(sliding(n, axes)), {x.value}, out);
    const volume_windows windows = volume_windows_of(n);
    return emit(
        n, integer_conv3d{layer(windows.plane.window), windows.depth.window, p.weight_shape[2]},
        {x.value}, out);
  }
  codes finished_transposed(const node& n, const node* activation, const codes& x,
                            const qparams& out) {
    const int axes = axes_of(n);
    const index_t groups = integer(n, "groups", 1, 1);
    const packed_palette p = transposed_palette(palette_of(graph_, n, axes + 2), groups);
    if (axes < 3 && has_groups_of_inputs(p)) return finished_grouped(n, p, activation, x, out);
    const lut_matrix w = make_lut_matrix(as_planes(p));
    requantize e = epilogue_of(graph_, n, w, x.parameters, out, activation);
    auto activated = activation_of(graph_, n, w, x.parameters, out, activation);
    const auto layer = [&](const transposed_window& window) {
      check(window, "");
      const lutra::conv_transpose2d_options options{
          window, groups, static_cast<std::int8_t>(x.parameters.zero_point[0])};
      return integer_conv_transpose{w, options, std::move(e), std::min(axes, 2),
                                    std::move(activated)};
    };
    if (axes < 3) return emit(n, layer(transposed_window_of(n, axes)), {x.value}, out);
    const volume_windows windows = volume_windows_of(n);
    check(windows.depth, "depth");
    return emit(n, integer_conv_transpose3d{layer(windows.plane), windows.depth, p.weight_shape[2]},
                {x.value}, out);
  }
  // A layer whose weight has groups of inputs; `p` of a transposed convolution is a transposed_palette().
  codes finished_grouped(const node& n, const packed_palette& p, const node* activation,
                         const codes& x, const qparams& out) {
    const int axes = axes_of(n);
    grouped_lut_matrix w = make_grouped_lut_matrix(axes == 0 ? p : as_planes(p));
    grouped_finish f = grouped_finish_of(graph_, n, w.rows(), x.parameters, out, activation);
    const index_t groups = integer(n, "groups", 1, 1);
    const std::int32_t zero = x.parameters.zero_point[0];
    if (axes == 0) {
      return emit(n, integer_grouped_linear{std::move(w), std::move(f)}, {x.value}, out);
    }
    if (n.op.starts_with("conv_transpose")) {
      const transposed_window window = transposed_window_of(n, axes);
      check(window, "");
      return emit(
          n,
          integer_grouped_conv_transpose{std::move(w), {window, groups, zero}, std::move(f), axes},
          {x.value}, out);
    }
    return emit(
        n, integer_grouped_conv{std::move(w), {sliding(n, axes), groups, zero}, std::move(f), axes},
        {x.value}, out);
  }
  // Rows of a table by the program's input.
  codes looked_up(const node& n, const node* activation, const qparams& out) {
    refuse_activation(n, activation);
    if (n.operands.size() != 2 || graph_.at(n.operands[1]).role != value_role::graph_input) {
      raise(errc::unsupported, "integer mode looks up what the graph's input numbers", {},
            n.operands.size() < 2 ? "" : text_of(graph_.at(n.operands[1]).name),
            "the graph's input");
    }
    packed_palette p = palette_of(graph_, n, 2, 0);
    if (!p.outliers.empty()) {
      raise(errc::unsupported, "integer mode looks up no outliers", {},
            text_of(p.outliers.position.size()), "none");
    }
    std::vector<float> values = table_values(p);
    const index_t result = new_value();
    program_.inputs_.push_back(
        {label(n), integer_embedding{std::move(p), std::move(values), unit_of(out, 0)}, result});
    return {result, out};
  }
  void refuse_norm_behind_layer(const node& n) const {
    const auto waiting = pending_.find(n.operands[0]);
    if (n.op != "batch_norm" || waiting == pending_.end()) return;
    raise(errc::unsupported, "integer mode has a batch norm of quantized values only", {},
          "it reads " + label(*waiting->second.operation),
          "fold_batch_norm() before palettizing, or a quantize/dequantize pair between the two");
  }
  codes finished_norm(const node& n, const node* activation, const codes& x, const qparams& out) {
    if (graph_.training) {
      raise(errc::unsupported, "integer mode has no statistics of a batch", {}, "training",
            "a graph in use");
    }
    std::vector<float_view> constants;
    for (std::size_t i = 1; i < n.operands.size(); ++i) {
      const value& v = graph_.at(n.operands[i]);
      if (v.role != value_role::state) {
        raise(errc::unsupported, "integer mode needs constant parameters of a batch norm", {},
              text_of(v.name));
      }
      constants.push_back(lutra::view(v.data));
    }
    return emit(n, channel_tables(n, constants, activation, x.parameters, out), {x.value}, out);
  }
  codes finished_add(const node& n, const node* clamp, const qparams& out) {
    if (n.operands.size() != 2) raise(errc::invalid_graph, "add needs two operands");
    const codes& a = codes_of(n.operands[0]);
    const codes& b = codes_of(n.operands[1]);
    unit_params limited = unit_of(out, 0);
    const auto [lo, hi] = bounds(out, clamp);
    limited.quant_min = static_cast<float>(lo);
    limited.quant_max = static_cast<float>(hi);
    return emit(n, integer_add{unit_of(a.parameters, 0), unit_of(b.parameters, 0), limited},
                {a.value, b.value}, out);
  }

  codes finished_elementwise(const node& n, const node* activation, const qparams& out) {
    integer_elementwise op{n, {}, {}, unit_of(out, 0)};
    if (activation != nullptr) op.activation = *activation;
    std::vector<index_t> operands;
    for (const value_id v : n.operands) {
      const codes& c = codes_of(v);
      op.operands.push_back(unit_of(c.parameters, 0));
      operands.push_back(c.value);
    }
    return emit(n, std::move(op), std::move(operands), out);
  }
  codes finished_matmul(const node& n, const node* clamp, const qparams& out) {
    if (n.operands.size() != 2) raise(errc::invalid_graph, "matmul needs two operands");
    const codes& a = codes_of(n.operands[0]);
    const codes& b = codes_of(n.operands[1]);
    integer_matmul op;
    op.a_zero_point = a.parameters.zero_point[0];
    op.b_zero_point = b.parameters.zero_point[0];
    const double unit =
        static_cast<double>(a.parameters.scale[0]) * static_cast<double>(b.parameters.scale[0]);
    op.multiplier = normal_multiplier(unit / static_cast<double>(out.scale[0]), "");
    op.zero_point = out.zero_point[0];
    const bool bounded = clamp == nullptr || is_clamp(*clamp);
    const auto [lo, hi] = bounds(out, bounded ? clamp : nullptr);
    op.lo = lo;
    op.hi = hi;
    if (!bounded) {
      op.activated = {{{normal_multiplier(unit, "")}, {}}, *clamp, unit_of(out, 0)};
    }
    return emit(n, op, {a.value, b.value}, out);
  }

  const graph& graph_;
  integer_program program_;
  index_t values_ = 0;
  std::unordered_map<value_id, codes> made_;
  std::unordered_map<value_id, pending> pending_;
};

inline integer_program lower(const graph& g) { return lowering(g).run(); }

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
