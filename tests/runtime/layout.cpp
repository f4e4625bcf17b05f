#include <doctest/doctest.h>

#include <lutra/runtime/layout.hpp>
#include <lutra/runtime/lut_matrix.hpp>

#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

// The order of the header, byte by byte: panels, steps, strips, then lanes of four positions.
TEST_CASE("layout: packed codes and decoded weights lie where the header says") {
  random_stream r(1);
  for_each_kernel_level([&](auto level) {
    constexpr index_t lanes = simd::int_lanes<decltype(level)>;
    const index_t rows = 5 * lanes + 3, depth = 21;  // two panels, the second of two strips
    for (const int bits : {4, 8}) {
      auto p = test::random_palette(r, shape{rows, depth}, {.bits = bits});
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * depth));
      unpack_bits(p.codes, bits, codes);
      const lut_matrix m = make_lut_matrix(p, level);
      const std::uint8_t* at = m.weights(0);
      bool good = m.strips() == 6 && m.panels() == 2 && m.steps() == 3;
      for (index_t panel = 0; panel < 2; ++panel) {
        for (index_t step = 0; step < 3; ++step) {
          for (index_t strip = 0; strip < m.strips_of(panel); ++strip) {
            for (index_t byte = 0; byte < (m.packed() ? 1 : 2) * 4 * lanes; ++byte, ++at) {
              const index_t row = (panel * panel_strips + strip) * lanes + byte % (4 * lanes) / 4;
              const auto code = [&](index_t k) {
                return row < rows && k < depth ? codes[static_cast<std::size_t>(row * depth + k)]
                                               : std::uint8_t{0};
              };
              const index_t k = step * step_depth + byte % 4 + (byte >= 4 * lanes ? 4 : 0);
              if (m.packed()) {
                good = good && *at == (code(k) | code(k + 4) << 4);
              } else if (row < rows && k < depth) {
                good = good &&
                       *at == static_cast<std::uint8_t>(p.lut_codes[code(k)] + weight_bias(level));
              }
            }
          }
        }
      }
      CAPTURE(std::string(decltype(level)::name));
      CHECK(good);
    }
  });
}
