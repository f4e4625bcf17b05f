// lutra: float_types.hpp - quantization of half, bfloat16 and double tensors.
// SPDX-License-Identifier: Apache-2.0
//
// Every element is read as float (exactly; a double is rounded to nearest), all arithmetic is that of quantize.hpp, and
// a float result is rounded to the type of the tensor, half to even. Parameters stay float whatever the type: a scale
// is not made coarser. Errors, NaN and infinities as there; a double or result beyond its type becomes infinite.
// Cost: one dense float copy of the tensor.
#pragma once

#include <concepts>
#include <lutra/affine/quantize.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/tensor/tensor.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// Element types that are read as float.
template <class T>
concept converted_float =
    std::same_as<T, half> || std::same_as<T, bfloat16> || std::same_as<T, double>;
template <class T>
concept converted_float_element = converted_float<std::remove_const_t<T>>;

// Containers of quantized values.
template <class T>
concept quantized_byte = std::same_as<std::remove_const_t<T>, std::int8_t> ||
    std::same_as<std::remove_const_t<T>, std::uint8_t>;

// A dense float copy, row-major.
template <converted_float_element X> tensor<float> as_float(const tensor_view<X>& x) {
  return tensor<float>(x.extents(), to_vector<float>(x));
}
// out = x, rounded. Equal shapes.
template <converted_float T> void from_float(const tensor<float>& x, const tensor_view<T>& out) {
  check_same_extents(x.extents(), out.extents(), "from_float");
  const float* const from = x.data();
  if (out.is_contiguous()) {  // apart, for compilers to vectorize
    T* const to = out.data();
    for (index_t i = 0; i < x.size(); ++i) to[i] = static_cast<T>(from[i]);
    return;
  }
  index_t i = 0;
  for_each_element(out, [&](T& e) { e = static_cast<T>(from[i++]); });
}

template <class Level = simd::native, converted_float_element X, quantized_byte Code>
void quantize(const tensor_view<X>& x, const qparams& p, const tensor_view<Code>& out,
              quotient q = quotient::exact) {
  quantize_to<Level>(view(as_float(x)), p, out, q);
}
template <class Level = simd::native, quantized_byte Code, converted_float T>
void dequantize(const tensor_view<Code>& q, const qparams& p, const tensor_view<T>& out) {
  check_same_extents(q.extents(), out.extents(), "dequantize");
  tensor<float> x(q.extents());
  dequantize_to<Level, std::remove_const_t<Code>>(q, p, view(x));
  from_float(x, out);
}
// in and out may be the same elements.
template <class Level = simd::native, converted_float_element X>
void fake_quantize(const tensor_view<X>& x, const qparams& p,
                   const tensor_view<std::remove_const_t<X>>& out, quotient q = quotient::exact) {
  check_same_extents(x.extents(), out.extents(), "fake_quantize");
  tensor<float> values = as_float(x);
  fake_quantize<Level>(view(values), p, view(values), q);
  from_float(values, out);
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
