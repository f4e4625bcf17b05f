// lutra: traits.hpp - customization point 2: how the library sees your graph.
// SPDX-License-Identifier: Apache-2.0
//
// Specialise lutra::graph_traits<G> next to your graph type and write
// static_assert(lutra::editable_graph<G>) on the next line. Three tiers:
//   readable_graph    enough for plan()
//   editable_graph    palettizer, quantizer: prepare and finalize
//   executable_graph  calibration driven by the library (a framework that runs itself calls
//                     quantizer::on_fake_quant instead)
// The unit is the value (a tensor), not the node; nodes may have several results. Handles are cheap,
// copyable, hashable and stay valid until erased. Passes collect first, then edit.
// Ops that work in place: a value is what one node made, not the buffer that holds it. Such an op reads
// one value and makes another, both in the same buffer; see tests/archetypes/edge_graph.hpp.
// Light: includes neither Eigen nor xsimd.
#pragma once

#include <concepts>
#include <functional>
#include <lutra/affine/constant.hpp>
#include <lutra/affine/qparams.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/tensor/view.hpp>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// Undefined on purpose: a type without a specialisation is not a graph.
template <class G> struct graph_traits;

enum class value_role : unsigned char {
  graph_input,
  state,         // stored tensor: parameter, buffer, constant
  packed_state,  // a compressed weight put in place by emit_palette or emit_affine_constant
  result         // of a node
};

// Names one fake-quantizer of a lutra::quantizer. Several nodes may carry the same one.
struct fake_quant_id {
  index_t index = 0;
  friend constexpr bool operator==(fake_quant_id, fake_quant_id) = default;
};

// A batch norm computes (x - mean) * (weight / sqrt(variance + eps)) + bias for each channel.
template <class Value> struct batch_norm_operands {
  std::optional<Value> weight{};  // absent: 1
  std::optional<Value> bias{};    // absent: 0
  Value mean{};
  Value variance{};
  double eps = 1e-5;
};

// A node of one result that a pass asks for.
struct arithmetic {
  enum class kind_t : unsigned char {
    add,         // of two operands; shapes broadcast: an extent of 1 repeats
    mul,         // likewise
    div,         // likewise
    add_scalar,  // one operand + scalar
    sqrt,        // of one operand
    reshape      // one operand, with `extents`
  };
  kind_t kind = kind_t::add;
  double scalar = 0;
  shape extents{};
};

template <class G> using node_id_t = typename graph_traits<G>::node_id;
template <class G> using value_id_t = typename graph_traits<G>::value_id;

template <class R, class T>
concept range_of =
    std::ranges::forward_range<R> && std::convertible_to<std::ranges::range_value_t<R>, T>;
template <class T>
concept graph_handle = std::regular<T> && requires(const T& t) {
  { std::hash<T>{}(t) } -> std::convertible_to<std::size_t>;
};

// clang-format off
template <class G>
concept readable_graph = requires(const G& g, node_id_t<G> n, value_id_t<G> v) {
  requires graph_handle<node_id_t<G>>;
  requires graph_handle<value_id_t<G>>;
  { graph_traits<G>::nodes(g) } -> range_of<node_id_t<G>>;                     // producers before consumers
  { graph_traits<G>::op_type(g, n) } -> std::convertible_to<std::string_view>; // canonical kind (graph/op.hpp), e.g. "conv2d"
  { graph_traits<G>::operands(g, n) } -> range_of<value_id_t<G>>;              // tensors only, lists flattened, slot order
  { graph_traits<G>::results(g, n) } -> range_of<value_id_t<G>>;
  { graph_traits<G>::outputs(g) } -> range_of<value_id_t<G>>;                  // of the whole graph, in order
  { graph_traits<G>::role_of(g, v) } -> std::same_as<value_role>;
  { graph_traits<G>::is_float(g, v) } -> std::convertible_to<bool>;            // false when unknown
};
// Optional members, detected one by one (graph/index.hpp holds the defaults):
//   name(g, n)             unique node name; default: op type, then _1, _2, ... per repeat
//   state_names(g, v)      full names of a state ("conv1.weight"), first is canonical; default: none
//   module_path(g, n)      dotted path of the innermost module; default: ""
//   module_paths(g)        all module paths in tree order; default: collected from nodes and states
//   module_type(g, path)   type name of a module; default: ""
//   module_aliases(g, path) other paths of the same module; default: none
//   shape_of(g, v)         std::optional<shape>; default: constant(g, v) for states, else unknown
//   literal(g, n, key)     std::optional<double>: groups; start_dim, end_dim of flatten; min_val, max_val of hardtanh;
//                          default: absent
// Of graphs that a framework trains, optional: gradients(g, batch, f), see flow/squared_gradients.hpp.
// Of editable graphs, optional: begin(g), commit(g), rollback(g): the adapter undoes a failed pass itself.
// Of graphs with batch norms or dropout, optional: bool set_training(g, bool on): they behave as in training
// (statistics of the batch) or as in use; returns what was set before, and does not fail.
// The node that insert_fake_quant makes has op_type "fake_quant"; those of emit_quantize_dequantize
// have "quantize" and "dequantize", that of emit_palette, if there is one, "lut_to_dense", and that of
// emit_affine_constant "constexpr_blockwise_shift_scale".

template <class G>
concept editable_graph = readable_graph<G> && requires(
    const G& c, G& g, node_id_t<G> n, value_id_t<G> v, std::size_t slot, fake_quant_id id,
    tensor_view<const float> data, const qparams& q, const packed_palette& p) {
  { graph_traits<G>::constant(c, v) } -> std::convertible_to<tensor_view<const float>>;  // of a state; valid until g changes
  graph_traits<G>::set_constant(g, v, data);                                             // same shape; copies
  { graph_traits<G>::insert_fake_quant(g, v, id) } -> std::convertible_to<value_id_t<G>>;        // new node reading v; rewires nobody
  { graph_traits<G>::emit_quantize_dequantize(g, v, q) } -> std::convertible_to<value_id_t<G>>;  // pair reading v; rewires nobody
  { graph_traits<G>::emit_palette(g, v, p) } -> std::convertible_to<value_id_t<G>>;              // packed_state standing for state v; rewires nobody
  graph_traits<G>::set_operand(g, n, slot, v);
  graph_traits<G>::set_output(g, slot, v);
  graph_traits<G>::erase(g, v);   // a value made by insert/emit, with the nodes made for it; v has no uses; all or nothing
};

// Optional: weights that a quantizer rounds are stored as codes. A graph without it keeps them as floats, with a
// quantize/dequantize pair behind each, and the report counts their bytes.
template <class G>
concept affine_constant_graph = editable_graph<G> && requires(G& g, value_id_t<G> v, const affine_constant& c) {
  { graph_traits<G>::emit_affine_constant(g, v, c) } -> std::convertible_to<value_id_t<G>>;      // packed_state standing for state v; rewires nobody
};

// Optional, all of them or none: what flow/fold_batch_norm.hpp needs beyond editing. A graph without them
// keeps its batch norms.
template <class G>
concept foldable_graph = editable_graph<G> && requires(
    const G& c, G& g, node_id_t<G> n, std::string_view name, tensor_view<const float> data,
    std::optional<value_id_t<G>> bias, std::span<const node_id_t<G>> nodes) {
  // std::optional<batch_norm_operands<value_id>> of a "batch_norm" node; std::nullopt when they are not known or when
  // it normalises by the statistics of its batch.
  { graph_traits<G>::batch_norm_of(c, n) } -> std::convertible_to<std::optional<batch_norm_operands<value_id_t<G>>>>;
  // New state; erase(g, v) takes it away. No state that a node reads and no parameter of a batch norm has the name.
  { graph_traits<G>::add_state(g, name, data) } -> std::convertible_to<value_id_t<G>>;
  graph_traits<G>::set_bias(g, n, bias);      // operand 2 of a convolution or linear: set, replaced, or taken away (nullopt)
  graph_traits<G>::erase_nodes(g, nodes);     // nodes whose results nobody reads but each other; all or nothing
};

// Optional: what flow/train_batch_norm.hpp needs beyond folding.
template <class G>
concept arithmetic_graph = foldable_graph<G> && requires(
    G& g, const arithmetic& a, std::span<const value_id_t<G>> operands) {
  // New node behind the producers of its operands, in f32; rewires nobody. erase(g, v) takes it away.
  { graph_traits<G>::emit_arithmetic(g, a, operands) } -> std::convertible_to<value_id_t<G>>;
};

template <class G, class Batch, class F>
concept executable_graph = editable_graph<G> && requires(G& g, const Batch& batch, F on_fake_quant) {
  // Runs one batch; at every fake-quant node calls on_fake_quant(fake_quant_id,
  // tensor_view<const float> in, tensor_view<float> out); in and out have equal shapes.
  graph_traits<G>::run(g, batch, on_fake_quant);
};
// clang-format on

}  // namespace lutra::inline LUTRA_ABI
