// lutra: traits.hpp - graph_traits<ir::graph>: the reference IR seen through customization point 2.
// SPDX-License-Identifier: Apache-2.0
//
// Edits keep `order` topological: what an insertion makes stands right behind the producer of the
// value it reads. Erasing takes exactly that away again; the ids are not reused.
// Edits of one graph belong to one thread at a time.
#pragma once

#include <algorithm>
#include <lutra/ir/builder.hpp>
#include <lutra/ir/interpreter.hpp>

namespace lutra::inline LUTRA_ABI {

template <> struct graph_traits<ir::graph> {
  using node_id = ir::node_id;
  using value_id = ir::value_id;
  using graph = ir::graph;

  // What a pass reads.
  static const std::vector<node_id>& nodes(const graph& g) { return g.order; }
  static std::string_view op_type(const graph& g, node_id n) { return g.at(n).op; }
  static const std::vector<value_id>& operands(const graph& g, node_id n) {
    return g.at(n).operands;
  }
  static const std::vector<value_id>& results(const graph& g, node_id n) { return g.at(n).results; }
  static const std::vector<value_id>& outputs(const graph& g) { return g.outputs; }
  static value_role role_of(const graph& g, value_id v) { return g.at(v).role; }
  static bool is_float(const graph& g, value_id v) { return g.at(v).is_float; }
  static std::string_view name(const graph& g, node_id n) { return g.at(n).name; }
  static std::vector<std::string> state_names(const graph& g, value_id v) {
    if (g.at(v).role != value_role::state) return {};
    return {g.at(v).name};
  }
  static std::string_view module_path(const graph& g, node_id n) { return g.at(n).module_path; }
  static std::string_view module_type(const graph& g, std::string_view path) {
    const auto it = g.module_types.find(std::string(path));
    return it == g.module_types.end() ? std::string_view{} : std::string_view(it->second);
  }
  static std::optional<shape> shape_of(const graph& g, value_id v) {
    const ir::value& x = g.at(v);
    if (x.role == value_role::state) return x.data.extents();
    if (x.palette) return x.palette->weight_shape;
    if (x.affine) return x.affine->extents;
    return std::nullopt;
  }
  static std::optional<double> literal(const graph& g, node_id n, std::string_view key) {
    const auto it = g.at(n).literals.find(std::string(key));
    if (it == g.at(n).literals.end() || it->second.empty()) return std::nullopt;
    return it->second.front();
  }
  static tensor_view<const float> constant(const graph& g, value_id v) {
    return lutra::view(g.at(v).data);
  }

  // What a pass changes.
  static void set_constant(graph& g, value_id v, tensor_view<const float> data) {
    ir::value& state = g.at(v);
    if (state.role != value_role::state || !(state.data.extents() == data.extents())) {
      raise(errc::shape_mismatch, "a constant keeps its shape", state.name, text_of(data.extents()),
            text_of(state.data.extents()));
    }
    state.data = tensor<float>::copy_of(data);
  }
  static value_id insert_fake_quant(graph& g, value_id v, fake_quant_id id) {
    ir::node n = reader_of(g, v, "fake_quant");
    n.fake_quant = id;
    return place_after(g, {&v, 1}, std::move(n), {});
  }
  static value_id emit_quantize_dequantize(graph& g, value_id v, const qparams& q) {
    ir::node quantize = reader_of(g, v, "quantize");
    quantize.quantization = q;
    const value_id codes = place_after(g, {&v, 1}, std::move(quantize), {.is_float = false});
    ir::node dequantize = reader_of(g, codes, "dequantize");
    dequantize.quantization = q;
    return place_after(g, {&codes, 1}, std::move(dequantize), {});
  }
  static value_id emit_palette(graph& g, value_id v, const packed_palette& p) {
    return place_packed(g, v, "lut_to_dense", {.palette = p});
  }
  static value_id emit_affine_constant(graph& g, value_id v, const affine_constant& c) {
    return place_packed(g, v, "constexpr_blockwise_shift_scale", {.affine = c});
  }
  static void set_operand(graph& g, node_id n, std::size_t slot, value_id v) {
    at_slot(g.at(n).operands, slot, ir::label(g.at(n))) = v;
  }
  static void set_output(graph& g, std::size_t slot, value_id v) {
    at_slot(g.outputs, slot, "graph outputs") = v;
  }
  // Operands x, weight, bias, mean, variance, or x, mean, variance.
  static std::optional<batch_norm_operands<value_id>> batch_norm_of(const graph& g, node_id n) {
    const std::vector<value_id>& o = g.at(n).operands;
    if (g.training || (o.size() != 3 && o.size() != 5)) return std::nullopt;
    batch_norm_operands<value_id> found{.mean = o[o.size() - 2], .variance = o.back()};
    if (o.size() == 5) {
      found.weight = o[1];
      found.bias = o[2];
    }
    found.eps = literal(g, n, "eps").value_or(found.eps);
    return found;
  }
  static value_id add_state(graph& g, std::string_view name, tensor_view<const float> data) {
    ir::value state{};
    state.name = name;
    state.role = value_role::state;
    state.data = tensor<float>::copy_of(data);
    g.values.push_back(std::move(state));
    return {static_cast<index_t>(g.values.size()) - 1};
  }
  static void set_bias(graph& g, node_id n, std::optional<value_id> bias) {
    std::vector<value_id>& operands = g.at(n).operands;
    at_slot(operands, 1, ir::label(g.at(n)));  // input and weight
    operands.resize(2);
    if (bias) operands.push_back(*bias);
  }
  static void erase_nodes(graph& g, std::span<const node_id> nodes) {
    std::vector<char> doomed(g.nodes.size(), 0);
    for (const node_id n : nodes) doomed[to_size(n.index)] = 1;
    std::erase_if(g.order, [&](node_id n) { return doomed[to_size(n.index)] != 0; });
    for (const node_id n : nodes) {
      for (const value_id v : g.at(n).results) g.at(v) = {};
      g.names.release(std::move(g.at(n).name));
      g.at(n) = {};
    }
  }
  static value_id emit_arithmetic(graph& g, const arithmetic& a,
                                  std::span<const value_id> operands) {
    static constexpr const char* names[] = {"add", "mul", "div", "add", "sqrt", "reshape"};
    ir::node n = reader_of(g, operands[0], names[static_cast<std::size_t>(a.kind)]);
    n.operands.assign(operands.begin(), operands.end());
    if (a.kind == arithmetic::kind_t::add_scalar) n.literals["other"] = {a.scalar};
    if (a.kind == arithmetic::kind_t::reshape) {
      n.literals["shape"] = {a.extents.begin(), a.extents.end()};
    }
    return place_after(g, operands, std::move(n), {});
  }
  // Batch norms by the statistics of their batch, or by their own.
  static bool set_training(graph& g, bool on) { return std::exchange(g.training, on); }
  static void erase(graph& g, value_id v) {
    const node_id made = g.at(v).producer;
    if (g.at(v).role == value_role::state) {
      g.at(v) = {};
      return;
    }
    if (made.index < 0) {
      raise(errc::invalid_argument, "only an inserted value can be erased", "ir::graph",
            text_of(g.at(v).name));
    }
    const bool pair = g.at(made).op == "dequantize";
    const value_id codes = pair ? g.at(made).operands[0] : v;
    forget(g, made, v);
    if (pair) forget(g, g.at(codes).producer, codes);
  }

  // Runs one batch (the graph's inputs, or its only input) and returns the outputs.
  template <class F>
  static std::vector<tensor<float>> run(const graph& g, const std::vector<tensor<float>>& inputs,
                                        F&& on_fake_quant) {
    return ir::interpreter(g).run(inputs, on_fake_quant);
  }
  template <class F>
  static std::vector<tensor<float>> run(const graph& g, const tensor<float>& input,
                                        F&& on_fake_quant) {
    const std::array<tensor_view<const float>, 1> inputs{lutra::view(input)};
    return ir::interpreter(g).run(inputs, on_fake_quant);
  }

 private:
  static value_id& at_slot(std::vector<value_id>& values, std::size_t slot,
                           const std::string& where) {
    if (slot < values.size()) return values[slot];
    raise(errc::invalid_argument, "no such slot", where, text_of(slot),
          "below " + text_of(values.size()));
  }
  static ir::node reader_of(graph& g, value_id v, const char* op) {
    ir::node n{};
    n.op = op;
    n.name = g.names.make(g.nodes, g.at(v).name + "_" + op);
    n.operands = {v};
    const node_id producer = g.at(v).producer;
    if (producer.index >= 0) n.module_path = g.at(producer).module_path;
    return n;
  }
  // Behind the last of the nodes that make `operands`.
  static value_id place_after(graph& g, std::span<const value_id> operands, ir::node n,
                              ir::value result) {
    auto at = g.order.begin();
    for (const value_id v : operands) {
      const node_id producer = g.at(v).producer;
      if (producer.index >= 0) at = std::max(at, std::ranges::find(g.order, producer) + 1);
    }
    result.name = n.name;
    return place(g, at, std::move(n), std::move(result));
  }
  static value_id place(graph& g, std::vector<node_id>::iterator at, ir::node n, ir::value result) {
    const node_id id{static_cast<index_t>(g.nodes.size())};
    const value_id made{static_cast<index_t>(g.values.size())};
    n.results = {made};
    result.producer = id;
    g.nodes.push_back(std::move(n));
    g.values.push_back(std::move(result));
    g.order.insert(at, id);
    return made;
  }
  // A node without operands, in front of all others, that makes a packed state named as v.
  static value_id place_packed(graph& g, value_id v, const std::string& op, ir::value packed) {
    ir::node n{};
    n.op = op;
    n.name = g.names.make(g.nodes, g.at(v).name + "_" + op);
    packed.name = g.at(v).name;
    packed.role = value_role::packed_state;
    return place(g, g.order.begin(), std::move(n), std::move(packed));
  }
  // Takes a node and its only result away; their slots stay, empty.
  static void forget(graph& g, node_id n, value_id v) {
    std::erase(g.order, n);
    g.names.release(std::move(g.at(n).name));
    g.at(n) = {};
    g.at(v) = {};
  }
};
static_assert(arithmetic_graph<ir::graph>);
static_assert(affine_constant_graph<ir::graph>);

}  // namespace lutra::inline LUTRA_ABI
