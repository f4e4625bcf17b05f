// lutra: panel.hpp - one panel of a lut_matrix times a block of activation rows.
// SPDX-License-Identifier: Apache-2.0
//
// Chooses the instance of multiply.hpp: how the weights are stored, what is promised about them, and
// as many strips and columns at once as the registers hold. All down to multiply_strips is inlined: operands handed on
// by value are copied in wider pieces than they were just written in, which waits until those are in the cache, and no
// panel begins before the one ahead is done (a tenth of the time of 1024 x 1024 times one vector on an Intel core).
#pragma once

#include <lutra/runtime/gemm/activations.hpp>
#include <lutra/runtime/gemm/multiply.hpp>
#include <lutra/runtime/lut_matrix.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t block_columns = 24;  // most columns of one call

// Strips strips starting at operand o, columns [0, columns). The widths are those whose sums, weights
// and activations fit the registers: 4 x 4 of 32 (4 x 6 without look-ups), 4 x 2 of 16; a lone strip takes eight.
template <class A, class Codes, class Weight, int Strips>
[[gnu::always_inline]] inline void multiply_columns(multiply_operands o, index_t columns) {
  constexpr bool many = vector_registers(A{}) >= 32;
  const auto take = [&](auto width) {
    constexpr int n = width;
    for (; columns >= n; columns -= n) {
      multiply_strips<A, Codes, Weight, Strips, n>(o);
      o.x += n * o.x_stride;
      o.start += n;
      o.out += n * o.out_stride;
    }
  };
  using std::integral_constant;
  if constexpr (Strips == 1) take(integral_constant<int, 8>{});
  if constexpr (Strips > 1 && lookups_delay_dots(A{}) && std::is_same_v<Codes, decoded_weights>) {
    take(integral_constant<int, 6>{});
  }
  if constexpr (Strips == 1 || many) take(integral_constant<int, 4>{});
  if constexpr (Strips > 1 && many) take(integral_constant<int, 3>{});
  take(integral_constant<int, 2>{});
  take(integral_constant<int, 1>{});
}

// A whole panel where look-ups take time from products: half of the strips at a time by twelve or eight columns, which
// share a look-up. Returns how many columns are done.
template <class A, class Codes, class Weight>
[[gnu::always_inline]] inline index_t multiply_halves(const multiply_operands& o, index_t columns) {
  constexpr index_t half = panel_strips / 2;
  index_t done = 0;
  const auto take = [&](auto width) {
    for (; columns - done >= width; done += width) {
      for (index_t s = 0; s < panel_strips; s += half) {
        multiply_operands part = o;
        part.weights += s * Codes::layout.vectors * simd::vector_size<A>;
        part.tables += Codes::table_per_strip ? s * simd::vector_size<A> : 0;
        part.x += done * o.x_stride;
        part.start += done;
        part.out += done * o.out_stride + s * simd::int_lanes<A>;
        multiply_strips<A, Codes, Weight, half, width()>(part);
      }
    }
  };
  if constexpr (Codes::layout.vectors == 1)
    take(std::integral_constant<int, 12>{});  // others spill
  take(std::integral_constant<int, 8>{});
  return done;
}

template <class A, class Codes, class Weight>
[[gnu::always_inline]] inline void multiply_panel_as(const lut_matrix& w, index_t panel,
                                                     multiply_operands o, index_t columns) {
  o.step_bytes = w.step_bytes(panel);
  o.steps = w.steps();
  const index_t first = panel * panel_strips;
  const index_t count = w.strips_of(panel);
  const auto at = [&](index_t strip) {
    multiply_operands part = o;
    part.weights = w.weights(strip);
    part.tables = w.table(strip);
    part.out += (strip - first) * simd::int_lanes<A>;
    return part;
  };
  if (count == panel_strips) {
    if constexpr (lookups_delay_dots(A{}) && !std::is_same_v<Codes, decoded_weights>) {
      const index_t done = multiply_halves<A, Codes, Weight>(at(first), columns);
      o.x += done * o.x_stride;
      o.start += done;
      o.out += done * o.out_stride;
      columns -= done;
    }
    multiply_columns<A, Codes, Weight, panel_strips>(at(first), columns);
  } else {
    for (index_t s = first; s < first + count; ++s) {
      multiply_columns<A, Codes, Weight, 1>(at(s), columns);
    }
  }
}

// out [columns][panel_strips * lanes]: products with the rows `first`.. of x, out_stride apart.
template <class A>
void multiply_panel(const lut_matrix& w, index_t panel, const activation_rows<A>& x, index_t first,
                    index_t columns, std::int32_t* out,
                    index_t out_stride = panel_strips * simd::int_lanes<A>) {
  multiply_operands o;
  o.x = x.row(first);
  o.x_stride = x.stride();
  o.out = out;
  o.out_stride = out_stride;
  o.start = x.start(first);
  with_codes_of<A>(w, [&](auto codes) {
    using Codes = decltype(codes);
    if constexpr (has_small_weight_dot(A{})) {
      if (w.small_weights()) {
        multiply_panel_as<A, Codes, simd::small_weight>(w, panel, o, columns);
        return;
      }
    }
    multiply_panel_as<A, Codes, simd::any_weight>(w, panel, o, columns);
  });
}

}  // namespace lutra::inline LUTRA_ABI
