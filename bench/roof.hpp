// What the machine can do at a size, measured in the same run as what is judged by it: a read of everything,
// a fill with a byte that is not zero (zero has a fast path), memcpy, and a copy that writes around the caches.
// bytes_per_second counts what is read plus what is written, items_per_second the bytes of the named size. Include in
// one file per executable.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <lutra/simd/floats.hpp>
#include <string>

#include "buffers.hpp"

namespace bench {

struct size_class {
  const char* name;
  index_t bytes;
};
inline constexpr size_class small{"256KiB", index_t{1} << 18};
inline constexpr size_class medium{"8MiB", index_t{1} << 23};
inline constexpr size_class large{"64MiB", index_t{1} << 26};

// What a kernel that reads little is measured by: the rate at which it fills its output.
inline void count_written(benchmark::State& state, index_t bytes) {
  state.counters["written_per_second"] =
      benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kIsIterationInvariantRate);
}

inline void read_all(benchmark::State& state, index_t bytes) {
  using V = lutra::simd::floats<lutra::simd::native>;
  constexpr index_t lanes = lutra::simd::lanes<V>;
  in_turn<float>& inputs = normals_in_turn(bytes / 4);
  V a(0.0F), b(0.0F), c(0.0F), d(0.0F);
  for (auto _ : state) {
    const aligned<float>& x = inputs.next();
    for (index_t i = 0; i + 4 * lanes <= x.size(); i += 4 * lanes) {
      a = lutra::simd::max(a, lutra::simd::load<V>(x.data() + i));
      b = lutra::simd::max(b, lutra::simd::load<V>(x.data() + i + lanes));
      c = lutra::simd::max(c, lutra::simd::load<V>(x.data() + i + 2 * lanes));
      d = lutra::simd::max(d, lutra::simd::load<V>(x.data() + i + 3 * lanes));
    }
    float sink[static_cast<std::size_t>(lanes)];
    lutra::simd::store(sink, lutra::simd::max(lutra::simd::max(a, b), lutra::simd::max(c, d)));
    benchmark::DoNotOptimize(sink);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.SetItemsProcessed(state.iterations() * bytes);
}
inline void fill(benchmark::State& state, index_t bytes) {
  aligned<char> out(bytes, 1);
  for (auto _ : state) {
    std::memset(out.data(), 0x5a, static_cast<std::size_t>(bytes));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.SetItemsProcessed(state.iterations() * bytes);
  count_written(state, bytes);
}
inline void copy(benchmark::State& state, index_t bytes) {
  in_turn<char> inputs(aligned<char>(bytes, 1));
  aligned<char> out(bytes, 2);
  for (auto _ : state) {
    std::memcpy(out.data(), inputs.next().data(), static_cast<std::size_t>(bytes));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * bytes);
  state.SetItemsProcessed(state.iterations() * bytes);
}
inline void nt_copy(benchmark::State& state, index_t bytes) {
  using V = lutra::simd::floats<lutra::simd::native>;
  constexpr index_t lanes = lutra::simd::lanes<V>;
  in_turn<float>& inputs = normals_in_turn(bytes / 4);
  aligned<float>& out = output_of(bytes / 4);
  for (auto _ : state) {
    const aligned<float>& x = inputs.next();
    for (index_t i = 0; i + lanes <= x.size(); i += lanes) {
      lutra::simd::stream(out.data() + i, lutra::simd::load<V>(x.data() + i));
    }
    lutra::simd::stream_fence();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * bytes);
  state.SetItemsProcessed(state.iterations() * bytes);
}

inline void add_roofs(std::initializer_list<size_class> sizes = {small, large}) {
  for (const size_class& size : sizes) {
    const auto add = [&](const char* name, void (*function)(benchmark::State&, index_t)) {
      benchmark::RegisterBenchmark((std::string("roof/") + name + '/' + size.name).c_str(),
                                   [=](benchmark::State& state) { function(state, size.bytes); });
    };
    add("read", read_all);
    add("memset_nonzero", fill);
    add("memcpy", copy);
    add("nt_copy", nt_copy);
  }
}

}  // namespace bench
