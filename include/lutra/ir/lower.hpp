// lutra: lower.hpp - a finalized graph to an integer_program, or an error that names the first obstacle.
// SPDX-License-Identifier: Apache-2.0
//
// Walks the graph once. A float value is known either as codes with their parameters (what a dequantize
// reads; pools of it, layouts of it), or as an operation whose result waits for the quantize that
// follows, perhaps through a relu: together they become one step.
//   bias        round(b / (s_x s_w)) - z_x * row_sum, computed in f64
//   multiplier  s_x s_w / s_y in f64, rounded to f32
// Per-tensor int8 and uint8 activations (uint8 becomes int8 with zero point and bounds moved by 128), one
// input, one output, zero-point formulation. Linear in the size of the graph.
#pragma once

#include <cmath>
#include <limits>
#include <lutra/ir/integer.hpp>
#include <lutra/ir/step_parameters.hpp>
#include <lutra/palette/pack.hpp>
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
    const codes out = codes_of(graph_.outputs[0], "graph output");
    program_.output_value_ = out.value;
    program_.output_ = out.parameters;
    fuse_pools();
    find_last_uses();
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

  void lower(const node& n) {
    if (n.op == "lut_to_dense") return;
    if (n.op == "fake_quant") {
      raise(errc::invalid_state, "the graph is not finalized", label(n), "fake_quant");
    }
    if (n.results.size() != 1 || n.operands.empty()) {
      raise(errc::unsupported, "integer mode needs operands and one result", label(n));
    }
    const value_id result = n.results[0];
    if (n.op == "quantize") {
      made_.insert_or_assign(result, quantized(n));
    } else if (n.op == "dequantize") {
      const codes& c = codes_of(n.operands[0], label(n));
      if (!(c.parameters == parameters_of(n))) {
        raise(errc::invalid_graph, "dequantize and quantize disagree", label(n));
      }
      made_.insert_or_assign(result, c);
    } else if (one_of(n, {"max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
                          "flatten", "reshape", "permute", "transpose", "cat"})) {
      made_.insert_or_assign(result, preserved(n));
    } else if (is_activation(n)) {
      const auto waiting = pending_.find(n.operands[0]);
      if (waiting != pending_.end() && waiting->second.clamp == nullptr &&
          (is_clamp(n) || is_elementwise(*waiting->second.operation) ||
           is_product(*waiting->second.operation))) {
        pending_.emplace(result, pending{waiting->second.operation, &n});
      } else {
        codes_of(n.operands[0], label(n));
        pending_.emplace(result, pending{&n, &n});
      }
    } else if (is_elementwise(n) || is_product(n) ||
               one_of(n, {"softmax", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d",
                          "adaptive_avg_pool2d", "mean"})) {
      pending_.emplace(result, pending{&n, nullptr});
    } else {
      raise(errc::unsupported, "integer mode does not have this op type", label(n), text_of(n.op));
    }
  }

  static bool is_product(const node& n) {
    return one_of(n,
                  {"conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear", "matmul"});
  }
  const codes& codes_of(value_id v, const std::string& where) const {
    const auto it = made_.find(v);
    if (it != made_.end()) return it->second;
    raise(errc::unsupported, "integer mode needs a quantized value here", where,
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
      program_.inputs_.push_back({out, result});
      return {result, out};
    }
    if (const auto it = pending_.find(v); it != pending_.end()) return finished(it->second, out);
    const codes& in = codes_of(v, label(n));
    if (in.parameters == out) return in;  // quantizing dequantized codes changes nothing
    return emit(n, table_between(in.parameters, out, nullptr), {in.value}, out);
  }

  // Operations that keep scale and zero point.
  codes preserved(const node& n) {
    const codes& first = codes_of(n.operands[0], label(n));
    std::vector<index_t> operands;
    for (const value_id v : n.operands) {
      const codes& c = codes_of(v, label(n));
      if (!(c.parameters == first.parameters)) {
        raise(errc::unsupported, "integer mode joins only values of one scale", label(n),
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
    const codes& x = codes_of(n.operands[0], label(n));
    if (is_activation(n)) {
      return emit(n, table_between(x.parameters, out, p.clamp), {x.value}, out);
    }
    if (n.op == "linear") {
      const lut_matrix w = weight_of_node(n, 2);
      requantize e = epilogue(n, w, x.parameters, out, p.clamp);
      auto activated = activation_of(w, e, x.parameters, out, p.clamp);
      return emit(n, integer_linear{w, std::move(e), std::move(activated)}, {x.value}, out);
    }
    if (n.op == "conv1d" || n.op == "conv2d") {
      const int axes = n.op == "conv1d" ? 1 : 2;
      const lut_matrix w = weight_of_node(n, axes + 2);
      requantize e = epilogue(n, w, x.parameters, out, p.clamp);
      lutra::conv2d_options options{sliding(n, axes), integer(n, "groups", 1, 1),
                                    static_cast<std::int8_t>(x.parameters.zero_point[0])};
      auto activated = activation_of(w, e, x.parameters, out, p.clamp);
      return emit(n, integer_conv{w, options, std::move(e), axes, std::move(activated)}, {x.value},
                  out);
    }
    if (n.op == "conv_transpose1d" || n.op == "conv_transpose2d") {
      return finished_transposed(n, p.clamp, x, out);
    }
    if (n.op == "matmul") return finished_matmul(n, p.clamp, out);
    if (is_elementwise(n) || n.op == "softmax") {
      const bool clamped_sum =
          n.op == "add" && n.operands.size() == 2 && (p.clamp == nullptr || is_clamp(*p.clamp));
      return clamped_sum ? finished_add(n, p.clamp, out) : finished_elementwise(n, p.clamp, out);
    }
    if (p.clamp != nullptr) {
      raise(errc::unsupported, "integer mode has no fused relu here", label(*p.clamp), n.op,
            "convolutions, linear, matmul, add, sub, mul");
    }
    return emit(n, mean_pool_of(n, x.parameters, out), {x.value}, out);
  }

  codes finished_transposed(const node& n, const node* clamp, const codes& x, const qparams& out) {
    const int axes = n.op == "conv_transpose1d" ? 1 : 2;
    const index_t groups = integer(n, "groups", 1, 1);
    const lut_matrix w = make_lut_matrix(transposed_palette(palette_of_node(n, axes + 2), groups));
    requantize e = epilogue(n, w, x.parameters, out, clamp);
    lutra::conv_transpose2d_options options{transposed_window_of(n, axes), groups,
                                            static_cast<std::int8_t>(x.parameters.zero_point[0])};
    auto activated = activation_of(w, e, x.parameters, out, clamp);
    return emit(n, integer_conv_transpose{w, options, std::move(e), axes, std::move(activated)},
                {x.value}, out);
  }
  codes finished_add(const node& n, const node* clamp, const qparams& out) {
    if (n.operands.size() != 2) raise(errc::invalid_graph, "add needs two operands", label(n));
    const codes& a = codes_of(n.operands[0], label(n));
    const codes& b = codes_of(n.operands[1], label(n));
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
      const codes& c = codes_of(v, label(n));
      op.operands.push_back(unit_of(c.parameters, 0));
      operands.push_back(c.value);
    }
    return emit(n, std::move(op), std::move(operands), out);
  }
  codes finished_matmul(const node& n, const node* clamp, const qparams& out) {
    if (n.operands.size() != 2) raise(errc::invalid_graph, "matmul needs two operands", label(n));
    const codes& a = codes_of(n.operands[0], label(n));
    const codes& b = codes_of(n.operands[1], label(n));
    integer_matmul op;
    op.a_zero_point = a.parameters.zero_point[0];
    op.b_zero_point = b.parameters.zero_point[0];
    const double unit =
        static_cast<double>(a.parameters.scale[0]) * static_cast<double>(b.parameters.scale[0]);
    op.multiplier = normal_multiplier(unit / static_cast<double>(out.scale[0]), label(n));
    op.zero_point = out.zero_point[0];
    const bool bounded = clamp == nullptr || is_clamp(*clamp);
    const auto [lo, hi] = bounds(out, bounded ? clamp : nullptr);
    op.lo = lo;
    op.hi = hi;
    if (!bounded) {
      op.activated = {{{normal_multiplier(unit, label(n))}, {}}, *clamp, unit_of(out, 0)};
    }
    return emit(n, op, {a.value, b.value}, out);
  }

  // The palettized weight of a node; a 1-D kernel gets height 1.
  lut_matrix weight_of_node(const node& n, int rank) const {
    return make_lut_matrix(palette_of_node(n, rank));
  }
  packed_palette palette_of_node(const node& n, int rank) const {
    if (n.operands.size() < 2 || !graph_.at(n.operands[1]).palette) {
      raise(errc::unsupported, "integer mode needs a palettized weight", label(n),
            n.operands.size() < 2 ? "" : text_of(graph_.at(n.operands[1]).name),
            "a look-up table with int8 entries");
    }
    packed_palette p = *graph_.at(n.operands[1]).palette;
    check(p, label(n));
    if (p.weight_shape.rank() != rank) {
      bad_shape(n, "weight has the wrong rank", text_of(p.weight_shape), "rank " + text_of(rank));
    }
    if (rank == 3) {
      p.weight_shape = {p.weight_shape[0], p.weight_shape[1], 1, p.weight_shape[2]};
      p.block = {p.block[0], p.block[1], 1, p.block[2]};
    }
    return p;
  }

  // Infinite, zero or subnormal ones would turn sums into NaN or nothing.
  static float normal_multiplier(double ratio, std::string where) {
    constexpr float least = std::numeric_limits<float>::min();
    constexpr float most = std::numeric_limits<float>::max();
    if (!(ratio >= static_cast<double>(least) && ratio <= static_cast<double>(most))) {
      raise(errc::unsupported, "the scales around a layer give no normal multiplier",
            std::move(where), text_of(ratio), range_text(least, most));
    }
    return static_cast<float>(ratio);
  }

  requantize epilogue(const node& n, const lut_matrix& w, const qparams& in, const qparams& out,
                      const node* clamp) const {
    const float* bias = nullptr;
    if (n.operands.size() > 2) {
      const value& b = graph_.at(n.operands[2]);
      if (b.role != value_role::state) {
        raise(errc::unsupported, "integer mode needs a constant bias", label(n), text_of(b.name));
      }
      if (b.data.rank() != 1 || b.data.size() != w.rows()) {
        bad_shape(n, "per-channel operand does not fit", text_of(b.data.extents()),
                  "[" + text_of(w.rows()) + "]");
      }
      bias = b.data.data();
    }
    requantize e;
    e.zero_point = out.zero_point[0];
    const auto [lo, hi] = bounds(out, clamp != nullptr && is_clamp(*clamp) ? clamp : nullptr);
    e.lo = lo;
    e.hi = hi;
    for (index_t r = 0; r < w.rows(); ++r) {
      const double unit = static_cast<double>(in.scale[0]) * static_cast<double>(w.row_scale(r));
      double offset = -static_cast<double>(in.zero_point[0]) * static_cast<double>(w.row_sum(r));
      if (bias != nullptr) offset += std::nearbyint(static_cast<double>(bias[r]) / unit);
      constexpr double most = 0x1p30;  // leaves room for the sum of products
      if (!(offset >= -most && offset <= most)) {
        raise(errc::unsupported, "bias does not fit int32 at this scale", label(n),
              text_of(offset) + " in row " + text_of(r), range_text(-most, most));
      }
      e.multiplier.push_back(normal_multiplier(unit / static_cast<double>(out.scale[0]),
                                               label(n) + ", row " + text_of(r)));
      e.bias.push_back(static_cast<std::int32_t>(offset));
    }
    return e;
  }

  // Of an activation that is no clamp: the same sums and biases, in real values.
  static std::optional<activated_sums> activation_of(const lut_matrix& w, const requantize& e,
                                                     const qparams& in, const qparams& out,
                                                     const node* activation) {
    if (activation == nullptr || is_clamp(*activation)) return std::nullopt;
    activated_sums a{{{}, e.bias}, *activation, unit_of(out, 0)};
    for (index_t r = 0; r < w.rows(); ++r) {
      a.sums.multiplier.push_back(static_cast<float>(static_cast<double>(in.scale[0]) *
                                                     static_cast<double>(w.row_scale(r))));
    }
    return a;
  }

  // A 2 x 2 max pool of a convolution that nothing else reads becomes part of its step, which keeps the name of the
  // convolution.
  void fuse_pools() {
    std::vector<index_t> uses(static_cast<std::size_t>(values_), 0);
    const auto uses_of = [&](index_t v) -> index_t& { return uses[static_cast<std::size_t>(v)]; };
    for (const integer_step& s : program_.steps_) {
      for (const index_t v : s.operands) ++uses_of(v);
    }
    ++uses_of(program_.output_value_);
    std::unordered_map<index_t, integer_step*> convolutions;  // by result
    const auto fused = [&](const integer_step& s) {
      if (!is_pool_of_blocks(s.operation) || uses_of(s.operands[0]) != 1) return false;
      const auto it = convolutions.find(s.operands[0]);
      if (it == convolutions.end()) return false;
      std::get<integer_conv>(it->second->operation).options.pool = true;
      it->second->result = s.result;
      return true;
    };
    std::vector<bool> gone;
    for (integer_step& s : program_.steps_) {
      const auto* conv = std::get_if<integer_conv>(&s.operation);
      if (conv != nullptr && conv->axes == 2 && !conv->activated)
        convolutions.emplace(s.result, &s);
      gone.push_back(fused(s));
    }
    std::size_t at = 0;
    std::erase_if(program_.steps_, [&](const integer_step&) { return gone[at++]; });
  }
  static bool is_pool_of_blocks(const integer_operation& operation) {
    const auto* pool = std::get_if<integer_max_pool>(&operation);
    return pool != nullptr && pool->axes == 2 && pool->adaptive == std::array<index_t, 2>{0, 0} &&
           pool->options.kernel == std::array<index_t, 2>{2, 2} &&
           pool->options.window == window2d{.stride = {2, 2}};
  }

  void find_last_uses() {
    program_.last_use_.assign(static_cast<std::size_t>(values_), -1);
    for (std::size_t i = 0; i < program_.steps_.size(); ++i) {
      for (const index_t v : program_.steps_[i].operands) {
        program_.last_use_[static_cast<std::size_t>(v)] = static_cast<index_t>(i);
      }
    }
    program_.last_use_[static_cast<std::size_t>(program_.output_value_)] = -1;
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
