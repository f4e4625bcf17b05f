// for_each_level(f): calls f(level) for every build level that these compiler flags can instantiate, so
// that one program compares them.
#pragma once

#include <lutra/simd/arch.hpp>

template <class F> void for_each_level(F&& f) {
  f(lutra::simd::portable{});
#if !LUTRA_PORTABLE
#if defined(__SSE2__)
  f(lutra::simd::sse2{});
#endif
#if defined(__SSE4_1__) && defined(__SSSE3__)
  f(lutra::simd::sse4_1{});
#endif
#if defined(__AVX2__)
  f(lutra::simd::avx2{});
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
  f(lutra::simd::avx512bw{});
#endif
#if defined(__aarch64__)
  f(lutra::simd::neon64{});
#endif
#endif
}
