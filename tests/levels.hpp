// for_each_level(f): calls f(level) for every build level that these compiler flags can instantiate, so
// that one program compares them. LUTRA_TEST_FEW_LEVELS leaves out the narrow ones (sanitizers make every level
// slow to compile).
#pragma once

#include <lutra/simd/arch.hpp>

template <class F> void for_each_level(F&& f) {
  f(lutra::simd::portable{});
#if !LUTRA_PORTABLE
#if defined(__SSE2__) && !defined(LUTRA_TEST_FEW_LEVELS)
  f(lutra::simd::sse2{});
#endif
#if defined(__SSE4_1__) && defined(__SSSE3__) && !defined(LUTRA_TEST_FEW_LEVELS)
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
