#include <doctest/doctest.h>

#include <lutra/runtime/conv/tiles.hpp>
#include <lutra/runtime/grouped_matrix.hpp>

#include "runtime/palettes.hpp"

using namespace lutra;

// What tiles compute is in ../conv.cpp and ../scaled_conv.cpp.
#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
namespace {

// For a weight of one group whose blocks have `block` input channels; 0: all.
bool in_tiles(const shape& s, index_t block) {
  using A = simd::amx_int8;
  random_stream r(1);
  const auto p = test::random_palette(r, s, {.group_columns = block});
  const grouped_lut_matrix w = make_grouped_lut_matrix(p, A{});
  return convolves_in_tiles<A>(s[0], w.slices().front().depth(), w.depth());
}

}  // namespace

TEST_CASE("conv::tiles: few products, and slices of few taps, are left to the vectors") {
  if (!simd::tiles_permitted()) return;
  CHECK(in_tiles({32, 32, 1, 1}, 0));
  CHECK(!in_tiles({32, 31, 1, 1}, 0));
  CHECK(!in_tiles({31, 32, 1, 1}, 0));
  CHECK(!in_tiles({4, 256, 3, 3}, 0));
  CHECK(in_tiles({8, 16, 3, 3}, 4));  // the products of all slices together count
  CHECK(!in_tiles({8, 16, 3, 3}, 3));
  CHECK(!in_tiles({64, 64, 1, 1}, 31));
}
#endif
