// lutra: edits.hpp - edit_checker: tries every edit of an editable_graph, and takes it back.
// SPDX-License-Identifier: Apache-2.0
//
// A part of graph/conformance.hpp. Linear in the graph. One checker belongs to one thread.
#pragma once

#include <algorithm>
#include <lutra/graph/conformance/probe.hpp>

namespace lutra::inline LUTRA_ABI {

template <editable_graph G> class edit_checker : edit_probe<G> {
 public:
  explicit edit_checker(G& g) : edit_probe<G>(g) {}

  std::vector<std::string> run() {
    const auto before = index_of(this->graph());
    for (const index_t v : this->samples_of(before.index)) {
      if (before.index.role[to_size(v)] == value_role::state) {
        try_constant(before.values[to_size(v)]);
        try_palette(before, v);
        if constexpr (affine_constant_graph<G>) try_affine_constant(before, v);
      }
      try_insertion(before, v);
      try_pair(before, v);
    }
    return std::move(this->problems_);
  }

 private:
  using base = edit_probe<G>;
  using base::g_;
  using base::problem;
  using typename base::picture;
  using typename base::traits;
  using typename base::value_id;

  void try_constant(const value_id& v) {
    const shape extents = tensor_view<const float>(traits::constant(this->graph(), v)).extents();
    const std::vector<float> old = this->elements(v);
    std::vector<float> changed = old;
    for (float& x : changed) x += 1.0F;
    traits::set_constant(g_, v, tensor_view<const float>(changed.data(), extents));
    if (this->elements(v) != changed) {
      problem("set_constant: constant() does not return the new elements");
    }
    traits::set_constant(g_, v, tensor_view<const float>(old.data(), extents));
    if (this->elements(v) != old) {
      problem("set_constant: the old elements cannot be put back");
    }
  }
  // One table of 16 entries for all; every code is 5.
  void try_palette(const indexed_graph<G>& before, index_t v) {
    const value_id source = before.values[to_size(v)];
    packed_palette p;
    p.weight_shape = tensor_view<const float>(traits::constant(this->graph(), source)).extents();
    p.block = p.weight_shape;
    for (int axis = 0; axis < p.block.rank(); ++axis) {
      p.block = p.block.with(axis, std::max<index_t>(p.block[axis], 1));
    }
    p.codes = codes_of(p.weight_shape.size());
    for (int entry = 0; entry < 16; ++entry)
      p.lut_codes.push_back(static_cast<std::uint8_t>(entry));
    p.scale = {0.5F};
    p.zero_point = {0};
    try_packed(before, v, "emit_palette", "lut_to_dense",
               [&] { return value_id(traits::emit_palette(g_, source, std::as_const(p))); });
  }
  void try_affine_constant(const indexed_graph<G>& before, index_t v) {
    const value_id source = before.values[to_size(v)];
    affine_constant c;
    c.extents = tensor_view<const float>(traits::constant(this->graph(), source)).extents();
    c.codes = codes_of(c.extents.size());
    c.parameters.dtype = dtype::int4;
    c.parameters.quant_min = -8;
    c.parameters.quant_max = 7;
    c.parameters.scale = {0.5F};
    c.parameters.zero_point = {0};
    try_packed(before, v, "emit_affine_constant", "constexpr_blockwise_shift_scale", [&] {
      return value_id(traits::emit_affine_constant(g_, source, std::as_const(c)));
    });
  }
  // n codes of four bits.
  static std::vector<std::uint8_t> codes_of(index_t n) {
    std::vector<std::uint8_t> codes(to_size((n + 1) / 2), std::uint8_t{0x55});
    if (n % 2 != 0) codes.back() = 0x05;
    return codes;
  }
  // What stands for state v, with readers moved to it and back.
  template <class F>
  void try_packed(const indexed_graph<G>& before, index_t v, const char* what, const char* op,
                  F&& emit) {
    const picture was = this->snapshot();
    const value_id source = before.values[to_size(v)];
    const std::vector<float> floats = this->elements(source);
    const value_id made = emit();
    if (made == source) {
      problem(std::string(what) + ": it gives the state itself, which the float weight needs");
      return;
    }
    this->check_made(before, v, made, value_role::packed_state, what);
    if (const auto n = this->maker_of(made)) {
      const std::string own(traits::op_type(this->graph(), *n));
      if (own != op) {
        problem(std::string(what) + ": op_type of the new node is " +
                text_of(std::string_view(own)) + ", not '" + op + "'");
      }
    }
    if constexpr (requires { traits::shape_of(this->graph(), made); }) {
      const shape wanted =
          tensor_view<const float>(traits::constant(this->graph(), source)).extents();
      const auto known = traits::shape_of(this->graph(), made);
      if (known && !(*known == wanted)) {
        problem(std::string(what) + ": shape_of the new value says " + text_of(*known) +
                ", the state has " + text_of(wanted));
      }
    }
    this->redirect(before, v, made, what);
    this->redirect(before, v, source, "set_operand back");
    if (this->elements(source) != floats) {
      problem(std::string(what) + ": it changes the elements of the state");
    }
    traits::erase(g_, made);
    this->check_back(was, "erase", what);
  }
  void try_insertion(const indexed_graph<G>& before, index_t v) {
    const picture was = this->snapshot();
    const value_id source = before.values[to_size(v)];
    const value_id made = traits::insert_fake_quant(g_, source, fake_quant_id{0});
    if (const auto n = this->check_reads(made, source, "insert_fake_quant")) {
      const std::string op(traits::op_type(this->graph(), *n));
      if (op != "fake_quant") {
        problem("insert_fake_quant: op_type of the new node is " + text_of(std::string_view(op)) +
                ", not 'fake_quant'");
      }
    }
    this->check_made(before, v, made, value_role::result, "insert_fake_quant");
    this->redirect(before, v, made, "insert_fake_quant");
    this->redirect(before, v, source, "set_operand back");
    traits::erase(g_, made);
    this->check_back(was, "erase", "insert_fake_quant");
  }
  void try_pair(const indexed_graph<G>& before, index_t v) {
    const picture was = this->snapshot();
    qparams q;
    q.scale = {0.5F};
    q.zero_point = {0};
    q.minval = {-64.0F};
    const value_id source = before.values[to_size(v)];
    const value_id made = traits::emit_quantize_dequantize(g_, source, std::as_const(q));
    this->check_made(before, v, made, value_role::result, "emit_quantize_dequantize");
    check_behind(made, source);
    traits::erase(g_, made);
    this->check_back(was, "erase", "emit_quantize_dequantize");
  }
  // A pair is one node or two.
  void check_behind(const value_id& made, const value_id& source) {
    value_id at = made;
    for (int nodes = 0; nodes < 2; ++nodes) {
      const auto n = this->maker_of(at);
      if (!n) break;
      for (auto&& v : traits::operands(this->graph(), *n)) {
        if (base::same(v, source)) return;
        at = v;
      }
    }
    problem("emit_quantize_dequantize: the new nodes do not read the value");
  }
};

}  // namespace lutra::inline LUTRA_ABI
