// lutra: layout.hpp - how weights lie in memory for the kernels. The one idea behind runtime/.
// SPDX-License-Identifier: Apache-2.0
//
// A vector register holds one 32-bit lane per output row: four consecutive depth positions of that
// row, one byte each. Four activations broadcast to all lanes then meet four weights of every row,
// and each lane sums up its own output: no horizontal additions, no shuffles of activations.
//
//   lane    one row                          group   4 depth positions
//   strip   vector bytes / 4 rows            step    8 depth positions = 2 groups
//   panel   4 strips (the last may have fewer)
//
// Order in memory: panels; in a panel steps; in a step strips; so a panel is read front to back.
// A strip's part of a step is
//   packed    one vector: byte 4 * r + j holds the code of position j in its low half and the code of
//             position 4 + j in its high half (r row of the strip, j < 4)
//   decoded   two vectors: byte 4 * r + j of vector g holds the weight of position 4 * g + j
// Rows and depth are padded with code 0; activations are padded with 0, so padding adds nothing.
// Weight bytes and table entries carry weight_bias(level) (simd/primitives/generic.hpp).
//
// Packed codes need n_bits <= 4 (narrower codes are widened to 4 bits), a level with a byte look-up,
// and tables that are the same for groups of at least four rows. Everything else is decoded at load.
#pragma once

#include <lutra/simd/primitives.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t step_depth = 8;
inline constexpr index_t panel_strips = 4;

// How the weight bytes of group G of a step are read from the vectors of a strip.
template <class Tables> struct packed_codes {
  static constexpr index_t vectors = 1;
  static constexpr bool table_per_strip = std::is_same_v<Tables, simd::line_tables>;
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(const std::uint8_t* w,
                                                       simd::bytes_of<A> table) {
    if constexpr (G == 0) {
      return lookup_low(table, load_bytes(w, A{}), Tables{}, A{});
    } else {
      return lookup_high(table, load_bytes(w, A{}), Tables{}, A{});
    }
  }
};
struct decoded_weights {
  static constexpr index_t vectors = 2;
  static constexpr bool table_per_strip = false;
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(const std::uint8_t* w, simd::bytes_of<A>) {
    return load_bytes(w + G * simd::vector_size<A>, A{});
  }
};

}  // namespace lutra::inline LUTRA_ABI
