// What the benchmarks of the palette product share, whatever level they are built for: palettes, a checked product, and
// the roofs of the register file. Include in one file per executable.
#pragma once

#include <benchmark/benchmark.h>

#include <lutra/core/random.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>
#include <map>
#include <string>
#include <vector>

#include "../buffers.hpp"

namespace bench {

using namespace lutra;

inline std::string size_of(const shape& s) {
  return std::to_string(s[0]) + 'x' + std::to_string(s[1]);
}

template <class F> auto* add_benchmark(const std::string& name, F&& f) {
  return benchmark::RegisterBenchmark(name.c_str(), std::forward<F>(f));
}

// One of each, made once: 2^28 weights take seconds.
inline const packed_palette& normal_palette(const shape& s, int bits) {
  static std::map<std::pair<std::vector<index_t>, int>, packed_palette> made;
  auto& p = made[{{s.begin(), s.end()}, bits}];
  if (!p.codes.empty()) return p;
  random_stream random(1);
  std::vector<float> sample(1 << 16);
  for (float& x : sample) x = static_cast<float>(random.normal() * 0.02);
  tensor<float> w(s);
  for (index_t i = 0; i < w.size(); ++i) w[i] = sample[random.next() >> 48];
  p = pack(palettize(w, {.n_bits = bits, .lut_qspec = int8_symmetric_with_clipping}));
  return p;
}
// Its matrix, shared: what reads it and what multiplies by it meet the same pages of memory.
inline const lut_matrix& normal_matrix(const shape& s, int bits) {
  static std::map<std::pair<std::vector<index_t>, int>, lut_matrix> made;
  const std::pair key(std::vector<index_t>(s.begin(), s.end()), bits);
  if (const auto at = made.find(key); at != made.end()) return at->second;
  return made.emplace(key, make_lut_matrix(normal_palette(s, bits))).first->second;
}
inline tensor<std::int8_t> random_activations(const shape& s) {
  random_stream random(2);
  tensor<std::int8_t> x(s);
  for (auto& v : x.elements()) v = static_cast<std::int8_t>(random.next() >> 56);
  return x;
}

// Every output of up to 64 rows spread over the matrix.
inline bool right(const packed_palette& p, const aligned_tensor<std::int8_t>& x,
                  const aligned_tensor<std::int32_t>& got) {
  const index_t rows = p.weight_shape[0], depth = p.weight_shape[1];
  for (index_t sample = 0; sample < std::min<index_t>(rows, 64); ++sample) {
    const index_t row = rows <= 64 ? sample : sample * (rows - 1) / 63;
    for (index_t m = 0; m < x.extent(0); ++m) {
      std::int64_t sum = 0;
      for (index_t k = 0; k < depth; ++k) {
        const int code = reference::code_at(p.codes, p.n_bits, row * depth + k);
        sum += static_cast<std::int8_t>(p.lut_codes[static_cast<std::size_t>(code)]) *
               x[m * depth + k];
      }
      if (got[m * rows + row] != sum) return false;
    }
  }
  return true;
}

inline void multiply_matrix(benchmark::State& state, const packed_palette& p, const lut_matrix& w,
                            index_t m) {
  const aligned_tensor<std::int8_t> x(random_activations({m, w.depth()}));
  aligned_tensor<std::int32_t> out(shape{m, w.rows()});
  gemm(w, x.view(), out.view());
  if (!right(p, x, out)) state.SkipWithError("wrong answer");
  for (auto _ : state) {
    gemm(w, x.view(), out.view());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * w.rows() * w.depth() * m);
  state.SetBytesProcessed(state.iterations() * w.bytes());
}
// lowest: -128 for a table that has it.
inline void palette_gemm(benchmark::State& state, const shape& s, int bits, index_t m,
                         int lowest = -127) {
  if (lowest == -127) {
    return multiply_matrix(state, normal_palette(s, bits), normal_matrix(s, bits), m);
  }
  packed_palette p = normal_palette(s, bits);
  p.lut_codes[0] = 0x80;
  multiply_matrix(state, p, make_lut_matrix(p), m);
}

// The multiply-add of this level on registers alone, with as many independent sums as the GEMM has: weights of four
// strips times activations of the columns, every product another one, so that none is computed once for all.
// A function of its own: in the timing loop the compiler keeps the sums on the stack.
using promise =
    std::conditional_t<has_small_weight_dot(simd::native{}), simd::small_weight, simd::any_weight>;
inline constexpr int dot_columns = vector_registers(simd::native{}) / 8;
inline constexpr int dot_sums = 4 * dot_columns;
[[gnu::noinline]] inline std::int32_t many_dots(int repeats, const std::int8_t* data) {
  using A = simd::native;
  decltype(as_sum(splat_ints(0, A{}), A{})) sum[static_cast<std::size_t>(dot_sums)];
  simd::unroll<dot_sums>([&](auto i) __attribute__((always_inline)) {
    sum[i] = as_sum(splat_ints(i, A{}), A{});
  });
  for (int repeat = 0; repeat < repeats; ++repeat) {
    decltype(simd::weights(load_bytes(data, A{}), promise{}, A{})) rows[4];
    simd::unroll<4>([&](auto s) __attribute__((always_inline)) {
      rows[s] = simd::weights(load_bytes(data + 64 * s, A{}), promise{}, A{});
    });
    simd::unroll<dot_columns>([&](auto c) __attribute__((always_inline)) {
      const auto four = simd::activations(data + 4 * c, promise{}, A{});
      simd::unroll<4>([&](auto s) __attribute__((always_inline)) {
        auto& total = sum[4 * c + s];
        total = as_sum(dot(as_ints(total, A{}), rows[s], four, promise{}, A{}), A{});
      });
    });
    __asm__ volatile("" ::: "memory");  // the data may be others now
  }
  auto all = splat_ints(0, A{});
  simd::unroll<dot_sums>([&](auto i) __attribute__((always_inline)) {
    all = add(all, as_ints(sum[i], A{}), A{});
  });
  std::int32_t out[static_cast<std::size_t>(simd::int_lanes<A>)];
  store_ints(out, all, A{});
  return out[0];
}
inline void dot_peak(benchmark::State& state) {
  constexpr int repeats = 1000;
  alignas(64) std::int8_t data[256];  // or loads across two lines are what is measured
  std::fill(std::begin(data), std::end(data), std::int8_t{3});
  for (auto _ : state) benchmark::DoNotOptimize(many_dots(repeats, data));
  state.SetItemsProcessed(state.iterations() * repeats * dot_sums *
                          simd::vector_size<simd::native>);
}

// The same for tiles: four sums of 16 x 16, from tiles of random bytes.
template <class A> void tile_dot_peak(benchmark::State& state) {
  if constexpr (has_tiles(A{})) {
    if (!simd::tiles_permitted()) return state.SkipWithError("the system allows no tiles");
    constexpr int repeats = 1000;
    const auto data = random_activations({4, tile_bytes});
    configure_tiles_for<A, 2>(tiled_columns);
    simd::unroll<4>([&](auto i) {
      simd::tile_zero<i>(A{});
      simd::tile_load<4 + i>(data.data() + i * tile_bytes, tile_depth, A{});
    });
    for (auto _ : state) {
      for (int repeat = 0; repeat < repeats; ++repeat) {
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
          simd::tile_dot<i, 4 + i / 2, 6 + i % 2>(A{});
        });
      }
    }
    release_tiles(A{});
    state.SetItemsProcessed(state.iterations() * repeats * 4 * tile_bytes * tile_rows);
  } else {
    state.SkipWithError("no tiles at this level");
  }
}

// The mix of instructions of a matrix times one or four vectors, without a matrix: the same step of four strips again
// and again, by what the kernel calls for each step.
template <int Columns>
[[gnu::noinline]] std::int32_t many_lookups(int repeats, const std::uint8_t* data) {
  using A = simd::native;
  if constexpr (has_byte_lookup(A{})) {
    using codes = packed_codes<4, simd::one_table>;
    constexpr std::size_t chains = has_adding_dot(A{}) && Columns == 1 ? 2 : 1;
    constexpr auto columns = static_cast<std::size_t>(Columns);
    const typename codes::template tables<A> tables[] = {codes::load_tables<A>(data)};
    decltype(as_sum(splat_ints(0, A{}), A{})) sum[chains][columns][4];
    simd::unroll<int{chains} * Columns * 4>([&](auto i) __attribute__((always_inline)) {
      sum[i / 4 / Columns][i / 4 % Columns][i % 4] = as_sum(splat_ints(i, A{}), A{});
    });
    for (int repeat = 0; repeat < repeats; ++repeat) {
      simd::bytes_of<A> held[4];
      hold_codes<A, codes, 4>(data, held);
      simd::unroll<2>([&](auto g) __attribute__((always_inline)) {
        const auto* x =
            reinterpret_cast<const std::int8_t*>(data) + 4 * simd::activation_bytes<A> * g;
        add_group<g, A, codes, promise, 4, Columns>(data, held, tables, x, 64, sum[g % chains]);
      });
      __asm__ volatile("" ::: "memory");  // the data may be others now
    }
    auto all = splat_ints(0, A{});
    simd::unroll<int{chains} * Columns * 4>([&](auto i) __attribute__((always_inline)) {
      all = add(all, as_ints(sum[i / 4 / Columns][i / 4 % Columns][i % 4], A{}), A{});
    });
    std::int32_t out[static_cast<std::size_t>(simd::int_lanes<A>)];
    store_ints(out, all, A{});
    return out[0];
  }
  return repeats + *data;
}
template <int Columns = 1> void lookup_dot_peak(benchmark::State& state) {
  if (!has_byte_lookup(simd::native{})) return state.SkipWithError("no look-ups at this level");
  constexpr int repeats = 1000;
  alignas(64) std::uint8_t data[320];
  std::fill(std::begin(data), std::end(data), std::uint8_t{3});
  for (auto _ : state) benchmark::DoNotOptimize(many_lookups<Columns>(repeats, data));
  state.SetItemsProcessed(state.iterations() * repeats * 8 * Columns *
                          simd::vector_size<simd::native>);
}

}  // namespace bench
