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
#include <lutra/affine/units.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/each_lane.hpp>
#include <lutra/simd/widen.hpp>
#include <type_traits>
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
  // Integer offset and bounds less it, if all have the same, as units of float formats do: a loop then reads scales
  // and reciprocals only.
  struct shared_bounds {
    bool present = false;
    float lo = 0, hi = 0, integer_offset = 0;
  };
  shared_bounds shared;

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

// The same for zp and float formats with shared bounds.
template <class V> class varying_scales {
 public:
  explicit varying_scales(const row_constants& row) noexcept
      : first_(row.data()),
        stride_(row.stride()),
        lo_(row.shared.lo),
        hi_(row.shared.hi),
        integer_offset_(row.shared.integer_offset) {}
  [[gnu::always_inline]] unit_constants<V> at(index_t i) const noexcept {
    const V scale = simd::load<V>(first_ + i);
    return {scale,          simd::load<V>(first_ + i + stride_), lo_ * scale, hi_ * scale, V(0.0F),
            integer_offset_};
  }

 private:
  const float* first_;
  index_t stride_;
  V lo_, hi_, integer_offset_;
};

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

// The n units whose constants are the lanes of `all`, of `each` elements.
template <unit_form Form, quotient_method Method, bool Stream, class V>
[[gnu::always_inline]] inline void fake_quantize_lane_units(const float* x, float* out,
                                                            index_t each, index_t n,
                                                            const unit_constants<V>& all) noexcept {
  const simd::each_lane<V> scale(all.scale), reciprocal(all.reciprocal), lowest(all.lowest),
      highest(all.highest), float_offset(all.float_offset), integer_offset(all.integer_offset);
  for (index_t u = 0; u < n; ++u, x += each, out += each) {
    const unit_constants<V> c{scale.at(u),   reciprocal.at(u),   lowest.at(u),
                              highest.at(u), float_offset.at(u), integer_offset.at(u)};
    for (index_t i = 0; i < each; i += simd::lanes<V>) {
      if constexpr (Stream) simd::read_ahead(x + i);
      put_in_turn<Stream>(out + i, fake_quantize_lanes<Form, Method>(simd::load<V>(x + i), c));
    }
  }
}
// `count` units, a multiple of the lanes, up to the first register of units that are not all regular; how many those
// were. Neither calls nor is it inlined: every constant then stays in a register. A load of one from memory waits for
// older streamed stores to the same place of another page (blocks of 32 took 2 to 5 % more).
template <class Level, unit_form Form, quotient_method Method, bool Stream, index_t Length,
          unit_offsets Kind>
[[gnu::noinline]] index_t fake_quantize_regular_units(const float* x, float* out, index_t length,
                                                      index_t count,
                                                      const unit_source& from) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const unit_source source = from;
  const index_t each = Length == 0 ? length : Length;
  // Those of the next register are made before this one's elements: their division takes no time then.
  unit_constants<V> next = constants_from<Kind, V>(source, 0);
  for (index_t first = 0; first < count; first += lanes, x += lanes * each, out += lanes * each) {
    ask_ahead<Kind>(source, first);
    const unit_constants<V> all = next;
    if (!all_regular(all.scale)) return first;
    next = constants_from<Kind, V>(source, std::min(first + lanes, count - lanes));
    fake_quantize_lane_units<Form, Method, Stream>(x, out, each, lanes, all);
  }
  return count;
}
// `count` units of `length` elements each, a multiple of the register, from unit `at` of p on. Their constants are made
// a register of units at a time: between longer pauses memory would idle. Where one of these is not regular, they are
// taken singly. Length: the usual one, known when compiling, or 0. Kind: the offsets that are read.
template <class Level, unit_form Form, quotient_method Method, bool Stream, index_t Length,
          unit_offsets Kind>
void fake_quantize_units(const float* x, float* out, index_t length, index_t count,
                         const qparams& p, index_t at) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  const auto singly = [&](index_t first, index_t n) {
    for (index_t u = first; u < first + n; ++u) {
      fake_quantize_unit<Level, Form, Method>(x + u * length, out + u * length, length,
                                              unit_of(p, at + u), false);
    }
  };
  const index_t whole = count - count % lanes;
  index_t done = 0;
  while (done < whole) {
    done += fake_quantize_regular_units<Level, Form, Method, Stream, Length, Kind>(
        x + done * length, out + done * length, length, whole - done,
        units_as<Form, Kind>(p, at + done));
    if (done == whole) break;
    singly(done, lanes);
    done += lanes;
  }
  if (whole == count) return;
  const auto last =
      last_constants_from<Kind, V>(units_as<Form, Kind>(p, at + whole), 0, count - whole);
  if (!all_regular(last.scale)) return singly(whole, count - whole);
  fake_quantize_lane_units<Form, Method, Stream>(x + whole * length, out + whole * length, length,
                                                 count - whole, last);
}
// The same of units that are streamed, in parts whose pages of parameters a core remembers until it is there: with 4 MiB
// of elements, in and out, it does (half of 2048 pages of 4 KiB), with 16 MiB it does not.
template <class Level, unit_form Form, quotient_method Method, index_t Length, unit_offsets Kind>
void stream_fake_quantized_units(const float* x, float* out, index_t length, index_t count,
                                 const qparams& p, index_t at) noexcept {
  constexpr index_t lanes = simd::lanes<simd::floats<Level>>;
  constexpr index_t elements = index_t{1} << 19;
  const index_t part = std::max(lanes, elements / length / lanes * lanes);
  for (index_t u = 0; u < count; u += part) {
    const index_t n = std::min(part, count - u);
    touch_pages_of<Kind>(units_from(p, at + u), n);
    fake_quantize_units<Level, Form, Method, true, Length, Kind>(x + u * length, out + u * length,
                                                                 length, n, p, at + u);
  }
}
// Zero points that are all the same are not read by streamed units.
template <class Level, unit_form Form, quotient_method Method>
void fake_quantize_blocks(const float* x, float* out, index_t length, index_t count,
                          const checked_qparams& checked, index_t at, bool stream) noexcept {
  constexpr unit_offsets kind = offsets_of(Form);
  const qparams& p = checked.params;
  const auto streamed = [&](auto offsets) {
    constexpr unit_offsets read = decltype(offsets)::value;
    length == 32
        ? stream_fake_quantized_units<Level, Form, Method, 32, read>(x, out, length, count, p, at)
        : stream_fake_quantized_units<Level, Form, Method, 0, read>(x, out, length, count, p, at);
  };
  if (!stream || elements_before_aligned<simd::floats<Level>>(out) != 0) {
    fake_quantize_units<Level, Form, Method, false, 0, kind>(x, out, length, count, p, at);
  } else if (Form == unit_form::zp && checked.same_zero_points) {
    constexpr auto none = Form == unit_form::zp ? unit_offsets::none : kind;
    streamed(std::integral_constant<unit_offsets, none>{});
  } else {
    streamed(std::integral_constant<unit_offsets, kind>{});
  }
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
  float buffer[static_cast<std::size_t>(4 * lanes)] = {};
  std::uint8_t codes[static_cast<std::size_t>(4 * lanes)];
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
  Code codes[static_cast<std::size_t>(lanes)] = {};
  float buffer[static_cast<std::size_t>(lanes)];
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
