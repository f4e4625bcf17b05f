// lutra: tiles.hpp - the inner loop of the palette GEMM on tile registers, for levels with has_tiles.
// SPDX-License-Identifier: Apache-2.0
//
// What multiply.hpp does, by 16 rows of a strip, 16 columns and 64 depth positions at once. A vector of decoded weights,
// one group of a strip, is one row of the tile of weights as it stands; the other tile has activations of one column in
// each row. Weights are decoded three parts of 64 positions ahead, of whatever comes next, also of the next strips and
// panels: a tile comes from the cache, where what was written arrives late, and behind all that is before it. To begin
// and to end takes as long as ten parts, so one call takes as many panels as there are.
#pragma once

#include <lutra/runtime/layout.hpp>
#include <lutra/simd/unroll.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t tile_rows = 16;
inline constexpr index_t tile_depth = 64;
inline constexpr index_t tile_bytes = tile_rows * tile_depth;
// Columns of a block, two tiles, and the bytes of its part of tile_depth positions.
inline constexpr index_t tiled_columns = 2 * tile_rows;
inline constexpr index_t part_of_block = 2 * tile_bytes;

// Whether products of that many columns, all in all and at a time, are faster with tiles than without. Few products do
// not make up for the time it takes to begin and to end.
constexpr bool tiles_pay(index_t columns, index_t depth) noexcept {
  return columns >= 5 && columns * depth >= 1024;
}

// Bytes of a part of a block of that many columns: few of them lie close together, and take less of the cache; one lies
// apart from the next part of it, for then copy_activations ends it with zeros.
constexpr index_t part_bytes_of(index_t columns) noexcept {
  return columns > tile_rows ? part_of_block : std::max<index_t>(columns, 2) * tile_depth;
}

// Calls f(panel, first, count), which the caller keeps, when products of columns with a panel are where they belong. A
// pointer, so that kernels are not compiled again for everything that is done with products.
class columns_done {
 public:
  template <class F>
  explicit(false) columns_done(const F& f) noexcept
      : f_(&f), call_([](const void* self, index_t panel, index_t first, index_t count) {
          (*static_cast<const F*>(self))(panel, first, count);
        }) {}
  void operator()(index_t panel, index_t first, index_t count) const {
    call_(f_, panel, first, count);
  }

 private:
  const void* f_;
  void (*call_)(const void*, index_t, index_t, index_t);
};
inline constexpr auto nothing_to_do = [](index_t, index_t, index_t) {};

// Operands of one call: the same strips of some panels by some blocks of x, of `columns` columns each.
struct tile_operands {
  const std::uint8_t* weights = nullptr;  // of the first strip, as in multiply_operands
  index_t step_bytes = 0;
  index_t panel_bytes = 0;
  const std::uint8_t* tables = nullptr;
  index_t strips = 0;
  index_t panels = 0;
  index_t steps = 0;
  const std::int8_t* x = nullptr;
  index_t x_block = 0;  // bytes from one block to the next
  index_t blocks = 0;
  index_t columns = 0;
  index_t first_panel = 0, first_column = 0;
  std::int32_t* out = nullptr;
  index_t out_stride = 0;  // elements from one column to the next
  index_t out_block = 0,
          out_panel = 0;  // from one block or panel to the next; 0: done takes each away
};

// Tiles 0 to 3 are sums, those from 4 on activations, the others weights. One tile of columns has other sums for every
// second part of the depth, since sums of two strips alone would wait for each other.
template <class A, int Tiles> void configure_tiles_for(index_t columns) {
  simd::tile_shapes shapes;
  const auto rows_of = [columns](index_t tile) {
    return static_cast<std::uint8_t>(std::min(tile_rows, columns - tile * tile_rows));
  };
  simd::unroll<4>([&](auto i) { shapes.rows[i] = rows_of(Tiles == 1 ? 0 : i / 2); });
  simd::unroll<Tiles>([&](auto t) { shapes.rows[4 + t] = rows_of(t); });
  configure_tiles(shapes, A{});
}

// Strips at a time by Tiles tiles of columns, for which the tiles are configured; o.strips is a multiple of Strips. Block
// by block, in a block panel by panel; done(o.first_panel + p, o.first_column + b * o.columns, o.columns) follows the
// last product of block b and panel p.
template <class A, class Codes, int Strips, int Tiles>
void multiply_tiles(const tile_operands& o, const columns_done& done) {
  static_assert(Strips <= 2 || Tiles == 1);
  using simd::tile_dot, simd::tile_load, simd::tile_store, simd::tile_zero;
  constexpr index_t size = simd::vector_size<A>;
  constexpr index_t lanes = simd::int_lanes<A>;
  constexpr int groups = Codes::layout.groups;
  constexpr int part_steps = static_cast<int>(tile_depth) / 4 / groups;
  constexpr bool two_chains = Tiles == 1 && Strips <= 2;
  constexpr int first_x = 4, first_w = first_x + Tiles;
  // A ring of decoded parts.
  constexpr index_t part_bytes = std::max(Strips * tile_bytes, part_of_block);
  constexpr index_t ahead = 3 * part_bytes, ring_bytes = 4 * part_bytes;
  alignas(4096) std::uint8_t ring[static_cast<std::size_t>(ring_bytes)];

  // Decoded weights are signed here: the bias goes out of the tables, or of each vector.
  constexpr int tables_count = Codes::table_per_strip ? Strips : 1;
  typename Codes::template tables<A> tables[static_cast<std::size_t>(tables_count)];
  const auto load_tables = [&](const std::uint8_t* from) __attribute__((always_inline)) {
    simd::unroll<tables_count>([&](auto s) __attribute__((always_inline)) {
      tables[s] = Codes::template load_tables<A>(from + s * size);
      if constexpr (Codes::layout.bits < 8) {
        for (auto& t : tables[s].table) t = flip_sign(t, A{});
      }
    });
  };
  load_tables(o.tables);
  // What is decoded next. Nothing in the loop is read from *this or o, whose addresses might be those of a write.
  const index_t step_bytes = o.step_bytes, all_steps = o.steps, strips = o.strips;
  const std::uint8_t* w = o.weights;
  index_t strip = 0, panel = 0, block = 0, steps = all_steps;
  const auto decode_step = [&](std::uint8_t * to) __attribute__((always_inline)) {
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      constexpr int t = Codes::table_per_strip ? s : 0;
      simd::unroll<groups>([&](auto g) __attribute__((always_inline)) {
        auto v = Codes::template read<g, A>(w + s * Codes::layout.vectors * size, tables[t]);
        if constexpr (Codes::layout.bits == 8) v = flip_sign(v, A{});
        store_bytes(to + s * tile_bytes + g * size, v, A{});
      });
    });
    w += step_bytes;
  };
  // The next strips; behind the last of a block those of the first panel again, behind all of them none.
  const auto go_on = [&] {
    strip += Strips;
    if (strip == strips) {
      strip = 0;
      if (++panel == o.panels) {
        panel = 0;
        if (++block >= o.blocks) return;
      }
    }
    steps = all_steps;
    w = o.weights + panel * o.panel_bytes + strip * Codes::layout.vectors * size;
    if constexpr (Codes::table_per_strip) {
      load_tables(o.tables + (panel * panel_strips + strip) * size);
    }
  };
  const auto decode = [&](std::uint8_t * to) __attribute__((always_inline)) {
    if (steps >= part_steps) {
      simd::unroll<part_steps>([&](auto i) __attribute__((always_inline)) {
        decode_step(to + i * groups * size);
      });
    } else {  // what is left of the part meets activations of 0
      for (index_t i = 0; i < steps; ++i) decode_step(to + i * groups * size);
    }
    steps -= part_steps;
    if (steps <= 0 && block < o.blocks) go_on();
  };

  index_t now = 0;
  for (index_t at = 0; at < ahead; at += part_bytes) decode(ring + at);
  const auto load_weights = [&](auto s) __attribute__((always_inline)) {
    tile_load<first_w + s % (8 - first_w)>(ring + now + s * tile_bytes, size, A{});
  };
  const auto dots = [&](auto chain) __attribute__((always_inline)) {
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      if constexpr (Strips > 2) load_weights(s);
      simd::unroll<Tiles>([&](auto t) __attribute__((always_inline)) {
        tile_dot<2 * (t + chain) + s, first_x + t, first_w + s % (8 - first_w)>(A{});
      });
    });
  };
  const index_t parts = (all_steps + part_steps - 1) / part_steps;
  const index_t x_part = Tiles > 1 ? part_of_block : part_bytes_of(o.columns);
  for (index_t b = 0; b < o.blocks; ++b) {
    for (index_t p = 0; p < o.panels; ++p) {
      for (index_t at = 0; at < strips; at += Strips) {
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) { tile_zero<i>(A{}); });
        const std::int8_t* x = o.x + b * o.x_block;
        // Not unrolled: the prefetchers follow an instruction that goes on by 2 KiB at most.
        for (index_t left = parts; left > 0; --left) {
          simd::unroll<Tiles>([&](auto t) __attribute__((always_inline)) {
            tile_load<first_x + t>(x + t * tile_bytes, size, A{});
          });
          if constexpr (Strips <= 2) simd::unroll<Strips>(load_weights);
          decode(ring + ((now + ahead) & (ring_bytes - 1)));
          if (two_chains && left % 2 != 0) {
            dots(std::integral_constant < int, two_chains ? 1 : 0 > {});
          } else {
            dots(std::integral_constant<int, 0>{});
          }
          x += x_part;
          now = (now + part_bytes) & (ring_bytes - 1);
        }
        std::int32_t* out = o.out + b * o.out_block + p * o.out_panel + at * lanes;
        if constexpr (!two_chains) {
          const index_t stride = o.out_stride * index_t{sizeof(std::int32_t)};
          simd::unroll<Tiles * Strips>([&](auto i) __attribute__((always_inline)) {
            constexpr int t = i / Strips, s = i % Strips;
            tile_store<2 * t + s>(out + t * tile_rows * o.out_stride + s * lanes, stride, A{});
          });
        } else {
          alignas(64) std::int32_t sums[4][static_cast<std::size_t>(tile_rows * lanes)];
          simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
            tile_store<i>(sums[i], size, A{});
          });
          for (index_t c = 0; c < o.columns; ++c) {
            simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
              const auto sum = add(load_ints(sums[s] + c * lanes, A{}),
                                   load_ints(sums[2 + s] + c * lanes, A{}), A{});
              store_ints(out + c * o.out_stride + s * lanes, sum, A{});
            });
          }
        }
      }
      done(o.first_panel + p, o.first_column + b * o.columns, o.columns);
    }
  }
}

}  // namespace lutra::inline LUTRA_ABI
