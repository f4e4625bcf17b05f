// Random palettes and tensors for the runtime tests, and memory between unreadable pages.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <lutra/core/random.hpp>
#include <lutra/pack/bit_pack.hpp>
#include <lutra/palette/packed.hpp>
#include <lutra/tensor/tensor.hpp>

#include "quick.hpp"

namespace test {

using namespace lutra;

inline index_t pick(random_stream& r, index_t lo, index_t hi) {
  return lo + static_cast<index_t>(r.below(static_cast<std::uint64_t>(hi - lo + 1)));
}
template <class T> void fill(random_stream& r, std::span<T> out) {
  for (T& x : out) x = static_cast<T>(r.below(256));
}
template <class T> tensor<T> random_tensor(random_stream& r, const shape& s) {
  tensor<T> t(s);
  fill<T>(r, t.elements());
  return t;
}

struct palette_options {
  int bits = 4;
  index_t group_rows = 0;  // 0: one group
  int lowest = -128;       // smallest table entry
  bool zero_points = false;
  index_t group_columns = 0;  // along axis 1; 0: one group
};

inline packed_palette random_palette(random_stream& r, const shape& s, const palette_options& o) {
  packed_palette p;
  p.weight_shape = s;
  p.block = s.with(0, o.group_rows > 0 ? o.group_rows : std::max<index_t>(s[0], 1));
  for (int i = 1; i < s.rank(); ++i) p.block = p.block.with(i, std::max<index_t>(s[i], 1));
  if (o.group_columns > 0 && s.rank() > 1) p.block = p.block.with(1, o.group_columns);
  p.n_bits = o.bits;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(s.size()));
  for (auto& c : codes) c = static_cast<std::uint8_t>(r.below(1U << o.bits));
  p.codes.resize(static_cast<std::size_t>(packed_bytes(s.size(), o.bits)));
  pack_bits(codes, o.bits, p.codes);
  const auto groups = static_cast<std::size_t>(p.groups().count());
  p.lut_codes.resize(groups << o.bits);
  for (auto& entry : p.lut_codes) entry = static_cast<std::uint8_t>(pick(r, o.lowest, 127));
  p.scale.resize(groups);
  for (auto& x : p.scale) x = static_cast<float>(r.uniform() + 0.01);
  p.zero_point.assign(groups, 0);
  if (o.zero_points) {
    for (auto& z : p.zero_point) z = static_cast<std::int32_t>(pick(r, -128, 127));
  }
  return p;
}

// Where the elements of `guarded` meet an unreadable page; there is one on either side.
enum class meets { page_behind, page_before };
// `size` elements of T that end, or begin, where reading or writing one byte more kills the program.
template <class T> class guarded {
 public:
  explicit guarded(index_t size, meets side = meets::page_behind)
      : size_(static_cast<std::size_t>(size)) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (size_ * sizeof(T) + page - 1) / page * page + 2 * page;
    base_ = static_cast<std::uint8_t*>(
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::uint8_t* end = base_ + bytes_ - page;
    mprotect(base_, page, PROT_NONE);
    mprotect(end, page, PROT_NONE);
    data_ =
        reinterpret_cast<T*>(side == meets::page_behind ? end - size_ * sizeof(T) : base_ + page);
  }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { munmap(base_, bytes_); }
  T* data() { return data_; }
  std::span<T> elements() { return {data_, size_}; }

 private:
  std::size_t size_;
  std::size_t bytes_;
  std::uint8_t* base_;
  T* data_;
};

// A view of `size` elements inside a buffer, `shift` elements off its start, between sentinels.
template <class T> class fenced {
 public:
  fenced(index_t size, index_t shift) : size_(size), shift_(shift) {
    buffer_.assign(static_cast<std::size_t>(size + shift + 64), sentinel);
  }
  T* data() { return buffer_.data() + shift_; }
  bool intact() const {
    for (index_t i = 0; i < static_cast<index_t>(buffer_.size()); ++i) {
      const bool inside = i >= shift_ && i < shift_ + size_;
      if (!inside && buffer_[static_cast<std::size_t>(i)] != sentinel) return false;
    }
    return true;
  }

 private:
  static constexpr T sentinel = static_cast<T>(77);
  index_t size_;
  index_t shift_;
  std::vector<T> buffer_;
};

}  // namespace test
