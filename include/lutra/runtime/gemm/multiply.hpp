// lutra: multiply.hpp - the inner loop of the palette GEMM, one source for every level.
// SPDX-License-Identifier: Apache-2.0
//
//   out[c][s * lanes + r] = start[c] + sum over k of w[strip s, row r][k] * x[c][k]     (mod 2^32)
// Weights lie as layout.hpp says and carry weight_bias(A), which start makes up for.
#pragma once

#include <lutra/runtime/layout.hpp>
#include <lutra/simd/unroll.hpp>

namespace lutra::inline LUTRA_ABI {

// Operands of one call. Strips lie one vector group apart, steps step_bytes apart.
struct multiply_operands {
  const std::uint8_t* weights = nullptr;
  index_t step_bytes = 0;
  const std::uint8_t* tables = nullptr;  // one vector, or one per strip (table_per_strip)
  const std::int8_t* x = nullptr;        // Columns rows of the steps' depth
  index_t x_stride = 0;
  const std::int32_t* start = nullptr;  // [Columns]
  index_t steps = 0;
  std::int32_t* out = nullptr;  // [Columns][out_stride]
  index_t out_stride = 0;
};

// Adds the products of group G of a step to sum[column][strip]. Where registers are few, what there is less of, strips
// or columns, stays in them and the other comes one at a time; where they are not, all look-ups first are 5 % faster.
template <int G, class A, class Codes, class Weight, int Strips, int Columns, class Tables,
          class Sums>
[[gnu::always_inline]] inline void add_group(const std::uint8_t* w, const Tables& tables,
                                             const std::int8_t* x, index_t x_stride, Sums& sum) {
  const auto row = [&](auto s) __attribute__((always_inline)) {
    constexpr int t = Codes::table_per_strip ? s : 0;
    const std::uint8_t* at = w + s * Codes::layout.vectors * simd::vector_size<A>;
    return simd::weights(Codes::template read<G, A>(at, tables[t]), Weight{}, A{});
  };
  const auto column = [&](auto c) __attribute__((always_inline)) {
    return activations(x + c * x_stride, Weight{}, A{});
  };
  const auto add_dot = [&](auto c, auto s, const auto& weights, const auto& four)
      __attribute__((always_inline)) {
    sum[c][s] = as_sum(dot(as_ints(sum[c][s], A{}), weights, four, Weight{}, A{}), A{});
  };
  constexpr auto zero = std::integral_constant<int, 0>{};
  if constexpr (Columns < Strips && vector_registers(A{}) < 32) {
    decltype(column(zero)) columns[static_cast<std::size_t>(Columns)];
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) { columns[c] = column(c); });
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      const auto weights = row(s);
      simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
        add_dot(c, s, weights, columns[c]);
      });
    });
  } else {
    decltype(row(zero)) rows[static_cast<std::size_t>(Strips)];
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) { rows[s] = row(s); });
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
      const auto four = column(c);
      simd::unroll<Strips>([&](auto s)
                               __attribute__((always_inline)) { add_dot(c, s, rows[s], four); });
    });
  }
}

template <class A, class Codes, class Weight, int Strips, int Columns>
void multiply_strips(const multiply_operands& o) {
  constexpr bool per_strip = Codes::table_per_strip;
  constexpr index_t size = simd::vector_size<A>;
  constexpr int groups = Codes::layout.groups;
  // Few accumulators would wait for each other: then every other group gets sums of its own.
  constexpr int chains = has_adding_dot(A{}) && Strips * Columns < 8 ? 2 : 1;
  constexpr auto strips = static_cast<std::size_t>(Strips);
  decltype(as_sum(
      splat_ints(0, A{}),
      A{})) sum[static_cast<std::size_t>(chains)][static_cast<std::size_t>(Columns)][strips];
  const auto each_sum = [&](auto&& f) __attribute__((always_inline)) {
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
      simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) { f(c, s); });
    });
  };
  each_sum([&](auto c, auto s) __attribute__((always_inline)) {
    sum[0][c][s] = as_sum(splat_ints(o.start[c], A{}), A{});
    if constexpr (chains == 2) sum[1][c][s] = as_sum(splat_ints(0, A{}), A{});
  });
  typename Codes::template tables<A> tables[per_strip ? strips : 1];
  simd::unroll<per_strip ? Strips : 1>([&](auto s) __attribute__((always_inline)) {
    tables[s] = Codes::template load_tables<A>(o.tables + s * size);
  });
  const std::uint8_t* w = o.weights;
  const std::int8_t* x = o.x;
  for (index_t step = 0; step < o.steps; ++step) {
    simd::unroll<groups>([&](auto g) __attribute__((always_inline)) {
      add_group<g, A, Codes, Weight, Strips, Columns>(w, tables, x + 4 * g, o.x_stride,
                                                      sum[g % chains]);
    });
    w += o.step_bytes;
    x += 4 * groups;
  }
  each_sum([&](auto c, auto s) __attribute__((always_inline)) {
    auto total = as_ints(sum[0][c][s], A{});
    if constexpr (chains == 2) total = add(total, as_ints(sum[1][c][s], A{}), A{});
    store_ints(o.out + c * o.out_stride + s * simd::int_lanes<A>, total, A{});
  });
}

}  // namespace lutra::inline LUTRA_ABI
