// lutra: group_elements.hpp - the elements of one group in one piece.
// SPDX-License-Identifier: Apache-2.0
//
// A group is a set of runs of consecutive elements of the tensor. One run is used where it lies; several
// are copied together, and their codes are moved to their places afterwards. Elements can be left out:
// they split runs.
// Thread safety: one thread's scratch, to be filled group after group.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/core/executor.hpp>
#include <lutra/tensor/slices.hpp>
#include <span>
#include <vector>

namespace lutra::inline LUTRA_ABI {

template <class T> class group_elements {
 public:
  // `left_out`: ascending positions in the tensor.
  void gather(std::span<const T> tensor, const block_grid& grid, index_t group,
              std::span<const index_t> left_out) {
    runs_.clear();
    excluded_.clear();
    size_ = 0;
    grid.for_each_run_of(group, [&](index_t first, index_t length) {
      const index_t end = first + length;
      auto next = std::lower_bound(left_out.begin(), left_out.end(), first);
      for (; next != left_out.end() && *next < end; ++next) {
        add_run(first, *next);
        excluded_.push_back(*next);
        first = *next + 1;
      }
      add_run(first, end);
    });
    if (runs_.size() == 1) {
      values_ = tensor.subspan(u(runs_[0].begin), u(size_));
      return;
    }
    copy_.resize(u(size_));
    codes_.resize(u(size_));
    auto to = copy_.begin();
    for (const index_range& r : runs_) {
      to = std::copy_n(tensor.begin() + r.begin, r.size(), to);
    }
    values_ = copy_;
  }

  std::size_t size() const noexcept { return u(size_); }
  std::span<const T> values() const noexcept { return values_; }
  // What belongs to the values one by one, if they lie in one piece of the tensor; otherwise nothing.
  template <class U> std::span<const U> piece_of(std::span<const U> tensor) const noexcept {
    return runs_.size() == 1 ? tensor.subspan(u(runs_[0].begin), u(size_)) : std::span<const U>();
  }
  // Positions of the elements that were left out, ascending.
  std::span<const index_t> excluded() const noexcept { return excluded_; }
  // Calls f(i, position) for values()[i], ascending.
  template <class F> void for_each(F&& f) const {
    std::size_t i = 0;
    for (const index_range& r : runs_) {
      for (index_t at = r.begin; at < r.end; ++at) f(i++, u(at));
    }
  }
  // Where to write one code per value; move_codes() then brings them to their places in the tensor.
  std::span<std::uint8_t> codes(std::span<std::uint8_t> all) noexcept {
    return runs_.size() == 1 ? all.subspan(u(runs_[0].begin), u(size_)) : std::span(codes_);
  }
  void move_codes(std::span<std::uint8_t> all) const {
    if (runs_.size() == 1) return;
    auto next = codes_.begin();
    for (const index_range& r : runs_) {
      std::copy_n(next, r.size(), all.begin() + r.begin);
      next += r.size();
    }
  }

 private:
  static std::size_t u(index_t i) noexcept { return to_size(i); }
  void add_run(index_t begin, index_t end) {
    if (begin >= end) return;
    runs_.push_back({begin, end});
    size_ += end - begin;
  }

  std::vector<index_range> runs_;
  std::vector<index_t> excluded_;
  index_t size_ = 0;
  std::span<const T> values_;
  std::vector<T> copy_;
  std::vector<std::uint8_t> codes_;
};

}  // namespace lutra::inline LUTRA_ABI
