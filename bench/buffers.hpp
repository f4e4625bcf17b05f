// Inputs and outputs of benchmarks, aligned, from memory where they are large, and shared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/core/random.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/large_pages.hpp>
#include <lutra/tensor/tensor.hpp>
#include <map>
#include <utility>
#include <vector>

namespace bench {

using lutra::index_t;

// n elements at a multiple of 64 bytes, touched; in large pages where they are large and the system has them: what is
// measured is then a kernel beside a roof, not how long both wait for addresses (by 4 KiB a third of the time and more).
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
  std::vector<T, lutra::simd::large_page_allocator<T>> memory_;
  T* data_;
  index_t size_;
};

// A tensor at a multiple of 64 bytes, where engines put theirs; a large lutra::tensor begins 16 bytes behind one.
template <class T> class aligned_tensor {
 public:
  explicit aligned_tensor(const lutra::shape& s) : memory_(s.size()), extents_(s) {}
  explicit aligned_tensor(const lutra::tensor<T>& x) : aligned_tensor(x.extents()) {
    std::copy_n(x.data(), x.size(), memory_.data());
  }
  T* data() { return memory_.data(); }
  const T* data() const { return memory_.data(); }
  index_t extent(int axis) const { return extents_[axis]; }
  const T& operator[](index_t i) const { return memory_[i]; }
  lutra::tensor_view<T> view() { return {data(), extents_}; }
  lutra::tensor_view<const T> view() const { return {data(), extents_}; }

 private:
  aligned<T> memory_;
  lutra::shape extents_;
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

inline aligned<float> normal(index_t n, std::uint64_t seed = 1) {
  aligned<float> x(n);
  lutra::random_stream r(seed);
  const index_t period = std::min<index_t>(n, 1 << 18);
  for (index_t i = 0; i < period; ++i) x[i] = static_cast<float>(r.normal());
  for (index_t i = period; i < n; ++i) x[i] = x[i - period];
  return x;
}
// n of them in turn and an output, the same for every benchmark and roof: what is compared meets the same pages of
// memory, and what fills gigabytes where the system tells of a large cache is made once.
inline in_turn<float>& normals_in_turn(index_t n, std::uint64_t seed = 1) {
  static std::map<std::pair<index_t, std::uint64_t>, in_turn<float>> made;
  const std::pair key(n, seed);
  if (const auto at = made.find(key); at != made.end()) return at->second;
  return made.emplace(key, in_turn<float>(normal(n, seed))).first->second;
}
inline aligned<float>& output_of(index_t n) {
  static std::map<index_t, aligned<float>> made;
  return made.try_emplace(n, n).first->second;
}

}  // namespace bench
