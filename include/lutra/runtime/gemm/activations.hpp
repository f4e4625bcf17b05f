// lutra: activations.hpp - rows of 8-bit activations as the kernels read them, with their sums.
// SPDX-License-Identifier: Apache-2.0
//
// A kernel reads whole steps of int8, so rows are padded with zeros; uint8 becomes int8 by
// subtracting 128. Rows that already lie that way are used in place; some levels
// keep magnitudes and signs instead. The sum of each row corrects for
// weight biases and zero points.
//
// For tiles (tiles.hpp) rows are cut into blocks, of tiled_columns or fewer, and lie block by block; in a block in
// parts of tile_depth positions, each padded with zeros and part_bytes_of(its rows) bytes long, row after row.
#pragma once

#include <cstring>
#include <lutra/runtime/gemm/tiles.hpp>
#include <lutra/simd/tile_permission.hpp>
#include <lutra/tensor/view.hpp>
#include <memory>
#include <vector>

namespace lutra::inline LUTRA_ABI {

// Sums of a row as int8: all of it, and what is negative (0 where no kernel needs it).
struct activation_sums {
  std::int32_t all = 0;
  std::int32_t negative = 0;
};

// Copies n elements to `out` as int8, as store_activations does (out may be null: then nothing is written), and returns
// their sums after that conversion. Reads exactly n elements. Vectors are written out_step bytes apart; the last one
// whole, with zeros behind, if they are not one behind the other.
template <class A, class X>
activation_sums copy_activations(const X* x, index_t stride, index_t n, std::int8_t* out,
                                 index_t out_step = simd::activation_bytes<A> *
                                                    simd::vector_size<A>) {
  constexpr index_t size = simd::vector_size<A>;
  constexpr index_t stored = simd::activation_bytes<A> * size;
  constexpr bool flip = std::is_unsigned_v<X>;
  auto sum = splat_ints(0, A{}), negative = sum;
  index_t at = 0;
  index_t vectors = 0;
  const auto add_vector = [&](const void* from, bool flipped) {
    auto v = load_bytes(from, A{});
    if (flipped) v = flip_sign(v, A{});
    sum = add_bytes(sum, v, A{});
    if constexpr (splits_activations(A{})) {
      negative = add_bytes(negative, negative_part(v, A{}), A{});
    }
    ++vectors;
    return v;
  };
  if (stride == 1) {
    for (; at + size <= n; at += size) {
      const auto v = add_vector(x + at, flip);
      if (out != nullptr) simd::store_activations(out + at / size * out_step, v, A{});
    }
  }
  std::int8_t rest[to_size(size)];
  while (at < n) {
    const index_t count = std::min(size, n - at);
    std::memset(rest, 0, sizeof rest);
    for (index_t i = 0; i < count; ++i) {
      rest[i] = static_cast<std::int8_t>(x[(at + i) * stride] - (flip ? 128 : 0));
    }
    const auto v = add_vector(rest, false);
    if (out != nullptr) {
      std::int8_t last[to_size(stored)];
      simd::store_activations(last, v, A{});
      const index_t groups = (count + 3) / 4;  // rows end with whole groups
      const index_t written = out_step == stored ? 4 * simd::activation_bytes<A> * groups : stored;
      std::memcpy(out + at / size * out_step, last, to_size(written));
    }
    at += count;
  }
  activation_sums sums{total(sum, vectors, A{})};
  if constexpr (splits_activations(A{})) sums.negative = total(negative, vectors, A{});
  return sums;
}

// Rows [first, first + count) of x, prepared. Holds a buffer: make one, prepare chunk after chunk.
template <class A> class activation_rows {
 public:
  // For a matrix of that depth and size whose steps have step_depth positions; block: rows of one block of tiles.
  activation_rows(index_t depth, index_t step_depth, index_t weight_bytes,
                  index_t block = tiled_columns)
      : depth_(depth),
        padded_((depth + step_depth - 1) / step_depth * step_depth),
        least_tiled_(least_tiled(weight_bytes)),
        block_(block) {}

  index_t row_bytes() const noexcept { return padded_ * simd::activation_bytes<A>; }
  const std::int8_t* row(index_t i) const noexcept { return rows_ + i * stride_; }
  index_t stride() const noexcept { return stride_; }
  std::int32_t sum(index_t i) const noexcept { return sums_[to_size(i)]; }
  // What a product of row i starts with, and of those after it: minus what dot adds (generic.hpp).
  const std::int32_t* start(index_t i) const noexcept { return start_.data() + i; }

  // Rows lie in tiles, not as row(i): then products are those of multiply_tiles.
  bool in_tiles() const noexcept { return in_tiles_; }
  index_t block_rows() const noexcept { return block_; }
  index_t block_bytes() const noexcept {
    return (depth_ + tile_depth - 1) / tile_depth * part_of_block;
  }
  // The block that begins with row i.
  const std::int8_t* block(index_t i) const noexcept {
    return tile_memory() + i / block_ * block_bytes();
  }

  template <class X> void prepare(const tensor_view<const X>& x, index_t first, index_t count) {
    sums_.resize(to_size(count));
    if constexpr (has_tiles(A{})) {
      in_tiles_ =
          tiles_pay(std::min(count, block_), depth_, least_tiled_) && simd::tiles_permitted();
      if (in_tiles_) return prepare_tiles(x, first, count);
    }
    start_.resize(sums_.size());
    const X* from = x.data() + first * x.stride(0);
    const bool in_place =
        std::is_signed_v<X> && !splits_activations(A{}) && padded_ == depth_ && x.stride(1) == 1;
    if (!in_place) buffer_.resize(to_size(count * row_bytes()));
    for (index_t i = 0; i < count; ++i) {
      std::int8_t* out = in_place ? nullptr : buffer_.data() + i * row_bytes();
      const auto at = to_size(i);
      const activation_sums sums =
          copy_activations<A>(from + i * x.stride(0), x.stride(1), depth_, out);
      sums_[at] = sums.all;
      start_[at] = static_cast<std::int32_t>(-static_cast<std::uint32_t>(weight_bias(A{})) *
                                                 static_cast<std::uint32_t>(sums.all) -
                                             static_cast<std::uint32_t>(sums.negative));
    }
    if constexpr (std::is_signed_v<X>) {
      if (in_place) {
        rows_ = from;
        stride_ = x.stride(0);
        return;
      }
    }
    rows_ = buffer_.data();  // the bytes behind depth are 0 since resize
    stride_ = row_bytes();
  }

 private:
  struct alignas(4096) page {
    std::int8_t byte[4096];
  };
  std::int8_t* tile_memory() const noexcept { return reinterpret_cast<std::int8_t*>(tiles_.get()); }
  template <class X>
  void prepare_tiles(const tensor_view<const X>& x, index_t first, index_t count) {
    static_assert(simd::vector_size<A> == tile_depth);
    const index_t bytes = (count + block_ - 1) / block_ * block_bytes();
    const index_t pages = (bytes + index_t{sizeof(page)} - 1) / index_t{sizeof(page)};
    if (pages > pages_) {
      tiles_.reset(new page[to_size(pages)]);  // what is not written is not read
      pages_ = pages;
    }
    for (index_t i = 0; i < count; ++i) {
      const index_t block = i / block_;
      const index_t part = part_bytes_of(std::min(block_, count - block * block_));
      std::int8_t* out = tile_memory() + block * block_bytes() + i % block_ * tile_depth;
      sums_[to_size(i)] =
          copy_activations<A>(x.data() + (first + i) * x.stride(0), x.stride(1), depth_, out, part)
              .all;
    }
  }

  index_t depth_;
  index_t padded_;
  index_t least_tiled_;
  index_t block_;
  bool in_tiles_ = false;
  index_t pages_ = 0;
  std::unique_ptr<page[]> tiles_;
  const std::int8_t* rows_ = nullptr;
  index_t stride_ = 0;
  std::vector<std::int8_t> buffer_;
  std::vector<std::int32_t> sums_;
  std::vector<std::int32_t> start_;
};

}  // namespace lutra::inline LUTRA_ABI
