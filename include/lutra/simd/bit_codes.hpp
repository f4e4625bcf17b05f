// lutra: bit_codes.hpp - streams of codes on every level the compiler's flags allow.
// SPDX-License-Identifier: Apache-2.0
//
// bit_codes/generic.hpp is the contract.
#pragma once

#include <lutra/simd/bit_codes/avx512.hpp>
#include <lutra/simd/bit_codes/neon.hpp>
