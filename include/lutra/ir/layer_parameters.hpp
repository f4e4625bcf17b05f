// lutra: layer_parameters.hpp - weights, biases and multipliers of an integer layer.
// SPDX-License-Identifier: Apache-2.0
//
//   bias        round(B) - z_x * row_sum with B = b / (s_x s_w) in f64, and rest = B - round(B) in f32
//   multiplier  s_x s_w / s_y in f64, rounded to f32
// So a code is that of exact arithmetic on the codes of input and weight, but where that lies within 2^-13 steps of
// a tie (runtime/epilogue.hpp). A B beyond what int32 leaves beside the sums is in rest with all that does not fit,
// and 2^-22 |B| units of the sums may be lost.
// What lower.hpp makes of the nodes of convolutions, linear layers and products. Pure functions; thread-safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <lutra/ir/step_parameters.hpp>
#include <lutra/palette/affine_palette.hpp>
#include <lutra/palette/pack.hpp>

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

// Infinite, zero or subnormal ones would turn sums into NaN or nothing.
inline float normal_multiplier(double ratio, std::string where = {}) {
  constexpr float least = std::numeric_limits<float>::min();
  constexpr float most = std::numeric_limits<float>::max();
  if (!(ratio >= static_cast<double>(least) && ratio <= static_cast<double>(most))) {
    raise(errc::unsupported, "the scales around a layer give no normal multiplier",
          std::move(where), text_of(ratio), range_text(least, most));
  }
  return static_cast<float>(ratio);
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

// What int32 leaves beside any sum of products, a whole number; 0 for the longest exact depths. A zero point times the
// weights always fits up to half of these.
inline double room_beside_products(const lut_matrix& w) {
  const auto deepest = static_cast<double>(w.max_depth<std::int8_t>());
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  return std::floor(most * std::max(1 - static_cast<double>(w.depth()) / deepest, 0.0));
}

// What becomes of the sums of a layer.
inline requantize epilogue_of(const graph& g, const node& n, const lut_matrix& w, const qparams& in,
                              const qparams& out, const node* clamp) {
  const std::span<const float> bias = bias_of(g, n, w.rows());
  requantize e;
  e.zero_point = out.zero_point[0];
  const auto [lo, hi] = bounds(out, clamp != nullptr && is_clamp(*clamp) ? clamp : nullptr);
  e.lo = lo;
  e.hi = hi;
  const double room = room_beside_products(w);
  for (index_t r = 0; r < w.rows(); ++r) {
    const std::string row = " in row " + text_of(r);
    const double unit = static_cast<double>(in.scale[0]) * static_cast<double>(w.row_scale(r));
    const double zero = -static_cast<double>(in.zero_point[0]) * static_cast<double>(w.row_sum(r));
    if (std::fabs(zero) > room) {
      raise(errc::unsupported, "zero point times weights does not fit int32 beside the products",
            {}, text_of(zero) + row, range_text(-room, room));
    }
    e.multiplier.push_back(
        normal_multiplier(unit / static_cast<double>(out.scale[0]), "row " + text_of(r)));
    double whole = 0;
    if (!bias.empty()) {
      const auto real = static_cast<double>(bias[to_size(r)]);
      const double b = real / unit;
      constexpr double largest = static_cast<double>(std::numeric_limits<float>::max());
      if (!(std::fabs(b) <= largest)) {
        raise(errc::unsupported, "bias is no finite float at this scale", {}, text_of(b) + row,
              range_text(-largest, largest));
      }
      const double most = room - std::fabs(zero);
      whole = std::clamp(std::nearbyint(b), -most, most);
      e.rest.push_back(static_cast<float>(std::fma(-whole, unit, real) / unit));
    }
    e.bias.push_back(static_cast<std::int32_t>(zero + whole));
  }
  return e;
}

// Of an activation that is no clamp: the same sums and biases, in real values.
inline std::optional<activated_sums> activation_of(const lut_matrix& w, const requantize& e,
                                                   const qparams& in, const qparams& out,
                                                   const node* activation) {
  if (activation == nullptr || is_clamp(*activation)) return std::nullopt;
  activated_sums a{{{}, e.bias, e.rest}, *activation, unit_of(out, 0)};
  for (index_t r = 0; r < w.rows(); ++r) {
    a.sums.multiplier.push_back(
        static_cast<float>(static_cast<double>(in.scale[0]) * static_cast<double>(w.row_scale(r))));
  }
  return a;
}

// Whether the sums of a row have no common scale.
inline bool has_groups_of_inputs(const packed_palette& p) {
  return p.weight_shape.rank() > 1 && p.groups().grid()[1] > 1;
}
// What becomes of the sums of such a weight.
inline grouped_finish grouped_finish_of(const graph& g, const node& n, index_t rows,
                                        const qparams& in, const qparams& out,
                                        const node* activation) {
  grouped_finish f{{in.scale[0], in.zero_point[0]}, {{}, out.scale[0], out.zero_point[0]}, {}};
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
