// lutra: decoded.hpp - a panel times many columns where look-ups take time from products: decoded once for all of them.
// SPDX-License-Identifier: Apache-2.0
//
// The first columns are multiplied as the codes are looked up, and the weights are kept; all others find them decoded.
// A part of the depth at a time, 32 KiB of weights, so that they stay in the first-level cache; sums wait in out.
#pragma once

#include <lutra/runtime/gemm/multiply.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t decoded_depth = 512;  // of a part; a multiple of every layout's step
// With more columns than that it pays (4096 x 4096 times 24: 5 % faster, but 1024 x 1024 times 24 up to 9 % slower).
inline constexpr index_t few_columns = 24;

// Most columns by half a panel of codes: more would spill.
template <class Codes> inline constexpr int half_columns = Codes::layout.vectors == 1 ? 12 : 8;
static_assert(few_columns >= 12 + 11);

// A whole panel of decoded weights by 12 columns or more, of which some widths leave none to fewer than three, whose
// sums would wait for each other. o.weights is the part, o.steps its steps.
template <class A, class Weight>
[[gnu::always_inline]] inline void multiply_decoded(multiply_operands o, index_t columns) {
  const auto take = [&](auto width) __attribute__((always_inline)) {
    constexpr int n = width;
    multiply_strips<A, decoded_part, Weight, int{panel_strips}, n>(o);
    o.x += n * o.x_stride;
    o.start += n;
    o.out += n * o.out_stride;
    columns -= n;
  };
  using std::integral_constant;
  while (columns == 6 || columns == 9 || columns == 10 || columns > 11) {
    take(integral_constant<int, 6>{});
  }
  while (columns >= 4) take(integral_constant<int, 4>{});
  if (columns > 0) take(integral_constant<int, 3>{});
}

// A whole panel of codes by more than few_columns, one step or more. Not inlined: others need not so large a frame.
template <class A, class Codes, class Weight>
[[gnu::noinline]] void multiply_in_parts(const multiply_operands& o, index_t columns) {
  constexpr index_t size = simd::vector_size<A>, depth = Codes::layout.step_depth();
  constexpr int half = int{panel_strips} / 2, first_columns = half_columns<Codes>;
  constexpr index_t part_steps = decoded_depth / depth;
  alignas(64)
      std::uint8_t decoded[to_size(part_steps * Codes::layout.groups * panel_strips * size)];
  for (index_t at = 0; at < o.steps; at += part_steps) {
    multiply_operands part = o;
    part.weights += at * o.step_bytes;
    part.x += at * depth * simd::activation_bytes<A>;
    part.steps = std::min(part_steps, o.steps - at);
    part.add_to_out = at > 0;
    for (index_t s = 0; s < panel_strips; s += half) {
      multiply_operands first = part;
      first.weights += s * Codes::layout.vectors * size;
      first.tables += Codes::table_per_strip ? s * size : 0;
      first.out += s * simd::int_lanes<A>;
      first.kept = decoded + 2 * s * size;
      multiply_strips<A, kept_codes<Codes>, Weight, half, first_columns>(first);
    }
    part.weights = decoded;
    part.step_bytes = 2 * panel_strips * size;
    part.steps *= Codes::layout.groups / 2;
    part.x += first_columns * o.x_stride;
    part.start += first_columns;
    part.out += first_columns * o.out_stride;
    multiply_decoded<A, Weight>(part, columns - first_columns);
  }
}

}  // namespace lutra::inline LUTRA_ABI
