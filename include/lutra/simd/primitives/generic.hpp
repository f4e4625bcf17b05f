// lutra: generic.hpp - what every level provides for the integer kernels, and the portable bodies.
// SPDX-License-Identifier: Apache-2.0
//
// A primitive is overloaded on the level tags of simd/arch.hpp; a level without its own overload uses
// the one of the level it extends. Three vector types per level, of vector_bytes(level) bytes each:
//   bytes   int8 or uint8 lanes       ints   int32 lanes       floats   float lanes
// "Line": a 128-bit part of a vector; vectors of bytes are interleaved and narrowed line by line.
// "Group": four consecutive depth positions of one row or column, one 32-bit lane.
//
// Weights meet activations in these shapes:
//   dot        lanes are rows: four weights per lane, four activations broadcast     (gemm)
//   pair_dot   lanes are two rows times two columns, eight weights and activations   (gemm, some levels)
//   panel_dot  lanes are columns: activations per lane, weights broadcast            (convolution)
//   tile_dot   16 rows by 16 columns by 64 positions                                 (both, some levels: tiles.hpp)
// All are exact modulo 2^32 for activations in [-128, 127]. `dot` takes a promise about the
// weights: any_weight, or small_weight where |w| <= 127 buys a faster instruction sequence.
// weight_bias(level) is added to every weight byte by whoever stores it; dot then returns a sum that
// is too large by weight_bias * (sum of the activations). panel_bias is the same for panel_dot: the
// sum is too large by panel_bias * (sum of the weights). Where splits_activations(level), dot reads them as
// store_activations writes them, and its sum is too large by the sum of the negative ones.
//
// always_inline keeps one copy per caller: objects built with other flags share none of this code.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <lutra/core/strict_fp.hpp>
#include <lutra/core/types.hpp>
#include <lutra/simd/arch.hpp>

namespace lutra::inline LUTRA_ABI::simd {

struct any_weight {};
struct small_weight : any_weight {};
struct line_tables {};              // a 16-entry table per line
struct one_table : line_tables {};  // the same table in every line

// Vectors of the portable level.
struct portable_bytes {
  std::array<std::int8_t, 16> lane;
};
struct portable_ints {
  std::array<std::int32_t, 4> lane;
};
struct portable_floats {
  std::array<float, 4> lane;
};

// splice_mask + splice_most - n: n bytes 0, then bytes -1. For levels without mask registers.
inline constexpr index_t splice_most = 32;
inline constexpr auto splice_masks = [] {
  std::array<std::int8_t, 2 * splice_most> m{};
  std::fill(m.begin() + splice_most, m.end(), std::int8_t{-1});
  return m;
}();
inline constexpr const std::int8_t* splice_mask = splice_masks.data();

// ---- properties of a level -----------------------------------------------------------------------
constexpr index_t vector_bytes(portable) { return 16; }
constexpr bool has_byte_lookup(portable) {
  return false;
}  // lookup_*, shift_codes, choose_bits exist
constexpr bool has_long_lookup(portable) {
  return false;
}  // lookup_low of one_table takes 64 entries
constexpr bool has_small_weight_dot(portable) {
  return false;
}  // small_weight differs from any_weight
constexpr bool splits_activations(portable) {
  return false;
}  // dot reads activations as magnitude and sign, twice as many bytes; negative_part exists
constexpr bool has_adding_dot(portable) {
  return false;
}  // dot ends in one instruction that multiplies and adds: its latency asks for more sums
constexpr bool lookups_delay_dots(portable) {
  return false;
}  // some of the CPUs have no execution unit for look-ups that dot does not need
constexpr bool has_pair_dot(portable) {
  return false;
}  // row_pair, column_pair, splat_pair, pair_dot and column_sums exist
constexpr bool has_windows(portable) { return false; }  // windows exists, see load_windows
constexpr bool has_tiles(portable) { return false; }    // tile_dot and what it needs exist
constexpr int weight_bias(portable) { return 0; }       // 0 or 128
constexpr int panel_bias(portable) { return 0; }        // 0 or 128
constexpr int panel_vectors(portable) { return 4; }     // vectors of one panel group, 4 or 8
constexpr int vector_registers(portable) { return 16; }

// ---- memory --------------------------------------------------------------------------------------
[[gnu::always_inline]] inline portable_bytes splat_bytes(int x, portable) {
  portable_bytes v;
  v.lane.fill(static_cast<std::int8_t>(x));
  return v;
}
[[gnu::always_inline]] inline portable_bytes load_bytes(const void* p, portable) {
  portable_bytes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store_bytes(void* p, portable_bytes v, portable) {
  std::memcpy(p, &v, sizeof v);
}
[[gnu::always_inline]] inline portable_ints load_ints(const void* p, portable) {
  portable_ints v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store_ints(void* p, portable_ints v, portable) {
  std::memcpy(p, &v, sizeof v);
}
[[gnu::always_inline]] inline portable_floats load_floats(const float* p, portable) {
  portable_floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store_floats(float* p, portable_floats v, portable) {
  std::memcpy(p, &v, sizeof v);
}

// ---- int32 lanes, modulo 2^32 ----------------------------------------------------------------------
[[gnu::always_inline]] inline portable_ints splat_ints(std::int32_t x, portable) {
  return {{x, x, x, x}};
}
[[gnu::always_inline]] inline portable_ints add(portable_ints a, portable_ints b, portable) {
  for (std::size_t i = 0; i < 4; ++i) {
    a.lane[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a.lane[i]) +
                                          static_cast<std::uint32_t>(b.lane[i]));
  }
  return a;
}
[[gnu::always_inline]] inline portable_ints multiply(portable_ints a, portable_ints b, portable) {
  for (std::size_t i = 0; i < 4; ++i) {
    a.lane[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a.lane[i]) *
                                          static_cast<std::uint32_t>(b.lane[i]));
  }
  return a;
}

[[gnu::always_inline]] inline portable_ints max_ints(portable_ints a, portable_ints b, portable) {
  for (std::size_t i = 0; i < 4; ++i) a.lane[i] = std::max(a.lane[i], b.lane[i]);
  return a;
}

// A sum on its way round a loop has the vector type that the dot product takes: g++ 12 copies the register
// in every round if it changes its type on the way.
// Not for any level by template: that would be taken before what a level inherits.
template <class Ints> [[gnu::always_inline]] inline Ints as_sum(Ints v, portable) { return v; }
template <class Ints> [[gnu::always_inline]] inline Ints as_ints(Ints v, portable) { return v; }

// ---- rows in lanes: four weights per lane, four activations for all lanes --------------------------
// Prepares weight bytes / four activations for dot; done once per use in several dots.
[[gnu::always_inline]] inline portable_bytes weights(portable_bytes w, any_weight, portable) {
  return w;
}
[[gnu::always_inline]] inline std::array<std::int8_t, 4> activations(const std::int8_t* four,
                                                                     any_weight, portable) {
  return {four[0], four[1], four[2], four[3]};
}
// A vector of activations as `activations` reads them; groups lie one behind the other.
template <class Bytes, class A>
[[gnu::always_inline]] inline void store_activations(std::int8_t* out, Bytes v, A a) {
  if constexpr (splits_activations(a)) {
    store_split(out, v, a);
  } else {
    store_bytes(out, v, a);
  }
}
[[gnu::always_inline]] inline portable_ints dot(portable_ints sum, portable_bytes w,
                                                std::array<std::int8_t, 4> a, any_weight,
                                                portable) {
  portable_ints products;
  for (std::size_t i = 0; i < 4; ++i) {
    products.lane[i] = w.lane[4 * i] * a[0] + w.lane[4 * i + 1] * a[1] + w.lane[4 * i + 2] * a[2] +
                       w.lane[4 * i + 3] * a[3];
  }
  return add(sum, products, portable{});
}

// ---- columns in lanes ------------------------------------------------------------------------------
// Four vectors of activations, one per depth position of a group, become panel_vectors vectors whose
// 32-bit lanes hold what panel_dot reads; in the order that narrow() below undoes.
[[gnu::always_inline]] inline void store_panel(std::int8_t* out, portable_bytes k0,
                                               portable_bytes k1, portable_bytes k2,
                                               portable_bytes k3, portable) {
  for (std::size_t i = 0; i < 16; ++i) {
    out[4 * i] = k0.lane[i];
    out[4 * i + 1] = k1.lane[i];
    out[4 * i + 2] = k2.lane[i];
    out[4 * i + 3] = k3.lane[i];
  }
}
// Bytes that store_panel_weights writes per vector of weight bytes, in vectors: panel_vectors / 4.
[[gnu::always_inline]] inline void store_panel_weights(std::uint8_t* out, portable_bytes w,
                                                       portable) {
  store_bytes(out, w, portable{});
}
// One 32-bit lane of stored panel weights, for all lanes.
[[gnu::always_inline]] inline std::array<std::int8_t, 4> panel_weight(const std::uint8_t* lane,
                                                                      portable) {
  std::array<std::int8_t, 4> w;
  std::memcpy(w.data(), lane, 4);
  return w;
}
[[gnu::always_inline]] inline portable_ints panel_dot(portable_ints sum, portable_bytes x,
                                                      std::array<std::int8_t, 4> w, portable) {
  return dot(sum, x, w, any_weight{}, portable{});
}
// Every level takes a vector of stored panel weights, a group per lane, in place of one for all lanes.
[[gnu::always_inline]] inline portable_ints panel_dot(portable_ints sum, portable_bytes x,
                                                      portable_bytes w, portable) {
  portable_ints products;
  for (std::size_t i = 0; i < 4; ++i) {
    products.lane[i] = x.lane[4 * i] * w.lane[4 * i] + x.lane[4 * i + 1] * w.lane[4 * i + 1] +
                       x.lane[4 * i + 2] * w.lane[4 * i + 2] +
                       x.lane[4 * i + 3] * w.lane[4 * i + 3];
  }
  return add(sum, products, portable{});
}

// What panel_dot reads for four taps whose inputs lie side by side: store_panel of the vectors at p, p + 1, p + 2 and
// p + 3. The bytes at p have panel_bias added; up to 12 behind the vector at p are read. A level with panel_bias has
//   windows(v)   byte 4l + j of a line: byte l + j of that line of v, l < 4 and j < 4
// which saves the interleaving.
template <class Bytes, std::size_t Vectors, class A>
[[gnu::always_inline]] inline void load_windows(Bytes (&x)[Vectors], const std::int8_t* p, A a) {
  static_assert(Vectors == panel_vectors(a) && (has_windows(a) || panel_bias(a) == 0));
  if constexpr (has_windows(a)) {
    for (std::size_t v = 0; v < Vectors; ++v) x[v] = windows(load_bytes(p + 4 * v, a), a);
  } else {
    std::int8_t panel[Vectors * sizeof(Bytes)];
    store_panel(panel, load_bytes(p, a), load_bytes(p + 1, a), load_bytes(p + 2, a),
                load_bytes(p + 3, a), a);
    for (std::size_t v = 0; v < Vectors; ++v) x[v] = load_bytes(panel + v * sizeof(Bytes), a);
  }
}
inline constexpr std::array<std::uint8_t, 16> window_numbers{0, 1, 2, 3, 1, 2, 3, 4,
                                                             2, 3, 4, 5, 3, 4, 5, 6};

// ---- sums of int8 ----------------------------------------------------------------------------------
// Adds the bytes of v to a running total; total(...) after `count` vectors from splat_ints(0).
[[gnu::always_inline]] inline portable_ints add_bytes(portable_ints sum, portable_bytes v,
                                                      portable) {
  return dot(sum, v, {1, 1, 1, 1}, any_weight{}, portable{});
}
[[gnu::always_inline]] inline std::int32_t total(portable_ints sum, index_t /*count*/, portable) {
  return sum.lane[0] + sum.lane[1] + sum.lane[2] + sum.lane[3];
}

// ---- epilogue --------------------------------------------------------------------------------------
[[gnu::always_inline]] inline portable_floats splat_floats(float x, portable) {
  return {{x, x, x, x}};
}
// float(x) * m, both rounded to nearest even.
[[gnu::always_inline]] inline portable_floats scaled(portable_ints x, portable_floats m, portable) {
  for (std::size_t i = 0; i < 4; ++i) m.lane[i] *= static_cast<float>(x.lane[i]);
  return m;
}
// (float(x) + rest) * m, each rounded to nearest even.
[[gnu::always_inline]] inline portable_floats scaled(portable_ints x, portable_floats rest,
                                                     portable_floats m, portable) {
  for (std::size_t i = 0; i < 4; ++i) m.lane[i] *= static_cast<float>(x.lane[i]) + rest.lane[i];
  return m;
}
[[gnu::always_inline]] inline portable_floats add_floats(portable_floats a, portable_floats b,
                                                         portable) {
  for (std::size_t i = 0; i < 4; ++i) a.lane[i] += b.lane[i];
  return a;
}
[[gnu::always_inline]] inline portable_floats multiply_floats(portable_floats a, portable_floats b,
                                                              portable) {
  for (std::size_t i = 0; i < 4; ++i) a.lane[i] *= b.lane[i];
  return a;
}
// round_half_even(min(x, hi)); hi is an integer below 2^15. x below -32768 may give any number that is
// not larger than -32768 (the limits below clamp it).
[[gnu::always_inline]] inline portable_ints round(portable_floats x, portable_floats hi, portable) {
  portable_ints q;
  for (std::size_t i = 0; i < 4; ++i) {
    float y = x.lane[i] > hi.lane[i] ? hi.lane[i] : x.lane[i];
    y = y < -65536.0F ? -65536.0F : y;
    // Adding 1.5 * 2^23 leaves no fraction bits: the addition itself rounds, halves to even.
    q.lane[i] = static_cast<std::int32_t>((y + 0x1.8p23F) - 0x1.8p23F);
  }
  return q;
}
// The integer end of requantization: clamp(q + zero_point, lo, hi), all within int8.
struct portable_limits {
  std::int32_t zero_point, lo, hi;
};
[[gnu::always_inline]] inline portable_limits limits(int zero_point, int lo, int hi, portable) {
  return {zero_point, lo, hi};
}
[[gnu::always_inline]] inline std::int8_t bounded(std::int32_t q, const portable_limits& l) {
  return static_cast<std::int8_t>(std::min(std::max(q + l.zero_point, l.lo), l.hi));
}
// One vector as vector_bytes / 4 consecutive bytes.
[[gnu::always_inline]] inline void store_narrow(std::int8_t* p, portable_ints v,
                                                const portable_limits& l, portable) {
  for (std::size_t i = 0; i < 4; ++i) p[i] = bounded(v.lane[i], l);
}
// Four vectors of columns in panel order as bytes in natural order.
[[gnu::always_inline]] inline portable_bytes narrow(const portable_ints (&v)[4],
                                                    const portable_limits& l, portable) {
  portable_bytes b;
  for (std::size_t i = 0; i < 16; ++i) b.lane[i] = bounded(v[i / 4].lane[i % 4], l);
  return b;
}
// Four vectors of columns in panel order, stored in natural order.
[[gnu::always_inline]] inline void store_columns(std::int32_t* p, const portable_ints (&v)[4],
                                                 portable) {
  for (int i = 0; i < 4; ++i) store_ints(p + 4 * i, v[i], portable{});
}
[[gnu::always_inline]] inline void store_columns(float* p, const portable_floats (&v)[4],
                                                 portable) {
  for (int i = 0; i < 4; ++i) store_floats(p + 4 * i, v[i], portable{});
}

// ---- bytes -----------------------------------------------------------------------------------------
// int8 <-> uint8 - 128.
[[gnu::always_inline]] inline portable_bytes flip_sign(portable_bytes v, portable) {
  for (auto& x : v.lane) x = static_cast<std::int8_t>(x ^ -128);
  return v;
}
[[gnu::always_inline]] inline portable_bytes max(portable_bytes a, portable_bytes b, portable) {
  for (std::size_t i = 0; i < 16; ++i) a.lane[i] = std::max(a.lane[i], b.lane[i]);
  return a;
}
// The first `from` bytes of a, then those of b; 0 <= from < vector_bytes.
[[gnu::always_inline]] inline portable_bytes splice(portable_bytes a, portable_bytes b,
                                                    index_t from, portable) {
  std::memcpy(b.lane.data(), a.lane.data(), to_size(from));
  return b;
}
// Bytes 0, 2, 4, ... of a, then of b.
[[gnu::always_inline]] inline portable_bytes even_bytes(portable_bytes a, portable_bytes b,
                                                        portable) {
  portable_bytes v;
  for (std::size_t i = 0; i < 8; ++i) {
    v.lane[i] = a.lane[2 * i];
    v.lane[i + 8] = b.lane[2 * i];
  }
  return v;
}

// Sixteen bytes at a and sixteen at b in turn; for every level.
[[gnu::always_inline]] inline void zip_bytes(const void* a, const void* b, void* out, portable) {
  std::int8_t x[16], y[16], z[32];
  std::memcpy(x, a, 16);
  std::memcpy(y, b, 16);
  for (std::size_t i = 0; i < 16; ++i) {
    z[2 * i] = x[i];
    z[2 * i + 1] = y[i];
  }
  std::memcpy(out, z, 32);
}
// Bytes 1, 3, 5, ... likewise.
[[gnu::always_inline]] inline portable_bytes odd_bytes(portable_bytes a, portable_bytes b,
                                                       portable) {
  portable_bytes v;
  for (std::size_t i = 0; i < 8; ++i) {
    v.lane[i] = a.lane[2 * i + 1];
    v.lane[i + 8] = b.lane[2 * i + 1];
  }
  return v;
}

}  // namespace lutra::inline LUTRA_ABI::simd
