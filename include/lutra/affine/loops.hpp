// lutra: loops.hpp - the loops over dense memory: a run of elements of one unit, or a row of short runs.
// SPDX-License-Identifier: Apache-2.0
//
// Elements past the last full register go through a small buffer and the same code, so a result does not
// depend on the position of its element. (The bounds on their copies are for the compiler: fewer than a
// register is left.) Each loop copies its constants first: the compiler must not think
// that the stores change them.
#pragma once

#include <algorithm>
#include <lutra/affine/lanes.hpp>
#include <lutra/simd/cache.hpp>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Where a loop takes its constants from: the same ones everywhere ...
template <class V> class uniform_constants {
 public:
  explicit uniform_constants(const unit_constants<float>& c) noexcept : constants_(spread<V>(c)) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t) const noexcept { return constants_; }

 private:
  unit_constants<V> constants_;
};

// ... or one set per element of a row, as happens when the last axis is cut finely. Field by field.
class row_constants {
 public:
  static constexpr index_t padding = 64;         // registers may be loaded past the end
  row_constants(const row_constants&) = delete;  // a copy would lie elsewhere
  row_constants& operator=(const row_constants&) = delete;

  explicit row_constants(index_t n)
      : stride_((n + padding + line - 1) / line * line),
        values_(static_cast<std::size_t>(fields * stride_ + line)) {
    const auto past = reinterpret_cast<std::uintptr_t>(values_.data()) / sizeof(float) % line;
    first_ = (line - static_cast<index_t>(past)) % line;
    std::fill_n(field(0), 2 * stride_, 1.0F);  // harmless for the lanes past the end
  }
  unit_constants<float> at(index_t i) const noexcept {
    return {field(0)[i], field(1)[i], field(2)[i], field(3)[i], field(4)[i], field(5)[i]};
  }
  void set(index_t i, const unit_constants<float>& c) noexcept {
    const float value[fields] = {c.scale,   c.reciprocal,   c.lowest,
                                 c.highest, c.float_offset, c.integer_offset};
    for (index_t f = 0; f < fields; ++f) field(f)[i] = value[f];
  }
  const float* data() const noexcept { return field(0); }
  index_t stride() const noexcept { return stride_; }  // from one field to the next
  static constexpr index_t fields = 6;                 // in the order of unit_constants
  float* field(index_t f) noexcept { return values_.data() + first_ + f * stride_; }
  const float* field(index_t f) const noexcept { return values_.data() + first_ + f * stride_; }

 private:
  static constexpr index_t line = 16;  // every field begins a cache line

  index_t stride_;
  index_t first_ = 0;
  std::vector<float> values_;
};
template <class V> class varying_constants {
 public:
  explicit varying_constants(const row_constants& row) noexcept
      : first_(row.data()), stride_(row.stride()) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t i) const noexcept {
    const float* p = first_ + i;
    return {simd::load<V>(p),
            simd::load<V>(p + stride_),
            simd::load<V>(p + 2 * stride_),
            simd::load<V>(p + 3 * stride_),
            simd::load<V>(p + 4 * stride_),
            simd::load<V>(p + 5 * stride_)};
  }

 private:
  const float* first_;
  index_t stride_;
};

// Whether an output of n floats is written around the caches, which saves reading it.
inline bool is_streamed(index_t n) noexcept {
  return simd::stores_for(n * index_t{sizeof(float)}) == simd::stores::streaming;
}

// Stores a register, around the caches if Stream (p is then aligned).
template <bool Stream, class V>
[[gnu::always_inline]] inline void put(float* p, const V& v) noexcept {
  if constexpr (Stream) {
    simd::stream(p, v);
  } else {
    simd::store(p, v);
  }
}
// Elements before the first address where a register may be streamed to; -1 if there is none.
template <class V> index_t elements_before_aligned(const float* p) noexcept {
  constexpr auto register_bytes = static_cast<std::uintptr_t>(simd::lanes<V>) * sizeof(float);
  const auto past = reinterpret_cast<std::uintptr_t>(p) % register_bytes;
  if (past % sizeof(float) != 0) return -1;
  return past == 0 ? 0 : static_cast<index_t>((register_bytes - past) / sizeof(float));
}

template <class Level, unit_form Form, quotient_method Method, bool Stream, class Source>
void fake_quantize_from(index_t i, const float* x, float* out, index_t n,
                        const Source& source) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const Source constants = source;
  for (; i + lanes <= n; i += lanes) {
    put<Stream>(out + i, fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), constants.at(i)));
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  float buffer[static_cast<std::size_t>(lanes)] = {};
  std::copy_n(x + i, std::min(rest, lanes), buffer);
  simd::store(buffer, fake_quantize_lanes<Form, Method>(simd::load<V>(buffer), constants.at(i)));
  std::copy_n(buffer, std::min(rest, lanes), out + i);
}

template <class Level, unit_form Form, quotient_method Method, class Source>
void fake_quantize_loop(const float* x, float* out, index_t n, const Source& source,
                        bool stream) noexcept {
  const index_t head = stream ? elements_before_aligned<simd::floats<Level>>(out) : -1;
  if (head < 0 || head >= n) {
    fake_quantize_from<Level, Form, Method, false>(0, x, out, n, source);
    return;
  }
  fake_quantize_from<Level, Form, Method, false>(0, x, out, head, source);
  fake_quantize_from<Level, Form, Method, true>(head, x, out, n, source);
}

// `count` units of `length` elements each, a multiple of the register; their constants one after the other.
template <class Level, unit_form Form, quotient_method Method, bool Stream>
void fake_quantize_units(const float* x, float* out, index_t length, index_t count,
                         const row_constants& units) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const float* const first = units.data();
  const index_t stride = units.stride();
  index_t end = 0;
  index_t i = 0;
  for (index_t k = 0; k < count; ++k) {
    const float* const u = first + k;
    const unit_constants<V> c{V(u[0]),          V(u[stride]),     V(u[2 * stride]),
                              V(u[3 * stride]), V(u[4 * stride]), V(u[5 * stride])};
    for (end += length; i < end; i += lanes) {
      put<Stream>(out + i, fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), c));
    }
  }
}
template <class Level, unit_form Form, quotient_method Method>
void fake_quantize_blocks(const float* x, float* out, index_t length, index_t count,
                          const row_constants& units, bool stream) noexcept {
  if (stream && elements_before_aligned<simd::floats<Level>>(out) == 0) {
    fake_quantize_units<Level, Form, Method, true>(x, out, length, count, units);
  } else {
    fake_quantize_units<Level, Form, Method, false>(x, out, length, count, units);
  }
}

template <class Level, unit_form Form, quotient_method Method, class Source>
void quantize_loop(const float* x, std::uint8_t* out, index_t n, const Source& source) noexcept {
  const Source constants = source;
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const auto four = [&](const float* from, index_t i, std::uint8_t* to) {
    const auto step = [&](index_t k) {
      return quantize_lanes<Form, Method>(simd::load<V>(from + k * lanes),
                                          constants.at(i + k * lanes));
    };
    simd::store_low_bytes(to, step(0), step(1), step(2), step(3));
  };
  index_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) four(x + i, i, out + i);
  const index_t rest = n - i;
  if (rest <= 0) return;
  float buffer[static_cast<std::size_t>(4 * lanes)] = {};
  std::uint8_t codes[static_cast<std::size_t>(4 * lanes)];
  std::copy_n(x + i, std::min(rest, 4 * lanes), buffer);
  four(buffer, i, codes);
  std::copy_n(codes, std::min(rest, 4 * lanes), out + i);
}

template <class Level, unit_form Form, class Code, class Source>
void dequantize_loop(const Code* q, float* out, index_t n, const Source& source) noexcept {
  const Source constants = source;
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    simd::store(out + i, dequantize_lanes<Form>(simd::widen<V>(q + i), constants.at(i)));
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  Code codes[static_cast<std::size_t>(lanes)] = {};
  float buffer[static_cast<std::size_t>(lanes)];
  std::copy_n(q + i, std::min(rest, lanes), codes);
  simd::store(buffer, dequantize_lanes<Form>(simd::widen<V>(codes), constants.at(i)));
  std::copy_n(buffer, std::min(rest, lanes), out + i);
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
