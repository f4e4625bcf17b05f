// lutra: grouped_matrix.hpp - grouped_lut_matrix: an int8 palette with groups along axis 1, for the kernels.
// SPDX-License-Identifier: Apache-2.0
//
// Each block of input positions has tables and scales of its own, the last block may be short; groups along
// axis 0 at the same time are fine. The matrix is kept as slices: one lut_matrix [rows, depth of the block] per
// block, each of any kind lut_matrix.hpp allows. Sums of a slice are exact int32; slices are added in float
// (gemm/to_float.hpp), then stored as floats or quantized to 8 bits; there are no int32 outputs. A palette without such
// groups is one slice.
#pragma once

#include <concepts>
#include <lutra/runtime/lut_matrix.hpp>
#include <span>

namespace lutra::inline LUTRA_ABI {

// Raises as make_lut_matrix() does, but for groups along axis 1.
class grouped_lut_matrix;
template <class A = simd::native>
grouped_lut_matrix make_grouped_lut_matrix(const packed_palette& p, A level = {},
                                           lut_matrix_options options = {});

// Immutable once made; concurrent reads are safe.
class grouped_lut_matrix {
 public:
  const shape& weight_shape() const noexcept { return weight_shape_; }
  index_t rows() const noexcept { return weight_shape_[0]; }
  index_t depth() const noexcept { return weight_shape_.product(1, weight_shape_.rank()); }
  std::span<const lut_matrix> slices() const noexcept { return slices_; }  // at least one
  index_t bytes() const noexcept {
    index_t sum = 0;
    for (const lut_matrix& w : slices_) sum += w.bytes();
    return sum;
  }

 private:
  template <class A>
  friend grouped_lut_matrix make_grouped_lut_matrix(const packed_palette&, A, lut_matrix_options);
  // Slices that make up the weight, at least one.
  grouped_lut_matrix(const shape& weight_shape, std::vector<lut_matrix> slices)
      : weight_shape_(weight_shape), slices_(std::move(slices)) {}

  shape weight_shape_;
  std::vector<lut_matrix> slices_;
};

inline std::span<const lut_matrix> slices_of(const lut_matrix& w) noexcept { return {&w, 1}; }
inline std::span<const lut_matrix> slices_of(const grouped_lut_matrix& w) noexcept {
  return w.slices();
}

template <class W>
concept palette_matrix = std::same_as<W, lut_matrix> || std::same_as<W, grouped_lut_matrix>;

// Raises incompatible unless w was made for `level`, unsupported if sums of activations of type X may overflow.
template <class X, palette_matrix W>
void check_slices(const W& w, std::string_view level, std::string_view where) {
  for (const lut_matrix& slice : slices_of(w)) {
    if (slice.level() != level) {
      raise(errc::incompatible, "the matrix was made for another level", std::string(where),
            std::string(slice.level()), std::string(level));
    }
    if (slice.depth() > slice.template max_depth<X>()) {
      raise(errc::unsupported, "depth beyond exact int32 sums", std::string(where),
            text_of(slice.depth()), "<= " + text_of(slice.template max_depth<X>()));
    }
  }
}

// The columns [begin, begin + length) of axis 1 as a palette of their own; they share tables along it. `codes` are
// those of the whole weight.
inline packed_palette columns_of(const packed_palette& p, std::span<const std::uint8_t> codes,
                                 index_t begin, index_t length) {
  packed_palette out;
  const index_t block = p.block[1];
  const index_t inner = p.weight_shape.product(2, p.weight_shape.rank());
  const index_t row = p.weight_shape[1] * inner;
  out.weight_shape = p.weight_shape.with(1, length);
  out.block = p.block;
  out.n_bits = p.n_bits;
  out.lut_dtype = p.lut_dtype;
  out.row_scale = p.row_scale;
  out.transposed = p.transposed;
  std::vector<std::uint8_t> taken;
  taken.reserve(to_size(out.weight_shape.size()));
  for (index_t r = 0; r < p.weight_shape[0]; ++r) {
    const auto from = codes.begin() + r * row + begin * inner;
    taken.insert(taken.end(), from, from + length * inner);
  }
  out.codes.resize(to_size(packed_bytes(out.weight_shape.size(), p.n_bits)));
  pack_bits(taken, p.n_bits, out.codes);
  const shape grid = p.groups().grid();
  const auto entries = to_size(p.entries());
  for (index_t g = 0; g < grid[0]; ++g) {
    const auto group = to_size(g * grid[1] + begin / block);
    const auto table = p.lut_codes.begin() + static_cast<std::ptrdiff_t>(group * entries);
    out.lut_codes.insert(out.lut_codes.end(), table, table + p.entries());
    out.scale.push_back(p.scale[group]);
    if (!p.zero_point.empty()) out.zero_point.push_back(p.zero_point[group]);
  }
  return out;
}

template <class A>
grouped_lut_matrix make_grouped_lut_matrix(const packed_palette& p, A level,
                                           lut_matrix_options options) {
  check_lut_matrix(p, "make_grouped_lut_matrix", 2);
  std::vector<lut_matrix> slices;
  const bool cut = p.weight_shape.rank() > 1 && p.groups().grid()[1] > 1;
  if (!cut || p.weight_shape[0] == 0) {
    packed_palette whole = p;
    if (cut) {  // no rows: the first table stands for all
      whole.block = whole.block.with(1, p.weight_shape[1]);
      whole.lut_codes.resize(to_size(p.entries()));
      whole.scale.resize(1);
      if (!whole.zero_point.empty()) whole.zero_point.resize(1);
    }
    slices.push_back(make_lut_matrix(cut ? whole : p, level, options));
    return {p.weight_shape, std::move(slices)};
  }
  // What matters is the size of all slices together.
  options.three_bits_from =
      p.weight_shape.size() / 2 > options.three_bits_from ? 0 : p.weight_shape.size();
  options.decode_convolutions = false;  // those of several slices do not use it
  std::vector<std::uint8_t> codes(to_size(p.weight_shape.size()));
  unpack_bits(p.codes, p.n_bits, codes);
  for (index_t begin = 0; begin < p.weight_shape[1]; begin += p.block[1]) {
    const index_t length = std::min(p.block[1], p.weight_shape[1] - begin);
    slices.push_back(make_lut_matrix(columns_of(p, codes, begin, length), level, options));
  }
  return {p.weight_shape, std::move(slices)};
}

}  // namespace lutra::inline LUTRA_ABI
