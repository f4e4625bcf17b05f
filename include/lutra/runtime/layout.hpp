// lutra: layout.hpp - how weights lie in memory for the kernels. The one idea behind runtime/.
// SPDX-License-Identifier: Apache-2.0
//
// A vector register holds one 32-bit lane per output row: four consecutive depth positions of that
// row, one byte each. Four activations broadcast to all lanes then meet four weights of every row,
// and each lane sums up its own output: no horizontal additions, no shuffles of activations.
//
//   lane    one row                          group   4 depth positions
//   strip   vector bytes / 4 rows            step    some groups: 8 to 32 depth positions
//   panel   4 strips (the last may have fewer)
//
// Order in memory: panels; in a panel steps; in a step strips; so a panel is read front to back.
// A strip's part of a step is a few vectors. Byte 4 * r + j of each (r row of the strip, j < 4) belongs to position
// 4 * g + j of group g:
//   8 bits   2 vectors, vector g holds the weight itself
//   4 bits   1 vector, bits 4g.. hold the code of group g, g < 2
//   2 bits   1 vector, bits 2g.. hold the code of group g, g < 4
//   6 bits   3 vectors, whose low six bits hold the codes of the groups 0 to 2 and whose top two, together, that of
//            group 3, lowest bits in vector 0
//   3 bits   likewise, with the codes of two groups in each six bits, g < 8
// Rows and depth are padded with code 0; activations are padded with 0, so padding adds nothing.
// Weight bytes and table entries carry weight_bias(level) (simd/primitives/generic.hpp).
//
// Codes need a level with a byte look-up (six bits: has_long_lookup) and a table for the whole weight; 4 bits
// also groups of rows that are multiples of four. Codes of 1 and 5 bits get one bit more, those that fit nothing
// else get 4 bits or are decoded at load, as are all where that takes no more memory (a short depth).
#pragma once

#include <array>
#include <lutra/simd/primitives.hpp>
#include <lutra/simd/unroll.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t panel_strips = 4;

// Memory that vectors and tiles are loaded from without crossing lines.
struct alignas(64) cache_line {
  std::int8_t byte[64];
};

// Vectors and groups of a step of one strip.
struct code_layout {
  int bits = 8;
  int groups = 2;
  int vectors = 2;
  constexpr index_t step_depth() const noexcept { return 4 * groups; }
};
constexpr code_layout code_layout_of(int bits) noexcept {
  switch (bits) {
    case 2:
      return {2, 4, 1};
    case 3:
      return {3, 8, 3};
    case 4:
      return {4, 2, 1};
    case 6:
      return {6, 4, 3};
    default:
      return {8, 2, 2};
  }
}

// The code or weight of group g whose bytes are at[0], at[stride], ...
constexpr int read_code(const code_layout& c, const std::uint8_t* at, index_t stride,
                        index_t g) noexcept {
  if (c.bits == 8) return at[g * stride];
  const auto bit = static_cast<int>(g) * c.bits;
  int field = at[0];
  int shift = bit;
  if (c.vectors == 3) {
    field = bit < 18 ? at[bit / 6 * stride]
                     : at[0] >> 6 | at[stride] >> 6 << 2 | at[2 * stride] >> 6 << 4;
    shift = bit % 6;
  }
  return field >> shift & ((1 << c.bits) - 1);
}
// The same way round; the bits are 0 before.
constexpr void write_code(const code_layout& c, std::uint8_t* at, index_t stride, index_t g,
                          int code) noexcept {
  const auto put = [at, stride](index_t vector, int bits) {
    std::uint8_t& byte = at[vector * stride];
    byte = static_cast<std::uint8_t>(byte | bits);
  };
  const auto bit = static_cast<int>(g) * c.bits;
  if (c.bits == 8) return put(g, code);
  if (c.vectors == 1) return put(0, code << bit);
  if (bit < 18) return put(bit / 6, code << bit % 6);
  for (int i = 0; i < 3; ++i) put(i, (code << bit % 6 >> 2 * i & 3) << 6);
}

// 0, 1, 2, ...: what a look-up turns into its table.
inline constexpr auto byte_numbers = [] {
  std::array<std::uint8_t, 64> n{};
  for (std::size_t i = 0; i < n.size(); ++i) n[i] = static_cast<std::uint8_t>(i);
  return n;
}();

// How the weight bytes of group G of a step are read from the vectors of a strip. A look-up of six bits finds a short
// code among other codes: table i ignores the bits but those from i * Bits on, which saves shifts.
template <int Bits, class Tables> struct packed_codes {
  static constexpr code_layout layout = code_layout_of(Bits);
  static constexpr bool table_per_strip = !std::is_same_v<Tables, simd::one_table>;
  template <class A>
  static constexpr int table_count =
      !table_per_strip && has_long_lookup(A{}) && Bits < 4 ? 6 / Bits : 1;
  template <class A> struct tables { simd::bytes_of<A> table[to_size(table_count<A>)]; };

  template <class A> [[gnu::always_inline]] static tables<A> load_tables(const std::uint8_t* p) {
    tables<A> t;
    t.table[0] = load_bytes(p, A{});
    simd::unroll<table_count<A> - 1>([&](auto i) __attribute__((always_inline)) {
      const auto numbers = load_bytes(byte_numbers.data(), A{});
      t.table[i + 1] =
          lookup_low(t.table[0], shift_codes<(i + 1) * Bits>(numbers, A{}), Tables{}, A{});
    });
    return t;
  }
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(const std::uint8_t* w, const tables<A>& t) {
    constexpr int bit = G * Bits;
    if constexpr (layout.vectors == 1) {
      return read<G, A>(load_bytes(w, A{}), t);
    } else if constexpr (bit < 18) {
      return look_up<bit % 6, A>(load_bytes(w + bit / 6 * simd::vector_size<A>, A{}), t);
    } else {
      return look_up<bit % 6, A>(last_field<A>(w), t);
    }
  }
  // The same from the one vector of a layout that has no more.
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(simd::bytes_of<A> v, const tables<A>& t) {
    static_assert(layout.vectors == 1);
    if constexpr (Bits == 4 && G == 1) {
      return lookup_high(t.table[0], v, Tables{}, A{});
    } else {
      return look_up<G * Bits, A>(v, t);
    }
  }

 private:
  // The code that begins at bit First.
  template <int First, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> look_up(simd::bytes_of<A> v, const tables<A>& t) {
    constexpr int table = First / Bits;
    if constexpr (table < table_count<A>) return lookup_low(t.table[table], v, Tables{}, A{});
    return lookup_low(t.table[0], shifted<First, A>(v), Tables{}, A{});
  }
  template <int Count, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> shifted(simd::bytes_of<A> v) {
    if constexpr (Count == 0) {
      return v;
    } else {
      return shift_codes<Count>(v, A{});
    }
  }
  template <class A>
  [[gnu::always_inline]] static simd::bytes_of<A> last_field(const std::uint8_t* w) {
    const auto v0 = load_bytes(w, A{});
    const auto v1 = load_bytes(w + simd::vector_size<A>, A{});
    const auto v2 = load_bytes(w + 2 * simd::vector_size<A>, A{});
    const auto upper = choose_bits(0x0C, shifted<4, A>(v1), shifted<2, A>(v2), A{});
    return choose_bits(0x03, shifted<6, A>(v0), upper, A{});
  }
};
struct decoded_weights {
  static constexpr code_layout layout = code_layout_of(8);
  static constexpr bool table_per_strip = false;
  template <class A> struct tables {};
  template <class A> [[gnu::always_inline]] static tables<A> load_tables(const std::uint8_t*) {
    return {};
  }
  template <int G, class A>
  [[gnu::always_inline]] static simd::bytes_of<A> read(const std::uint8_t* w, tables<A>) {
    return load_bytes(w + G * simd::vector_size<A>, A{});
  }
};
// A part of a matrix that was decoded a moment ago, and codes whose weights are kept as such a part (gemm/decoded.hpp).
struct decoded_part : decoded_weights {};
template <class Codes> struct kept_codes : Codes {};
template <class Codes> inline constexpr bool keeps_weights = false;
template <class Codes> inline constexpr bool keeps_weights<kept_codes<Codes>> = true;

}  // namespace lutra::inline LUTRA_ABI
