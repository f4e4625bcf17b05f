// lutra: slices.hpp - the one place that knows which parameter (scale, table) an element belongs to.
// SPDX-License-Identifier: Apache-2.0
//
// A shape S is cut into blocks of shape B (same rank). The parameters form a grid P of that rank with
// P[i] = ceil(S[i] / B[i]), and element k uses the parameter at floor(k[i] / B[i]) on every axis.
// Parameters are numbered row-major over P. Whether a short last block is legal is the caller's
// decision (granularity.hpp); this header handles both.
#pragma once

#include <array>
#include <lutra/tensor/shape.hpp>

namespace lutra::inline LUTRA_ABI {

class block_grid {
 public:
  // Preconditions (checked): equal ranks, 1 <= block[i].
  block_grid(const shape& extents, const shape& block) : extents_(extents), block_(block) {
    if (extents.rank() != block.rank()) {
      raise(errc::shape_mismatch, "block rank differs from tensor rank", "block_grid",
            text_of(block), "rank " + text_of(extents.rank()));
    }
    std::array<index_t, max_rank> p{};
    for (int i = 0; i < extents.rank(); ++i) {
      if (block[i] < 1) {
        raise(errc::invalid_argument, "block extent below 1", "block_grid", text_of(block), ">= 1");
      }
      p[to_size(i)] = extents[i] / block[i] + (extents[i] % block[i] != 0 ? 1 : 0);
    }
    grid_ = shape(std::span<const index_t>(p.data(), to_size(extents.rank())));
  }

  const shape& extents() const noexcept { return extents_; }
  const shape& block() const noexcept { return block_; }
  const shape& grid() const noexcept { return grid_; }  // shape of the parameters
  index_t count() const noexcept { return grid_.size(); }

  // The same with at least one parameter along every axis, also where there are no elements.
  block_grid at_least_one() const {
    block_grid g = *this;
    for (int i = 0; i < grid_.rank(); ++i)
      g.grid_ = g.grid_.with(i, std::max<index_t>(grid_[i], 1));
    return g;
  }

  // A row is what lies along the innermost axis that is cut; run_length() consecutive elements of it share
  // a parameter (fewer at its end if the last block is short), and the next run has the next parameter.
  index_t row_length() const noexcept { return extents_.product(cut_axis(), extents_.rank()); }
  index_t run_length() const noexcept {
    const int axis = cut_axis();
    const index_t inner = extents_.product(axis + 1, extents_.rank());
    return axis < extents_.rank() ? std::min(block_[axis], extents_[axis]) * inner : inner;
  }

  // Calls f(first, parameter) with the first element (row-major numbering) of every row and its
  // parameter, in ascending order.
  template <class F> void for_each_row(F&& f) const {
    if (extents_.size() == 0) return;
    const int axis = cut_axis();
    const index_t row = row_length();
    const auto grid_strides = row_major_strides(grid_);
    std::array<index_t, max_rank> position{};
    for (index_t first = 0;; first += row) {
      index_t parameter = 0;
      for (int i = 0; i < axis; ++i) {
        const auto u = to_size(i);
        parameter += position[u] / block_[i] * grid_strides[u];
      }
      f(first, parameter);
      int i = axis - 1;
      for (; i >= 0; --i) {
        auto& p = position[to_size(i)];
        if (++p < extents_[i]) break;
        p = 0;
      }
      if (i < 0) return;
    }
  }

  // Calls f(first, length, parameter) for runs of consecutive elements that share one parameter, in
  // ascending order, covering every element once.
  template <class F> void for_each_run(F&& f) const {
    const index_t row = row_length();
    const index_t run = run_length();
    for_each_row([&](index_t first, index_t parameter) {
      for (index_t at = 0; at < row; at += run) {
        f(first + at, std::min(run, row - at), parameter++);
      }
    });
  }

  // Calls f(first, length) for the runs of consecutive elements (row-major numbering) of one
  // parameter, in ascending order. Blocks at the end of an axis may be short.
  template <class F> void for_each_run_of(index_t parameter, F&& f) const {
    if (extents_.size() == 0) return;
    const int rank = extents_.rank();
    const auto strides = row_major_strides(extents_);
    const auto grid_strides = row_major_strides(grid_);
    std::array<index_t, max_rank> size{};
    std::array<index_t, max_rank> position{};
    index_t first = 0;
    for (int i = 0; i < rank; ++i) {
      const auto u = to_size(i);
      const index_t begin = parameter / grid_strides[u] % grid_[i] * block_[i];
      size[u] = std::min(block_[i], extents_[i] - begin);
      first += begin * strides[u];
    }
    int tail = rank;  // axes from `tail` on are covered whole
    while (tail > 0 && size[to_size(tail - 1)] == extents_[tail - 1]) --tail;
    const int axis = std::max(tail - 1, 0);
    const index_t length = rank == 0 ? 1 : size[to_size(axis)] * strides[to_size(axis)];
    for (;;) {
      f(first, length);
      int i = axis - 1;
      for (; i >= 0; --i) {
        const auto u = to_size(i);
        first += strides[u];
        if (++position[u] < size[u]) break;
        first -= position[u] * strides[u];
        position[u] = 0;
      }
      if (i < 0) return;
    }
  }

 private:
  // The innermost axis that is cut; 0 if none is, so that the whole tensor is one row (of one run).
  int cut_axis() const noexcept {
    int axis = extents_.rank() - 1;
    while (axis > 0 && block_[axis] >= extents_[axis]) --axis;
    return std::max(axis, 0);
  }

  shape extents_;
  shape block_;
  shape grid_;
};

}  // namespace lutra::inline LUTRA_ABI
