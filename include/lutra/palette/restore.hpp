// lutra: restore.hpp - a packed palette back to a dense weight.
// SPDX-License-Identifier: Apache-2.0
//
// value = (table[code] - zero_point) * scale [* row_scale[row]], each product rounded to float; half and
// bfloat16 are that float rounded once more. int8 and uint8 are the codes of an integer table as stored,
// without scales. All arithmetic is done on the tables, which are short: decoding copies entries
// (pack/decode.hpp), so the bits do not depend on the level.
// Cost: one pass, about as long as filling the output; large outputs are written around the caches.
#pragma once

#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/pack/decode.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/tensor/tensor.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The dense values of a palette, row-major.
inline std::vector<float> dense_values(const palette<float>& p) {
  std::vector<float> out(p.codes.size());
  const auto entries = to_size(p.entries());
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    const float* table = p.lut.data() + to_size(group) * entries;
    const auto begin = to_size(first);
    for (std::size_t i = begin; i < begin + to_size(length); ++i) {
      out[i] = table[p.codes[i]];
    }
  });
  if (!p.row_scale.empty() && !out.empty()) {
    const std::size_t row = out.size() / p.row_scale.size();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= p.row_scale[i / row];
  }
  p.outliers.apply_to(out.data());
  return out;
}

// The dense weight of a palette (unpacked form).
inline tensor<float> restore(const palette<float>& p) {
  return tensor<float>(p.weight_shape, dense_values(p));
}

// What a packed palette can be restored to.
template <class T>
concept restorable_value =
    std::same_as<T, float> || std::same_as<T, half> || std::same_as<T, bfloat16>;
template <class T>
concept restorable =
    restorable_value<T> || std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

// The tables as T, [groups, 2^n_bits]. `p` has passed check().
template <restorable_value T> std::vector<T> table_entries(const packed_palette& p) {
  if (!p.quantized()) {
    std::vector<T> entries;
    entries.reserve(p.lut.size());
    for (const float x : p.lut) entries.push_back(T(x));
    return entries;
  }
  std::vector<T> entries(p.lut_codes.size());
  const auto per_group = to_size(p.entries());
  for (std::size_t begin = 0; begin < entries.size(); begin += per_group) {
    const lut_scale s = lut_scale_of(p, static_cast<index_t>(begin / per_group));
    for (std::size_t i = begin; i < begin + per_group; ++i) {
      entries[i] = T(lut_value(s, p.lut_codes[i]));
    }
  }
  return entries;
}
template <restorable T>
requires(!restorable_value<T>) std::vector<T> table_entries(const packed_palette& p) {
  const dtype wanted = std::same_as<T, std::int8_t> ? dtype::int8 : dtype::uint8;
  if (p.lut_dtype != wanted) {
    raise(errc::unsupported, "the table holds other codes", "restore",
          std::string(name_of(p.lut_dtype)), std::string(name_of(wanted)));
  }
  std::vector<T> entries;
  entries.reserve(p.lut_codes.size());
  for (const std::uint8_t c : p.lut_codes) entries.push_back(static_cast<T>(c));
  return entries;
}

// n elements from `first` on, of one row: the scale goes to the table, or for few elements to them.
template <class Level, int Bits, restorable_value T>
void restore_scaled(const packed_palette& p, const float* table, float scale, index_t first, T* out,
                    index_t n, simd::stores stores) {
  const auto bytes = static_cast<index_t>(p.codes.size());
  constexpr index_t block = 256;
  if (decoder<Level, Bits, T>::worth_it(n / 2)) {
    std::array<T, std::size_t{1} << Bits> scaled;
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = T(table[i] * scale);
    decoder<Level, Bits, T>(scaled.data()).run(p.codes.data(), bytes, first, out, n, stores);
    return;
  }
  std::array<float, to_size(block)> values;
  for (index_t i = 0; i < n; i += block) {
    const index_t count = std::min(block, n - i);
    decode_unprepared<Level, Bits>(p.codes.data(), bytes, first + i, table, values.data(), count);
    for (index_t k = 0; k < count; ++k) out[i + k] = T(values[to_size(k)] * scale);
  }
}

// All elements, row-major. `p` has passed check().
template <class Level, int Bits, restorable T> void restore_dense(const packed_palette& p, T* out) {
  const index_t size = p.weight_shape.size();
  const auto bytes = static_cast<index_t>(p.codes.size());
  const simd::stores stores = simd::stores_for(size * static_cast<index_t>(sizeof(T)));
  if constexpr (restorable_value<T>) {
    if (!p.row_scale.empty() && size > 0) {
      const std::vector<float> tables = table_entries<float>(p);
      const index_t row = size / p.weight_shape[0];
      p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
        const float* const table = tables.data() + (group << Bits);
        for (index_t at = first, end = first + length; at < end;) {
          const index_t n = std::min(end, (at / row + 1) * row) - at;
          restore_scaled<Level, Bits>(p, table, p.row_scale[to_size(at / row)], at, out + at, n,
                                      stores);
          at += n;
        }
      });
      return simd::stream_fence();
    }
  }
  using table_decoder = decoder<Level, Bits, T>;
  const std::vector<T> tables = table_entries<T>(p);
  p.groups().for_each_run([&](index_t first, index_t length, index_t group) {
    const T* const table = tables.data() + (group << Bits);
    if (table_decoder::worth_it(length)) {
      table_decoder(table).run(p.codes.data(), bytes, first, out + first, length, stores);
    } else {
      decode_unprepared<Level, Bits>(p.codes.data(), bytes, first, table, out + first, length);
    }
  });
  simd::stream_fence();
}

// Raises corrupt_data as check() does, and `unsupported` for the codes of a table
// that holds others.
template <restorable T> void check_restorable(const packed_palette& p) {
  check(p, "restore");
  if (!restorable_value<T> && !p.outliers.empty()) {
    raise(errc::unsupported, "outliers are no codes of the table", "restore",
          text_of(static_cast<index_t>(p.outliers.position.size())) + " outliers", "none");
  }
}
template <class Level, restorable T> void restore_checked(const packed_palette& p, T* out) {
  with_bits(p.n_bits, [&](auto bits) { restore_dense<Level, bits(), T>(p, out); });
  if constexpr (restorable_value<T>) p.outliers.apply_to(out);
}

// The dense weight into a view of its shape (checked), strided or not. Raises what check_restorable() does.
// Writes nothing if it raises.
template <class Level = simd::native, restorable T>
void restore(const packed_palette& p, tensor_view<T> out) {
  if (!(out.extents() == p.weight_shape)) {
    raise(errc::shape_mismatch, "output shape differs from the weight's", "restore",
          text_of(out.extents()), text_of(p.weight_shape));
  }
  check_restorable<T>(p);
  if (out.is_contiguous()) return restore_checked<Level>(p, out.data());
  std::vector<T> values(to_size(out.size()));
  restore_checked<Level>(p, values.data());
  std::size_t next = 0;
  for_each_element(out, [&](T& x) { x = values[next++]; });
}

// The same into any tensor that can be written (tensor/traits.hpp).
template <class Out>
concept restorable_tensor =
    writable_tensor<Out> && !is_tensor_view<std::remove_cvref_t<Out>> &&
    restorable<typename decltype(view(std::declval<Out&>()))::element_type>;  // not of a const one
template <class Level = simd::native, restorable_tensor Out>
void restore(const packed_palette& p, Out&& out) {
  restore<Level>(p, view(out));
}

// The dense weight; restore<half>(p) and so on.
template <restorable T = float, class Level = simd::native>
tensor<T> restore(const packed_palette& p) {
  check_restorable<T>(p);
  tensor<T> out(p.weight_shape);
  restore_checked<Level>(p, out.data());
  return out;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
