// lutra: tiles.hpp - the inner loop of the palette GEMM on tile registers, for levels with has_tiles.
// SPDX-License-Identifier: Apache-2.0
//
// What multiply.hpp does, by 16 rows of a strip, 16 columns and 64 depth positions at once. A vector of decoded
// weights, one group of a strip, is one row of the tile of weights as it stands; the other tile has activations of one
// column in each row. Weights are decoded three parts of 64 positions ahead, of whatever comes next, also of the next
// strips and panels: a tile comes from the cache, where what was written arrives late, and behind all that is before
// it. A call begins and ends with nothing to multiply, so it takes as many panels as there are.
#pragma once

#include <lutra/runtime/gemm/depth_walk.hpp>
#include <lutra/runtime/line_layout.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/unroll.hpp>
#include <utility>

namespace lutra::inline LUTRA_ABI {

// Columns of a block, two tiles, and the bytes of its part of tile_depth positions.
inline constexpr index_t tiled_columns = 2 * tile_rows;
inline constexpr index_t part_of_block = 2 * tile_bytes;

// Bytes of a weight that stays in the second-level cache from one product to the next.
inline constexpr index_t in_cache_bytes = index_t{1} << 20;

// Fewest columns that go by tiles: weights from farther away are better read in several places (depth_walk).
constexpr index_t least_tiled(index_t weight_bytes) noexcept {
  return weight_bytes <= in_cache_bytes ? 4 : 5;
}
// Whether products of that many columns, all in all and at a time, are faster with tiles than without. Few products do
// not make up for the time it takes to begin and to end.
constexpr bool tiles_pay(index_t columns, index_t depth, index_t least = 5) noexcept {
  return columns >= least && columns * depth >= 1024;
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
  index_t places = 1;  // of the depth, in turn (depth_walk); several: weights are in memory
  const std::int8_t* x = nullptr;
  index_t x_block = 0;  // bytes from one block to the next
  index_t blocks = 0;
  index_t columns = 0;
  index_t first_panel = 0, first_column = 0;
  std::int32_t* out = nullptr;
  index_t out_stride = 0;  // elements from one column to the next
  index_t out_block = 0;   // from one block to the next; 0: done takes each away
  index_t out_panel = 0;   // from one panel to the next, or likewise
};

// What configures tiles on a thread has one of these: it releases them at its end, if they were `used`.
template <class A> class tiles_in_use {
 public:
  explicit tiles_in_use(bool used = true) noexcept : used_(used) {}
  ~tiles_in_use() {
    if constexpr (has_tiles(A{})) {
      if (used_) release_tiles(A{});
    }
  }
  tiles_in_use(const tiles_in_use&) = delete;
  tiles_in_use& operator=(const tiles_in_use&) = delete;

 private:
  bool used_;
};

// Tiles 0 to 3 are sums, those from 4 on activations, the others weights.
template <class A, int Tiles> void configure_tiles_for(index_t columns) {
  simd::tile_shapes shapes;
  const auto rows_of = [columns](index_t tile) {
    return static_cast<std::uint8_t>(std::min(tile_rows, columns - tile * tile_rows));
  };
  simd::unroll<4>([&](auto i) { shapes.rows[i] = rows_of(Tiles == 1 ? 0 : i / 2); });
  simd::unroll<Tiles>([&](auto t) { shapes.rows[4 + t] = rows_of(t); });
  configure_tiles(shapes, A{});
}

// Strips at once that come from beyond the second-level cache: all of a panel, for its codes lie together. Two at a
// time read every other pair of lines, and what is read ahead then is the other pair.
inline constexpr int far_strips = 4;
// Then parts come one by one of each place.
constexpr depth_walk parts_of(index_t parts, index_t places) noexcept {
  return depth_walk(parts, places, 1);
}

// Decodes Strips strips of a panel part by part, then the next ones, panel by panel and, for every block, all over
// again.
template <class A, class Codes, int Strips, int Tiles> class part_decoder {
 public:
  static constexpr int groups = Codes::layout.groups;
  static constexpr int part_steps = static_cast<int>(tile_depth) / 4 / groups;

  [[gnu::always_inline]] explicit part_decoder(const tile_operands& o) noexcept
      : o_(o), w_(o.weights), step_bytes_(o.step_bytes), all_steps_(o.steps) {
    begin_strips();
    load_tables(o.tables);
  }
  // [Strips][tile_bytes]; what is left of the last part of a strip meets activations of 0. Behind everything: nothing.
  [[gnu::always_inline]] void decode(std::uint8_t* to) noexcept {
    if (steps_ >= part_steps) {
      simd::unroll<part_steps>([&](auto i) __attribute__((always_inline)) {
        decode_step(to + i * groups * size);
      });
    } else {
      for (index_t i = 0; i < steps_; ++i) decode_step(to + i * groups * size);
    }
    steps_ -= part_steps;
    if constexpr (Strips == far_strips) w_ += walk_.skip(1) * part_steps * step_bytes_;
    if (steps_ <= 0) go_on();
  }
  static constexpr index_t parts(index_t steps) noexcept {
    return (steps + part_steps - 1) / part_steps;
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;
  static constexpr int tables_count = Codes::table_per_strip ? Strips : 1;
  static constexpr bool asks = Strips == far_strips || (Strips == 2 && Tiles == 2);
  static constexpr index_t strips_bytes = Strips * Codes::layout.vectors * size;  // of a step

  // Decoded weights are signed here: the bias goes out of the tables, or of each vector.
  [[gnu::always_inline]] void load_tables(const std::uint8_t* from) noexcept {
    simd::unroll<tables_count>([&](auto s) __attribute__((always_inline)) {
      tables_[s] = Codes::template load_tables<A>(from + s * size);
      if constexpr (Codes::layout.bits < 8) {
        for (auto& t : tables_[s].table) t = flip_sign(t, A{});
      }
    });
  }
  // One vector is loaded once: between stores the compiler would load it for every group of it.
  [[gnu::always_inline]] static auto operand(const std::uint8_t* w) noexcept {
    if constexpr (Codes::layout.vectors == 1) {
      return load_bytes(w, A{});
    } else {
      return w;
    }
  }
  [[gnu::always_inline]] void decode_step(std::uint8_t* to) noexcept {
    ask_for_codes();
    simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
      constexpr int t = Codes::table_per_strip ? s : 0;
      const auto w = operand(w_ + s * Codes::layout.vectors * size);
      simd::unroll<groups>([&](auto g) __attribute__((always_inline)) {
        auto v = Codes::template read<g, A>(w, tables_[t]);
        if constexpr (Codes::layout.bits == 8) v = flip_sign(v, A{});
        store_bytes(to + s * tile_bytes + g * size, v, A{});
      });
    });
    w_ += step_bytes_;
  }
  // From memory only, where two strips of panels are taken by two tiles of columns: 16384 x 16384 times 8 takes 6.7 ms,
  // without it 7.9; 4096 x 4096, from the last-level cache, 354 us either way.
  [[gnu::always_inline]] void ask_for_codes() noexcept {
    constexpr index_t line = 64;
    if (!asks || ahead_ == 0) return;
    simd::unroll<static_cast<int>(strips_bytes / line)>([&](auto i) __attribute__((always_inline)) {
      if constexpr (Strips == far_strips) {
        simd::prefetch(w_, ahead_ + i * line);
      } else {
        simd::read_ahead(w_, ahead_ + i * line);
      }
    });
  }
  [[gnu::always_inline]] void begin_strips() noexcept {
    steps_ = all_steps_;
    if constexpr (Strips == far_strips) walk_ = parts_of(parts(all_steps_), o_.places);
    if (!asks || o_.places == 1) return;
    if constexpr (Strips == far_strips) {
      ahead_ = 1024;  // 1.5 or 2 KiB: 2 to 6 % slower
    } else {
      const bool last = strip_ + Strips == o_.strips;
      ahead_ = last ? o_.panel_bytes - strip_ / Strips * strips_bytes : strips_bytes;
    }
  }
  [[gnu::always_inline]] void go_on() noexcept {
    if (block_ == o_.blocks) return;
    strip_ += Strips;
    if (strip_ == o_.strips) {
      strip_ = 0;
      if (++panel_ == o_.panels) {
        panel_ = 0;
        if (++block_ == o_.blocks) return;
      }
    }
    begin_strips();
    w_ = o_.weights + panel_ * o_.panel_bytes + strip_ * Codes::layout.vectors * size;
    if constexpr (Codes::table_per_strip) {
      load_tables(o_.tables + (panel_ * panel_strips + strip_) * size);
    }
  }

  const tile_operands& o_;
  const std::uint8_t* w_;
  const index_t step_bytes_, all_steps_;
  index_t steps_ = 0, strip_ = 0, panel_ = 0, block_ = 0;
  index_t ahead_ = 0;  // how far codes are asked for; by two strips: to the next ones
  depth_walk walk_{0};
  typename Codes::template tables<A> tables_[static_cast<std::size_t>(tables_count)];
};

// Strips at a time by Tiles tiles of columns, for which the tiles are configured; o.strips is a multiple of Strips.
// Block by block, in a block panel by panel; done(o.first_panel + p, o.first_column + b * o.columns, o.columns) follows
// the last product of block b and panel p.
template <class A, class Codes, int Strips, int Tiles>
void multiply_tiles(const tile_operands& o, const columns_done& done) {
  static_assert(Strips <= 2 || Tiles == 1);
  using simd::tile_dot, simd::tile_load, simd::tile_store, simd::tile_zero;
  constexpr index_t size = simd::vector_size<A>;
  constexpr index_t lanes = simd::int_lanes<A>;
  constexpr int first_x = 4, first_w = first_x + Tiles;
  // A ring of decoded parts.
  constexpr index_t part_bytes = std::max(Strips * tile_bytes, part_of_block);
  constexpr index_t ahead = 3 * part_bytes, ring_bytes = 4 * part_bytes;
  alignas(4096) std::uint8_t ring[static_cast<std::size_t>(ring_bytes)];
  part_decoder<A, Codes, Strips, Tiles> decoder(o);
  for (index_t at = 0; at < ahead; at += part_bytes) decoder.decode(ring + at);

  // The sums of strips begin in other tiles than those of the strips before, which are stored after the first part:
  // then nothing waits for them. Four tiles of sums at once leave no others.
  constexpr bool late = Strips * Tiles <= 2;
  const auto sum_tile = [](int turn, int t, int s) {
    return Tiles == 1 ? (late ? 2 * turn + s : s) : 2 * t + (late ? turn : s);
  };
  const index_t out_stride = o.out_stride;
  const auto store = [&](auto turn, std::int32_t* out) __attribute__((always_inline)) {
    simd::unroll<Tiles * Strips>([&](auto i) __attribute__((always_inline)) {
      constexpr int t = i / Strips, s = i % Strips;
      tile_store<sum_tile(turn, t, s)>(out + t * tile_rows * out_stride + s * lanes,
                                       out_stride * index_t{sizeof(std::int32_t)}, A{});
    });
  };
  const index_t parts = part_decoder<A, Codes, Strips, Tiles>::parts(o.steps), places = o.places;
  const index_t x_part = Tiles > 1 ? part_of_block : part_bytes_of(o.columns);
  index_t now = 0;
  std::int32_t* out_before = nullptr;  // where the sums of the strips before are still to be stored
  // Nothing in the loop is read from o or the stack, whose addresses might be those of a write.
  const auto multiply = [&](auto turn, const std::int8_t* x) __attribute__((always_inline)) {
    simd::unroll<Tiles * Strips>([&](auto i) __attribute__((always_inline)) {
      tile_zero<sum_tile(turn, i / Strips, i % Strips)>(A{});
    });
    // Not unrolled: the prefetchers follow an instruction that goes on by 2 KiB at most.
    depth_walk walk = parts_of(parts, places);
    for (index_t left = parts; left > 0; --left) {
      const std::uint8_t* const w = ring + now;
      const auto load_weights = [&](auto s) __attribute__((always_inline)) {
        tile_load<first_w + s % (8 - first_w)>(w + s * tile_bytes, size, A{});
      };
      simd::unroll<Tiles>([&](auto t) __attribute__((always_inline)) {
        tile_load<first_x + t>(x + t * tile_bytes, size, A{});
      });
      if constexpr (Strips <= 2) simd::unroll<Strips>(load_weights);
      decoder.decode(ring + ((now + ahead) & (ring_bytes - 1)));
      simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
        if constexpr (Strips > 2) load_weights(s);
        simd::unroll<Tiles>([&](auto t) __attribute__((always_inline)) {
          tile_dot<sum_tile(turn, t, s), first_x + t, first_w + s % (8 - first_w)>(A{});
        });
      });
      x += x_part;
      if constexpr (Strips == far_strips) x += walk.skip(1) * x_part;
      now = (now + part_bytes) & (ring_bytes - 1);
      if constexpr (late) {
        if (out_before != nullptr) {
          store(std::integral_constant<int, 1 - turn>{}, out_before);
          out_before = nullptr;
        }
      }
    }
  };
  using first_turn = std::integral_constant<int, 0>;
  using second_turn = std::integral_constant<int, 1>;
  bool second = false;
  index_t done_panel = 0, done_block = -1;  // stored and not yet told
  const auto tell = [&]() __attribute__((always_inline)) {
    if (done_block >= 0) {
      done(o.first_panel + done_panel, o.first_column + done_block * o.columns, o.columns);
    }
    done_block = -1;
  };
  for (index_t b = 0; b < o.blocks; ++b) {
    for (index_t p = 0; p < o.panels; ++p) {
      for (index_t at = 0; at < o.strips; at += Strips) {
        const std::int8_t* const x = o.x + b * o.x_block;
        std::int32_t* const out = o.out + b * o.out_block + p * o.out_panel + at * lanes;
        if constexpr (late) {
          if (second) {
            multiply(second_turn{}, x);
          } else {
            multiply(first_turn{}, x);
          }
          tell();
          second = !second;
          out_before = out;
        } else {
          multiply(first_turn{}, x);
          store(first_turn{}, out);
        }
      }
      done_panel = p;
      done_block = b;
      if constexpr (!late) tell();
    }
  }
  if constexpr (late) {
    if (out_before == nullptr) return;
    if (second) {
      store(first_turn{}, out_before);
    } else {
      store(second_turn{}, out_before);
    }
    tell();
  }
}

}  // namespace lutra::inline LUTRA_ABI
