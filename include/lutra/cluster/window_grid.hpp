// lutra: window_grid.hpp - the grid of one level of the certified solver.
// SPDX-License-Identifier: Apache-2.0
//
// Boundary q of an optimal clustering lies in the window [from[q], to[q]] of positions, q = 0..k, the first
// and last of which are the ends of the line. The grid cuts the windows into blocks of about equal
// spread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/cluster/line.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Positions of a common grid for all windows, and which of them are the rows of each layer. Not shared
// between threads.
class window_grid {
 public:
  // Grid positions: the ends of the windows, and between them steps of equal spread. Returns whether
  // it holds every position of every window.
  bool make(const line& l, std::span<const index_t> from, std::span<const index_t> to,
            double blocks) {
    const double step = l.spread.back() / blocks;
    const double* const spread = l.spread.data();
    // Steps of equal spread, the last ones of windows, and where windows begin.
    // Not `blocks` of the former: a step so small that it is rounded may be 0, or fit in more often.
    const double most = l.spread.back() / step + 2 * static_cast<double>(clusters(from)) + 2;
    const double all = static_cast<double>(l.size() + 1);
    renew(position_, static_cast<std::size_t>(std::min(all, most)));  // all if NaN
    std::uint32_t* out = position_.data();
    *out = 0;
    bool finest = true;
    for (index_t q = 1; q < clusters(from); ++q) {
      const index_t end = to[size(q)];
      index_t at = std::max<index_t>(from[size(q)], *out);
      if (at > *out) *++out = static_cast<std::uint32_t>(at);
      if (step == 0) {
        while (at < end) *++out = static_cast<std::uint32_t>(++at);
        continue;
      }
      while (at < end) {
        // The first position a step away, at least the next one.
        const double target = spread[at] + step;
        index_t a = at + 1;
        const index_t near = std::min(end, a + 16);
        while (a < near && spread[a] < target) ++a;
        if (a == near && a < end && spread[a] < target) {
          index_t stride = 1;
          while (a + stride < end && spread[a + stride] < target) stride *= 2;
          index_t b = std::min(a + stride, end);
          a += stride / 2;
          while (a < b) {
            const index_t m = a + (b - a) / 2;
            const bool left = spread[m] < target;
            a = left ? m + 1 : a;
            b = left ? b : m;
          }
        }
        finest = finest && a == at + 1;
        at = a;
        *++out = static_cast<std::uint32_t>(at);
      }
    }
    position_.resize(to_size(out - position_.data()) + 1);
    if (position_.back() < l.size()) position_.push_back(static_cast<std::uint32_t>(l.size()));
    load(l, from, to);
    return finest;
  }
  // Rows a grid of `blocks` would have, at most.
  static index_t rows_of(const line& l, std::span<const index_t> from, std::span<const index_t> to,
                         double blocks) {
    const double step = l.spread.back() / blocks;
    double rows = 0;
    for (index_t q = 1; q < clusters(from); ++q) {
      const auto all = static_cast<double>(to[size(q)] - from[size(q)]);
      const double spread = l.spread[size(to[size(q)])] - l.spread[size(from[size(q)])];
      rows += step > 0 ? std::min(all, spread / step) : all;
    }
    return static_cast<index_t>(rows);
  }

  std::span<const std::uint32_t> positions() const noexcept { return position_; }
  std::size_t size() const noexcept { return position_.size(); }
  index_t rows() const noexcept { return rows_; }  // of all layers
  // Prefix sums at the grid positions, readable eight entries further.
  const double* w() const noexcept { return w_.data(); }
  const double* s() const noexcept { return s_.data(); }
  const double* q() const noexcept { return q_.data(); }
  // -q(), made when it is asked for.
  const double* minus_q() {
    renew(minus_q_, q_.size());
    for (std::size_t i = 0; i < q_.size(); ++i) minus_q_[i] = -q_[i];
    return minus_q_.data();
  }
  // Grid indices of the rows of a layer; row r of all rows is offset + r.
  index_t first(index_t layer) const noexcept { return first_[size(layer)]; }
  index_t last(index_t layer) const noexcept { return last_[size(layer)]; }
  index_t offset(index_t layer) const noexcept { return offset_[size(layer)]; }
  void end_layer(index_t layer, index_t last) noexcept { last_[size(layer)] = last; }

 private:
  static std::size_t size(index_t i) noexcept { return to_size(i); }
  static index_t clusters(std::span<const index_t> from) noexcept {
    return static_cast<index_t>(from.size()) - 1;
  }
  // The sums at the grid positions, and the rows of every layer.
  void load(const line& l, std::span<const index_t> from, std::span<const index_t> to) {
    const index_t k = clusters(from);
    const std::size_t g = position_.size();
    for (auto* a : {&w_, &s_, &q_}) renew(*a, g + 8);
    const auto copy = [&](std::vector<double>& out, const std::vector<double>& sums) {
      const double* const sum = sums.data();
      const std::uint32_t* const at = position_.data();
      double* const value = out.data();
      for (std::size_t i = 0; i < g; ++i) value[i] = sum[at[i]];
      for (std::size_t i = g; i < g + 8; ++i) value[i] = value[g - 1];  // rows are read by eights
    };
    copy(w_, l.w);
    copy(s_, l.s);
    copy(q_, l.q);
    first_.resize(size(k + 1));
    last_.resize(size(k + 1));
    offset_.resize(size(k + 1));
    rows_ = 0;
    for (index_t q = 0; q <= k; ++q) {
      // Where a window begins within the one before, no grid position need be: the block it begins in is its first.
      first_[size(q)] = std::upper_bound(position_.begin(), position_.end(),
                                         static_cast<std::uint32_t>(from[size(q)])) -
                        position_.begin() - 1;
      last_[size(q)] = std::lower_bound(position_.begin(), position_.end(),
                                        static_cast<std::uint32_t>(to[size(q)])) -
                       position_.begin();
      offset_[size(q)] = rows_ - first_[size(q)];
      rows_ += last_[size(q)] - first_[size(q)] + 1;
    }
  }

  std::vector<std::uint32_t> position_;
  std::vector<double> w_, s_, q_, minus_q_;
  std::vector<index_t> first_, last_, offset_;
  index_t rows_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
