// lutra: integer_table.hpp - embeddings and batch norms of integer mode: look-ups instead of arithmetic.
// SPDX-License-Identifier: Apache-2.0
//
//   embedding   rows of a packed palette: each element is the table's value (times its row's scale), encoded.
//               Indices come from the program's input, which then holds whole numbers
//   batch norm  of codes: one table of 256 codes per channel, made by the float operation (and the activation
//               behind it)
// Both equal the float simulation in every code, on every instruction set. Thread-safe: pure functions.
#pragma once

#include <lutra/ir/ops/integer.hpp>
#include <lutra/palette/pack.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

struct integer_embedding {
  packed_palette weight;      // [rows, width], checked, without outliers
  std::vector<float> values;  // table_values() of it
  unit_params out;
};
struct integer_channel_map {
  std::vector<std::array<std::int8_t, 256>> tables;  // by channel, which is axis 1; by code + 128
};

// Code `at` of a bit stream.
inline std::size_t code_at(const packed_palette& p, index_t at) {
  const index_t bit = at * p.n_bits;
  const auto byte = to_size(bit / 8);
  unsigned window = p.codes[byte];
  if (byte + 1 < p.codes.size()) window |= static_cast<unsigned>(p.codes[byte + 1]) << 8;
  return (window >> static_cast<unsigned>(bit % 8)) & ((1U << static_cast<unsigned>(p.n_bits)) - 1);
}

inline integer_value look_up(const integer_embedding& op, const float_view& indices) {
  const packed_palette& p = op.weight;
  const index_t width = p.weight_shape[1];
  integer_value out(embedded_shape(indices.extents(), width));
  const index_t across = p.groups().grid()[1];
  for (index_t i = 0; i < indices.size(); ++i) {
    const index_t row = row_of(indices, i, p.weight_shape[0]);
    const index_t group = row / p.block[0] * across;
    for (index_t k = 0; k < width; ++k) {
      const auto entry = to_size((group + k / p.block[1]) << p.n_bits);
      float x = op.values[entry + code_at(p, row * width + k)];
      if (!p.row_scale.empty()) x *= p.row_scale[to_size(row)];
      out[i * width + k] = static_cast<std::int8_t>(encode_one(x, op.out));
    }
  }
  return out;
}

inline integer_value execute(const integer_channel_map& op, integer_operands in,
                             executor_ref = serial_executor{}) {
  const integer_value& x = *in[0];
  const auto channels = static_cast<index_t>(op.tables.size());
  if (x.rank() < 2 || x.extent(1) != channels) {
    raise(errc::shape_mismatch, "input has other channels", {}, text_of(x.extents()),
          text_of(channels) + " on axis 1");
  }
  const index_t inner = x.extents().product(2, x.rank());
  integer_value out(x.extents());
  for (index_t i = 0; i < x.size(); ++i) {
    const auto& table = op.tables[to_size(i / inner % channels)];
    out[i] = table[to_size(x[i] + 128)];
  }
  return out;
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
