#pragma once

#include <lutra/palette/packed.hpp>

using product_function = std::vector<std::int32_t> (*)(const lutra::packed_palette& weight,
                                                       const std::vector<std::int8_t>& x);
template <class Level> product_function product_at();
