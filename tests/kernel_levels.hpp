// for_each_kernel_level(f): calls f(level) for every level with primitives of its own
// (lutra/simd/primitives) that these compiler flags can instantiate, so that one program compares them.
// LUTRA_TEST_FEW_LEVELS leaves out those that differ from a wider one in few instructions (levels.hpp says why).
#pragma once

#include <lutra/simd/primitives.hpp>

template <class F> void for_each_kernel_level(F&& f) {
  f(lutra::simd::portable{});
#if !LUTRA_PORTABLE && defined(__SSE2__)
#if !defined(LUTRA_TEST_FEW_LEVELS)
  f(lutra::simd::sse2{});
#if defined(__SSE4_1__) && defined(__SSSE3__)
  f(lutra::simd::sse4_1{});
#endif
#endif
#ifdef __AVX2__
  f(lutra::simd::avx2{});
#endif
#if defined(__AVXVNNI__) && !defined(LUTRA_TEST_FEW_LEVELS)
  f(lutra::simd::avxvnni{});
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#if !defined(LUTRA_TEST_FEW_LEVELS) || !defined(__AVX512VNNI__) || !defined(__AVX512VBMI__)
  f(lutra::simd::avx512bw{});
#endif
#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
  f(lutra::simd::avx512vnni_vbmi{});
#if LUTRA_AMX_INT8
  f(lutra::simd::amx_int8{});
#endif
#endif
#endif
#elif !LUTRA_PORTABLE && defined(__aarch64__)
  f(lutra::simd::neon64{});
#ifdef __ARM_FEATURE_DOTPROD
  f(lutra::simd::neon64_dotprod{});
#ifdef __ARM_FEATURE_MATMUL_INT8
  f(lutra::simd::neon64_i8mm{});
#endif
#endif
#endif
}
