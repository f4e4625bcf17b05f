// lutra: product_call.hpp - the arguments of every product, and which of them may be left out.
// SPDX-License-Identifier: Apache-2.0
//
//   product([ex,] w, x, options.., [output,] out [, level]);
//   ex       runs the pieces of the work (core/executor.hpp); without one the calling thread does
//   w        a weight matrix made for the level
//   x        a tensor of activations
//   options  those of the product, all of them; {} are the defaults
//   output   what sums become before they are stored; without one, or with {}, what the product's header says
//   out      a tensor that is written
//   level    of simd/arch.hpp; without one simd::native
// Products are function objects: write lutra::gemm(w, x, out), or a using-declaration before.
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/tensor/traits.hpp>
#include <string_view>

namespace lutra::inline LUTRA_ABI {

// Product::run<A>(name, ex, w, x, out, options.., output) checks and does the work, on views; `name` is for its errors.
template <class Product, class Default, class... Options> struct product_call {
  std::string_view name;

  template <executor E, class W, readable_tensor X, class Output = Default, writable_tensor Out,
            class A = simd::native>
  void operator()(const E& ex, const W& w, const X& x, const Options&... options,
                  const Output& output, Out&& out, A = {}) const {
    const tensor_view<const element_t<X>> from = view(x);
    Product::template run<A>(name, ex, w, from, view(out), options..., output);
  }
  template <class W, readable_tensor X, class Output = Default, writable_tensor Out,
            class A = simd::native>
  void operator()(const W& w, const X& x, const Options&... options, const Output& output,
                  Out&& out, A level = {}) const {
    (*this)(serial_executor{}, w, x, options..., output, out, level);
  }
  template <executor E, class W, readable_tensor X, writable_tensor Out, class A = simd::native>
  void operator()(const E& ex, const W& w, const X& x, const Options&... options, Out&& out,
                  A level = {}) const {
    (*this)(ex, w, x, options..., Default{}, out, level);
  }
  template <class W, readable_tensor X, writable_tensor Out, class A = simd::native>
  void operator()(const W& w, const X& x, const Options&... options, Out&& out,
                  A level = {}) const {
    (*this)(serial_executor{}, w, x, options..., Default{}, out, level);
  }
};

}  // namespace lutra::inline LUTRA_ABI
