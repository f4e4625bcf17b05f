// A second translation unit with the same headers: nothing may be defined twice.
#if defined(LUTRA_CONSUMER_ALL)
#include <lutra/lutra.hpp>
#else
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#endif

#include <vector>

lutra::index_t packed_bytes_of(const std::vector<float>& weight) {
  return lutra::pack(lutra::palettize(weight, {.n_bits = 2})).bytes();
}
