#include <doctest/doctest.h>

#include <algorithm>
#include <lutra/runtime/line_layout.hpp>
#include <vector>

using namespace lutra;

// What the layout is: lut_matrix.cpp.
TEST_CASE("line_layout: taps of a kernel row are whole parts, by groups of four") {
  const line_layout l(shape{40, 24, 2, 3});
  CHECK(l.segments() == 1);
  CHECK(l.parts() == 2);
  CHECK(l.strip_bytes() == 4 * tile_bytes);
  CHECK(l.offset(0, 0, 0) == 0);
  CHECK(l.offset(0, 0, 3) == 3);
  CHECK(l.offset(0, 0, 4) == 64);
  CHECK(l.offset(0, 2, 16) == tile_bytes);
  CHECK(l.offset(1, 0, 5) == 2 * tile_bytes + 65);
}

TEST_CASE("line_layout: columns apart are whole parts each") {
  const line_layout l(shape{40, 72, 2, 3}, true);
  CHECK(l.segments() == 3);
  CHECK(l.parts() == 2);
  CHECK(l.strip_bytes() == 12 * tile_bytes);
  CHECK(l.offset(0, 1, 0) == 2 * tile_bytes);
  CHECK(l.offset(0, 1, 69) == 3 * tile_bytes + 65);
  CHECK(l.offset(1, 0, 5) == 6 * tile_bytes + 65);
  // Of whole tiles of channels both orders are the same.
  const shape s{16, 128, 2, 3};
  for (index_t c = 0; c < 128; ++c) {
    CHECK(line_layout(s).offset(1, 2, c) == line_layout(s, true).offset(1, 2, c));
  }
}

TEST_CASE("line_layout: tiles have every weight once, and zeros") {
  for (const bool apart : {false, true}) {
    const line_layout l(shape{19, 22, 3, 2}, apart);
    std::vector<std::uint8_t> tiles(static_cast<std::size_t>(2 * l.strip_bytes()));
    write_line_tiles(l, tiles.data(), [](index_t row, index_t k) {
      return static_cast<std::uint8_t>(1 + (row * 7 + k) % 255);
    });
    std::size_t zeros = tiles.size();
    bool good = true;
    for (index_t row = 0; row < l.rows; ++row) {
      for (index_t k = 0; k < 22 * 3 * 2; ++k) {
        const index_t at =
            row / 16 * l.strip_bytes() + l.offset(k / 2 % 3, k % 2, k / 6) + row % 16 * 4;
        good = good && tiles[static_cast<std::size_t>(at)] == 1 + (row * 7 + k) % 255;
        --zeros;
      }
    }
    CHECK(good);
    CHECK(static_cast<std::size_t>(std::ranges::count(tiles, 0)) == zeros);
  }
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
  CHECK(line_layout(shape{64, 32, 4, 4}, true).pays());  // columns apart
  CHECK(!line_layout(shape{64, 16, 4, 4}, true).pays());
}
