// A complete adapter, from which each test takes one thing away by defining LEFT_OUT_... or changes one.
#pragma once

#include <array>
#include <lutra/graph/traits.hpp>
#include <string_view>

struct tape {};
template <> struct lutra::graph_traits<tape> {
#if !defined(LEFT_OUT_HANDLES)
  using node_id = int;
#else
  struct node_id {};  // neither comparable nor hashable
#endif
  using value_id = int;
  static std::array<node_id, 1> nodes(const tape&) { return {}; }
#if !defined(WRONG_OP_TYPE)
  static std::string_view op_type(const tape&, node_id) { return "relu"; }
#else
  static int op_type(const tape&, node_id) { return 7; }
#endif
#if !defined(LEFT_OUT_OPERANDS)
  static std::array<int, 1> operands(const tape&, node_id) { return {}; }
#endif
  static std::array<int, 1> results(const tape&, node_id) { return {1}; }
  static std::array<int, 1> outputs(const tape&) { return {1}; }
#if !defined(WRONG_ROLE)
  static value_role role_of(const tape&, int) { return value_role::result; }
#else
  static int role_of(const tape&, int) { return 0; }
#endif
  static bool is_float(const tape&, int) { return true; }

  static tensor_view<const float> constant(const tape&, int) { return {}; }
  static void set_constant(tape&, int, tensor_view<const float>) {}
#if !defined(WRONG_INSERT)
  static int insert_fake_quant(tape&, int, fake_quant_id) { return 2; }
#else
  static void insert_fake_quant(tape&, int, fake_quant_id) {}
#endif
  static int emit_quantize_dequantize(tape&, int, const qparams&) { return 2; }
#if !defined(LEFT_OUT_PALETTE)
  static int emit_palette(tape&, int, const packed_palette&) { return 2; }
#endif
#if defined(WRONG_CODES)
  static void emit_affine_constant(tape&, int, const affine_constant&) {}
#else
  static int emit_affine_constant(tape&, int, const affine_constant&) { return 2; }
#endif
  static void set_operand(tape&, node_id, std::size_t, int) {}
  static void set_output(tape&, std::size_t, int) {}
#if !defined(LEFT_OUT_ERASE)
  static void erase(tape&, int) {}
#endif
#if !defined(LEFT_OUT_RUN)
  template <class F> static void run(tape&, int, F&& on_fake_quant) { (void)on_fake_quant; }
#endif
};
