// lutra: panel.hpp - panels of a lut_matrix times activation rows.
// SPDX-License-Identifier: Apache-2.0
//
// Chooses the instance of multiply.hpp, decoded.hpp or tiles.hpp: how weights are stored, what is promised about them,
// as many strips and columns at once as the registers hold. Without tiles all down to multiply_strips is inlined:
// operands handed on by value are copied in wider pieces than they were just written in, which waits until those are in
// the cache, and no panel begins before the one ahead is done (a tenth of the time of 1024 x 1024 times one vector on
// an Intel core).
#pragma once

#include <lutra/core/executor.hpp>
#include <lutra/runtime/gemm/activations.hpp>
#include <lutra/runtime/gemm/decoded.hpp>
#include <lutra/runtime/gemm/multiply.hpp>
#include <lutra/runtime/lut_matrix.hpp>

namespace lutra::inline LUTRA_ABI {

// Most columns of one call.
template <class A>
inline constexpr index_t block_columns = has_tiles(A{})            ? tiled_columns
                                         : lookups_delay_dots(A{}) ? 96
                                                                   : 24;

// Where the products of panels go: [columns][panels][panel_strips * lanes], the columns `stride` apart; without `all`
// those of one block and panel only, each over the one before.
struct panel_output {
  std::int32_t* first = nullptr;
  index_t stride = 0;
  bool all = true;
  std::int32_t* at(index_t column) const noexcept { return all ? first + column * stride : first; }
};

// Strips strips starting at operand o, columns [0, columns). The widths are those whose sums, weights
// and activations fit the registers: 4 x 4 of 32 (4 x 6 without look-ups), 4 x 2 of 16; a lone strip takes eight.
template <class A, class Codes, class Weight, int Strips>
[[gnu::always_inline]] inline void multiply_columns(multiply_operands o, index_t columns) {
  constexpr bool many = vector_registers(A{}) >= 32;
  const auto take = [&](auto width) {
    constexpr int n = width;
    for (; columns >= n; columns -= n) {
      multiply_strips<A, Codes, Weight, Strips, n>(o);
      o.x += n * o.x_stride;
      o.start += n;
      o.out += n * o.out_stride;
    }
  };
  using std::integral_constant;
  if constexpr (Strips == 1) take(integral_constant<int, 8>{});
  if constexpr (Strips > 1 && lookups_delay_dots(A{}) && std::is_same_v<Codes, decoded_weights>) {
    take(integral_constant<int, 6>{});
  }
  if constexpr (Strips == 1 || many) take(integral_constant<int, 4>{});
  if constexpr (Strips > 1 && many) take(integral_constant<int, 3>{});
  take(integral_constant<int, 2>{});
  take(integral_constant<int, 1>{});
}

// A whole panel where look-ups take time from products: half of the strips at a time by twelve or eight columns, which
// share a look-up. Returns how many columns are done.
template <class A, class Codes, class Weight>
[[gnu::always_inline]] inline index_t multiply_halves(const multiply_operands& o, index_t columns) {
  constexpr index_t half = panel_strips / 2;
  index_t done = 0;
  const auto take = [&](auto width) {
    for (; columns - done >= width; done += width) {
      for (index_t s = 0; s < panel_strips; s += half) {
        multiply_operands part = o;
        part.weights += s * Codes::layout.vectors * simd::vector_size<A>;
        part.tables += Codes::table_per_strip ? s * simd::vector_size<A> : 0;
        part.x += done * o.x_stride;
        part.start += done;
        part.out += done * o.out_stride + s * simd::int_lanes<A>;
        multiply_strips<A, Codes, Weight, half, width()>(part);
      }
    }
  };
  if constexpr (half_columns < Codes >> 8) take(std::integral_constant<int, half_columns<Codes>>{});
  take(std::integral_constant<int, 8>{});
  return done;
}

template <class A, class Codes, class Weight>
[[gnu::always_inline]] inline void multiply_panel_as(const lut_matrix& w, index_t panel,
                                                     multiply_operands o, index_t columns) {
  o.step_bytes = w.step_bytes(panel);
  o.steps = w.steps();
  const index_t first = panel * panel_strips;
  const index_t count = w.strips_of(panel);
  const auto at = [&](index_t strip) {
    multiply_operands part = o;
    part.weights = w.weights(strip);
    part.tables = w.table(strip);
    part.out += (strip - first) * simd::int_lanes<A>;
    return part;
  };
  if (count == panel_strips) {
    if constexpr (lookups_delay_dots(A{}) && !std::is_same_v<Codes, decoded_weights>) {
      if (columns > few_columns && o.steps > 0) {
        return multiply_in_parts<A, Codes, Weight>(at(first), columns);
      }
      const index_t done = multiply_halves<A, Codes, Weight>(at(first), columns);
      o.x += done * o.x_stride;
      o.start += done;
      o.out += done * o.out_stride;
      columns -= done;
    }
    multiply_columns<A, Codes, Weight, panel_strips>(at(first), columns);
  } else {
    for (index_t s = first; s < first + count; ++s) {
      multiply_columns<A, Codes, Weight, 1>(at(s), columns);
    }
  }
}

// In how many places of the depth a weight is read at once.
inline index_t places_of(const lut_matrix& w) noexcept {
  const bool from_memory = simd::stores_for(w.product_bytes()) == simd::stores::streaming;
  return from_memory ? depth_walk::places_of_memory : 1;
}

// Panels [begin, end) by the columns `first`.. of x, which is in_tiles(); they begin a block.
template <class A, class Codes>
void multiply_panels_in_tiles(const lut_matrix& w, index_range panels, const activation_rows<A>& x,
                              index_t first, index_t columns, const panel_output& out,
                              const columns_done& done) {
  constexpr index_t width = panel_strips * simd::int_lanes<A>;
  const index_t block = x.block_rows();
  const tiles_in_use<A> in_use;
  const bool in_cache = w.product_bytes() <= in_cache_bytes;
  const index_t places = places_of(w);
  using std::integral_constant;
  // `count` columns from `at` on, which the tiles are configured for, by strips [from, to) of some panels.
  const auto multiply = [&](index_range some, index_t at, index_t count, index_t blocks,
                            index_t from, index_t to, auto strips, auto tiles,
                            const columns_done& then) {
    const index_t strip = some.begin * panel_strips + from;
    tile_operands o;
    o.weights = w.weights(strip);
    o.step_bytes = w.step_bytes(some.begin);
    o.panel_bytes = o.step_bytes * w.steps();
    o.tables = w.table(strip);
    o.strips = to - from;
    o.panels = some.size();
    o.steps = w.steps();
    o.places = places;
    o.x = x.block(first + at);
    o.x_block = x.block_bytes();
    o.blocks = blocks;
    o.columns = count;
    o.first_panel = some.begin;
    o.first_column = at;
    o.out = out.at(at) + (out.all ? (some.begin - panels.begin) * width : 0) +
            from * simd::int_lanes<A>;
    o.out_stride = out.stride;
    o.out_block = out.all ? block * out.stride : 0;
    o.out_panel = out.all ? width : 0;
    multiply_tiles<A, Codes, strips, tiles>(o, then);
  };
  // Panels of as many strips each.
  const auto take = [&](index_range some, index_t at, index_t count, index_t blocks, auto tiles) {
    constexpr integral_constant<int, 2> two;
    const index_t strips = w.strips_of(some.begin);
    configure_tiles_for<A, tiles>(count);
    if constexpr (tiles == 1) {
      if (strips == panel_strips && !in_cache) {
        return multiply(some, at, count, blocks, 0, strips, integral_constant<int, far_strips>{},
                        tiles, done);
      }
    }
    if (strips % 2 == 0) return multiply(some, at, count, blocks, 0, strips, two, tiles, done);
    for (index_t b = 0; b < blocks; ++b) {
      const index_t from = at + b * block;
      if (strips > 1) multiply(some, from, count, 1, 0, strips - 1, two, tiles, nothing_to_do);
      multiply(some, from, count, 1, strips - 1, strips, integral_constant<int, 1>{}, tiles, done);
    }
  };
  const auto take_columns = [&](index_range some, index_t at, index_t count, index_t blocks) {
    if (count > tile_rows) {
      take(some, at, count, blocks, integral_constant<int, 2>{});
    } else {
      take(some, at, count, blocks, integral_constant<int, 1>{});
    }
  };
  const auto take_panels = [&](index_range some) {
    if (some.size() <= 0) return;
    const index_t whole = columns / block * block;
    if (whole > 0) take_columns(some, 0, block, whole / block);
    if (whole < columns) take_columns(some, whole, columns - whole, 1);
  };
  // A block of x stays in the first-level cache while all weights go by, if those come from the second; from memory
  // each panel comes once.
  const index_t whole = w.strips_of(panels.end - 1) == panel_strips ? panels.end : panels.end - 1;
  const index_t at_once =
      in_cache || columns <= block ? std::max<index_t>(whole - panels.begin, 1) : 1;
  for (index_t p = panels.begin; p < whole; p += at_once) take_panels({p, p + at_once});
  take_panels({whole, panels.end});
}

// Products of the panels with the rows [first, first + columns) of x. done(panel, i, n) follows when those of first + i
// and n - 1 after it are where out says; n is at most block_columns.
template <class A>
void multiply_panels(const lut_matrix& w, index_range panels, const activation_rows<A>& x,
                     index_t first, index_t columns, const panel_output& out,
                     const columns_done& done) {
  if (panels.size() <= 0) return;
  with_codes_of<A>(w, [&](auto codes) {
    using Codes = decltype(codes);
    if constexpr (has_tiles(A{})) {
      if (x.in_tiles()) {
        return multiply_panels_in_tiles<A, Codes>(w, panels, x, first, columns, out, done);
      }
    }
    constexpr index_t width = panel_strips * simd::int_lanes<A>;
    multiply_operands o;
    o.x_stride = x.stride();
    o.out_stride = out.stride;
    o.places = places_of(w);
    for (index_t panel = panels.begin; panel < panels.end; ++panel) {
      for (index_t at = 0; at < columns; at += block_columns<A>) {
        const index_t count = std::min(block_columns<A>, columns - at);
        o.x = x.row(first + at);
        o.out = out.at(at) + (out.all ? (panel - panels.begin) * width : 0);
        o.start = x.start(first + at);
        bool small = false;
        if constexpr (has_small_weight_dot(A{})) {
          small = w.small_weights();
          if (small) multiply_panel_as<A, Codes, simd::small_weight>(w, panel, o, count);
        }
        if (!small) multiply_panel_as<A, Codes, simd::any_weight>(w, panel, o, count);
        done(panel, at, count);
      }
    }
  });
}

#ifdef LUTRA_EXTERN_KERNELS
extern template void multiply_panels<simd::native>(const lut_matrix&, index_range,
                                                   const activation_rows<simd::native>&, index_t,
                                                   index_t, const panel_output&,
                                                   const columns_done&);
#endif

}  // namespace lutra::inline LUTRA_ABI
