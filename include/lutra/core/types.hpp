// lutra: types.hpp - the integer type of sizes and positions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

// Counts, positions and strides, in elements unless the name says bytes. Signed: strides may be
// negative, and differences need no casts.
using index_t = std::ptrdiff_t;

}  // namespace lutra::inline LUTRA_ABI
