// lutra: conv_transpose.hpp - transposed 2-D convolution of int8 or uint8 NCHW tensors with a palettized weight.
// SPDX-License-Identifier: Apache-2.0
//
//   out[n][o][i*s - p + a*d][j*s - p + b*d] += w[c][o][a][b] * x[n][c][i][j]
// The matrix is that of make_lut_matrix(transposed_palette(packed, groups)); one of the palette itself is incompatible.
// An ordinary convolution over a spread-out input, whose positions between inputs hold the zero point: sums are exact
// int32 and the epilogue of a row is the one of its output channel, as in conv.hpp. Run phase by phase of the outputs
// (transposed_window.hpp), each with its taps alone, so no more products are made than inputs have. Weights that were
// not decoded at load are decoded once per call, a byte each, and stay until it ends. 1-D ones use height 1.
// An executor runs what conv.hpp says; results do not depend on it. out must not overlap x, the epilogue or itself.
#pragma once

#include <lutra/palette/pack.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/transposed_window.hpp>
#include <lutra/tensor/overlap.hpp>
#include <lutra/tensor/tensor.hpp>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

struct conv_transpose2d_options {
  transposed_window geometry{};
  index_t groups = 1;              // divides the channels of input and output
  std::int32_t padding_value = 0;  // zero point of the input
};

// Tables and scales of `out`, whose shape and block are set, from those of p, block by block.
inline void take_tables(const packed_palette& p, index_t groups, packed_palette& out) {
  const index_t outputs = p.weight_shape[1];
  const index_t inputs = p.weight_shape[0] / groups;
  const index_t across = p.groups().grid()[1];
  const auto entries = to_size(p.entries());
  const auto take = [](auto& to, const auto& from, std::size_t first, std::size_t count) {
    if (from.empty()) return;
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
    to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  out.lut_codes.clear();
  out.lut.clear();
  out.scale.clear();
  out.zero_point.clear();
  for (index_t row = 0; row < out.weight_shape[0]; row += out.block[0]) {
    for (index_t column = 0; column < inputs; column += out.block[1]) {
      const index_t input = row / outputs * inputs + column;
      const auto table = to_size(input / p.block[0] * across + row % outputs / p.block[1]);
      take(out.lut_codes, p.lut_codes, table * entries, entries);
      take(out.lut, p.lut, table * entries, entries);
      take(out.scale, p.scale, table, 1);
      take(out.zero_point, p.zero_point, table, 1);
    }
  }
}

// The palette of a weight [in, out / groups, kh, kw], laid out for make_lut_matrix() as
// [out, in / groups, kh, kw] (reversed_weight). Tables stay with their channels: those of blocks of input channels
// become groups along axis 1, for make_grouped_lut_matrix(). Raises corrupt_data for vectors of the wrong size as
// make_lut_matrix() does, and check() for tables that are not int8; unsupported for groups along the kernel, for
// blocks of channels that do not divide a group of several, row scales and outliers; incompatible for a palette that
// is transposed already.
inline packed_palette transposed_palette(const packed_palette& p, index_t groups) {
  const std::string at = "transposed_palette";
  if (p.transposed) {
    raise(errc::incompatible, "the palette is transposed already", at, text_of(p.weight_shape),
          "that of the layer, not transposed");
  }
  const shape& s = p.weight_shape;
  if (s.rank() < 3 || groups < 1 || s[0] % groups != 0 || s[1] > max_size / groups) {
    raise(errc::shape_mismatch, "not the weight of a transposed convolution in so many groups", at,
          text_of(s), text_of(groups) + " groups");
  }
  if (!p.row_scale.empty() || !p.outliers.empty()) {
    raise(errc::unsupported, "scales per input channel and outliers have no place here", at,
          p.row_scale.empty() ? "outliers" : "row scales", "none");
  }
  const shape grid = p.groups().grid();
  const index_t outputs = s[1];
  const index_t inputs = s[0] / groups;
  const index_t rows = std::min(p.block[1], outputs);    // of one table in the result
  const index_t columns = std::min(p.block[0], inputs);  // likewise
  const auto divides = [&](index_t block, index_t n) {
    return groups == 1 || block == 0 || n % block == 0;
  };
  bool fits = grid[0] <= 1 || divides(columns, inputs);
  fits = fits && (p.block[0] <= inputs || grid[0] <= 1 || p.block[0] % inputs == 0);
  fits = fits && divides(rows, outputs);
  for (int axis = 2; axis < s.rank(); ++axis) fits = fits && grid[axis] <= 1;
  if (!fits) {
    raise(errc::unsupported, "the groups of the palette are not those of channels", at,
          "block " + text_of(p.block) + " of " + text_of(s),
          "blocks that divide the channels of a group");
  }
  if (p.lut_dtype == dtype::int8) {
    check_lut_matrix(p, at, s.rank());  // its groups fit
  } else {
    check(p, at);
  }
  packed_palette out = p;
  out.transposed = true;
  out.weight_shape = reversed_shape(s, groups);
  std::vector<std::uint8_t> codes(to_size(s.size()));
  unpack_bits(p.codes, p.n_bits, codes);
  codes = reversed_weight<std::uint8_t>(codes, s, groups);
  pack_bits(codes, p.n_bits, out.codes);
  out.block = out.weight_shape;
  for (int axis = 0; axis < s.rank(); ++axis) {  // there may be no channels
    out.block = out.block.with(axis, std::max<index_t>(out.block[axis], 1));
  }
  if (p.groups().count() <= 1) return out;
  if (codes.empty()) {  // no weights: the first table stands for all
    const auto entries = to_size(p.entries());
    if (!p.lut_codes.empty()) out.lut_codes.resize(entries);
    if (!p.lut.empty()) out.lut.resize(entries);
    if (!p.scale.empty()) out.scale.resize(1);
    if (!p.zero_point.empty()) out.zero_point.resize(1);
    return out;
  }
  out.block = out.block.with(0, rows).with(1, columns);
  take_tables(p, groups, out);
  return out;
}

// The positions first, first + step, .. of an axis; none if first is beyond it, all for a negative one.
template <class T>
tensor_view<T> axis_from(const tensor_view<T>& x, int axis, index_t first, index_t step) {
  first = std::max<index_t>(first, 0);
  const index_t count = first < x.extent(axis) ? (x.extent(axis) - first + step - 1) / step : 0;
  std::array<index_t, 4> strides;
  for (int a = 0; a < 4; ++a) strides[to_size(a)] = x.stride(a);
  const index_t skipped = count > 0 ? first * x.stride(axis) : 0;
  if (count > 1) strides[to_size(axis)] *= step;
  return {x.data() + skipped, x.extents().with(axis, count), strides};
}

// out[2j] = even[j], out[2j + 1] = odd[j], for `count` outputs.
template <class A, class T> void interleave(const T* even, const T* odd, index_t count, T* out) {
  const index_t pairs = count / 2;
  constexpr index_t together = 16;
  index_t done = 0;
  if constexpr (sizeof(T) == 1) {
    if (pairs >= together) {
      for (; done < pairs; done += together) {
        const index_t j = std::min(done, pairs - together);  // the last ones once more
        zip_bytes(even + j, odd + j, out + 2 * j, A{});
      }
    }
  }
  for (index_t j = done; j < pairs; ++j) {
    out[2 * j] = even[j];
    out[2 * j + 1] = odd[j];
  }
  if (count % 2 != 0) out[count - 1] = even[pairs];
}
// Outputs whose even and odd columns are made apart. Columns of out lie side by side.
template <class T> struct column_pair {
  tensor_view<T> out;
  std::array<tensor<T>, 2> half;

  explicit column_pair(const tensor_view<T>& o)
      : out(o),
        half{tensor<T>(o.extents().with(3, (o.extent(3) + 1) / 2)),
             tensor<T>(o.extents().with(3, o.extent(3) / 2))} {}
};
template <class A, class E, class T>
void interleave_columns(const E& ex, std::span<const column_pair<T>> pairs) {
  const tensor_view<T>& some = pairs.front().out;  // all have as many planes
  const index_t channels = some.extent(1), planes = some.extent(0) * channels;
  ex.bulk(static_cast<index_t>(pairs.size()) * planes, [&](index_t k) {
    const column_pair<T>& pair = pairs[static_cast<std::size_t>(k / planes)];
    const tensor_view<T>& out = pair.out;
    const index_t plane = k % planes, rows = out.extent(2);
    const index_t evens = pair.half[0].extent(3), odds = pair.half[1].extent(3);
    const T* even = pair.half[0].data() + plane * rows * evens;
    const T* odd = pair.half[1].data() + plane * rows * odds;
    T* to = out.data() + plane / channels * out.stride(0) + plane % channels * out.stride(1);
    for (index_t i = 0; i < rows; ++i) {
      interleave<A>(even + i * evens, odd + i * odds, out.extent(3), to + i * out.stride(2));
    }
  });
}

// What outputs without taps are, by channel: all their weights meet the padding.
template <class A, palette_matrix W, class Epilogue, class Out>
std::vector<Out> outputs_of_padding(const W& w, std::int32_t padding, const Epilogue& epilogue,
                                    const tensor_view<Out>& out) {
  constexpr index_t size = simd::vector_size<A>;
  const auto times = [](std::int32_t a, std::int32_t b) {
    return static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b);
  };
  const conv_output<A, Epilogue, Out> output(epilogue, out);
  std::vector<Out> values;
  Out same[to_size(size)];
  for (index_t row = 0; row < w.rows(); ++row) {
    if constexpr (slice_epilogue<Epilogue>) {
      alignas(64) std::int32_t raw[to_size(size)];
      alignas(64) float sums[to_size(size)] = {};
      for (const lut_matrix& slice : slices_of(w)) {
        const auto sum = times(padding - epilogue.x_zero_point, slice.row_sum(row));
        std::fill_n(raw, size, static_cast<std::int32_t>(sum));
        Epilogue::template add<A>(raw, slice.row_scale(row), size, sums);
      }
      output.store_slices(same, row, sums);
    } else {
      std::uint32_t sum = times(padding, w.row_sum(row));
      if constexpr (row_epilogue<Epilogue>) {
        sum += static_cast<std::uint32_t>(bias_of(epilogue.bias, row));
      }
      simd::ints_of<A> sums[4];
      for (auto& v : sums) v = splat_ints(static_cast<std::int32_t>(sum), A{});
      output.template store<1>(same, row, sums);
    }
    values.push_back(same[0]);
  }
  return values;
}

// The positions 0..stride - 1 of an axis that no phase makes; nor does any make those whole strides behind.
inline std::vector<index_t> without_taps(std::span<const axis_phase> phases, index_t stride,
                                         index_t extent) {
  std::vector<index_t> positions;
  for (index_t first = 0; first < std::min(stride, extent); ++first) {
    const auto makes = [first](const axis_phase& p) { return p.output == first; };
    if (std::ranges::none_of(phases, makes)) positions.push_back(first);
  }
  return positions;
}
// Fills these rows and columns of out with the value of their channel.
template <class E, class Out>
void fill_without_taps(const E& ex, std::span<const index_t> rows, std::span<const index_t> columns,
                       const std::array<index_t, 2>& stride, std::span<const Out> value,
                       const tensor_view<Out>& out) {
  ex.bulk(out.extent(0) * out.extent(1), [&](index_t plane) {
    const index_t n = plane / out.extent(1), channel = plane % out.extent(1);
    const auto fill = [&](index_t i, index_t first, index_t step) {
      for (index_t j = first; j < out.extent(3); j += step)
        out(n, channel, i, j) = value[to_size(channel)];
    };
    for (index_t i = 0; i < out.extent(2); ++i) {
      if (std::ranges::binary_search(rows, i % stride[0])) {
        fill(i, 0, 1);
      } else {
        for (const index_t j : columns) fill(i, j, stride[1]);
      }
    }
  });
}

// `w` is made from a transposed_palette().
struct conv_transpose2d_product {
  template <class A, class E, palette_matrix W, class X, class Out, epilogue_of<W> Epilogue>
  static void run(std::string_view where, const E& ex, const W& w, const tensor_view<const X>& x,
                  const tensor_view<Out>& out, const conv_transpose2d_options& o,
                  const Epilogue& epilogue) {
    const std::string at(where);
    check(o.geometry, at);
    check_padding_value<X>(o.padding_value, at);
    const shape& ws = w.weight_shape();
    if (ws.rank() != 4 || x.rank() != 4) {
      raise(errc::shape_mismatch, "weight and input have four axes", at,
            text_of(ws) + " and " + text_of(x.extents()),
            "[out, in / groups, kh, kw] and [n, in, h, w]");
    }
    check_kernel(ws, at);
    for (int axis = 2; axis < 4; ++axis) {  // products with the stride are in range
      constexpr index_t most = index_t{1} << 31;
      if (x.extent(axis) <= most) continue;
      raise(errc::unsupported, "x is too large", at, text_of(x.extent(axis)),
            "<= " + text_of(most));
    }
    const shape wanted{x.extent(0), ws[0], output_extent(o.geometry, 0, x.extent(2), ws[2]),
                       output_extent(o.geometry, 1, x.extent(3), ws[3])};
    if (!(out.extents() == wanted)) {
      raise(errc::shape_mismatch, "out does not match x and the window", at, text_of(out.extents()),
            text_of(wanted));
    }
    check_memory(x, out, at);
    if (o.groups < 1 || ws[0] % o.groups != 0 || !are_channels(x.extent(1), ws[1], o.groups)) {
      raise(errc::shape_mismatch, "x does not match the weight and its groups", at,
            text_of(x.extents()) + " in " + text_of(o.groups) + " groups", text_of(ws));
    }
    check_slices<X>(w, A::name, at);
    if (!slices_of(w).front().transposed()) {
      raise(errc::incompatible, "the matrix is not made of a transposed palette", at, text_of(ws),
            "that of transposed_palette(packed, groups)");
    }
    check_epilogue(epilogue, w.rows(), out, at);
    if (out.empty()) return;
    const spread_axis spread[]{spread_of(o.geometry, 0, x.extent(2), ws[2]),
                               spread_of(o.geometry, 1, x.extent(3), ws[3])};
    check_plane_bytes({spread[0].extent, spread[1].extent}, "[rows, columns]", at);
    const auto rows = phases_of(o.geometry, 0, x.extent(2), ws[2]);
    const auto columns = phases_of(o.geometry, 1, x.extent(3), ws[3]);
    const std::array<index_t, 2>& stride = o.geometry.window.stride;
    const convolution c{o.groups, o.padding_value, false, where};
    auto decoded = weights_on_demand_of<A>(w);
    const auto phase_of = [&](const axis_phase& row, const axis_phase& column,
                              const tensor_view<Out>& to) {
      conv_phase<X, Out> p{{}, {{ws[2], ws[3]}, {{row.taps, column.taps}}}, x, to};
      p.window.dilation = {row.dilation, column.dilation};
      p.window.padding = {std::max<index_t>(-row.offset, 0), std::max<index_t>(-column.offset, 0)};
      p.x = axis_from(axis_from(x, 2, row.offset, 1), 3, column.offset, 1);
      return p;
    };
    // Pairs of columns are made apart and brought together, since outputs two apart are stored one by one. What is
    // serial does so for the rows of one phase at a time, which stay in the cache.
    const bool in_pairs = stride[1] == 2 && columns.size() == 2 && out.stride(3) == 1;
    const std::size_t at_once = in_pairs && is_serial(ex) ? 1 : rows.size();
    for (std::size_t first = 0; first < rows.size(); first += at_once) {
      std::vector<conv_phase<X, Out>> phases;
      std::vector<column_pair<Out>> pairs;
      pairs.reserve(at_once);  // views stay
      for (std::size_t i = first; i < first + at_once; ++i) {
        const tensor_view<Out> to = axis_from(out, 2, rows[i].output, stride[0]);
        if (in_pairs) pairs.emplace_back(to);
        for (const axis_phase& column : columns) {
          phases.push_back(
              phase_of(rows[i], column,
                       in_pairs ? view(pairs.back().half[static_cast<std::size_t>(column.output)])
                                : axis_from(to, 3, column.output, stride[1])));
        }
      }
      convolve<A, X, E, W, Epilogue, Out>(ex, w, decoded, c, phases, epilogue);
      if (in_pairs) interleave_columns<A, E, Out>(ex, pairs);
    }
    // Last, for out stays as it is if the windows are refused: those of the first phase are the largest.
    const auto no_rows = without_taps(rows, stride[0], out.extent(2));
    const auto no_columns = without_taps(columns, stride[1], out.extent(3));
    if (no_rows.empty() && no_columns.empty()) return;
    fill_without_taps<E, Out>(ex, no_rows, no_columns, stride,
                              outputs_of_padding<A>(w, o.padding_value, epilogue, out), out);
  }
};

// conv_transpose2d([ex,] w, x, options, [epilogue,] out [, level]); epilogue and out as of conv2d.
inline constexpr product_call<conv_transpose2d_product, keep_sums, conv_transpose2d_options>
    conv_transpose2d{"conv_transpose2d"};

}  // namespace lutra::inline LUTRA_ABI
