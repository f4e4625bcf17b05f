// lutra: layer_parameters.hpp - weights, biases and multipliers of an integer layer.
// SPDX-License-Identifier: Apache-2.0
//
// What lower.hpp makes of the nodes of convolutions, linear layers and products; the arithmetic is that of
// runtime/layer_epilogue.hpp. Pure functions; thread-safe.
#pragma once

#include <algorithm>
#include <lutra/ir/step_parameters.hpp>
#include <lutra/palette/affine_palette.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/runtime/layer_epilogue.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

// The palettized weight of a node, an operand of `rank` axes; an affine one as a palette of its codes.
inline packed_palette palette_of(const graph& g, const node& n, int rank, std::size_t operand = 1) {
  const value* weight = n.operands.size() > operand ? &g.at(n.operands[operand]) : nullptr;
  if (weight == nullptr || (!weight->palette && !weight->affine)) {
    raise(errc::unsupported, "integer mode needs a palettized weight", {},
          weight == nullptr ? "" : text_of(weight->name),
          "a look-up table with int8 entries, or integer codes");
  }
  const bool transposed = n.op.starts_with("conv_transpose");
  packed_palette p = weight->palette ? *weight->palette
                                     : palette_of_codes(*weight->affine, "weight",
                                                        transposed ? affine_scales::by_group
                                                                   : affine_scales::by_row);
  check(p, "weight");
  if (p.weight_shape.rank() != rank) {
    bad_shape("weight has the wrong rank", text_of(p.weight_shape), "rank " + text_of(rank));
  }
  return p;
}
// As that of a 2-D convolution: a kernel of one axis gets height 1, one of three lies slice by slice among the
// channels (ops/integer_volume.hpp).
inline packed_palette as_planes(packed_palette p) {
  const shape s = p.weight_shape;
  const shape b = p.block;
  if (s.rank() == 3) {
    p.weight_shape = {s[0], s[1], 1, s[2]};
    p.block = {b[0], b[1], 1, b[2]};
  } else if (s.rank() == 5) {
    const shape grid = p.groups().grid();
    if (grid[1] > 1 || grid[2] > 1) {
      raise(errc::unsupported, "the integer kernels take one table per row", {},
            "block " + text_of(b) + " of " + text_of(s), "groups along the output channels");
    }
    p.weight_shape = {s[0], s[1] * s[2], s[3], s[4]};
    p.block = {b[0], std::max<index_t>(s[1] * s[2], 1), b[3], b[4]};
  }
  return p;
}

// Of a layer with so many output channels; empty without.
inline std::span<const float> bias_of(const graph& g, const node& n, index_t rows) {
  if (n.operands.size() < 3) return {};
  const value& b = g.at(n.operands[2]);
  if (b.role != value_role::state) {
    raise(errc::unsupported, "integer mode needs a constant bias", {}, text_of(b.name));
  }
  if (b.data.rank() != 1 || b.data.size() != rows) {
    bad_shape("per-channel operand does not fit", text_of(b.data.extents()),
              "[" + text_of(rows) + "]");
  }
  return b.data.elements();
}

// Of activations with one scale, as quantize and dequantize nodes of integer layers have.
inline activation_scale scale_of(const qparams& q) { return {q.scale[0], q.zero_point[0]}; }

// What becomes of the sums of a layer.
inline requantize epilogue_of(const graph& g, const node& n, const lut_matrix& w, const qparams& in,
                              const qparams& out, const node* clamp) {
  requantize e = requantize_of(w, scale_of(in), scale_of(out), bias_of(g, n, w.rows()), "");
  const auto [lo, hi] = bounds(out, clamp != nullptr && is_clamp(*clamp) ? clamp : nullptr);
  e.lo = lo;
  e.hi = hi;
  return e;
}

// Of an activation that is no clamp: the same sums and biases, in real values.
inline std::optional<activated_sums> activation_of(const graph& g, const node& n,
                                                   const lut_matrix& w, const qparams& in,
                                                   const qparams& out, const node* activation) {
  if (activation == nullptr || is_clamp(*activation)) return std::nullopt;
  return activated_sums{dequantize_of(w, scale_of(in), bias_of(g, n, w.rows()), ""), *activation,
                        unit_of(out, 0)};
}

// Whether the sums of a row have no common scale.
inline bool has_groups_of_inputs(const packed_palette& p) {
  return p.weight_shape.rank() > 1 && p.groups().grid()[1] > 1;
}
// What becomes of the sums of such a weight.
inline grouped_finish grouped_finish_of(const graph& g, const node& n, index_t rows,
                                        const qparams& in, const qparams& out,
                                        const node* activation) {
  grouped_finish f{scale_of(in), {{}, out.scale[0], out.zero_point[0]}, {}};
  const std::span<const float> bias = bias_of(g, n, rows);
  f.output.real.bias.assign(bias.begin(), bias.end());
  const bool clamp = activation == nullptr || is_clamp(*activation);
  const auto [lo, hi] = bounds(out, clamp ? activation : nullptr);
  f.output.lo = lo;
  f.output.hi = hi;
  if (!clamp) f.activation = *activation;
  return f;
}

// Literals of a 3-D convolution: along its depth (as a width), and in a slice.
struct volume_windows {
  transposed_window depth, plane;  // their windows are those of an ordinary convolution
};
inline volume_windows volume_windows_of(const node& n) {
  const auto stride = three(n, "stride", 1, 1);
  const auto padding = three(n, "padding", 0, 0);
  const auto dilation = three(n, "dilation", 1, 1);
  const auto more = three(n, "output_padding", 0, 0);
  volume_windows w;
  w.depth.window = window2d::symmetric({1, stride[0]}, {0, padding[0]}, {1, dilation[0]});
  w.depth.output_padding = {0, more[0]};
  w.plane.window = window2d::symmetric({stride[1], stride[2]}, {padding[1], padding[2]},
                                       {dilation[1], dilation[2]});
  w.plane.output_padding = {more[1], more[2]};
  return w;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
