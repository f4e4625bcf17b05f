// lutra: bit_search.hpp - one choice per weight: the least summed error within a number of bytes.
// SPDX-License-Identifier: Apache-2.0
//
//   minimise sum of error[row][choice[row]]   subject to   sum of bytes[row][choice[row]] <= target
// A multiple-choice knapsack. The search starts with the best corner of the size_curve that fits, filled up
// greedily, then goes through the rows and keeps every partial choice that no other beats in both bytes and
// error (Nemhauser and Ullmann 1969). A partial choice is dropped when its Lagrangian bound, the error so far plus
//   sum over the rows left of min(error + L * bytes)  -  L * bytes left       for a few prices L,
// exceeds the best model found. What remains is exact: `proven`. When more than max_states partial choices
// are left in a row, those with the largest bounds go, and the least bound among them limits what is proven:
//   lower_bound <= least possible error <= error
// Ties: less error, then fewer bytes, then what was found first. Doubles, sums in the order of the rows: the
// same bits everywhere. A pass takes O(rows * max_states * choices), log factors aside; tables like those of
// networks need few states: 200 rows of 40 choices take 0.03 s, 1000 rows 1.5 s (2-core x86-64).
#pragma once

#include <array>
#include <lutra/core/progress.hpp>
#include <lutra/flow/size_curve.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

struct bit_allocation {
  std::vector<index_t> choice;  // one per row of the table
  std::int64_t bytes = 0;       // never above the target
  double error = 0;
  double lower_bound = 0;  // no choice within the target has less error
  bool proven = false;     // no choice within the target is better

  // error / lower_bound - 1: what a better choice within the target could gain at most; infinite for a
  // bound of 0.
  double gap() const noexcept {
    if (proven || error <= lower_bound) return 0;
    return lower_bound > 0 ? error / lower_bound - 1 : std::numeric_limits<double>::infinity();
  }
};

struct bit_search_options {
  index_t max_states = index_t{1} << 16;  // partial choices kept per row, >= 1
  progress_callback progress{};           // "allocate bits"; false cancels, best() stays
};

// Keeps the best choice found so far. run() may be called again, with more states or after it was cancelled, and
// starts from what is known. One search belongs to one thread.
class bit_search {
 public:
  // Raises what check(table) does, and invalid_argument for a target below the least possible size.
  bit_search(layer_table table, std::int64_t target_bytes)
      : table_(std::move(table)), curve_(table_), target_(target_bytes) {
    if (target_ < curve_.least_bytes()) {
      raise(errc::invalid_argument, "the target is below the least possible size", "bit_search",
            text_of(target_) + " bytes", ">= " + text_of(curve_.least_bytes()) + " bytes");
    }
    for (const layer_choices& layer : table_) good_.push_back(undominated(layer));
    prepare_bounds();
    offer(start());
    best_.lower_bound = std::min(curve_.lower_bound(target_), best_.error);
  }

  const layer_table& table() const noexcept { return table_; }
  const size_curve& curve() const noexcept { return curve_; }
  std::int64_t target_bytes() const noexcept { return target_; }
  const bit_allocation& best() const noexcept { return best_; }

  // One pass; nothing once the best is proven. Raises invalid_argument for max_states < 1, cancelled.
  const bit_allocation& run(const bit_search_options& options = {}) {
    if (options.max_states < 1) {
      raise(errc::invalid_argument, "max_states out of range", "bit_search::run",
            text_of(options.max_states), ">= 1");
    }
    if (best_.proven) return best_;
    const auto rows = static_cast<index_t>(table_.size());
    std::vector<std::vector<partial>> levels{{partial{}}};
    double dropped = std::numeric_limits<double>::infinity();
    for (index_t row = 0; row < rows; ++row) {
      report_progress(options.progress, "allocate bits", row, rows);
      levels.push_back(extend(levels.back(), to_size(row)));
      keep_few(levels.back(), options.max_states, to_size(row) + 1, dropped);
      if (const partial* p = most_promising(levels.back(), to_size(row) + 1)) {
        offer(complete(levels, *p));
      }
    }
    if (!levels.back().empty()) offer(complete(levels, levels.back().back()));
    best_.lower_bound = std::max(best_.lower_bound, std::min(best_.error, dropped));
    best_.proven = dropped > best_.error;
    report_progress(options.progress, "allocate bits", rows, rows);
    return best_;
  }

  // The best choice and what is proven, with the table's figures it belongs to.
  std::vector<std::uint8_t> save() const {
    state_writer w;
    w.u32(magic);
    w.u32(version);
    w.text(as_text(save_measurements(table_)));
    w.i64(target_);
    w.u64(best_.choice.size());
    for (const index_t c : best_.choice) w.i64(c);
    w.f64(best_.lower_bound);
    w.u8(best_.proven ? 1 : 0);
    return w.take();
  }
  // Goes on from a saved search of the same table and target. Raises corrupt_data, unsupported for another
  // version, incompatible for another table or target; nothing is changed then.
  void load(std::span<const std::uint8_t> bytes) {
    const std::string where = "bit_search::load";
    state_reader r(bytes, where);
    if (const std::uint32_t m = r.u32(); m != magic) {
      r.corrupt("not a saved bit_search", text_of(m), text_of(magic));
    }
    r.version(version);
    if (r.text() != as_text(save_measurements(table_))) {
      raise(errc::incompatible, "the search is of another table", where);
    }
    if (const std::int64_t target = r.i64(); target != target_) {
      raise(errc::incompatible, "the search has another target", where, text_of(target) + " bytes",
            text_of(target_) + " bytes");
    }
    bit_allocation found;
    found.choice.resize(r.count(8));
    for (index_t& c : found.choice) c = static_cast<index_t>(r.i64());
    found.lower_bound = r.f64();
    found.proven = r.flag();
    r.expect_end();
    const auto corrupt = [&](const char* what) { r.corrupt(what, "", "what save() wrote"); };
    if (!is_choice(found.choice)) corrupt("not a choice of this table");
    const table_cost cost = cost_of(table_, found.choice);
    found.bytes = cost.bytes;
    found.error = cost.error;
    if (found.bytes > target_) corrupt("the choice is above its target");
    if (!(found.lower_bound >= 0 && found.lower_bound <= std::min(found.error, best_.error))) {
      corrupt("not a bound");
    }
    if (found.proven && found.lower_bound != found.error) corrupt("not a proof");
    found.lower_bound = std::max(found.lower_bound, best_.lower_bound);
    found.proven = found.proven || best_.proven;
    if (better(found, best_)) {
      best_ = found;
    } else {
      best_.lower_bound = found.lower_bound;
      best_.proven = found.proven;
    }
  }

 private:
  // The choices of the first rows; `parent` is one row less, in the level before.
  struct partial {
    std::int64_t bytes = 0;
    double error = 0;
    index_t parent = -1;
    index_t choice = -1;
  };
  static constexpr std::uint32_t magic = 0x53424C4CU;  // "LLBS"
  static constexpr std::uint32_t version = 1;
  static constexpr std::size_t prices = 6;

  static std::string as_text(const std::vector<std::uint8_t>& bytes) {
    return std::string(bytes.begin(), bytes.end());
  }
  template <class A, class B> static bool better(const A& a, const B& b) noexcept {
    return a.error != b.error ? a.error < b.error : a.bytes < b.bytes;
  }
  const layer_choice& at(std::size_t row, index_t choice) const noexcept {
    return table_[row].choices[to_size(choice)];
  }
  bool is_choice(const std::vector<index_t>& choice) const noexcept {
    if (choice.size() != table_.size()) return false;
    for (std::size_t i = 0; i < choice.size(); ++i) {
      if (choice[i] < 0 || choice[i] >= static_cast<index_t>(table_[i].choices.size()))
        return false;
    }
    return true;
  }

  // What the rows from each one on cost at least, in bytes and at each price.
  void prepare_bounds() {
    const double best_price = curve_.price_at(target_);
    price_ = {0, best_price / 4, best_price / 2, best_price, best_price * 2, best_price * 4};
    const std::size_t rows = table_.size();
    least_bytes_.assign(rows + 1, 0);
    least_.assign(rows + 1, {});
    for (std::size_t row = rows; row-- > 0;) {
      least_bytes_[row] = least_bytes_[row + 1] + at(row, good_[row].front()).bytes;
      for (std::size_t p = 0; p < prices; ++p) {
        double least = std::numeric_limits<double>::infinity();
        for (const index_t c : good_[row]) least = std::min(least, priced(row, c, price_[p]));
        least_[row][p] = least_[row + 1][p] + least;
      }
    }
  }
  double priced(std::size_t row, index_t choice, double price) const noexcept {
    const layer_choice& c = at(row, choice);
    return c.error + price * static_cast<double>(c.bytes);
  }
  // The least error of a model that begins with p, which covers the rows before `row`. Lowered by more than what
  // rounding can have added.
  double bound(const partial& p, std::size_t row) const noexcept {
    constexpr double rounding = 1e-12;
    const auto left = static_cast<double>(target_ - p.bytes);
    double bound = 0;
    for (std::size_t i = 0; i < prices; ++i) {
      const double paid = price_[i] * left;
      const double rest = least_[row][i];
      bound = std::max(bound, p.error + (rest - paid) - rounding * (p.error + rest + paid));
    }
    return bound;
  }

  std::vector<partial> extend(const std::vector<partial>& level, std::size_t row) const {
    std::vector<partial> next;
    const std::int64_t limit = target_ - least_bytes_[row + 1];
    for (std::size_t i = 0; i < level.size(); ++i) {
      for (const index_t c : good_[row]) {
        const partial p{level[i].bytes + at(row, c).bytes, level[i].error + at(row, c).error,
                        static_cast<index_t>(i), c};
        if (p.bytes > limit) break;  // choices grow
        if (bound(p, row + 1) <= best_.error) next.push_back(p);
      }
    }
    keep_undominated(next, [](const partial& p) -> const partial& { return p; });
    return next;
  }
  // Leaves the `count` partial choices with the least bounds, in order; `dropped` is the least bound seen to go.
  void keep_few(std::vector<partial>& level, index_t count, std::size_t row,
                double& dropped) const {
    if (static_cast<index_t>(level.size()) <= count) return;
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < level.size(); ++i) order.emplace_back(bound(level[i], row), i);
    std::sort(order.begin(), order.end());
    const auto n = to_size(count);
    dropped = std::min(dropped, order[n].first);
    std::vector<std::size_t> stay;
    for (std::size_t i = 0; i < n; ++i) stay.push_back(order[i].second);
    std::sort(stay.begin(), stay.end());
    std::vector<partial> few;
    for (const std::size_t i : stay) few.push_back(level[i]);
    level = std::move(few);
  }
  const partial* most_promising(const std::vector<partial>& level, std::size_t row) const {
    const partial* found = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const partial& p : level) {
      if (const double b = bound(p, row); b < least) {
        least = b;
        found = &p;
      }
    }
    return found;
  }

  // The choices of p, of the last level, then for every row left what is cheapest at the best price and leaves
  // room for the rest.
  std::vector<index_t> complete(const std::vector<std::vector<partial>>& levels,
                                const partial& p) const {
    std::vector<index_t> choice;
    const partial* step = &p;
    for (std::size_t level = levels.size() - 1; level > 0; --level) {
      choice.push_back(step->choice);
      step = &levels[level - 1][to_size(step->parent)];
    }
    std::reverse(choice.begin(), choice.end());
    fill(choice, p.bytes);
    return choice;
  }
  void fill(std::vector<index_t>& choice, std::int64_t bytes) const {
    const double price = price_[3];
    for (std::size_t row = choice.size(); row < table_.size(); ++row) {
      index_t found = good_[row].front();
      for (const index_t c : good_[row]) {
        if (bytes + at(row, c).bytes + least_bytes_[row + 1] > target_) break;
        if (priced(row, c, price) < priced(row, found, price)) found = c;
      }
      choice.push_back(found);
      bytes += at(row, found).bytes;
    }
  }
  // The corner of the curve, then further steps that still fit.
  std::vector<index_t> start() const {
    const std::size_t corner = curve_.corner_below(target_);
    std::vector<index_t> choice = curve_.choice_at(corner);
    std::int64_t left = target_ - curve_.corners()[corner].bytes;
    for (std::size_t i = corner; i < curve_.steps().size(); ++i) {
      const size_curve::step& s = curve_.steps()[i];
      const std::int64_t more = at(s.layer, s.choice).bytes - at(s.layer, choice[s.layer]).bytes;
      if (more > left) continue;
      choice[s.layer] = s.choice;
      left -= more;
    }
    return choice;
  }
  void offer(std::vector<index_t> choice) {
    const table_cost cost = cost_of(table_, choice);
    if (!best_.choice.empty() && !better(cost, best_)) return;
    best_.choice = std::move(choice);
    best_.bytes = cost.bytes;
    best_.error = cost.error;
  }

  layer_table table_;
  size_curve curve_;
  std::int64_t target_;
  std::vector<std::vector<index_t>> good_;         // per row: undominated choices, smallest first
  std::array<double, prices> price_{};             // per byte
  std::vector<std::int64_t> least_bytes_;          // of the rows from each one on
  std::vector<std::array<double, prices>> least_;  // of the rows from each one on, at each price
  bit_allocation best_;
};

// The whole search in one call.
inline bit_allocation allocate_bits(layer_table table, std::int64_t target_bytes,
                                    const bit_search_options& options = {}) {
  bit_search search(std::move(table), target_bytes);
  return search.run(options);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
