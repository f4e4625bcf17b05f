// What the machine can do at a size, measured in the same run as what is judged by it: a read of everything,
// a fill with a byte that is not zero (zero has a fast path), memcpy, a copy that writes around the caches, and a sum of
// two that does.
// bytes_per_second counts what is read plus what is written, items_per_second the bytes of the named size. Include in
// one file per executable.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/floats.hpp>
#include <memory>
#include <string>
#include <vector>

namespace bench {

using lutra::index_t;

// n elements at a multiple of 64 bytes, touched.
template <class T> class aligned {
 public:
  explicit aligned(index_t n, T value = {})
      : memory_(static_cast<std::size_t>(n) + 64 / sizeof(T), value),
        data_(memory_.data()),
        size_(n) {
    while (reinterpret_cast<std::uintptr_t>(data_) % 64 != 0) ++data_;
  }
  aligned(const aligned&) = delete;  // a copy would lie elsewhere
  aligned& operator=(const aligned&) = delete;
  aligned(aligned&&) = default;
  aligned& operator=(aligned&&) = default;
  T* data() { return data_; }
  const T* data() const { return data_; }
  index_t size() const { return size_; }
  T& operator[](index_t i) { return data_[i]; }
  const T& operator[](index_t i) const { return data_[i]; }

 private:
  std::vector<T> memory_;
  T* data_;
  index_t size_;
};

// Copies of an input that is too large for the caches of this machine, taken in turn: half as many again as the caches
// that the system tells of would hold, at most 16. So a pass reads from memory, and not what the last one left in a
// cache that is shared with other machines.
template <class T> class in_turn {
 public:
  explicit in_turn(aligned<T> x) {
    const index_t bytes = x.size() * static_cast<index_t>(sizeof(T));
    const index_t most = 16, told = lutra::simd::told_last_level_cache();
    const bool fits = bytes <= lutra::simd::stream_threshold();
    const index_t count = fits ? 1 : std::min(most, 3 * told / (2 * bytes) + 1);
    for (index_t i = 1; i < count; ++i) {
      copies_.emplace_back(x.size());
      std::copy_n(x.data(), x.size(), copies_.back().data());
    }
    copies_.push_back(std::move(x));
  }
  const aligned<T>& first() const { return copies_.front(); }
  const aligned<T>& next() { return copies_[turn_ = (turn_ + 1) % copies_.size()]; }

 private:
  std::vector<aligned<T>> copies_;
  std::size_t turn_ = 0;
};

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
  in_turn<float> inputs(aligned<float>(bytes / 4, 1.0F));
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
  in_turn<float> inputs(aligned<float>(bytes / 4, 1.0F));
  aligned<float> out(bytes / 4, 2.0F);
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
// Two inputs, one output: what a backward pass moves.
inline void nt_add(benchmark::State& state, index_t bytes) {
  using V = lutra::simd::floats<lutra::simd::native>;
  constexpr index_t lanes = lutra::simd::lanes<V>;
  in_turn<float> left(aligned<float>(bytes / 4, 1.0F));
  in_turn<float> right(aligned<float>(bytes / 4, 2.0F));
  aligned<float> out(bytes / 4, 3.0F);
  for (auto _ : state) {
    const aligned<float>& x = left.next();
    const aligned<float>& y = right.next();
    for (index_t i = 0; i + lanes <= x.size(); i += lanes) {
      lutra::simd::stream(out.data() + i, V(lutra::simd::load<V>(x.data() + i) +
                                            lutra::simd::load<V>(y.data() + i)));
    }
    lutra::simd::stream_fence();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 3 * bytes);
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
    add("nt_add", nt_add);
  }
}

}  // namespace bench
