// lutra: loops.hpp - the loops over dense memory: a run of elements of one unit, or a row of short runs.
// SPDX-License-Identifier: Apache-2.0
//
// Elements past the last full register go through a small buffer and the same code, so a result does not
// depend on the position of its element. (The bounds on their copies are for the compiler: fewer than a
// register is left.) Each loop copies its constants first: the compiler must not think
// that the stores change them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/affine/lanes.hpp>
#include <lutra/affine/loop_constants.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/widen.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Whether an output of n floats is written around the caches, which saves reading it.
inline bool is_streamed(index_t n) noexcept {
  return simd::stores_for(n * index_t{sizeof(float)}) == simd::stores::streaming;
}
// The same where the other side is n codes: what counts is how much of the caches both need together.
inline bool is_code_streamed(index_t n) noexcept {
  return simd::stores_for(n * index_t{sizeof(float) + 1} / 2) == simd::stores::streaming;
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
// The same for loops whose body handles several cache lines: no read that follows is moved before a streamed store.
// Compilers like to read two lines and then write two, which had 70 % of the rate of one after the other.
template <bool Stream, class V>
[[gnu::always_inline]] inline void put_in_turn(float* p, const V& v) noexcept {
  put<Stream>(p, v);
  if constexpr (Stream) asm volatile("" ::: "memory");
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
    if constexpr (Stream) simd::read_ahead(x + i);
    put<Stream>(out + i, fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), constants.at(i)));
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  float buffer[to_size(lanes)] = {};
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

// Two rows of `period` elements, a multiple of the register, that share `source`.
template <class Level, unit_form Form, quotient_method Method, bool Stream, class Source>
void fake_quantize_pair(const float* x, float* out, index_t period, const Source& source) noexcept {
  using V = simd::floats<Level>;
  const Source constants = source;
  for (index_t i = 0; i < period; i += simd::lanes<V>) {
    const unit_constants<V> c = constants.at(i);
    if constexpr (Stream) simd::read_ahead(x + i);
    if constexpr (Stream) simd::read_ahead(x + period + i);
    put_in_turn<Stream>(out + i, fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), c));
    const V second = simd::load<V>(x + period + i);
    put_in_turn<Stream>(out + period + i, fake_quantize_lanes<Form, Method>(second, c));
  }
}
// n elements in rows of `period`, which is a multiple of the register or at least n. The constants of long rows
// do not fit an L1 cache and are loaded for two rows at once; short rows are faster one by one.
template <class Level, unit_form Form, quotient_method Method, class Source>
void fake_quantize_rows(const float* x, float* out, index_t n, index_t period, const Source& source,
                        bool stream) noexcept {
  constexpr index_t long_row = 2048;
  const bool aligned = stream && elements_before_aligned<simd::floats<Level>>(out) == 0;
  index_t i = 0;
  for (; period > long_row && i + 2 * period <= n; i += 2 * period) {
    aligned ? fake_quantize_pair<Level, Form, Method, true>(x + i, out + i, period, source)
            : fake_quantize_pair<Level, Form, Method, false>(x + i, out + i, period, source);
  }
  for (; i < n; i += period) {
    const index_t size = std::min(period, n - i);
    aligned ? fake_quantize_from<Level, Form, Method, true>(0, x + i, out + i, size, source)
            : fake_quantize_loop<Level, Form, Method>(x + i, out + i, size, source, stream);
  }
}

// n elements of one unit, whatever its scale.
template <class Level, unit_form Form, quotient_method Method>
void fake_quantize_unit(const float* x, float* out, index_t n, const unit_params& u,
                        bool stream) noexcept {
  if (is_regular(u.scale)) {
    const uniform_constants<simd::floats<Level>> constants(constants_of(u));
    return fake_quantize_loop<Level, Form, Method>(x, out, n, constants, stream);
  }
  constexpr quotient q =
      Method == quotient_method::multiply ? quotient::reciprocal : quotient::exact;
  for (index_t i = 0; i < n; ++i) out[i] = fake_quantize_one(x[i], u, q);
}

template <class Level, unit_form Form, quotient_method Method, bool Stream, class Source>
void quantize_from(index_t i, const float* x, std::uint8_t* out, index_t n,
                   const Source& source) noexcept {
  const Source constants = source;
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const auto four = [&](auto streamed, const float* from, index_t at, std::uint8_t* to) {
    const auto step = [&](index_t k) {
      if constexpr (decltype(streamed)::value) simd::read_ahead(from + k * lanes);
      return quantize_lanes<Form, Method>(simd::load<V>(from + k * lanes),
                                          constants.at(at + k * lanes));
    };
    if constexpr (decltype(streamed)::value) {
      simd::stream_low_bytes(to, step(0), step(1), step(2), step(3));
    } else {
      simd::store_low_bytes(to, step(0), step(1), step(2), step(3));
    }
  };
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    four(std::bool_constant<Stream>{}, x + i, i, out + i);
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  float buffer[to_size(4 * lanes)] = {};
  std::uint8_t codes[to_size(4 * lanes)];
  std::copy_n(x + i, std::min(rest, 4 * lanes), buffer);
  four(std::false_type{}, buffer, i, codes);
  std::copy_n(codes, std::min(rest, 4 * lanes), out + i);
}
template <class Level, unit_form Form, quotient_method Method, class Source>
void quantize_loop(const float* x, std::uint8_t* out, index_t n, const Source& source,
                   bool stream = false) noexcept {
  constexpr index_t bytes = 4 * simd::lanes<simd::floats<Level>>;
  const index_t past = reinterpret_cast<std::uintptr_t>(out) % static_cast<std::uintptr_t>(bytes);
  const index_t head = past == 0 ? 0 : bytes - past;
  if (!stream || head >= n / 4) {  // streaming parts of cache lines is slow
    quantize_from<Level, Form, Method, false>(0, x, out, n, source);
    return;
  }
  quantize_from<Level, Form, Method, false>(0, x, out, head, source);
  quantize_from<Level, Form, Method, true>(head, x, out, n, source);
}

// Codes as a loop reads them: integers as floats, bytes of float formats as they are.
template <class V, unit_form Form, class Code>
[[gnu::always_inline]] inline V load_codes(const Code* q) noexcept {
  if constexpr (Form == unit_form::zp || Form == unit_form::minval) {
    return simd::widen<V>(q);
  } else {
    return simd::byte_words<V>(reinterpret_cast<const std::uint8_t*>(q));
  }
}
template <class Level, unit_form Form, bool Stream, class Code, class Source>
void dequantize_from(index_t i, const Code* q, float* out, index_t n,
                     const Source& source) noexcept {
  const Source constants = source;
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  for (; i + lanes <= n; i += lanes) {
    if constexpr (Stream) simd::read_ahead(q + i);
    put<Stream>(out + i, dequantize_lanes<Form>(load_codes<V, Form>(q + i), constants.at(i)));
  }
  const index_t rest = n - i;
  if (rest <= 0) return;
  Code codes[to_size(lanes)] = {};
  float buffer[to_size(lanes)];
  std::copy_n(q + i, std::min(rest, lanes), codes);
  simd::store(buffer, dequantize_lanes<Form>(load_codes<V, Form>(codes), constants.at(i)));
  std::copy_n(buffer, std::min(rest, lanes), out + i);
}
template <class Level, unit_form Form, class Code, class Source>
void dequantize_loop(const Code* q, float* out, index_t n, const Source& source,
                     bool stream = false) noexcept {
  const index_t head = stream ? elements_before_aligned<simd::floats<Level>>(out) : -1;
  if (head < 0 || head >= n) {
    dequantize_from<Level, Form, false>(0, q, out, n, source);
    return;
  }
  dequantize_from<Level, Form, false>(0, q, out, head, source);
  dequantize_from<Level, Form, true>(head, q, out, n, source);
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
