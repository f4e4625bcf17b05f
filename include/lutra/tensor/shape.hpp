// lutra: shape.hpp - extents of a tensor, at most eight, with a checked element count.
// SPDX-License-Identifier: Apache-2.0
//
// Rank 0 is a scalar (size 1); an extent of 0 makes an empty tensor. Negative extents and counts
// above 2^62 are errors, so later products of two sizes in bytes cannot overflow silently.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <lutra/core/error.hpp>
#include <span>
#include <string>

namespace lutra::inline LUTRA_ABI {

inline constexpr int max_rank = 8;
inline constexpr index_t max_size = index_t{1} << 62;

class shape {
 public:
  constexpr shape() = default;
  constexpr shape(std::initializer_list<index_t> extents) {
    assign(std::span<const index_t>(extents.begin(), extents.size()));
  }
  constexpr explicit shape(std::span<const index_t> extents) { assign(extents); }
  // `rank` extents of `value` each.
  static constexpr shape filled(int rank, index_t value) {
    std::array<index_t, max_rank> extents{};
    extents.fill(value);
    if (rank < 0 || rank > max_rank) bad_rank(rank);
    return shape(std::span<const index_t>(extents.data(), to_size(rank)));
  }

  constexpr int rank() const noexcept { return rank_; }
  constexpr index_t size() const noexcept { return size_; }  // number of elements
  constexpr index_t operator[](int axis) const noexcept { return extents_[to_size(axis)]; }
  constexpr std::span<const index_t> extents() const noexcept {
    return {extents_.data(), to_size(rank_)};
  }
  constexpr const index_t* begin() const noexcept { return extents_.data(); }
  constexpr const index_t* end() const noexcept { return extents_.data() + rank_; }

  // The same shape with one extent replaced.
  constexpr shape with(int axis, index_t extent) const {
    std::array<index_t, max_rank> copy = extents_;
    copy[to_size(axis)] = extent;
    return shape(std::span<const index_t>(copy.data(), to_size(rank_)));
  }
  // Product of the extents in [first, last).
  constexpr index_t product(int first, int last) const noexcept {
    index_t p = 1;
    for (int i = first; i < last; ++i) p *= (*this)[i];
    return p;
  }

  friend constexpr bool operator==(const shape& a, const shape& b) noexcept {
    return std::ranges::equal(a.extents(), b.extents());
  }

 private:
  [[noreturn]] static void bad_rank(index_t rank) {
    raise(errc::shape_mismatch, "tensor rank out of range", "shape", text_of(rank),
          range_text(0, max_rank));
  }
  constexpr void assign(std::span<const index_t> extents) {
    if (extents.size() > to_size(max_rank)) {
      bad_rank(static_cast<index_t>(extents.size()));
    }
    rank_ = static_cast<int>(extents.size());
    index_t size = 1;
    bool empty = false;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const index_t e = extents[i];
      if (e < 0) {
        raise(errc::shape_mismatch, "negative extent", "shape", text_of(extents), ">= 0");
      }
      extents_[i] = e;
      if (e == 0) {
        empty = true;
      } else if (size > max_size / e) {
        raise(errc::size_overflow, "element count overflows", "shape", text_of(extents),
              "a product up to 2^62");
      } else {
        size *= e;
      }
    }
    size_ = empty ? 0 : size;
  }

  std::array<index_t, max_rank> extents_{};
  index_t size_ = 1;
  int rank_ = 0;
};

inline std::string text_of(const shape& s) { return text_of(s.extents()); }

// Strides, in elements, of a dense row-major tensor.
constexpr std::array<index_t, max_rank> row_major_strides(const shape& s) noexcept {
  std::array<index_t, max_rank> strides{};
  index_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    strides[to_size(i)] = step;
    step *= s[i];
  }
  return strides;
}

// A possibly negative axis in [-rank, rank) as one in [0, rank); anything else is an error.
inline int resolve_axis(int axis, int rank, std::string_view where) {
  if (axis < -rank || axis >= rank) {
    raise(errc::invalid_argument, "axis out of bounds", std::string(where), text_of(axis),
          range_text(-rank, rank - 1));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace lutra::inline LUTRA_ABI
