// lutra: granularity.hpp - how much of a tensor shares one set of parameters.
// SPDX-License-Identifier: Apache-2.0
//
// A granularity turns a tensor shape S into a block shape B (see tensor/slices.hpp for the rest).
//   per_tensor                        B = S
//   per_channel(axis)                 B = S with B[axis] = 1
//   per_block(size, axis)             B[axis] = size; of a weight (axis 0 or 1) the other one of these axes
//                                     becomes 1 and the rest keep their extent, as in the reference; of any
//                                     other axis (activations) all others become 1
//   per_block({b0, b1, ...})          B[i] = b_i, or S[i] where b_i = -1
//   per_grouped_channel(size, axis)   B = S with B[axis] = size (palettes)
// An absent axis is filled in later from the consuming op; using it unresolved is an error.
#pragma once

#include <lutra/tensor/slices.hpp>
#include <optional>
#include <string>

namespace lutra::inline LUTRA_ABI {

enum class granularity_kind : unsigned char {
  per_tensor,
  per_channel,
  per_block,
  per_grouped_channel
};

// What to do when a block does not divide its extent: refuse, or let the last block be short.
enum class short_groups : unsigned char { forbid, allow };

class granularity {
 public:
  constexpr granularity() = default;  // per tensor
  static constexpr granularity per_tensor() { return {}; }
  static constexpr granularity per_channel(std::optional<int> axis = {}) {
    return granularity(granularity_kind::per_channel, axis, shape{});
  }
  static constexpr granularity per_block(index_t block_size, std::optional<int> axis = {}) {
    check_size(block_size, 1, "per_block: block_size");
    return granularity(granularity_kind::per_block, axis, shape{block_size});
  }
  // One entry per axis, each >= 1, or -1 for the whole extent.
  static granularity per_block(std::initializer_list<index_t> block_size) {
    return per_block(std::span<const index_t>(block_size.begin(), block_size.size()));
  }
  static granularity per_block(std::span<const index_t> block_size, std::optional<int> axis = {}) {
    if (axis) {
      raise(errc::invalid_argument, "axis must be absent when every axis has a block size",
            "per_block: axis", text_of(*axis), "absent");
    }
    std::array<index_t, max_rank> sizes{};
    if (block_size.size() > sizes.size()) shape{block_size};  // raises the rank error
    for (std::size_t i = 0; i < block_size.size(); ++i) {
      if (block_size[i] != -1) check_size(block_size[i], 1, "per_block: block_size");
      sizes[i] = block_size[i] == -1 ? 0 : block_size[i];
    }
    granularity g(granularity_kind::per_block, {},
                  shape(std::span<const index_t>(sizes.data(), block_size.size())));
    g.tuple_ = true;
    return g;
  }
  static constexpr granularity per_grouped_channel(index_t group_size,
                                                   std::optional<int> axis = {}) {
    check_size(group_size, 1, "per_grouped_channel: group_size");
    return granularity(granularity_kind::per_grouped_channel, axis, shape{group_size});
  }

  constexpr granularity_kind kind() const noexcept { return kind_; }
  constexpr std::optional<int> axis() const noexcept { return axis_; }
  // The scalar block or group size; 0 for kinds without one.
  constexpr index_t block_size() const noexcept {
    return kind_ == granularity_kind::per_tensor || kind_ == granularity_kind::per_channel || tuple_
               ? 0
               : sizes_[0];
  }
  constexpr bool is_tuple() const noexcept { return tuple_; }
  constexpr const shape& tuple() const noexcept { return sizes_; }  // 0 stands for "whole extent"
  constexpr bool needs_axis() const noexcept {
    return !axis_ && !tuple_ && kind_ != granularity_kind::per_tensor;
  }
  constexpr granularity with_axis(int axis) const {
    granularity g = *this;
    if (g.needs_axis()) g.axis_ = axis;
    return g;
  }

  friend constexpr bool operator==(const granularity&, const granularity&) = default;

 private:
  constexpr granularity(granularity_kind kind, std::optional<int> axis, const shape& sizes)
      : kind_(kind), axis_(axis), sizes_(sizes) {}
  static constexpr void check_size(index_t size, index_t lowest, std::string_view where) {
    if (size < lowest) {
      raise(errc::invalid_argument, "size out of range", std::string(where), text_of(size),
            ">= " + text_of(lowest));
    }
  }

  granularity_kind kind_ = granularity_kind::per_tensor;
  std::optional<int> axis_;
  shape sizes_;
  bool tuple_ = false;
};

inline std::string text_of(const granularity& g) {
  const std::string axis = g.axis() ? ", axis " + text_of(*g.axis()) : "";
  switch (g.kind()) {
    case granularity_kind::per_tensor:
      return "per_tensor";
    case granularity_kind::per_channel:
      return "per_channel" + axis;
    case granularity_kind::per_grouped_channel:
      return "per_grouped_channel, group_size " + text_of(g.block_size()) + axis;
    case granularity_kind::per_block:
      break;
  }
  return "per_block, block_size " +
         (g.is_tuple() ? text_of(g.tuple()) : text_of(g.block_size()) + axis);
}

// Blocks that do not divide a tensor, along the first such axis.
struct block_mismatch {
  int axis = 0;
  index_t block_size = 0;
  shape extents;  // of the tensor
  friend bool operator==(const block_mismatch&, const block_mismatch&) = default;
};
inline std::optional<block_mismatch> mismatch_of(const shape& extents, const shape& block) {
  for (int i = 0; i < extents.rank(); ++i) {
    if (extents[i] % block[i] != 0) return block_mismatch{i, block[i], extents};
  }
  return {};
}
inline std::string text_of(const block_mismatch& m) {
  return "block size " + text_of(m.block_size) + " does not divide extent " +
         text_of(m.extents[m.axis]) + " of axis " + text_of(m.axis);
}

// The grid of `g` on a tensor of shape `s`. Raises invalid_argument for an unresolved or out-of-range
// axis, shape_mismatch for a wrong rank, and errc::incompatible (the only code a caller may treat as
// "leave this tensor alone") when a block does not divide its extent and short blocks are forbidden.
inline block_grid grid_of(const granularity& g, const shape& s, std::string_view where,
                          short_groups policy = short_groups::forbid) {
  std::array<index_t, max_rank> b{};
  for (int i = 0; i < s.rank(); ++i) b[to_size(i)] = std::max<index_t>(s[i], 1);
  const auto set = [&](int axis, index_t size) { b[to_size(axis)] = size; };
  if (g.is_tuple()) {
    if (g.tuple().rank() != s.rank()) {
      raise(errc::shape_mismatch, "one block size per axis is needed", std::string(where),
            text_of(g.tuple()), "rank " + text_of(s.rank()));
    }
    for (int i = 0; i < s.rank(); ++i) {
      if (g.tuple()[i] != 0) set(i, g.tuple()[i]);
    }
  } else if (g.kind() != granularity_kind::per_tensor) {
    if (!g.axis()) {
      raise(errc::invalid_argument, "axis is unresolved: give it explicitly", std::string(where),
            text_of(g), "an axis in the granularity");
    }
    const int axis = resolve_axis(*g.axis(), s.rank(), where);
    if (g.kind() == granularity_kind::per_channel) {
      set(axis, 1);
    } else if (g.kind() == granularity_kind::per_grouped_channel) {
      set(axis, g.block_size());
    } else {
      const int others = axis > 1 ? s.rank() : std::min(s.rank(), 2);
      for (int i = 0; i < others; ++i) set(i, 1);
      set(axis, g.block_size());
    }
  }
  const shape block(std::span<const index_t>(b.data(), to_size(s.rank())));
  if (policy == short_groups::forbid) {
    if (const auto m = mismatch_of(s, block)) {
      raise(errc::incompatible, "block size does not divide axis " + text_of(m->axis),
            std::string(where),
            "extent " + text_of(s[m->axis]) + ", block size " + text_of(m->block_size),
            "a divisor");
    }
  }
  return block_grid(s, block);
}

}  // namespace lutra::inline LUTRA_ABI
