// lutra: lut_matrix.hpp - lut_matrix: an int8 palette laid out for the integer kernels.
// SPDX-License-Identifier: Apache-2.0
//
// A palettized weight [rows, ...] is a matrix [rows, depth] of integers w = table[code] - zero_point
// with one float scale per row. Made once, at load, for one level (layout.hpp says how it lies in
// memory); the kernels of another level refuse it. Tables are int8, shared by the whole weight or by
// groups along axis 0, of 1..8 bits.
//
// Sums of depth products stay exact in int32 up to max_depth: 131,071 for int8 activations, 65,793
// for uint8; a zero point lowers it, since then |w| may exceed 128.
#pragma once

#include <algorithm>
#include <lutra/number/finite.hpp>
#include <lutra/pack/bit_pack.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/runtime/line_layout.hpp>
#include <lutra/simd/large_pages.hpp>
#include <type_traits>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <class A> class lut_matrix_builder;

// Immutable once made; concurrent reads are safe.
class lut_matrix {
 public:
  index_t rows() const noexcept { return rows_; }
  index_t depth() const noexcept { return depth_; }
  int n_bits() const noexcept { return n_bits_; }
  const shape& weight_shape() const noexcept { return weight_shape_; }
  bool transposed() const noexcept { return transposed_; }  // made of a transposed_palette()
  // Scale of the row's group, times the optional per-row scale (one f32 multiplication).
  float row_scale(index_t r) const noexcept { return row_scale_[to_size(r)]; }
  // Sum of the row's integer weights: an activation zero point z changes a result by -z * row_sum.
  std::int32_t row_sum(index_t r) const noexcept { return row_sum_[to_size(r)]; }
  std::int32_t zero_point(index_t r) const noexcept { return zero_point_[to_size(r)]; }
  // One integer weight. For tests and conversions, not for loops.
  std::int32_t weight(index_t r, index_t k) const noexcept;
  // Largest depth whose sums are exact for activations of type X (int8 or uint8).
  template <class X> index_t max_depth() const noexcept {
    constexpr index_t largest = std::is_signed_v<X> ? 128 : 255;
    return 0x7fffffff / (largest * largest_weight_);
  }
  // Bytes of weights and tables in memory.
  index_t bytes() const noexcept {
    return product_bytes() + static_cast<index_t>(line_tiles_.size() * sizeof(cache_line));
  }

  // What the kernels read.
  // Of bytes(), those that gemm reads: without what has_line_tiles() speaks of.
  index_t product_bytes() const noexcept {
    return static_cast<index_t>((weights_.size() + tables_.size()) * sizeof(cache_line));
  }
  std::string_view level() const noexcept { return level_; }
  const code_layout& layout() const noexcept { return layout_; }
  bool table_per_strip() const noexcept { return table_per_strip_; }
  bool small_weights() const noexcept { return small_weights_; }  // every table entry >= -127
  bool has_zero_points() const noexcept { return has_zero_points_; }
  index_t steps() const noexcept { return steps_; }
  index_t strips() const noexcept { return strips_; }
  index_t strips_of(index_t panel) const noexcept {
    return std::min(panel_strips, strips() - panel * panel_strips);
  }
  index_t panels() const noexcept { return (strips() + panel_strips - 1) / panel_strips; }
  // First vector of step 0 of a strip; its next step lies step_bytes(panel of the strip) further.
  const std::uint8_t* weights(index_t strip) const noexcept {
    const index_t panel = strip / panel_strips;
    return bytes_of(weights_) + panel * panel_strips * steps() * strip_bytes() +
           strip % panel_strips * strip_bytes();
  }
  index_t step_bytes(index_t panel) const noexcept { return strips_of(panel) * strip_bytes(); }
  // Per row, readable in whole vectors up to the end of the last strip.
  const std::int32_t* row_sums() const noexcept { return row_sum_.data(); }
  const std::int32_t* zero_points() const noexcept { return zero_point_.data(); }
  const float* row_scales() const noexcept { return row_scale_.data(); }
  // One vector of table entries: 16 per line, or 64 of six bits. Tables of fewer entries are repeated.
  const std::uint8_t* table(index_t strip) const noexcept {
    return bytes_of(tables_) + (table_per_strip_ ? strip * 4 * lanes_ : 0);
  }
  // The weights once more, decoded (line_layout.hpp), where there are tile registers and the matrix was made so.
  bool has_line_tiles() const noexcept { return !line_tiles_.empty(); }
  // From the strip of row r, a multiple of tile_rows, on.
  const std::int8_t* line_tiles(index_t r) const noexcept {
    return reinterpret_cast<const std::int8_t*>(bytes_of(line_tiles_)) +
           r / tile_rows * lines().strip_bytes();
  }
  line_layout lines() const { return line_layout(weight_shape_, transposed_); }  // of four axes

 private:
  template <class A> friend class lut_matrix_builder;
  using lines_of_memory = std::vector<cache_line, simd::large_page_allocator<cache_line>>;
  static std::uint8_t* bytes_of(lines_of_memory& v) noexcept {
    return reinterpret_cast<std::uint8_t*>(v.data());
  }
  static const std::uint8_t* bytes_of(const lines_of_memory& v) noexcept {
    return reinterpret_cast<const std::uint8_t*>(v.data());
  }
  index_t strip_bytes() const noexcept { return 4 * lanes_ * layout_.vectors; }

  shape weight_shape_{0};
  index_t rows_ = 0;
  index_t depth_ = 0;
  index_t lanes_ = 4;
  index_t strips_ = 0;
  index_t steps_ = 0;
  index_t largest_weight_ = 128;
  int n_bits_ = 4;
  int bias_ = 0;
  code_layout layout_;
  bool transposed_ = false;
  bool table_per_strip_ = false;
  bool small_weights_ = true;
  bool has_zero_points_ = false;
  std::string_view level_;
  lines_of_memory weights_;
  lines_of_memory tables_;
  lines_of_memory line_tiles_;
  std::vector<float> row_scale_;
  std::vector<std::int32_t> row_sum_;
  std::vector<std::int32_t> zero_point_;  // per row
};

inline std::int32_t lut_matrix::weight(index_t r, index_t k) const noexcept {
  const index_t strip = r / lanes_;
  const index_t byte = 4 * (r % lanes_) + k % 4;
  const std::uint8_t* at =
      weights(strip) + k / layout_.step_depth() * step_bytes(strip / panel_strips) + byte;
  std::int32_t stored = read_code(layout_, at, 4 * lanes_, k % layout_.step_depth() / 4);
  if (layout_.bits < 8) {
    stored = table(strip)[(layout_.bits > 4 ? 0 : byte / 16 * 16) + stored];
  }
  // A bias of 128 makes bytes unsigned; without it they are signed.
  return (bias_ != 0 ? stored - bias_ : std::int32_t{static_cast<std::int8_t>(stored)}) -
         zero_point(r);
}

// Raises unsupported for tables that are not int8 or groups on the axes from `whole` on, corrupt_data for
// streams and tables of the wrong size and for scales that are not positive and finite.
inline void check_lut_matrix(const packed_palette& p, std::string_view where, int whole = 1) {
  const std::string at(where);
  if (p.n_bits < 1 || p.n_bits > 8) {
    raise(errc::corrupt_data, "n_bits out of range", at, text_of(p.n_bits), range_text(1, 8));
  }
  if (p.lut_dtype != dtype::int8) {
    raise(errc::unsupported, "the integer kernels need int8 tables", at,
          std::string(name_of(p.lut_dtype)), "int8, by palettization_spec::lut_qspec");
  }
  if (!p.outliers.empty()) {
    raise(errc::unsupported, "the integer kernels take no outliers", at,
          text_of(static_cast<index_t>(p.outliers.position.size())) + " outliers", "none");
  }
  if (p.weight_shape.rank() < 1) {
    raise(errc::shape_mismatch, "a matrix needs at least one axis", at, text_of(p.weight_shape),
          "[rows, ..]");
  }
  const block_grid grid = p.groups();
  for (int axis = whole; axis < p.weight_shape.rank(); ++axis) {
    if (grid.grid()[axis] > 1) {
      raise(errc::unsupported,
            "groups along another axis than 0" + std::string(whole > 1 ? " and 1" : ""), at,
            text_of(p.block),
            "blocks that span axis " + text_of(axis) +
                (axis == 1 ? ", or make_grouped_lut_matrix()" : ""));
    }
  }
  const auto expect = [&](const char* what, std::size_t got, index_t wanted) {
    if (static_cast<index_t>(got) == wanted) return;
    raise(errc::corrupt_data, std::string(what) + " has the wrong size", at,
          text_of(static_cast<index_t>(got)), text_of(wanted));
  };
  expect("codes", p.codes.size(), packed_bytes(p.weight_shape.size(), p.n_bits));
  expect("lut_codes", p.lut_codes.size(), grid.count() * p.entries());
  expect("lut", p.lut.size(), 0);
  expect("scale", p.scale.size(), grid.count());
  if (!p.zero_point.empty()) expect("zero_point", p.zero_point.size(), grid.count());
  for (const std::int32_t z : p.zero_point) {
    if (z < -128 || z > 127) {
      raise(errc::corrupt_data, "zero_point out of range", at, text_of(z), range_text(-128, 127));
    }
  }
  if (!p.row_scale.empty()) expect("row_scale", p.row_scale.size(), p.weight_shape[0]);
  const auto check_scales = [&](const char* what, const std::vector<float>& scales,
                                const char* of) {
    for (std::size_t i = 0; i < scales.size(); ++i) {
      if (scales[i] > 0.0F && is_finite(scales[i])) continue;
      raise(errc::corrupt_data, std::string(what) + " out of range", at,
            text_of(scales[i]) + of + text_of(static_cast<index_t>(i)), "finite and > 0");
    }
  };
  check_scales("scale", p.scale, " in group ");
  check_scales("row_scale", p.row_scale, " in row ");
}

struct lut_matrix_options {
  // Codes of 3 bits are stored as such if the matrix would take more bytes than this in 4: read from memory they are
  // a quarter faster, read from a cache a tenth slower. Results are the same.
  index_t three_bits_from = index_t{1} << 24;
  // With tile registers (level amx_int8), weights of four axes are also kept as conv2d multiplies them fastest, where
  // that pays (line_layout.hpp): a byte each, output channels in multiples of 16, taps of a kernel row of 64, or input
  // channels where the convolution is transposed. Without that it decodes them at each call, and gathers the input
  // differently. Results are the same.
  bool decode_convolutions = true;
};

template <class A> class lut_matrix_builder {
 public:
  lut_matrix_builder(const packed_palette& p, const lut_matrix_options& options)
      : palette_(p),
        options_(options),
        entries_(to_size(p.entries())),
        codes_(to_size(p.weight_shape.size())) {}

  lut_matrix build() {
    unpack_bits(palette_.codes, palette_.n_bits, codes_);
    describe();
    if (m_.rows_ > 0 && m_.depth_ > 0) {
      set_rows();
      set_tables();
      set_weights();
      if constexpr (has_tiles(A{})) set_line_tiles();
    } else {  // no weights, no tables: rows of empty sums
      m_.row_scale_.assign(m_.row_sum_.size(), 1.0F);
      m_.weights_ = lines(0);
      m_.tables_ = lines(4 * m_.lanes_ * std::max<index_t>(m_.strips(), 1));
    }
    return std::move(m_);
  }

 private:
  static lut_matrix::lines_of_memory lines(index_t bytes) {
    return lut_matrix::lines_of_memory(to_size(bytes / 64 + 1));
  }
  // Rows of one table; the grid has a single group when the block spans the axis.
  index_t group_rows() const { return palette_.block[0]; }
  bool one_group() const { return group_rows() >= m_.rows_; }
  std::size_t group_of(index_t row) const { return to_size(row / group_rows()); }
  std::uint8_t entry(std::size_t group, std::size_t code) const {
    return palette_.lut_codes[group * entries_ + code];
  }
  std::uint8_t biased(std::uint8_t byte) const {
    return static_cast<std::uint8_t>(byte + weight_bias(A{}));
  }

  void describe() {
    m_.weight_shape_ = palette_.weight_shape;
    m_.transposed_ = palette_.transposed;
    m_.rows_ = palette_.weight_shape[0];
    m_.depth_ = palette_.weight_shape.product(1, palette_.weight_shape.rank());
    m_.lanes_ = simd::int_lanes<A>;
    m_.strips_ = (m_.rows_ + m_.lanes_ - 1) / m_.lanes_;
    m_.n_bits_ = palette_.n_bits;
    m_.bias_ = weight_bias(A{});
    m_.level_ = A::name;
    m_.row_sum_.resize(to_size(m_.strips() * m_.lanes_));
    m_.zero_point_.resize(m_.row_sum_.size());
    m_.layout_ = smallest_layout();
    m_.steps_ = (m_.depth_ + m_.layout_.step_depth() - 1) / m_.layout_.step_depth();
    m_.table_per_strip_ = m_.layout_.bits < 8 && !one_group();
    for (const std::uint8_t byte : palette_.lut_codes) {
      if (static_cast<std::int8_t>(byte) == -128) m_.small_weights_ = false;
    }
    for (const std::int32_t z : palette_.zero_point) {
      if (z != 0) m_.has_zero_points_ = true;
      m_.largest_weight_ = std::max<index_t>(m_.largest_weight_, 128 + (z < 0 ? -z : z));
    }
  }

  // The layout of the fewest bytes; of equal ones that with less to do per weight.
  code_layout smallest_layout() const {
    const auto bytes = [&](const code_layout& c) {
      return (m_.depth_ + c.step_depth() - 1) / c.step_depth() * c.vectors;
    };
    code_layout best = code_layout_of(8);
    for (const int bits : {4, 6, 3, 2}) {
      bool possible = bits >= palette_.n_bits && has_byte_lookup(A{});
      if (bits == 4) possible = possible && (one_group() || group_rows() % 4 == 0);
      if (bits != 4) possible = possible && one_group();
      if (bits == 6) possible = possible && has_long_lookup(A{});
      const code_layout c = code_layout_of(bits);
      if (bits == 3) {
        possible = possible && 4 * m_.lanes_ * m_.strips() * bytes(best) > options_.three_bits_from;
      }
      if (possible && bytes(c) < bytes(best)) best = c;
    }
    return best;
  }

  void set_rows() {
    m_.row_scale_.resize(m_.row_sum_.size());
    for (index_t row = 0; row < m_.rows_; ++row) {
      const auto r = to_size(row);
      const std::size_t group = group_of(row);
      m_.zero_point_[r] = palette_.zero_point.empty() ? 0 : palette_.zero_point[group];
      m_.row_scale_[r] = palette_.row_scale.empty() ? palette_.scale[group]
                                                    : palette_.scale[group] * palette_.row_scale[r];
      if (!(m_.row_scale_[r] > 0.0F) || !is_finite(m_.row_scale_[r])) {
        raise(errc::corrupt_data, "scale times row scale is no positive finite number",
              "make_lut_matrix, row " + text_of(row), text_of(m_.row_scale_[r]), "> 0");
      }
      const std::uint8_t* codes = codes_.data() + row * m_.depth_;
      std::uint32_t sum = 0;  // wraps beyond max_depth, where no kernel accepts the matrix
      for (index_t k = 0; k < m_.depth_; ++k) {
        const std::int32_t w = static_cast<std::int8_t>(entry(group, codes[k])) - m_.zero_point_[r];
        sum += static_cast<std::uint32_t>(w);
      }
      m_.row_sum_[r] = static_cast<std::int32_t>(sum);
    }
  }

  // Lines hold the tables of four rows; a decoded matrix keeps one unused vector.
  void set_tables() {
    const index_t vectors = m_.table_per_strip_ ? m_.strips() : 1;
    m_.tables_ = lines(vectors * 4 * m_.lanes_);
    if (m_.layout_.bits == 8) return;
    std::uint8_t* out = lut_matrix::bytes_of(m_.tables_);
    for (index_t at = 0; at < vectors * 4 * m_.lanes_; ++at) {
      const index_t row = m_.table_per_strip_ ? std::min(at / 16 * 4, m_.rows_ - 1) : 0;
      const index_t code = m_.layout_.bits > 4 ? at : at % 16;
      out[at] = biased(entry(group_of(row), to_size(code) % entries_));
    }
  }

  void set_weights() {
    m_.weights_ = lines(m_.strips() * m_.steps() * m_.strip_bytes());
    switch (m_.layout_.bits) {
      case 2:
        return set_weights_of<2>();
      case 3:
        return set_weights_of<3>();
      case 4:
        return set_weights_of<4>();
      case 6:
        return set_weights_of<6>();
      default:
        return set_weights_of<8>();
    }
  }
  template <int Bits> void set_weights_of() {
    constexpr code_layout layout = code_layout_of(Bits);
    constexpr index_t depth = layout.step_depth();
    std::uint8_t* base = lut_matrix::bytes_of(m_.weights_);
    for (index_t row = 0; row < m_.rows_; ++row) {
      const index_t strip = row / m_.lanes_;
      std::uint8_t* step = base + (m_.weights(strip) - base) + 4 * (row % m_.lanes_);
      const std::uint8_t* codes = codes_.data() + row * m_.depth_;
      const std::size_t group = group_of(row);
      for (index_t k = 0; k < m_.depth_; k += depth, step += m_.step_bytes(strip / panel_strips)) {
        const index_t count = std::min(depth, m_.depth_ - k);
        for (index_t i = 0; i < count; ++i) {
          const int code = codes[k + i];
          write_code(layout, step + i % 4, 4 * simd::int_lanes<A>, i / 4,
                     Bits == 8 ? biased(entry(group, to_size(code))) : code);
        }
      }
    }
  }

  void set_line_tiles() {
    static_assert(simd::int_lanes<A> == tile_rows);
    if (!options_.decode_convolutions || m_.weight_shape_.rank() != 4) return;
    const line_layout l = m_.lines();
    if (!l.pays()) return;
    m_.line_tiles_ = lines(m_.strips() * l.strip_bytes());
    write_line_tiles(l, lut_matrix::bytes_of(m_.line_tiles_), [&](index_t row, index_t k) {
      return entry(group_of(row), codes_[to_size(row * m_.depth_ + k)]);
    });
  }

  const packed_palette& palette_;
  lut_matrix_options options_;
  std::size_t entries_;
  std::vector<std::uint8_t> codes_;
  lut_matrix m_;
};

// Calls f with the type that reads the weights of w: packed_codes or decoded_weights.
template <class A, class F> void with_codes_of(const lut_matrix& w, F&& f) {
  if constexpr (has_byte_lookup(A{})) {
    const int bits = w.layout().bits;
    if (w.table_per_strip()) return f(packed_codes<4, simd::line_tables>{});
    if (bits == 4) return f(packed_codes<4, simd::one_table>{});
    if (bits == 3) return f(packed_codes<3, simd::one_table>{});
    if (bits == 2) return f(packed_codes<2, simd::one_table>{});
    if constexpr (has_long_lookup(A{})) {
      if (bits == 6) return f(packed_codes<6, simd::one_table>{});
    }
  }
  f(decoded_weights{});
}

template <class A = simd::native>
lut_matrix make_lut_matrix(const packed_palette& p, A = {},
                           const lut_matrix_options& options = {}) {
  check_lut_matrix(p, "make_lut_matrix");
  return lut_matrix_builder<A>(p, options).build();
}

}  // namespace lutra::inline LUTRA_ABI
