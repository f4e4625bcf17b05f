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
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Where a loop takes its constants from: the same ones everywhere ...
template <class V> class uniform_constants {
 public:
  explicit uniform_constants(const unit_constants<float>& c) noexcept : constants_(spread<V>(c)) {}
  unit_constants<V> at(index_t) const noexcept { return constants_; }

 private:
  unit_constants<V> constants_;
};

// ... or one set per element of a row, as happens when the last axis is cut finely.
class row_constants {
 public:
  static constexpr index_t padding = 64;  // registers may be loaded past the end

  explicit row_constants(index_t n)
      : stride_(n + padding), values_(static_cast<std::size_t>(6 * stride_)) {
    // Harmless constants for the lanes past the end.
    for (index_t i = n; i < stride_; ++i) set(i, {1, 1, 0, 0, 0, 0});
  }
  void set(index_t i, const unit_constants<float>& c) noexcept {
    const float fields[6] = {c.scale,   c.reciprocal,   c.lowest,
                             c.highest, c.float_offset, c.integer_offset};
    for (index_t f = 0; f < 6; ++f) values_[static_cast<std::size_t>(f * stride_ + i)] = fields[f];
  }
  template <class V> unit_constants<V> load(index_t i) const noexcept {
    const float* p = values_.data() + i;
    return {simd::load<V>(p),
            simd::load<V>(p + stride_),
            simd::load<V>(p + 2 * stride_),
            simd::load<V>(p + 3 * stride_),
            simd::load<V>(p + 4 * stride_),
            simd::load<V>(p + 5 * stride_)};
  }

 private:
  index_t stride_;
  std::vector<float> values_;
};
template <class V> class varying_constants {
 public:
  explicit varying_constants(const row_constants& row) noexcept : row_(&row) {}
  unit_constants<V> at(index_t i) const noexcept { return row_->load<V>(i); }

 private:
  const row_constants* row_;
};

// Above this many bytes an output does not fit the caches anyway; writing around them saves reading it.
inline constexpr index_t stream_bytes = index_t{1} << 24;

template <class Level, unit_form Form, quotient_method Method, class Source>
void fake_quantize_loop(const float* x, float* out, index_t n, const Source& source,
                        bool stream) noexcept {
  const Source constants = source;
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const auto step = [&](index_t i) {
    return fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), constants.at(i));
  };
  index_t i = 0;
  if (stream) {
    constexpr auto register_bytes = static_cast<std::uintptr_t>(lanes) * sizeof(float);
    const auto past = reinterpret_cast<std::uintptr_t>(out) % register_bytes;
    const index_t head =
        past == 0 ? 0 : static_cast<index_t>((register_bytes - past) / sizeof(float));
    if (head > 0 && head < n) {
      fake_quantize_loop<Level, Form, Method>(x, out, head, source, false);
      i = head;
    }
    if (past % sizeof(float) == 0) {
      for (; i + lanes <= n; i += lanes) simd::stream(out + i, step(i));
    }
  } else {
    for (; i + lanes <= n; i += lanes) simd::store(out + i, step(i));
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  float buffer[static_cast<std::size_t>(lanes)] = {};
  std::copy_n(x + i, std::min(rest, lanes), buffer);
  simd::store(buffer, fake_quantize_lanes<Form, Method>(simd::load<V>(buffer), constants.at(i)));
  std::copy_n(buffer, std::min(rest, lanes), out + i);
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
