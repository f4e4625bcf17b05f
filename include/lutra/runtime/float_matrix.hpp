// lutra: float_matrix.hpp - weight-only products with any palette: float tables, or tables turned into floats.
// SPDX-License-Identifier: Apache-2.0
//
//   out[m][r] = min(max((sum_k table[code[r][k]] * x[m][k]) * row_scale[r] + bias[r], lo), hi)
// with the float entries of restore.hpp. Codes stay packed (1..8 bits) and are decoded some thousand at a
// time into the first-level cache. For int8 tables gemm_float of a lut_matrix (float_gemm.hpp) is several times as
// fast. Products of the positions k with the same k mod 64 add up in order of k, then the 64 sums pairwise, every
// operation rounded to float on its own: the same bits at every level and for every executor (runtime/reference.hpp).
// From the exact value differs at most (depth / 64 + 9) * 2^-24 * sum_k |w[r][k] * x[m][k]| plus 2^-24 times the output
// for the bias, but for overflow and subnormal numbers. NaN and infinity propagate as float arithmetic has it. Views
// may have any strides; x and out must be aligned, and out not overlap x, the bias or itself. As in float_gemm.hpp:
//   gemm_float([ex,] w, x, [output,] out [, level])       with a float_output alone, likewise gemv_float
#pragma once

#include <array>
#include <lutra/palette/restore.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Immutable once made; concurrent reads are safe. The same for every level.
class float_lut_matrix {
 public:
  index_t rows() const noexcept { return palette_.weight_shape[0]; }
  index_t depth() const noexcept {
    return palette_.weight_shape.product(1, palette_.weight_shape.rank());
  }
  int n_bits() const noexcept { return palette_.n_bits; }
  const packed_palette& palette() const noexcept { return palette_; }
  // Bytes of codes, tables and scales in memory.
  index_t bytes() const noexcept {
    return static_cast<index_t>(palette_.codes.size() +
                                4 * (tables_.size() + palette_.row_scale.size()));
  }
  // Consecutive positions that share a table.
  index_t group_depth() const noexcept { return group_depth_; }
  const float* table(index_t row, index_t k) const noexcept {
    const index_t group = row / palette_.block[0] * groups_per_row_ + k / group_depth_;
    return tables_.data() + (group << palette_.n_bits);
  }

 private:
  friend float_lut_matrix make_float_lut_matrix(const packed_palette& p);
  packed_palette palette_;
  std::vector<float> tables_;
  index_t group_depth_ = 1;
  index_t groups_per_row_ = 1;
};

// Raises corrupt_data as check() does, unsupported for outliers and for groups on other axes than 0 and 1.
inline float_lut_matrix make_float_lut_matrix(const packed_palette& p) {
  const std::string at = "make_float_lut_matrix";
  check(p, at);
  const shape& s = p.weight_shape;
  if (s.rank() < 1) {
    raise(errc::shape_mismatch, "a matrix needs at least one axis", at, text_of(s), "[rows, ..]");
  }
  if (!p.outliers.empty()) {
    raise(errc::unsupported, "the kernels take no outliers", at,
          text_of(static_cast<index_t>(p.outliers.position.size())) + " outliers", "none");
  }
  const shape grid = p.groups().grid();
  for (int axis = 2; axis < s.rank(); ++axis) {
    if (grid[axis] > 1) {
      raise(errc::unsupported, "groups along another axis than 0 and 1", at, text_of(p.block),
            "blocks that span axis " + text_of(axis));
    }
  }
  float_lut_matrix m;
  m.palette_ = p;
  m.tables_ = table_entries<float>(p);
  if (s.rank() > 1) {
    m.group_depth_ = std::max<index_t>(std::min(p.block[1], s[1]) * s.product(2, s.rank()), 1);
    m.groups_per_row_ = grid[1];
  }
  return m;
}

inline constexpr index_t partial_sums = 64;  // of one output

// sums[i] += w[k] * x[k] for k = i, i + 64, ...; n is a multiple of 64.
template <class A> void add_products(const float* w, const float* x, index_t n, float* sums) {
  using V = simd::floats<A>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr int at_once = partial_sums / lanes < 8 ? partial_sums / lanes : 8;  // registers
  for (index_t first = 0; first < partial_sums; first += at_once * lanes) {
    V sum[to_size(at_once)];
    simd::unroll<at_once>([&](auto i) __attribute__((always_inline)) {
      sum[i] = simd::load<V>(sums + first + i * lanes);
    });
    for (index_t k = first; k < n; k += partial_sums) {
      simd::unroll<at_once>([&](auto i) __attribute__((always_inline)) {
        sum[i] = sum[i] + simd::load<V>(w + k + i * lanes) * simd::load<V>(x + k + i * lanes);
      });
    }
    simd::unroll<at_once>([&](auto i) __attribute__((always_inline)) {
      simd::store(sums + first + i * lanes, sum[i]);
    });
  }
}
// Sums half as many apart until one is left.
template <class A> float fold(float* sums) {
  using V = simd::floats<A>;
  constexpr index_t lanes = simd::lanes<V>;
  index_t apart = partial_sums / 2;
  for (; apart >= lanes; apart /= 2) {
    for (index_t i = 0; i < apart; i += lanes) {
      simd::store(sums + i, simd::load<V>(sums + i) + simd::load<V>(sums + i + apart));
    }
  }
  for (; apart > 0; apart /= 2) {
    for (index_t i = 0; i < apart; ++i) sums[i] += sums[i + apart];
  }
  return sums[0];
}

// Rows of one matrix times a few rows of x, whose elements past the depth are 0 up to a multiple of 64. Rows are read
// one by one, front to back, since caches fetch ahead only what is read in order.
template <class A, int Bits> class float_row_product {
 public:
  static constexpr index_t block_columns = 8;  // rows of x at once

  float_row_product(const float_lut_matrix& w, const float* x, index_t x_stride, index_t columns)
      : w_(w), x_(x), x_stride_(x_stride), columns_(columns) {}

  // out[c * out_stride]: row `row` of w times row c of x.
  void run(index_t row, float* out, index_t out_stride) {
    std::fill_n(&sums_[0][0], columns_ * partial_sums, 0.0F);
    for (index_t k = 0; k < w_.depth(); k += chunk) {
      const index_t n = std::min(chunk, w_.depth() - k);
      const index_t padded = (n + partial_sums - 1) / partial_sums * partial_sums;
      decode_part(row, k, n);
      std::fill(weights_ + n, weights_ + padded, 0.0F);
      for (index_t c = 0; c < columns_; ++c) {
        add_products<A>(weights_, x_ + c * x_stride_ + k, padded, sums_[c]);
      }
    }
    const auto& scale = w_.palette().row_scale;
    for (index_t c = 0; c < columns_; ++c) {
      const float sum = fold<A>(sums_[c]);
      out[c * out_stride] = scale.empty() ? sum : sum * scale[to_size(row)];
    }
  }

 private:
  static constexpr index_t chunk = 2048;  // positions in the first-level cache

  void decode_part(index_t row, index_t k, index_t n) {
    const auto& codes = w_.palette().codes;
    const auto bytes = static_cast<index_t>(codes.size());
    float* out = weights_;
    for (const index_t end = k + n; k < end;) {
      const index_t length = std::min(end, (k / w_.group_depth() + 1) * w_.group_depth()) - k;
      const index_t at = row * w_.depth() + k;
      const float* table = w_.table(row, k);
      using table_decoder = decoder<A, Bits, float>;
      if (!table_decoder::worth_it(length)) {
        decode_unprepared<A, Bits>(codes.data(), bytes, at, table, out, length);
      } else {
        table_decoder(table).run(codes.data(), bytes, at, out, length, simd::stores::cached);
      }
      out += length;
      k += length;
    }
  }

  const float_lut_matrix& w_;
  const float* x_;
  index_t x_stride_;
  index_t columns_;
  alignas(64) float weights_[to_size(chunk)] = {};
  alignas(64) float sums_[to_size(block_columns)][to_size(partial_sums)] = {};
};

// An executor runs shards of 64 rows of w.
template <class A, int Bits, class E>
void run_float_tables(const E& ex, const float_lut_matrix& w, const tensor_view<const float>& x,
                      const float_output& o, const tensor_view<float>& out) {
  using product = float_row_product<A, Bits>;
  constexpr index_t shard_rows = 64;
  const index_t stride = (w.depth() + partial_sums - 1) / partial_sums * partial_sums;
  std::vector<float> padded(to_size(product::block_columns * stride));
  for (index_t first = 0; first < x.extent(0); first += product::block_columns) {
    const index_t columns = std::min(product::block_columns, x.extent(0) - first);
    for (index_t c = 0; c < columns; ++c) {
      const float* from = x.data() + (first + c) * x.stride(0);
      for (index_t k = 0; k < w.depth(); ++k) {
        padded[to_size(c * stride + k)] = from[k * x.stride(1)];
      }
    }
    ex.bulk((w.rows() + shard_rows - 1) / shard_rows, [&](index_t s) {
      product rows(w, padded.data(), stride, columns);
      float sums[to_size(product::block_columns * shard_rows)];
      const index_t begin = s * shard_rows;
      const index_t count = std::min(shard_rows, w.rows() - begin);
      for (index_t r = 0; r < count; ++r) rows.run(begin + r, sums + r, shard_rows);
      for (index_t c = 0; c < columns; ++c) {
        write_outputs<A>(o, {begin}, sums + c * shard_rows, 1.0F, count,
                         out.data() + (first + c) * out.stride(0) + begin * out.stride(1),
                         out.stride(1));
      }
    });
  }
}

// Of gemm_float and gemv_float (float_gemm.hpp).
template <class A, class E>
void float_weight_product::run(std::string_view where, const E& ex, const float_lut_matrix& w,
                               const tensor_view<const float>& x, const tensor_view<float>& out,
                               const float_output& o) {
  check_product(x, out, w.rows(), w.depth(), where);
  check_float_output(o, w.rows(), out, where);
  if (out.empty()) return;
  with_bits(w.n_bits(), [&](auto bits) { run_float_tables<A, bits()>(ex, w, x, o, out); });
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
