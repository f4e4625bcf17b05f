#include <doctest/doctest.h>

#include <lutra/runtime/line_layout.hpp>

using namespace lutra;

// What the layout is: lut_matrix.cpp.
TEST_CASE("line_layout: taps of a kernel row are whole parts, by groups of four") {
  const line_layout l(shape{40, 24, 2, 3});
  CHECK(l.depth() == 72);
  CHECK(l.parts() == 2);
  CHECK(l.strip_bytes() == 4 * tile_bytes);
  CHECK(l.offset(0, 0) == 0);
  CHECK(l.offset(0, 3) == 3);
  CHECK(l.offset(0, 4) == 64);
  CHECK(l.offset(0, 64) == tile_bytes);
  CHECK(l.offset(1, 5) == 2 * tile_bytes + 65);
}

TEST_CASE("line_layout: few taps, many outputs of few taps and mostly zeros do not pay") {
  const auto pays = [](const shape& s) { return line_layout(s).pays(); };
  CHECK(pays({64, 64, 3, 3}));
  CHECK(pays({512, 22, 3, 3}));
  CHECK(!pays({8, 21, 3, 3}));  // 189 taps
  CHECK(pays({96, 192, 1, 1}));
  CHECK(!pays({97, 192, 1, 1}));
  CHECK(!pays({64, 3, 9, 9}));  // 27 taps in 64
  CHECK(!pays({64, 0, 3, 3}));
}
