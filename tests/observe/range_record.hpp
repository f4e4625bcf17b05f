// Where the saved record of a range_input, with which most observers begin, has its fields.
#pragma once

#include <cstddef>

namespace range_record {

inline constexpr std::size_t samples = 2 * 8;  // after version and number of units
// Then what is not finite, whether there is a grid, its rank and extents.
constexpr std::size_t bytes(std::size_t rank) { return 4 * 8 + 2 + 8 * rank; }

}  // namespace range_record
