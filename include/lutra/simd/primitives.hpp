// lutra: primitives.hpp - the primitives of every level the compiler's flags allow, and their types.
// SPDX-License-Identifier: Apache-2.0
//
// primitives/generic.hpp is the contract. A loop is a template over the level A and calls primitives
// unqualified with A{} as the last argument.
#pragma once

#include <lutra/simd/primitives/avx512.hpp>
#include <lutra/simd/primitives/neon.hpp>

namespace lutra::inline LUTRA_ABI::simd {

template <class A> using bytes_of = decltype(load_bytes(nullptr, A{}));
template <class A> using ints_of = decltype(splat_ints(0, A{}));
template <class A> using floats_of = decltype(splat_floats(0.0F, A{}));
template <class A> inline constexpr index_t vector_size = vector_bytes(A{});  // in bytes
template <class A> inline constexpr index_t int_lanes = vector_size<A> / 4;   // of 32 bits

// Calls f(level) for every level whose code can be compiled with the current flags.
template <class F> void for_each_level(F&& f) {
  f(portable{});
#if !LUTRA_PORTABLE && defined(__SSE2__)
  f(sse2{});
#if defined(__SSE4_1__) && defined(__SSSE3__)
  f(sse4_1{});
#endif
#ifdef __AVX2__
  f(avx2{});
#endif
#ifdef __AVXVNNI__
  f(avxvnni{});
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
  f(avx512bw{});
#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
  f(avx512vnni_vbmi{});
#endif
#endif
#elif !LUTRA_PORTABLE && defined(__aarch64__)
  f(neon64{});
#ifdef __ARM_FEATURE_DOTPROD
  f(neon64_dotprod{});
#ifdef __ARM_FEATURE_MATMUL_INT8
  f(neon64_i8mm{});
#endif
#endif
#endif
}

}  // namespace lutra::inline LUTRA_ABI::simd
