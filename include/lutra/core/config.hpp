// lutra: config.hpp - every macro of the library, and nothing else.
// SPDX-License-Identifier: Apache-2.0
//
// LUTRA_ABI is the inline namespace. It carries the version and the one switch that changes what
// a function does at run time (exceptions on or off), so that objects built with different
// switches do not share an inline function by accident.
//
// LUTRA_STRICT_FP_BEGIN / LUTRA_STRICT_FP_END bracket code whose floating-point results are part of
// the numeric contract: inside, a*b+c is a rounded multiply and a rounded add, whatever flags the
// user compiles with. GCC contracts by default, across intrinsics too, and its pragma keeps such a
// function from being inlined into ordinary callers: bracket whole headers, never tiny helpers that
// ordinary code calls in a loop. Clang contracts within one expression only.
//
// LUTRA_INTRINSICS_BEGIN / LUTRA_INTRINSICS_END bracket the headers of intrinsics and code that calls those of AVX-512:
// g++ 12 says that its own ones use uninitialized values, wherever they are inlined, hundreds of times with -Wall.
#pragma once

#include <lutra/core/version.hpp>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define LUTRA_HAS_EXCEPTIONS 1
#define LUTRA_ABI v0_1
#else
#define LUTRA_HAS_EXCEPTIONS 0
#define LUTRA_ABI v0_1_noexcept
#endif

#if defined(__clang__)
#define LUTRA_STRICT_FP_BEGIN _Pragma("STDC FP_CONTRACT OFF")
#define LUTRA_STRICT_FP_END _Pragma("STDC FP_CONTRACT DEFAULT")
#elif defined(__GNUC__)
#define LUTRA_STRICT_FP_BEGIN \
  _Pragma("GCC push_options") _Pragma("GCC optimize(\"fp-contract=off\")")
#define LUTRA_STRICT_FP_END _Pragma("GCC pop_options")
#else
#define LUTRA_STRICT_FP_BEGIN
#define LUTRA_STRICT_FP_END
#endif

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#define LUTRA_INTRINSICS_BEGIN                                                         \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")
#define LUTRA_INTRINSICS_END _Pragma("GCC diagnostic pop")
#else
#define LUTRA_INTRINSICS_BEGIN
#define LUTRA_INTRINSICS_END
#endif

// Define LUTRA_FORCE_PORTABLE to compile without any vector instructions and without xsimd.
#if defined(LUTRA_FORCE_PORTABLE) || !(defined(__SSE2__) || defined(__aarch64__))
#define LUTRA_PORTABLE 1
#else
#define LUTRA_PORTABLE 0
#endif

// Define LUTRA_EXTERN_KERNELS where many files of a program multiply by palettes: the kernels of simd::native, which
// take long to compile, are then those of the one file that includes runtime/kernels.hpp.

// The compiler's flags allow AMX with int8; clang 14 spells its macros without the last underscores.
#if defined(__x86_64__) && (defined(__AMX_TILE__) || defined(__AMXTILE__)) && \
    (defined(__AMX_INT8__) || defined(__AMXINT8__))
#define LUTRA_AMX_INT8 1
#else
#define LUTRA_AMX_INT8 0
#endif

// Under -ffast-math NaN tests and rounding tricks are compiled away; strict_fp.hpp refuses it unless
// LUTRA_ALLOW_FAST_MATH is defined, which voids section "numeric contract" of the README.
#if defined(__FAST_MATH__) && !defined(LUTRA_ALLOW_FAST_MATH)
#define LUTRA_FAST_MATH_REFUSED 1
#else
#define LUTRA_FAST_MATH_REFUSED 0
#endif
