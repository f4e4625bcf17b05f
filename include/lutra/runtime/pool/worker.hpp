// lutra: worker.hpp - pooling of one image plane, rows first, then columns.
// SPDX-License-Identifier: Apache-2.0
//
// Both poolings are separable: a vector pass over the rows of a window gives one padded line per
// output row, a second pass combines shifted copies of as many lines at once as fit pool_line_bytes (one at least),
// and the stride picks from the result.
#pragma once

#include <cstring>
#include <lutra/core/strict_fp.hpp>
#include <lutra/runtime/epilogue.hpp>
#include <lutra/runtime/window.hpp>
#include <lutra/simd/primitives.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// One channel of one image.
template <class T> struct pool_plane {
  pool_plane(const tensor_view<T>& v, index_t n, index_t c)
      : data(v.data() + n * v.stride(0) + c * v.stride(1)),
        rows(v.extent(2)),
        columns(v.extent(3)),
        row_stride(v.stride(2)),
        column_stride(v.stride(3)) {}
  T* row(index_t i) const noexcept { return data + i * row_stride; }
  pool_plane from_row(index_t i) const noexcept {
    pool_plane rest = *this;
    rest.data = row(i);
    rest.rows -= i;
    return rest;
  }
  T* data;
  index_t rows, columns, row_stride, column_stride;
};

inline constexpr index_t pool_line_bytes = 256 * 1024;

// Buffers for planes of one size; not thread-safe.
template <class A> class max_pool_worker {
 public:
  max_pool_worker(const std::array<index_t, 2>& kernel, const window2d& w,
                  const tensor_view<const std::int8_t>& x, const tensor_view<std::int8_t>& out)
      : kernel_(kernel), window_(w), contiguous_(x.stride(3) == 1), out_columns_(out.extent(3)) {
    const index_t padded = x.extent(3) + w.padding[1] + w.padding_end[1];
    width_ = padded + padded % 2;  // even: stride 2 then picks from all lines at once
    at_once_ = std::clamp<index_t>(pool_line_bytes / width_, 1, out.extent(2));
    const index_t lines = at_once_ * width_;
    // Shifted reads and whole vectors reach beyond the last line.
    const index_t slack = (kernel[1] - 1) * w.dilation[1] + 3 * size;
    lines_.assign(to_size(lines + slack), -128);
    result_.assign(to_size(lines + slack), -128);
    row_.assign(to_size(x.extent(3) + 2 * size), 0);
    if (x.is_contiguous()) end_ = x.data() + x.size();
    if (out.is_contiguous()) out_end_ = out.data() + out.size();
    pairs_ = kernel[1] == 2 && w.stride[1] == 2 && w.dilation[1] == 1 && w.padding[0] == 0 &&
             w.padding[1] == 0 && w.padding_end[0] == 0 && w.padding_end[1] == 0 &&
             out.stride(3) == 1;
  }

  void run(pool_plane<const std::int8_t> x, pool_plane<std::int8_t> out) {
    if (pairs_) {
      const index_t whole = rows_in_whole_vectors(x, out);
      pool_pairs(x.data, x.row_stride * window_.stride[0], x.row_stride * window_.dilation[0],
                 kernel_[0], whole, out);
      if (whole == out.rows) return;
      x = x.from_row(whole * window_.stride[0]);
      out = out.from_row(whole);
    }
    for (index_t first = 0; first < out.rows; first += at_once_) {
      pool_plane<std::int8_t> some = out.from_row(first);
      some.rows = std::min(some.rows, at_once_);
      pool_lines(x, first, some);
    }
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;

  // Output rows from `first` on, which are those of `out`.
  void pool_lines(const pool_plane<const std::int8_t>& x, index_t first,
                  const pool_plane<std::int8_t>& out) {
    for (index_t i = 0; i < out.rows; ++i) {
      fill_line(x, first + i, lines_.data() + i * width_);
    }
    const index_t total = out.rows * width_;
    for (index_t b = 1; b < kernel_[1]; ++b) {
      const std::int8_t* from = b == 1 ? lines_.data() : result_.data();
      const std::int8_t* shifted = lines_.data() + b * window_.dilation[1];
      for (index_t at = 0; at < total; at += size) {
        store_bytes(result_.data() + at,
                    max(load_bytes(from + at, A{}), load_bytes(shifted + at, A{}), A{}), A{});
      }
    }
    std::int8_t* result = kernel_[1] > 1 ? result_.data() : lines_.data();
    write(result, total, out);
  }

  // Elements of a row that may be read in whole vectors.
  const std::int8_t* readable(const pool_plane<const std::int8_t>& x, index_t y) {
    const std::int8_t* row = x.row(y);
    if (contiguous_ && end_ != nullptr && end_ - row >= x.columns + 2 * size) return row;
    for (index_t j = 0; j < x.columns; ++j) {
      row_[to_size(j)] = row[j * x.column_stride];
    }
    return row_.data();
  }

  // The first rows of the output that may be made, in order, in whole vectors: what one spills is overwritten by the
  // next row or plane. All but the last ones of the last plane.
  index_t rows_in_whole_vectors(const pool_plane<const std::int8_t>& x,
                                const pool_plane<std::int8_t>& out) const {
    if (!contiguous_ || end_ == nullptr || out_end_ == nullptr) return 0;
    index_t rows = out.rows;
    while (rows > 0) {
      const index_t last = (rows - 1) * window_.stride[0] + (kernel_[0] - 1) * window_.dilation[0];
      if (end_ - x.row(last) >= x.columns + 2 * size &&
          out_end_ - out.row(rows - 1) >= out.columns + size) {
        break;
      }
      --rows;
    }
    return rows;
  }

  // The usual case, pairs of columns without padding: straight from the rows to the output. Everything is
  // passed by value: a store of bytes may change any member, as far as the compiler knows.
  static void pool_pairs(const std::int8_t* x, index_t step, index_t row_step, index_t kernel_rows,
                         index_t rows, pool_plane<std::int8_t> out) {
    for (index_t i = 0; i < rows; ++i, x += step) {
      for (index_t at = 0; at < out.columns; at += size) {
        const bool one = 2 * (out.columns - at) <= size;  // vector holds the rest of the row
        const std::int8_t* row = x + 2 * at;
        auto low = load_bytes(row, A{});
        auto high = one ? low : load_bytes(row + size, A{});
        for (index_t a = 1; a < kernel_rows; ++a) {
          row += row_step;
          low = max(low, load_bytes(row, A{}), A{});
          if (!one) high = max(high, load_bytes(row + size, A{}), A{});
        }
        const auto result = max(even_bytes(low, high, A{}), odd_bytes(low, high, A{}), A{});
        store_bytes(out.row(i) + at, result, A{});
      }
    }
  }

  // Maximum over the window's rows, between the paddings of the line. Lines are written in order,
  // so what a whole vector spills into the next line is overwritten.
  void fill_line(const pool_plane<const std::int8_t>& x, index_t i, std::int8_t* line) {
    std::int8_t* inside = line + window_.padding[1];
    bool first = true;
    for (index_t a = 0; a < kernel_[0]; ++a) {
      const index_t y = i * window_.stride[0] - window_.padding[0] + a * window_.dilation[0];
      if (y < 0 || y >= x.rows) continue;
      const std::int8_t* row = readable(x, y);
      for (index_t at = 0; at < x.columns; at += size) {
        auto v = load_bytes(row + at, A{});
        if (!first) v = max(v, load_bytes(inside + at, A{}), A{});
        store_bytes(inside + at, v, A{});
      }
      first = false;
    }
    const index_t used = first ? 0 : x.columns;
    std::memset(line, -128, to_size(window_.padding[1]));
    std::memset(inside + used, -128, to_size(width_ - window_.padding[1] - used));
  }

  void write(std::int8_t* from, index_t total, const pool_plane<std::int8_t>& out) {
    index_t step = window_.stride[1];
    index_t line = width_;
    if (step == 2) {  // in place: vector k is read before it is written
      for (index_t at = 0; at < total; at += 2 * size) {
        store_bytes(from + at / 2,
                    even_bytes(load_bytes(from + at, A{}), load_bytes(from + at + size, A{}), A{}),
                    A{});
      }
      step = 1;
      line = width_ / 2;
    }
    if (step == 1 && out.column_stride == 1) {
      if (line == out_columns_ && out.row_stride == out_columns_) {
        std::memcpy(out.data, from, to_size(out.rows * out_columns_));
        return;
      }
      for (index_t i = 0; i < out.rows; ++i) {
        std::memcpy(out.row(i), from + i * line, to_size(out_columns_));
      }
      return;
    }
    for (index_t i = 0; i < out.rows; ++i) {
      for (index_t j = 0; j < out_columns_; ++j) {
        out.row(i)[j * out.column_stride] = from[i * line + j * step];
      }
    }
  }

  std::array<index_t, 2> kernel_;
  window2d window_;
  bool contiguous_;
  index_t out_columns_;
  index_t width_ = 0;
  index_t at_once_ = 0;  // lines
  bool pairs_ = false;
  const std::int8_t* end_ = nullptr;      // of the whole input, when it is dense
  const std::int8_t* out_end_ = nullptr;  // likewise of the output
  std::vector<std::int8_t> lines_;
  std::vector<std::int8_t> result_;
  std::vector<std::int8_t> row_;
};

// Buffers for planes of one size; not thread-safe.
template <class A> class mean_pool_worker {
 public:
  mean_pool_worker(const std::array<index_t, 2>& kernel, const window2d& w,
                   const tensor_view<const std::int8_t>& x, const tensor_view<std::int8_t>& out,
                   bool count_padding, float multiplier)
      : kernel_(kernel), window_(w), count_padding_(count_padding), multiplier_(multiplier) {
    line_.resize(to_size(x.extent(3)));
    const auto padded = to_size(out.extent(3) + lanes);
    sums_.resize(padded);
    factors_.resize(padded);
    bytes_.resize(padded);
  }
  void set_zero_points(std::int8_t of_x, std::int8_t of_out) {
    zero_point_ = of_x;
    out_zero_point_ = of_out;
  }

  void run(const pool_plane<const std::int8_t>& x, const pool_plane<std::int8_t>& out) {
    const auto limits = simd::limits(out_zero_point_, -128, 127, A{});
    const auto highest = splat_floats(static_cast<float>(127 - out_zero_point_), A{});
    for (index_t i = 0; i < out.rows; ++i) {
      const index_t rows = add_rows(x, i);
      add_columns(x, out.columns, rows);
      for (index_t j = 0; j < out.columns; j += lanes) {
        const auto k = to_size(j);
        const auto y = scaled(load_ints(&sums_[k], A{}), load_floats(&factors_[k], A{}), A{});
        store_narrow(&bytes_[k], round(y, highest, A{}), limits, A{});
      }
      for (index_t j = 0; j < out.columns; ++j) {
        out.row(i)[j * out.column_stride] = bytes_[to_size(j)];
      }
    }
  }

 private:
  static constexpr index_t lanes = simd::int_lanes<A>;

  // Column sums over the rows of output row i; returns how many rows lie inside x.
  index_t add_rows(const pool_plane<const std::int8_t>& x, index_t i) {
    std::fill(line_.begin(), line_.end(), 0);
    index_t rows = 0;
    for (index_t a = 0; a < kernel_[0]; ++a) {
      const index_t y = i * window_.stride[0] - window_.padding[0] + a * window_.dilation[0];
      if (y < 0 || y >= x.rows) continue;
      const std::int8_t* row = x.row(y);
      for (index_t j = 0; j < x.columns; ++j) {
        line_[to_size(j)] += row[j * x.column_stride] - zero_point_;
      }
      ++rows;
    }
    return rows;
  }

  void add_columns(const pool_plane<const std::int8_t>& x, index_t columns, index_t rows) {
    for (index_t j = 0; j < columns; ++j) {
      std::int32_t sum = 0;
      index_t inside = 0;
      for (index_t b = 0; b < kernel_[1]; ++b) {
        const index_t z = j * window_.stride[1] - window_.padding[1] + b * window_.dilation[1];
        if (z < 0 || z >= x.columns) continue;
        sum += line_[to_size(z)];
        ++inside;
      }
      const index_t count = count_padding_ ? kernel_[0] * kernel_[1] : rows * inside;
      sums_[to_size(j)] = sum;
      factors_[to_size(j)] = multiplier_ / static_cast<float>(std::max<index_t>(count, 1));
    }
  }

  std::array<index_t, 2> kernel_;
  window2d window_;
  bool count_padding_;
  float multiplier_;
  std::int32_t zero_point_ = 0;
  std::int32_t out_zero_point_ = 0;
  std::vector<std::int32_t> line_;
  std::vector<std::int32_t> sums_;
  std::vector<float> factors_;
  std::vector<std::int8_t> bytes_;
};

}  // namespace lutra::inline LUTRA_ABI
