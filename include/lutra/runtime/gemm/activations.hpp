// lutra: activations.hpp - rows of 8-bit activations as the kernels read them, with their sums.
// SPDX-License-Identifier: Apache-2.0
//
// A kernel reads whole steps of int8, so rows are padded with zeros; uint8 becomes int8 by
// subtracting 128. Rows that already lie that way are used in place. The sum of each row corrects for
// weight biases and zero points.
#pragma once

#include <cstring>
#include <lutra/runtime/layout.hpp>
#include <lutra/tensor/view.hpp>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Copies n elements to `out` as int8 (out may be null: then nothing is written) and returns their sum
// after that conversion. Reads exactly n elements.
template <class A, class X>
std::int32_t copy_activations(const X* x, index_t stride, index_t n, std::int8_t* out) {
  constexpr index_t size = simd::vector_size<A>;
  constexpr bool flip = std::is_unsigned_v<X>;
  auto sum = splat_ints(0, A{});
  index_t at = 0;
  index_t vectors = 0;
  const auto add_vector = [&](const void* from, bool flipped) {
    auto v = load_bytes(from, A{});
    if (flipped) v = flip_sign(v, A{});
    sum = add_bytes(sum, v, A{});
    ++vectors;
    return v;
  };
  if (stride == 1) {
    for (; at + size <= n; at += size) {
      const auto v = add_vector(x + at, flip);
      if (out != nullptr) store_bytes(out + at, v, A{});
    }
  }
  std::int8_t rest[static_cast<std::size_t>(size)];
  while (at < n) {
    const index_t count = std::min(size, n - at);
    std::memset(rest, 0, sizeof rest);
    for (index_t i = 0; i < count; ++i) {
      rest[i] = static_cast<std::int8_t>(x[(at + i) * stride] - (flip ? 128 : 0));
    }
    add_vector(rest, false);
    if (out != nullptr) std::memcpy(out + at, rest, static_cast<std::size_t>(count));
    at += count;
  }
  return total(sum, vectors, A{});
}

// Rows [first, first + count) of x, prepared. Holds a buffer: make one, prepare chunk after chunk.
template <class A> class activation_rows {
 public:
  // For a matrix of that depth whose steps have step_depth positions.
  activation_rows(index_t depth, index_t step_depth)
      : depth_(depth), padded_((depth + step_depth - 1) / step_depth * step_depth) {}

  index_t padded_depth() const noexcept { return padded_; }
  const std::int8_t* row(index_t i) const noexcept { return rows_ + i * stride_; }
  index_t stride() const noexcept { return stride_; }
  std::int32_t sum(index_t i) const noexcept { return sums_[static_cast<std::size_t>(i)]; }
  // What a product of row i starts with, and of those after it: minus what weight_bias(A) adds.
  const std::int32_t* start(index_t i) const noexcept { return start_.data() + i; }

  template <class X> void prepare(const tensor_view<const X>& x, index_t first, index_t count) {
    sums_.resize(static_cast<std::size_t>(count));
    start_.resize(sums_.size());
    const X* from = x.data() + first * x.stride(0);
    const bool in_place = std::is_signed_v<X> && padded_ == depth_ && x.stride(1) == 1;
    if (!in_place) buffer_.resize(static_cast<std::size_t>(count * padded_));
    for (index_t i = 0; i < count; ++i) {
      std::int8_t* out = in_place ? nullptr : buffer_.data() + i * padded_;
      const auto at = static_cast<std::size_t>(i);
      sums_[at] = copy_activations<A>(from + i * x.stride(0), x.stride(1), depth_, out);
      start_[at] = static_cast<std::int32_t>(-static_cast<std::uint32_t>(weight_bias(A{})) *
                                             static_cast<std::uint32_t>(sums_[at]));
    }
    if constexpr (std::is_signed_v<X>) {
      if (in_place) {
        rows_ = from;
        stride_ = x.stride(0);
        return;
      }
    }
    rows_ = buffer_.data();  // the bytes between depth and padded_depth are 0 since resize
    stride_ = padded_;
  }

 private:
  index_t depth_;
  index_t padded_;
  const std::int8_t* rows_ = nullptr;
  index_t stride_ = 0;
  std::vector<std::int8_t> buffer_;
  std::vector<std::int32_t> sums_;
  std::vector<std::int32_t> start_;
};

}  // namespace lutra::inline LUTRA_ABI
