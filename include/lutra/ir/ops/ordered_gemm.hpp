// lutra: ordered_gemm.hpp - float matrix product whose every sum has one fixed order.
// SPDX-License-Identifier: Apache-2.0
//
//   out[i][j] = (((0 + a[i][0] b[0][j]) + a[i][1] b[1][j]) + ...) + bias
// Multiplications and additions are rounded separately, p ascending, the bias last: bit-identical on
// every level, compiler and thread count, and equal to the three plain loops. Lanes run over j.
// O(m n k); no memory of its own. Thread-safe.
#pragma once

#include <algorithm>
#include <lutra/core/strict_fp.hpp>
#include <lutra/simd/floats.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI::ir {

// Rows of b are readable (any finite values) up to a multiple of this many floats.
inline constexpr index_t gemm_padding = 32;
constexpr index_t padded_columns(index_t n) {
  return (n + gemm_padding - 1) / gemm_padding * gemm_padding;
}

struct gemm_problem {
  index_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // [m, k], rows a_stride apart
  index_t a_stride = 0;
  const float* b = nullptr;  // [k, n], rows b_stride >= padded_columns(n) apart
  index_t b_stride = 0;
  float* out = nullptr;  // [m, n], rows out_stride apart
  index_t out_stride = 0;
  const float* row_bias = nullptr;     // [m], or
  const float* column_bias = nullptr;  // [padded_columns(n)]; at most one of them
};

// A tile of Rows x (Vectors * lanes) outputs with its corner at (i, j).
template <class Level, index_t Rows, index_t Vectors>
void gemm_tile(const gemm_problem& g, index_t i, index_t j) {
  using vector = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes_of<vector>::value;
  constexpr index_t width = lanes * Vectors;
  vector sum[std::size_t{Rows}][std::size_t{Vectors}];
  for (auto& row : sum) {
    for (vector& v : row) v = vector(0.0F);
  }
  const float* a = g.a + i * g.a_stride;
  const float* b = g.k > 0 ? g.b + j : nullptr;  // an empty matrix may have no address
  for (index_t p = 0; p < g.k; ++p, b += g.b_stride) {
    vector column[std::size_t{Vectors}];
    for (index_t v = 0; v < Vectors; ++v) column[v] = simd::load<vector>(b + v * lanes);
    for (index_t r = 0; r < Rows; ++r) {
      const vector weight(a[r * g.a_stride + p]);
      for (index_t v = 0; v < Vectors; ++v) sum[r][v] = sum[r][v] + weight * column[v];
    }
  }
  for (index_t r = 0; r < Rows; ++r) {
    float tail[std::size_t{width}];
    float* out = g.out + (i + r) * g.out_stride + j;
    const bool whole = j + width <= g.n;
    for (index_t v = 0; v < Vectors; ++v) {
      vector y = sum[r][v];
      if (g.row_bias != nullptr) y = y + vector(g.row_bias[i + r]);
      if (g.column_bias != nullptr) y = y + simd::load<vector>(g.column_bias + j + v * lanes);
      simd::store((whole ? out : tail) + v * lanes, y);
    }
    if (!whole) std::copy(tail, tail + (g.n - j), out);
  }
}

template <class Level, index_t Vectors> void gemm_columns(const gemm_problem& g, index_t j) {
  index_t i = 0;
  for (; i + 4 <= g.m; i += 4) gemm_tile<Level, 4, Vectors>(g, i, j);
  for (; i < g.m; ++i) gemm_tile<Level, 1, Vectors>(g, i, j);
}

template <class Level = simd::native> void ordered_gemm(const gemm_problem& g) {
  constexpr index_t lanes = simd::lanes_of<simd::floats<Level>>::value;
  // Eight sums per row hide the latency of an addition where a register is one float.
  constexpr index_t vectors = lanes == 1 ? 8 : 2;
  constexpr index_t width = vectors * lanes;
  static_assert(gemm_padding % width == 0);
  // Columns outside: the panel of b stays in the first-level cache for all rows.
  index_t j = 0;
  for (; j + width / 2 < g.n; j += width) gemm_columns<Level, vectors>(g, j);
  if (j < g.n) gemm_columns<Level, vectors / 2>(g, j);
}

}  // namespace lutra::inline LUTRA_ABI::ir

LUTRA_STRICT_FP_END
