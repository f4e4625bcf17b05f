// CONCEPT: weight_element
// Palettes are made of floating-point weights, not of codes.
#include <cstdint>
#include <lutra/palette/palettize.hpp>
#include <vector>

#if defined(LUTRA_WRONG)
using weight = std::vector<std::int8_t>;
#else
using weight = std::vector<double>;
#endif
lutra::palette<float> compress(const weight& w) { return lutra::palettize(w, {}); }
