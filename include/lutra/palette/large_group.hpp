// lutra: large_group.hpp - table and codes of very many plain floats, in a few passes over them.
// SPDX-License-Identifier: Apache-2.0
//
// Centroids by counting (cluster/fit_1d.hpp), rounded to float, then the nearest entry for every value
// (assign.hpp). `lower_bound` is proven for the values themselves.
// Cost: about 2 ns per value; memory a few MiB whatever the number of values.
#pragma once

#include <lutra/cluster/fit_1d.hpp>
#include <lutra/palette/assign.hpp>
#include <lutra/tensor/slices.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// From this size on counting is faster than sorting and an exact solve.
inline constexpr index_t large_group = index_t{1} << 17;

struct large_palette {
  std::vector<float> table;  // ascending, distinct
  double inertia = 0;        // sum of (value - entry)^2
  double lower_bound = 0;    // no table of `entries` values has less
};

// Finite values, `entries` in 2..256, one code per value.
template <class A, executor Executor>
large_palette palettize_large(std::span<const float> values, int entries, double max_gap,
                              std::span<std::uint8_t> codes, const Executor& executor) {
  const fit_1d_result fit =
      fit_1d<A>(values, std::span<const float>(), entries, {.max_gap = max_gap}, executor);
  large_palette p;
  for (const double c : fit.centroids) {
    const auto entry = static_cast<float>(c);
    if (p.table.empty() || p.table.back() != entry) p.table.push_back(entry);
  }
  p.inertia = assign_nearest<A>(values, std::span<const float>(p.table), codes, executor);
  p.lower_bound = std::min(p.inertia, fit.lower_bound(p.inertia));
  return p;
}

// The elements of one group in one piece: as they lie in the tensor, or copied together.
template <class T> class group_elements {
 public:
  group_elements(std::span<const T> tensor, const block_grid& grid, index_t group) {
    grid.for_each_run_of(group, [&](index_t first, index_t length) {
      runs_.push_back({first, first + length});
      size_ += length;
    });
    if (runs_.size() == 1) {
      values_ = tensor.subspan(u(runs_[0].begin), u(size_));
    } else if (size_ >= large_group) {
      for (const index_range& r : runs_) {
        const auto part = tensor.subspan(u(r.begin), u(r.size()));
        copy_.insert(copy_.end(), part.begin(), part.end());
      }
      values_ = copy_;
      codes_.resize(copy_.size());
    }
  }
  index_t size() const noexcept { return size_; }
  // Empty for a small group of several runs, which nobody asks for.
  std::span<const T> values() const noexcept { return values_; }
  // Where to write one code per value; move_to() then brings them to their places in the tensor.
  std::span<std::uint8_t> place_for(std::span<std::uint8_t> all) const noexcept {
    return runs_.size() == 1 ? all.subspan(u(runs_[0].begin), u(size_)) : std::span(codes_);
  }
  void move_to(std::span<std::uint8_t> all) const {
    if (runs_.size() == 1) return;
    auto next = codes_.begin();
    for (const index_range& r : runs_) {
      std::copy_n(next, r.size(), all.begin() + r.begin);
      next += r.size();
    }
  }

 private:
  static std::size_t u(index_t i) noexcept { return static_cast<std::size_t>(i); }

  std::vector<index_range> runs_;
  index_t size_ = 0;
  std::span<const T> values_;
  std::vector<T> copy_;
  mutable std::vector<std::uint8_t> codes_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
