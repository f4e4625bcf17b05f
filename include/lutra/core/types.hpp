// lutra: types.hpp - the integer type of sizes and positions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <lutra/core/config.hpp>

namespace lutra::inline LUTRA_ABI {

// Counts, positions and strides, in elements unless the name says bytes. Signed: strides may be
// negative, and differences need no casts.
using index_t = std::ptrdiff_t;

// The same where many are stored and none is above 2^31 - 1. Narrow by index_t32(i).
using index_t32 = std::int32_t;

// For containers and the language, which count without a sign. i >= 0.
constexpr std::size_t to_size(index_t i) noexcept { return static_cast<std::size_t>(i); }

}  // namespace lutra::inline LUTRA_ABI
