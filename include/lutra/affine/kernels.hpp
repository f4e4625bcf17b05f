// lutra: kernels.hpp - the loops of one kind of units behind pointers, chosen once per tensor.
// SPDX-License-Identifier: Apache-2.0
//
// There are ten kinds: five forms of units, exact or by reciprocal. Only the loops themselves are compiled
// for each; cutting the tensor into pieces is not. A call through a pointer is nothing beside a piece.
#pragma once

#include <lutra/affine/blocks.hpp>
#include <lutra/affine/loops.hpp>
#include <lutra/affine/qparams.hpp>
#include <type_traits>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// f(form, method) with the form of `p` and the method of Level as compile-time constants.
template <class Level, class F> auto with_form(const qparams& p, quotient q, F&& f) {
  const auto with_method = [&](auto form) {
    if (q == quotient::exact) {
      return f(form, std::integral_constant<quotient_method, method_of<Level>(quotient::exact)>{});
    } else {
      return f(form,
               std::integral_constant<quotient_method, method_of<Level>(quotient::reciprocal)>{});
    }
  };
  switch (form_of(p)) {
    case unit_form::zp:
      return with_method(std::integral_constant<unit_form, unit_form::zp>{});
    case unit_form::minval:
      return with_method(std::integral_constant<unit_form, unit_form::minval>{});
    case unit_form::e4m3fn:
      return with_method(std::integral_constant<unit_form, unit_form::e4m3fn>{});
    case unit_form::e5m2:
      return with_method(std::integral_constant<unit_form, unit_form::e5m2>{});
    default:
      return with_method(std::integral_constant<unit_form, unit_form::e2m1fn>{});
  }
}

// f(where a loop takes the constants of a row from). Those of minval differ in their float offsets.
template <class V, unit_form Form, class F> void with_source(const row_constants& units, F&& f) {
  if constexpr (Form == unit_form::minval) {
    f(varying_constants<V>(units));
  } else if constexpr (Form != unit_form::zp) {
    f(varying_scales<V>(units));
  } else {
    units.shared.present ? f(varying_scales<V>(units)) : f(varying_constants<V>(units));
  }
}

// x, out: n elements of one unit, whatever its scale (run), `count` units of `length` elements, those of p from
// `at` on (blocks), n elements with constants of their own that begin anew after every `period` (rows).
struct fake_quantize_kernels {
  void (*run)(const float* x, float* out, index_t n, const unit_params& unit, bool stream);
  void (*blocks)(const float* x, float* out, index_t length, index_t count,
                 const checked_qparams& p, index_t at, bool stream);
  void (*rows)(const float* x, float* out, index_t n, index_t period, const row_constants& units,
               bool stream);
};
template <class Level>
fake_quantize_kernels fake_quantize_kernels_of(const qparams& p, quotient q) {
  using V = simd::floats<Level>;
  return with_form<Level>(p, q, [](auto form, auto method) {
    constexpr unit_form f = decltype(form)::value;
    constexpr quotient_method m = decltype(method)::value;
    return fake_quantize_kernels{
        [](const float* x, float* out, index_t n, const unit_params& unit, bool stream) {
          fake_quantize_unit<Level, f, m>(x, out, n, unit, stream);
        },
        [](const float* x, float* out, index_t length, index_t count, const checked_qparams& units,
           index_t at, bool stream) {
          fake_quantize_blocks<Level, f, m>(x, out, length, count, units, at, stream);
        },
        [](const float* x, float* out, index_t n, index_t period, const row_constants& units,
           bool stream) {
          with_source<V, f>(units, [&](const auto& source) {
            fake_quantize_rows<Level, f, m>(x, out, n, period, source, stream);
          });
        }};
  });
}

struct quantize_kernels {
  void (*run)(const float* x, std::uint8_t* out, index_t n, const unit_constants<float>& unit,
              bool stream);
  void (*rows)(const float* x, std::uint8_t* out, index_t n, index_t period,
               const row_constants& units, bool stream);
};
template <class Level> quantize_kernels quantize_kernels_of(const qparams& p, quotient q) {
  using V = simd::floats<Level>;
  return with_form<Level>(p, q, [](auto form, auto method) {
    constexpr unit_form f = decltype(form)::value;
    constexpr quotient_method m = decltype(method)::value;
    return quantize_kernels{
        [](const float* x, std::uint8_t* out, index_t n, const unit_constants<float>& unit,
           bool stream) {
          quantize_loop<Level, f, m>(x, out, n, uniform_constants<V>(unit), stream);
        },
        [](const float* x, std::uint8_t* out, index_t n, index_t period, const row_constants& units,
           bool stream) {
          with_source<V, f>(units, [&](const auto& source) {
            for (index_t i = 0; i < n; i += period) {
              quantize_loop<Level, f, m>(x + i, out + i, std::min(period, n - i), source, stream);
            }
          });
        }};
  });
}

template <class Code> struct dequantize_kernels {
  void (*run)(const Code* q, float* out, index_t n, const unit_constants<float>& unit, bool stream);
  void (*rows)(const Code* q, float* out, index_t n, index_t period, const row_constants& units,
               bool stream);
};
template <class Level, class Code>
dequantize_kernels<Code> dequantize_kernels_of(const qparams& p) {
  using V = simd::floats<Level>;
  const auto of = [](auto form) {
    constexpr unit_form f = decltype(form)::value;
    return dequantize_kernels<Code>{
        [](const Code* q, float* out, index_t n, const unit_constants<float>& unit, bool stream) {
          dequantize_loop<Level, f>(q, out, n, uniform_constants<V>(unit), stream);
        },
        [](const Code* q, float* out, index_t n, index_t period, const row_constants& units,
           bool stream) {
          const varying_constants<V> source(units);
          for (index_t i = 0; i < n; i += period) {
            dequantize_loop<Level, f>(q + i, out + i, std::min(period, n - i), source, stream);
          }
        }};
  };
  switch (form_of(p)) {
    case unit_form::zp:
      return of(std::integral_constant<unit_form, unit_form::zp>{});
    case unit_form::minval:
      return of(std::integral_constant<unit_form, unit_form::minval>{});
    case unit_form::e4m3fn:
      return of(std::integral_constant<unit_form, unit_form::e4m3fn>{});
    case unit_form::e5m2:
      return of(std::integral_constant<unit_form, unit_form::e5m2>{});
    default:
      return of(std::integral_constant<unit_form, unit_form::e2m1fn>{});
  }
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
