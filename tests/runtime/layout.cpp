#include <doctest/doctest.h>

#include <lutra/runtime/layout.hpp>
#include <lutra/runtime/lut_matrix.hpp>

#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

// The order of the header, byte by byte: panels, steps, strips, then lanes of four positions.
TEST_CASE("layout: codes and decoded weights lie where the header says") {
  random_stream r(1);
  for_each_kernel_level([&](auto level) {
    constexpr index_t lanes = simd::int_lanes<decltype(level)>;
    const index_t rows = 5 * lanes + 3, depth = 85;  // two panels, the second of two strips
    for (const int bits : {2, 3, 4, 6, 8}) {
      auto p = test::random_palette(r, shape{rows, depth}, {.bits = bits});
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * depth));
      unpack_bits(p.codes, bits, codes);
      const lut_matrix m = make_lut_matrix(p, level, {.three_bits_from = 0});
      const int stored = m.layout().bits;
      const bool wide = bits == 6 ? has_long_lookup(level) : has_byte_lookup(level);
      CHECK(stored == (wide ? bits : 8));
      const auto value = [&](index_t row, index_t k) {  // what is stored for a position
        if (row >= rows || k >= depth) return 0;
        const int code = codes[static_cast<std::size_t>(row * depth + k)];
        return stored < 8
                   ? code
                   : (p.lut_codes[static_cast<std::size_t>(code)] + weight_bias(level)) & 255;
      };
      // The byte of vector v for the positions 4 * g + j, as the header has it.
      const auto byte_of = [&](index_t row, index_t k, int v) {
        const auto at = [&](int g) { return value(row, k + 4 * g); };
        switch (stored) {
          case 2:
            return at(0) | at(1) << 2 | at(2) << 4 | at(3) << 6;
          case 3:
            return at(2 * v) | at(2 * v + 1) << 3 | ((at(6) | at(7) << 3) >> (2 * v) & 3) << 6;
          case 4:
            return at(0) | at(1) << 4;
          case 6:
            return at(v) | (at(3) >> (2 * v) & 3) << 6;
          default:
            return at(v);
        }
      };
      const index_t step_depth = stored == 3 ? 32 : stored % 4 == 2 ? 16 : 8;
      const int vectors = stored % 3 == 0 ? 3 : stored == 8 ? 2 : 1;
      const index_t steps = (depth + step_depth - 1) / step_depth;
      const std::uint8_t* at = m.weights(0);
      bool good = m.strips() == 6 && m.panels() == 2 && m.steps() == steps;
      for (index_t panel = 0; panel < 2; ++panel) {
        for (index_t step = 0; step < steps; ++step) {
          for (index_t strip = 0; strip < m.strips_of(panel); ++strip) {
            for (int v = 0; v < vectors; ++v) {
              for (index_t byte = 0; byte < 4 * lanes; ++byte, ++at) {
                const index_t row = (panel * panel_strips + strip) * lanes + byte / 4;
                good = good && *at == byte_of(row, step * step_depth + byte % 4, v);
              }
            }
          }
        }
      }
      CAPTURE(std::string(decltype(level)::name));
      CAPTURE(bits);
      CHECK(good);
    }
  });
}
