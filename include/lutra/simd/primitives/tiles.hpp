// lutra: tiles.hpp - what levels with has_tiles provide beside the contract of generic.hpp: products of small matrices.
// SPDX-License-Identifier: Apache-2.0
//
// Registers 0 to 7 of a matrix each, of up to 16 rows of up to 64 bytes. Between configure_tiles and release_tiles, on
// one thread, of a process that may use them (tile_permission.hpp).
#pragma once

#include <lutra/simd/primitives/generic.hpp>

namespace lutra::inline LUTRA_ABI::simd {

struct alignas(64) tile_shapes {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
void configure_tiles(const tile_shapes&, portable) = delete;
void release_tiles(portable) = delete;
template <int Tile> void tile_zero(portable) = delete;
// Rows lie `stride` bytes apart.
template <int Tile> void tile_load(const void* p, index_t stride, portable) = delete;
template <int Tile> void tile_store(void* p, index_t stride, portable) = delete;
// sum[m][n] += x[m][4k + j] * w[k][4n + j], summed over k and j: int8 to int32, modulo 2^32.
template <int Sum, int X, int W> void tile_dot(portable) = delete;
// The same with bytes of W unsigned.
template <int Sum, int X, int W> void tile_dot_unsigned(portable) = delete;
// What brings operands of tiles and their sums into order:
// The first `lines` lines of a vector, `stride` bytes apart, of each the first `count` bytes; zeros elsewhere.
void load_lines(const void* p, index_t stride, index_t lines, index_t count, portable) = delete;
// Byte j of a line of v[i] changes places with byte i of this line of v[j].
template <class Bytes> void transpose_lines(Bytes (&v)[16], portable) = delete;
// `count` bytes of v, from byte `from` on, which v has.
template <class Bytes>
void store_bytes_of(void* p, Bytes v, index_t from, index_t count, portable) = delete;
// Four sums of each of 64 columns, which are `stride` elements apart, as v[sum]: four vectors in panel order.
template <class Ints>
void load_panel_sums(const std::int32_t* sums, index_t stride, Ints (&v)[4][4], portable) = delete;
// As narrow(), but the bytes of v[0], then those of v[1], and so on.
template <class Ints, class Limits>
Ints narrow_in_order(const Ints (&v)[4], const Limits& l, portable) = delete;

}  // namespace lutra::inline LUTRA_ABI::simd
