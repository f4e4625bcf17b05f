// lutra: arch.hpp - build levels as types; the only header that includes xsimd.
// SPDX-License-Identifier: Apache-2.0
//
// A level inherits from the one it extends, so an overload on a level serves every level above it
// unless a nearer overload exists. Whatever code depends on the instruction set takes the level as a
// template parameter (default simd::native): translation units built with different flags then never
// share such a function by accident. `portable` is plain C++ and always there.
#pragma once

#include <lutra/core/config.hpp>
#include <string_view>

#if !LUTRA_PORTABLE
LUTRA_INTRINSICS_BEGIN
#include <xsimd/xsimd.hpp>
LUTRA_INTRINSICS_END
#endif

namespace lutra::inline LUTRA_ABI::simd {

// clang-format off
struct portable                          { static constexpr std::string_view name = "portable"; };
struct sse2 : portable                   { static constexpr std::string_view name = "sse2"; };
struct sse4_1 : sse2                     { static constexpr std::string_view name = "sse4_1"; };
struct avx2 : sse4_1                     { static constexpr std::string_view name = "avx2"; };
struct avxvnni : avx2                    { static constexpr std::string_view name = "avxvnni"; };
struct avx512bw : avx2                   { static constexpr std::string_view name = "avx512bw"; };
struct avx512vnni_vbmi : avx512bw        { static constexpr std::string_view name = "avx512vnni_vbmi"; };
struct amx_int8 : avx512vnni_vbmi        { static constexpr std::string_view name = "amx_int8"; };
struct neon64 : portable                 { static constexpr std::string_view name = "neon64"; };
struct neon64_dotprod : neon64           { static constexpr std::string_view name = "neon64_dotprod"; };
struct neon64_i8mm : neon64_dotprod      { static constexpr std::string_view name = "neon64_i8mm"; };
// clang-format on

// The best level the compiler's flags allow.
#if LUTRA_PORTABLE
using native = portable;
#elif defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && defined(__AVX512BW__) && \
    defined(__AVX512VL__) && defined(__AVX512DQ__)
#if LUTRA_AMX_INT8
using native = amx_int8;
#else
using native = avx512vnni_vbmi;
#endif
#elif defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
using native = avx512bw;
#elif defined(__AVXVNNI__) && defined(__AVX2__)
using native = avxvnni;
#elif defined(__AVX2__)
using native = avx2;
#elif defined(__SSE4_1__) && defined(__SSSE3__)
using native = sse4_1;
#elif defined(__SSE2__)
using native = sse2;
#elif defined(__aarch64__) && defined(__ARM_FEATURE_MATMUL_INT8)
using native = neon64_i8mm;
#elif defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
using native = neon64_dotprod;
#elif defined(__aarch64__)
using native = neon64;
#else
using native = portable;
#endif

#if LUTRA_PORTABLE
inline constexpr bool has_xsimd = false;
template <class T, class Level> struct batch;  // never completed: portable code has no registers
#else
inline constexpr bool has_xsimd = true;

// xsimd's tag of a level; `portable` has none.
template <class Level> struct xsimd_arch;
template <> struct xsimd_arch<sse2> { using type = xsimd::sse2; };
template <> struct xsimd_arch<sse4_1> { using type = xsimd::sse4_1; };
template <> struct xsimd_arch<avx2> { using type = xsimd::avx2; };
template <> struct xsimd_arch<avxvnni> { using type = xsimd::avx2; };
template <> struct xsimd_arch<avx512bw> { using type = xsimd::avx512bw; };
template <> struct xsimd_arch<avx512vnni_vbmi> { using type = xsimd::avx512bw; };
template <> struct xsimd_arch<amx_int8> { using type = xsimd::avx512bw; };
template <> struct xsimd_arch<neon64> { using type = xsimd::neon64; };
template <> struct xsimd_arch<neon64_dotprod> { using type = xsimd::neon64; };
template <> struct xsimd_arch<neon64_i8mm> { using type = xsimd::neon64; };
template <class T, class Level> using batch = xsimd::batch<T, typename xsimd_arch<Level>::type>;
#endif

}  // namespace lutra::inline LUTRA_ABI::simd
