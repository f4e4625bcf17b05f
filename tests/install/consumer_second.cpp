// A second translation unit with the same headers: nothing may be defined twice.
#include <lutra/lutra.hpp>

#include <vector>

lutra::index_t packed_bytes_of(const std::vector<float>& weight) {
  return lutra::pack(lutra::palettize(weight, {.n_bits = 2})).bytes();
}
