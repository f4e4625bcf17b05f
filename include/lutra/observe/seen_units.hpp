// lutra: seen_units.hpp - where the units of earlier tensors lie, which those of later ones must share.
// SPDX-License-Identifier: Apache-2.0
//
// Blocks of 32 along the last axis make 8 units of a [4, 64] tensor and of an [8, 32] one: as many, but elsewhere.
// What decides is the shape of the grid, as far as it says where a unit lies:
//   per_tensor, per_channel, per_grouped_channel   the number of units: one axis at most is cut
//   per_block                                      the grid without ones at its end, an axis counted from the end:
//                                                  without ones at its beginning (other axes may come and go there)
// Value type. O(rank).
#pragma once

#include <lutra/affine/granularity.hpp>
#include <lutra/observe/state.hpp>
#include <optional>

namespace lutra::inline LUTRA_ABI {

class seen_units {
 public:
  // Of the tensors seen; 0 before the first element.
  index_t count() const noexcept { return count_; }
  // Absent before the first element, and where a state saved by an earlier version did not say.
  const std::optional<shape>& grid() const noexcept { return grid_; }

  // Raises shape_mismatch for a tensor whose units, those of `g`, are not as many as before or lie elsewhere.
  void check(const granularity& g, const block_grid& units, std::string_view where) const {
    if (units.extents().size() == 0 || count_ == 0) return;
    const auto refuse = [&](const char* what, const std::string& value, std::string allowed) {
      raise(errc::shape_mismatch, what, std::string(where),
            value + " for shape " + text_of(units.extents()), std::move(allowed));
    };
    if (units.count() != count_) {
      refuse("number of units differs from earlier tensors", text_of(units.count()),
             text_of(count_));
    }
    if (grid_ && places(g, units.grid()) != places(g, *grid_)) {
      refuse("units lie elsewhere than in earlier tensors", "grid " + text_of(units.grid()),
             "grid " + text_of(*grid_));
    }
  }
  // Those of a tensor that is not empty and was checked.
  void learn(const block_grid& units) noexcept {
    count_ = units.count();
    if (!grid_) grid_ = units.grid();
  }
  // As many as other ones, if both saw any, and in the same places as far as both know.
  bool agrees_with(const seen_units& other, const granularity& g) const noexcept {
    if (count_ == 0 || other.count_ == 0) return true;
    if (count_ != other.count_) return false;
    return !grid_ || !other.grid_ || places(g, *grid_) == places(g, *other.grid_);
  }
  // Knows afterwards what either knew. They agree.
  void add(const seen_units& other) noexcept {
    if (count_ == 0) count_ = other.count_;
    if (!grid_) grid_ = other.grid_;
  }
  std::string description() const {
    return text_of(count_) + " units" + (grid_ ? " in grid " + text_of(*grid_) : "");
  }

  void save_grid(state_writer& w) const {
    w.u8(grid_ ? 1 : 0);
    if (grid_) w.extents(*grid_);
  }
  // Of `count` units. Raises corrupt_data for a grid of another number of them.
  static seen_units load_grid(state_reader& r, index_t count) {
    seen_units units = without_grid(count);
    if (!r.flag()) return units;
    units.grid_ = r.extents();
    if (count == 0 || units.grid_->size() != count) {
      r.corrupt("grid of the units", text_of(*units.grid_), text_of(count) + " units");
    }
    return units;
  }
  static seen_units of(const block_grid& units) noexcept {
    seen_units seen;
    seen.learn(units);
    return seen;
  }
  static seen_units without_grid(index_t count) noexcept {
    seen_units units;
    units.count_ = count;
    return units;
  }

 private:
  static shape places(const granularity& g, const shape& grid) noexcept {
    if (g.kind() != granularity_kind::per_block) return shape{grid.size()};
    int first = 0;
    int end = grid.rank();
    if (g.axis().value_or(0) >= 0) {
      while (end > 0 && grid[end - 1] == 1) --end;
    } else {
      while (first < end && grid[first] == 1) ++first;
    }
    std::array<index_t, max_rank> kept{};
    for (int i = first; i < end; ++i) kept[to_size(i - first)] = grid[i];
    return shape(std::span<const index_t>(kept.data(), to_size(end - first)));
  }

  index_t count_ = 0;
  std::optional<shape> grid_;
};

}  // namespace lutra::inline LUTRA_ABI
