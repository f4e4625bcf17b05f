// lutra: primitives.hpp - the primitives of every level the compiler's flags allow, and their types.
// SPDX-License-Identifier: Apache-2.0
//
// primitives/generic.hpp is the contract, and tiles.hpp that of levels with tiles. A loop is a template over the level
// A and calls primitives unqualified with A{} as the last argument.
#pragma once

#include <lutra/simd/primitives/amx.hpp>
#include <lutra/simd/primitives/neon.hpp>

namespace lutra::inline LUTRA_ABI::simd {

template <class A> using bytes_of = decltype(load_bytes(nullptr, A{}));
template <class A> using ints_of = decltype(splat_ints(0, A{}));
template <class A> using floats_of = decltype(splat_floats(0.0F, A{}));
template <class A> inline constexpr index_t vector_size = vector_bytes(A{});  // in bytes
// Bytes of one activation as dot reads it.
template <class A> inline constexpr index_t activation_bytes = splits_activations(A{}) ? 2 : 1;
template <class A> inline constexpr index_t int_lanes = vector_size<A> / 4;  // of 32 bits

}  // namespace lutra::inline LUTRA_ABI::simd
