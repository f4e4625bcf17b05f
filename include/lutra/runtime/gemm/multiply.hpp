// lutra: multiply.hpp - the inner loop of the palette GEMM, one source for every level.
// SPDX-License-Identifier: Apache-2.0
//
//   out[c][s * lanes + r] = start[c] + sum over k of w[strip s, row r][k] * x[c][k]     (mod 2^32)
// Weights lie as layout.hpp says and carry weight_bias(A), which start makes up for.
#pragma once

#include <lutra/runtime/gemm/depth_walk.hpp>
#include <lutra/runtime/layout.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/unroll.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t prefetch_distance = 1536;  // bytes; 1 to 2 KiB are as good

// Operands of one call. Strips lie one vector group apart, steps step_bytes apart.
struct multiply_operands {
  const std::uint8_t* weights = nullptr;
  index_t step_bytes = 0;
  const std::uint8_t* tables = nullptr;  // one vector, or one per strip (table_per_strip)
  const std::int8_t* x = nullptr;  // Columns rows of the steps' depth, as store_activations writes
  index_t x_stride = 0;
  const std::int32_t* start = nullptr;  // [Columns]
  index_t steps = 0;
  index_t places = 1;           // of the depth, in turn (depth_walk)
  std::int32_t* out = nullptr;  // [Columns][out_stride]
  index_t out_stride = 0;
  // For parts of the depth (decoded.hpp) only.
  bool add_to_out = false;       // products are added to out instead of to start
  std::uint8_t* kept = nullptr;  // kept_codes: where decoded weights go, in steps of a whole panel
};

// Whether the codes of a step are loaded once for all groups: where a shift could read them from memory a second time,
// it would, and Intel's server cores then run matrix times vector 7 % slower.
template <class A, class Codes>
inline constexpr bool holds_codes = simd::vector_size<A> == 64 && Codes::layout.vectors == 1;

// The codes of a step that starts at w; nothing where they are not held.
template <class A, class Codes, int Strips>
[[gnu::always_inline]] inline void hold_codes(const std::uint8_t* w, simd::bytes_of<A>* held) {
  if constexpr (holds_codes<A, Codes>) {
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      held[s] = in_register(load_bytes(w + s * simd::vector_size<A>, A{}), A{});
    });
  }
}

// Adds the products of group G of a step to sum[column][strip]. Where registers are few, what there is less of, strips
// or columns, stays in them and the other comes one at a time; where they are not, all look-ups first are 5 % faster.
template <int G, class A, class Codes, class Weight, int Strips, int Columns, class Held,
          class Tables, class Sums>
[[gnu::always_inline]] inline void add_group(const std::uint8_t* w, const Held& held,
                                             const Tables& tables, const std::int8_t* x,
                                             index_t x_stride, Sums& sum,
                                             std::uint8_t* kept = nullptr) {
  const auto row = [&](auto s) __attribute__((always_inline)) {
    constexpr int t = Codes::table_per_strip ? s : 0;
    if constexpr (holds_codes<A, Codes>) {
      return simd::weights(Codes::template read<G, A>(held[s], tables[t]), Weight{}, A{});
    } else {
      const std::uint8_t* at = w + s * Codes::layout.vectors * simd::vector_size<A>;
      return simd::weights(Codes::template read<G, A>(at, tables[t]), Weight{}, A{});
    }
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
    decltype(column(zero)) columns[to_size(Columns)];
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) { columns[c] = column(c); });
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      const auto weights = row(s);
      simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
        add_dot(c, s, weights, columns[c]);
      });
    });
  } else {
    decltype(row(zero)) rows[to_size(Strips)];
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      rows[s] = row(s);
      if constexpr (keeps_weights<Codes>) {
        constexpr index_t vector = (G / 2 * panel_strips + s) * 2 + G % 2;
        store_bytes(kept + vector * simd::vector_size<A>, rows[s], A{});
      }
    });
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
      const auto four = column(c);
      simd::unroll<Strips>([&](auto s)
                               __attribute__((always_inline)) { add_dot(c, s, rows[s], four); });
    });
  }
}

// multiply_strips for levels that multiply two rows by two columns, eight positions at once.
template <class A, class Codes, class Weight, int Strips, int Columns>
[[gnu::always_inline]] inline void multiply_pairs(const multiply_operands& o) {
  static_assert(Columns % 2 == 0 && Codes::layout.groups % 2 == 0);
  constexpr auto strips = to_size(Strips);
  constexpr int pairs = Columns / 2;
  constexpr index_t size = simd::vector_size<A>;
  // The last axis: rows 0 and 1, rows 2 and 3 of the strip.
  simd::ints_of<A> sum[to_size(pairs)][strips][2];
  simd::unroll<pairs>([&](auto p) __attribute__((always_inline)) {
    const auto start = splat_pair(o.start + 2 * p, A{});
    simd::unroll<2 * Strips>([&](auto i)
                                 __attribute__((always_inline)) { sum[p][i / 2][i % 2] = start; });
  });
  constexpr int tables_count = Codes::table_per_strip ? Strips : 1;
  typename Codes::template tables<A> tables[to_size(tables_count)];
  simd::unroll<tables_count>([&](auto s) __attribute__((always_inline)) {
    tables[s] = Codes::template load_tables<A>(o.tables + s * size);
  });
  const std::uint8_t* w = o.weights;
  const std::int8_t* x = o.x;
  for (index_t step = 0; step < o.steps; ++step) {
    simd::unroll<Codes::layout.groups / 2>([&](auto two) __attribute__((always_inline)) {
      constexpr int g = 2 * decltype(two)::value;
      simd::bytes_of<A> columns[to_size(pairs)];
      simd::unroll<pairs>([&](auto p) __attribute__((always_inline)) {
        const std::int8_t* first = x + 4 * g + 2 * p * o.x_stride;
        columns[p] = column_pair(first, first + o.x_stride, A{});
      });
      simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
        const std::uint8_t* at = w + s * Codes::layout.vectors * size;
        constexpr int t = Codes::table_per_strip ? s : 0;
        const auto first = Codes::template read<g, A>(at, tables[t]);
        const auto last = Codes::template read<g + 1, A>(at, tables[t]);
        simd::unroll<2>([&](auto half) __attribute__((always_inline)) {
          const auto rows = row_pair<half>(first, last, A{});
          simd::unroll<pairs>([&](auto p) __attribute__((always_inline)) {
            sum[p][s][half] = pair_dot(sum[p][s][half], rows, columns[p], A{});
          });
        });
      });
    });
    w += o.step_bytes;
    x += 4 * Codes::layout.groups;
  }
  simd::unroll<Columns>([&](auto column) __attribute__((always_inline)) {
    constexpr int c = decltype(column)::value;
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      const auto& rows = sum[c / 2][s];
      store_ints(o.out + c * o.out_stride + s * simd::int_lanes<A>,
                 column_sums<c % 2>(rows[0], rows[1], A{}), A{});
    });
  });
}

// multiply_strips for all others: each vector of weights by one column at a time.
template <class A, class Codes, class Weight, int Strips, int Columns>
[[gnu::always_inline]] inline void multiply_dots(const multiply_operands& o) {
  constexpr bool per_strip = Codes::table_per_strip;
  constexpr index_t size = simd::vector_size<A>;
  constexpr int groups = Codes::layout.groups;
  constexpr index_t group_bytes = 4 * simd::activation_bytes<A>;
  // Few accumulators would wait for each other: then every other group gets sums of its own.
  constexpr int chains = has_adding_dot(A{}) && Strips * Columns < 8 ? 2 : 1;
  constexpr auto strips = to_size(Strips);
  decltype(as_sum(splat_ints(0, A{}), A{})) sum[to_size(chains)][to_size(Columns)][strips];
  const auto each_sum = [&](auto&& f) __attribute__((always_inline)) {
    simd::unroll<Columns>([&](auto c) __attribute__((always_inline)) {
      simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) { f(c, s); });
    });
  };
  each_sum([&](auto c, auto s) __attribute__((always_inline)) {
    sum[0][c][s] = as_sum(splat_ints(o.start[c], A{}), A{});
    if constexpr (chains == 2) sum[1][c][s] = as_sum(splat_ints(0, A{}), A{});
  });
  constexpr bool near = std::is_same_v<Codes, decoded_part>,
                 in_parts = near || keeps_weights<Codes>;
  if (in_parts && o.add_to_out) {
    each_sum([&](auto c, auto s) __attribute__((always_inline)) {
      sum[0][c][s] = as_sum(load_ints(o.out + c * o.out_stride + s * simd::int_lanes<A>, A{}), A{});
    });
  }
  typename Codes::template tables<A> tables[per_strip ? strips : 1];
  simd::unroll<per_strip ? Strips : 1>([&](auto s) __attribute__((always_inline)) {
    tables[s] = Codes::template load_tables<A>(o.tables + s * size);
  });
  const std::uint8_t* w = o.weights;
  const std::int8_t* x = o.x;
  std::uint8_t* kept = o.kept;
  // Stored weights might be o, for all the compiler knows: nothing in the loop is read from it.
  const index_t step_bytes = o.step_bytes, x_stride = o.x_stride;
  depth_walk walk(o.steps, in_parts ? 1 : o.places);
  for (index_t run = 0; (run = walk.run()) > 0;) {
    for (index_t step = 0; step < run; ++step) {
      // Weights are read faster than they come from the second-level cache unasked; with many columns, than from beyond
      // it (4096 x 4096 times 4 to 64: 4 to 13 % faster on an Intel server core; times 4 within the cache 2 % slower).
      if constexpr (size >= 32 && !near) {
        constexpr index_t line = 64;
        constexpr auto lines =
            static_cast<int>((Strips * Codes::layout.vectors * size + line - 1) / line);
        simd::unroll<lines>([&](auto v) __attribute__((always_inline)) {
          simd::prefetch(w, prefetch_distance + v * line);
        });
      }
      simd::bytes_of<A> held[strips];
      hold_codes<A, Codes, Strips>(w, held);
      simd::unroll<groups>([&](auto g) __attribute__((always_inline)) {
        add_group<g, A, Codes, Weight, Strips, Columns>(w, held, tables, x + g * group_bytes,
                                                        x_stride, sum[g % chains], kept);
      });
      if constexpr (keeps_weights<Codes>) kept += groups * panel_strips * size;
      w += step_bytes;
      x += groups * group_bytes;
    }
    const index_t skipped = walk.skip(run);
    w += skipped * step_bytes;
    x += skipped * groups * group_bytes;
  }
  std::int32_t* const out = o.out;
  const index_t out_stride = o.out_stride;
  each_sum([&](auto c, auto s) __attribute__((always_inline)) {
    auto total = as_ints(sum[0][c][s], A{});
    if constexpr (chains == 2) total = add(total, as_ints(sum[1][c][s], A{}), A{});
    store_ints(out + c * out_stride + s * simd::int_lanes<A>, total, A{});
  });
}

template <class A, class Codes, class Weight, int Strips, int Columns>
void multiply_strips(const multiply_operands& o) {
  if constexpr (has_pair_dot(A{}) && Columns % 2 == 0) {
    return multiply_pairs<A, Codes, Weight, Strips, Columns>(o);
  } else {
    multiply_dots<A, Codes, Weight, Strips, Columns>(o);
  }
}

}  // namespace lutra::inline LUTRA_ABI
