// lutra: strict_fp.hpp - included by every header whose results are promised bit for bit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/core/config.hpp>

#if LUTRA_FAST_MATH_REFUSED
#error "lutra: -ffast-math breaks the numeric contract; define LUTRA_ALLOW_FAST_MATH to accept that"
#endif
