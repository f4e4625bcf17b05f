// lutra: lut_matrix.hpp - lut_matrix: an int8 palette laid out for the integer kernels.
// SPDX-License-Identifier: Apache-2.0
//
// A palettized weight [rows, ...] is a matrix [rows, depth] of integers w = table[code] - zero_point
// with one float scale per row. Made once, at load. Tables are int8, shared by the whole weight or by
// groups along axis 0.
//
// Sums of depth products stay exact in int32 up to max_depth: 131,071 for int8 activations, 65,793
// for uint8; a zero point lowers it, since then |w| may exceed 128.
#pragma once

#include <lutra/pack/bit_pack.hpp>
#include <lutra/palette/packed.hpp>
#include <type_traits>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Immutable once made; concurrent reads are safe.
class lut_matrix {
 public:
  index_t rows() const noexcept { return rows_; }
  index_t depth() const noexcept { return depth_; }
  int n_bits() const noexcept { return n_bits_; }
  const shape& weight_shape() const noexcept { return weight_shape_; }
  // Scale of the row's group, times the optional per-row scale (one f32 multiplication).
  float row_scale(index_t r) const noexcept { return row_scale_[static_cast<std::size_t>(r)]; }
  // Sum of the row's integer weights: an activation zero point z changes a result by -z * row_sum.
  std::int32_t row_sum(index_t r) const noexcept { return row_sum_[static_cast<std::size_t>(r)]; }
  // Largest depth whose sums are exact for activations of type X (int8 or uint8).
  template <class X> index_t max_depth() const noexcept {
    constexpr index_t largest = std::is_signed_v<X> ? 128 : 255;
    return 0x7fffffff / (largest * largest_weight_);
  }
  // Integer weights, row-major.
  const std::vector<std::int16_t>& decoded() const noexcept { return decoded_; }

 private:
  friend lut_matrix make_lut_matrix(const packed_palette&);
  shape weight_shape_{0};
  index_t rows_ = 0;
  index_t depth_ = 0;
  int n_bits_ = 4;
  index_t largest_weight_ = 128;
  std::vector<float> row_scale_;
  std::vector<std::int32_t> row_sum_;
  std::vector<std::int16_t> decoded_;
};

// Raises unsupported for tables that are not int8 or groups on another axis than 0, corrupt_data for
// streams and tables of the wrong size.
inline void check_lut_matrix(const packed_palette& p, std::string_view where) {
  const std::string at(where);
  if (p.n_bits < 1 || p.n_bits > 8) {
    raise(errc::corrupt_data, "n_bits out of range", at, text_of(p.n_bits), range_text(1, 8));
  }
  if (p.lut_dtype != dtype::int8) {
    raise(errc::unsupported, "the integer kernels need int8 tables", at,
          std::string(name_of(p.lut_dtype)), "int8");
  }
  if (p.weight_shape.rank() < 1) {
    raise(errc::shape_mismatch, "a matrix needs at least one axis", at, text_of(p.weight_shape));
  }
  const block_grid grid = p.groups();
  for (int axis = 1; axis < p.weight_shape.rank(); ++axis) {
    if (grid.grid()[axis] > 1) {
      raise(errc::unsupported, "groups along another axis than 0", at, text_of(p.block),
            "blocks that span axis " + text_of(axis));
    }
  }
  const auto expect = [&](const char* what, std::size_t got, index_t wanted) {
    if (static_cast<index_t>(got) == wanted) return;
    raise(errc::corrupt_data, std::string(what) + " has the wrong size", at,
          text_of(static_cast<index_t>(got)), text_of(wanted));
  };
  expect("codes", p.codes.size(), packed_bytes(p.weight_shape.size(), p.n_bits));
  expect("lut_codes", p.lut_codes.size(), grid.count() * p.entries());
  expect("scale", p.scale.size(), grid.count());
  if (!p.zero_point.empty()) expect("zero_point", p.zero_point.size(), grid.count());
  for (const std::int32_t z : p.zero_point) {
    if (z < -128 || z > 127) {
      raise(errc::corrupt_data, "zero_point out of range", at, text_of(z), range_text(-128, 127));
    }
  }
  if (!p.row_scale.empty()) expect("row_scale", p.row_scale.size(), p.weight_shape[0]);
}

inline lut_matrix make_lut_matrix(const packed_palette& p) {
  check_lut_matrix(p, "make_lut_matrix");
  lut_matrix m;
  m.weight_shape_ = p.weight_shape;
  m.rows_ = p.weight_shape[0];
  m.depth_ = p.weight_shape.product(1, p.weight_shape.rank());
  m.n_bits_ = p.n_bits;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(p.weight_shape.size()));
  unpack_bits(p.codes, p.n_bits, codes);
  m.decoded_.resize(codes.size());
  m.row_scale_.resize(static_cast<std::size_t>(m.rows_));
  m.row_sum_.resize(static_cast<std::size_t>(m.rows_));
  const auto entries = static_cast<std::size_t>(p.entries());
  for (index_t row = 0; row < m.rows_; ++row) {
    const auto r = static_cast<std::size_t>(row);
    const auto group = static_cast<std::size_t>(row / p.block[0]);
    const std::int32_t zero_point = p.zero_point.empty() ? 0 : p.zero_point[group];
    m.largest_weight_ =
        std::max<index_t>(m.largest_weight_, 128 + (zero_point < 0 ? -zero_point : zero_point));
    m.row_scale_[r] = p.scale[group] * (p.row_scale.empty() ? 1.0F : p.row_scale[r]);
    for (index_t k = 0; k < m.depth_; ++k) {
      const auto i = static_cast<std::size_t>(row * m.depth_ + k);
      const auto entry = static_cast<std::int8_t>(p.lut_codes[group * entries + codes[i]]);
      m.decoded_[i] = static_cast<std::int16_t>(entry - zero_point);
      m.row_sum_[r] += m.decoded_[i];
    }
  }
  return m;
}

}  // namespace lutra::inline LUTRA_ABI
