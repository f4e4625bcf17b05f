// lutra: size_curve.hpp - error against size of a model: the corners of the lower convex hull.
// SPDX-License-Identifier: Apache-2.0
//
// With a price L per byte, every row of a layer_table takes the choice that minimises error + L * bytes. As L falls
// from infinity to 0 the model walks from its smallest size to its smallest error, one step of one row at a
// time; the models met on the way are the corners. Each is optimal: no model of at most its size has less
// error. Between two corners the straight line is a lower bound for every model (Lagrange multipliers, Everett
// 1963).
// Doubles, sums in the order of the rows: same bits everywhere. O(choices log choices + rows * corners).
#pragma once

#include <algorithm>
#include <iterator>
#include <lutra/core/strict_fp.hpp>
#include <lutra/flow/layer_table.hpp>
#include <numeric>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Leaves those that no other beats in both bytes and error, smallest first; of equal ones the first. cost(item)
// has `bytes` and `error`.
template <class T, class Cost> void keep_undominated(std::vector<T>& items, Cost&& cost) {
  std::stable_sort(items.begin(), items.end(), [&](const T& one, const T& other) {
    const auto& a = cost(one);
    const auto& b = cost(other);
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.error < b.error;
  });
  auto kept = items.begin();
  for (const T& item : items) {
    if (kept == items.begin() || cost(item).error < cost(*std::prev(kept)).error) *kept++ = item;
  }
  items.erase(kept, items.end());
}

// The choices of one row that are left by that.
inline std::vector<index_t> undominated(const layer_choices& layer) {
  std::vector<index_t> choices(layer.choices.size());
  std::iota(choices.begin(), choices.end(), index_t{0});
  keep_undominated(choices,
                   [&](index_t i) -> const layer_choice& { return layer.choices[to_size(i)]; });
  return choices;
}

// Value type; concurrent reads are safe.
class size_curve {
 public:
  // One row moves to its next choice on the hull.
  struct step {
    std::size_t layer;
    index_t choice;
    double price;  // error saved per byte, > 0
  };

  // Raises what check(table) does.
  explicit size_curve(const layer_table& table) {
    check(table, "size_curve");
    for (std::size_t l = 0; l < table.size(); ++l) add_row(table[l], l);
    // Prices of one row fall strictly, so sorting keeps its steps in order.
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const step& a, const step& b) { return a.price > b.price; });
    std::vector<index_t> choice = smallest_;
    corners_.push_back(cost_of(table, choice));
    for (const step& s : steps_) {
      choice[s.layer] = s.choice;
      corners_.push_back(cost_of(table, choice));
    }
  }

  // From the least bytes to the least error. corners()[i] is reached after i steps.
  const std::vector<table_cost>& corners() const noexcept { return corners_; }
  const std::vector<step>& steps() const noexcept { return steps_; }
  // The choices of a corner.
  std::vector<index_t> choice_at(std::size_t corner) const {
    std::vector<index_t> choice = smallest_;
    for (std::size_t i = 0; i < corner && i < steps_.size(); ++i) {
      choice[steps_[i].layer] = steps_[i].choice;
    }
    return choice;
  }
  std::int64_t least_bytes() const noexcept { return corners_.front().bytes; }

  // The last corner of at most `bytes`, which must be >= least_bytes().
  std::size_t corner_below(std::int64_t bytes) const noexcept {
    const auto above =
        std::upper_bound(corners_.begin(), corners_.end(), bytes,
                         [](std::int64_t target, const table_cost& c) { return target < c.bytes; });
    return to_size(above - corners_.begin()) - 1;
  }
  // Error per byte at that size; 0 where every row has its least error.
  double price_at(std::int64_t bytes) const noexcept {
    const std::size_t corner = corner_below(bytes);
    return corner < steps_.size() ? steps_[corner].price : 0;
  }
  // No model of at most `bytes` has less error. Lowered by more than what rounding can have added.
  double lower_bound(std::int64_t bytes) const noexcept {
    const table_cost& corner = corners_[corner_below(bytes)];
    const double paid = price_at(bytes) * static_cast<double>(bytes - corner.bytes);
    return std::max(corner.error - paid - 1e-12 * (corner.error + paid), corners_.back().error);
  }

 private:
  void add_row(const layer_choices& layer, std::size_t number) {
    const auto at = [&](index_t i) -> const layer_choice& { return layer.choices[to_size(i)]; };
    const auto price = [&](index_t from, index_t to) {
      return (at(from).error - at(to).error) / static_cast<double>(at(to).bytes - at(from).bytes);
    };
    std::vector<index_t> hull;
    for (const index_t i : undominated(layer)) {
      while (hull.size() > 1 &&
             price(hull[hull.size() - 2], hull.back()) <= price(hull.back(), i)) {
        hull.pop_back();
      }
      hull.push_back(i);
    }
    smallest_.push_back(hull.front());
    for (std::size_t i = 1; i < hull.size(); ++i) {
      steps_.push_back({number, hull[i], price(hull[i - 1], hull[i])});
    }
  }

  std::vector<index_t> smallest_;
  std::vector<step> steps_;
  std::vector<table_cost> corners_;
};

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
