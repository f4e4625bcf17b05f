// lutra: gemm.hpp - palette matrix times 8-bit activations, exact int32, optional fused epilogue.
// SPDX-License-Identifier: Apache-2.0
//
//   out[m][r] = sum_k w[r][k] * x[m][k]           x [m, depth] int8 or uint8, out [m, rows]
// With an epilogue the sum goes through requantize (int8, uint8) or dequantize_rows (float) instead of
// being stored. m, rows or depth may be 0. Views may have any strides, but out must be aligned for its type and no
// element of it share memory with another one, x or the epilogue's vectors (tensor/overlap.hpp): invalid_argument.
// At the level amx_int8 int32 outputs whose rows begin at multiples of 64 bytes are made up to 1.4 times as fast.
// The level is the one the matrix was made for. An executor cuts the rows into panels (layout.hpp);
// results do not depend on it.
#pragma once

#include <lutra/runtime/gemm/finish.hpp>
#include <lutra/runtime/gemm/float_output.hpp>
#include <lutra/runtime/gemm/panel.hpp>
#include <lutra/runtime/product_call.hpp>

namespace lutra::inline LUTRA_ABI {

template <class X, class Out>
void check_gemm(const lut_matrix& w, const tensor_view<const X>& x, const tensor_view<Out>& out,
                std::string_view level, std::string_view where) {
  if (w.level() != level) {
    raise(errc::incompatible, "the matrix was made for another level", std::string(where),
          std::string(w.level()), std::string(level));
  }
  check_product(x, out, w.rows(), w.depth(), where);
  if (w.depth() > w.template max_depth<X>()) {
    raise(errc::unsupported, "depth beyond exact int32 sums", std::string(where),
          text_of(w.depth()), "<= " + text_of(w.template max_depth<X>()));
  }
}

// A vector as a matrix of one row.
template <class T> tensor_view<T> as_row(const tensor_view<T>& v) {
  const index_t strides[2] = {v.extent(0) * v.stride(0), v.stride(0)};
  return {v.data(), shape{1, v.extent(0)}, std::span<const index_t>(strides)};
}

// Columns go through in chunks that stay in the second-level cache, panels within a chunk, blocks of
// columns within a panel, so a panel is read from memory once per chunk. What is serial takes all panels in one go;
// several threads have as many shards as balance them.
template <class A, class E, class X, class Finish>
void run_gemm(const E& ex, const lut_matrix& w, const tensor_view<const X>& x,
              const Finish& finish) {
  constexpr index_t chunk_bytes = 256 * 1024, at_once = has_tiles(A{}) ? tiled_columns : 8;
  constexpr index_t width = panel_strips * simd::int_lanes<A>;
  const index_t columns = x.extent(0);
  if (columns == 0 || w.rows() == 0) return;
  activation_rows<A> rows(w.depth(), w.layout().step_depth(), w.product_bytes());
  const index_t fit = chunk_bytes / std::max<index_t>(rows.row_bytes(), 1);
  const index_t chunk = std::max(fit / at_once, index_t{1}) * at_once;
  for (index_t first = 0; first < columns; first += chunk) {
    const index_t count = std::min(chunk, columns - first);
    rows.prepare(x, first, count);
    const index_t panels = w.panels();
    const index_t shards = is_serial(ex)     ? 1
                           : rows.in_tiles() ? std::max(std::min<index_t>(panels, 32), panels / 4)
                                             : panels;
    ex.bulk(shards, [&](index_t s) {
      index_range some = shard(panels, shards, s);
      if (std::int32_t* to = finish.in_place(some.begin, first); to != nullptr) {
        const index_t whole = std::min(some.end, w.rows() / width);
        multiply_panels<A>(w, {some.begin, whole}, rows, 0, count, {to, finish.out_stride(), true},
                           nothing_to_do);
        some.begin = whole;
      }
      alignas(64) std::int32_t sums[to_size(block_columns<A> * width)];
      multiply_panels<A>(w, some, rows, 0, count, {sums, width, false},
                         [&](index_t panel, index_t at, index_t block) {
                           for (index_t c = 0; c < block; ++c) {
                             finish(panel, first + at + c, rows.sum(at + c), sums + c * width);
                           }
                         });
    });
  }
}

struct sum_product {
  template <class A, class E, class X, sum_epilogue Epilogue, class Out>
  static void run(std::string_view where, const E& ex, const lut_matrix& w,
                  const tensor_view<const X>& x, const tensor_view<Out>& out,
                  const Epilogue& epilogue) {
    static_assert(std::is_same_v<X, std::int8_t> || std::is_same_v<X, std::uint8_t>,
                  "activations are int8 or uint8");
    check_gemm(w, x, out, A::name, where);
    check_epilogue(epilogue, w.rows(), out, where);
    run_gemm<A>(ex, w, x, row_finisher<A, Epilogue, Out>(w, epilogue, out, std::is_unsigned_v<X>));
  }
};

// The same product of a vector.
template <class Product> struct vector_product {
  template <class A, class E, class W, class X, class Out, class... Rest>
  static void run(std::string_view where, const E& ex, const W& w, const tensor_view<const X>& x,
                  const tensor_view<Out>& out, const Rest&... rest) {
    check_vectors(w, x, out, where);
    Product::template run<A>(where, ex, w, as_row(x), as_row(out), rest...);
  }
};

// gemm([ex,] w, x, [epilogue,] out [, level]), as product_call.hpp says. out is int8 or uint8 with requantize, float
// with dequantize_rows, and without an epilogue int32, the exact sums.
inline constexpr product_call<sum_product, keep_sums> gemm{"gemm"};
// One vector: x [depth], out [rows].
inline constexpr product_call<vector_product<sum_product>, keep_sums> gemv{"gemv"};

}  // namespace lutra::inline LUTRA_ABI
