// lutra: blocks.hpp - fake-quantizes consecutive units of equal length, whose constants it makes by the way.
// SPDX-License-Identifier: Apache-2.0
//
// The length is a multiple of the register. Units that are written around the caches read their parameters ahead of
// themselves and in parts, and only those offsets that differ.
#pragma once

#include <algorithm>
#include <lutra/affine/loops.hpp>
#include <lutra/affine/units.hpp>
#include <lutra/simd/each_lane.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

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
// The same of units that are streamed, in parts whose pages of parameters a core remembers until it is there: with 4
// MiB of elements, in and out, it does (half of 2048 pages of 4 KiB), with 16 MiB it does not.
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

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
