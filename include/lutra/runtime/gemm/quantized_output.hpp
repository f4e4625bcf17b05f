// lutra: quantized_output.hpp - a float output, quantized to 8 bits before it is stored.
// SPDX-License-Identifier: Apache-2.0
//
//   q = clamp(round_half_even(y / scale) + zero_point, lo, hi)        y as float_output says
// the bits of quantize() (affine/element.hpp) on the float outputs, but of NaN, which counts as 0 here: its code is
// clamp(zero_point, lo, hi), where quantize() gives zero_point even outside the bounds. So a bias must be finite: codes
// would not show it. The floats never exist: some hundred at a time are in the first-level cache.
#pragma once

#include <algorithm>
#include <lutra/affine/loops.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/runtime/gemm/float_output.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct quantized_output {
  float_output real;            // what is quantized; relu is real.lo = 0
  float scale = 1;              // finite, > 0
  std::int32_t zero_point = 0;  // this and the bounds: within the type of the output
  std::int32_t lo = -128;       // of uint8 set 0 and 255
  std::int32_t hi = 127;
};

template <class O>
concept product_output = std::is_same_v<O, float_output> || std::is_same_v<O, quantized_output>;

// Raises as check_float_output() does.
template <class Out>
void check_output(const float_output& o, index_t rows, const tensor_view<Out>& out,
                  std::string_view where) {
  static_assert(std::is_same_v<Out, float>, "outputs that are not quantized are float");
  check_float_output(o, rows, out, where);
}
template <class Out>
void check_output(const quantized_output& o, index_t rows, const tensor_view<Out>& out,
                  std::string_view where) {
  static_assert(std::is_same_v<Out, std::int8_t> || std::is_same_v<Out, std::uint8_t>,
                "quantized outputs are int8 or uint8");
  check_float_output(o.real, rows, out, where);
  const auto bad = std::ranges::find_if_not(o.real.bias, [](float b) { return is_finite(b); });
  if (bad != o.real.bias.end()) {
    raise(errc::invalid_argument, "bias of a quantized output is not finite", std::string(where),
          text_of(*bad) + " in row " + text_of(static_cast<index_t>(bad - o.real.bias.begin())),
          "finite");
  }
  if (!(o.scale > 0.0F) || !is_finite(o.scale)) {
    raise(errc::invalid_argument, "scale of the output is not a positive finite number",
          std::string(where), text_of(o.scale), "> 0");
  }
  constexpr std::int32_t lowest = std::is_signed_v<Out> ? -128 : 0;
  const auto field = [&](const char* name, std::int32_t x, std::int32_t from) {
    if (x >= from && x <= lowest + 255) return;
    raise(errc::invalid_argument, std::string(name) + " of the output out of range",
          std::string(where), text_of(x), range_text(from, lowest + 255));
  };
  field("zero_point", o.zero_point, lowest);
  field("lo", o.lo, lowest);
  field("hi", o.hi, o.lo);
}

// n codes of x, stored as bytes.
template <class Level>
void write_codes(const quantized_output& o, const float* x, index_t n, std::uint8_t* out) {
  const unit_params u{dtype::int8,
                      true,
                      o.scale,
                      static_cast<float>(o.zero_point),
                      0,
                      static_cast<float>(o.lo),
                      static_cast<float>(o.hi)};
  if (is_regular(o.scale)) {
    using V = simd::floats<Level>;
    quantize_loop<Level, unit_form::zp, method_of<Level>(quotient::exact)>(
        x, out, n, uniform_constants<V>(constants_of(u)));
  } else {
    for (index_t i = 0; i < n; ++i) {
      out[i] = static_cast<std::uint8_t>(encode_one(simd::nan_to(x[i], 0.0F), u));
    }
  }
}

template <class Level, class Out>
void write_outputs(const quantized_output& o, output_rows rows, const float* sums, float scale,
                   index_t n, Out* out, index_t stride) {
  constexpr index_t at_once = 256;
  float y[to_size(at_once)];
  std::uint8_t codes[to_size(at_once)];
  for (index_t i = 0; i < n; i += at_once) {
    const index_t count = std::min(at_once, n - i);
    const output_rows part{rows.one ? rows.first : rows.first + i, rows.one};
    write_outputs<Level>(o.real, part, sums + i, scale, count, y, 1);
    if (stride == 1) {
      write_codes<Level>(o, y, count, reinterpret_cast<std::uint8_t*>(out + i));
      continue;
    }
    write_codes<Level>(o, y, count, codes);
    for (index_t k = 0; k < count; ++k) out[(i + k) * stride] = static_cast<Out>(codes[k]);
  }
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
