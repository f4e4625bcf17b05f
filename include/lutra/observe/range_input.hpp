// lutra: range_input.hpp - the part every range observer shares: one batch's range per unit.
// SPDX-License-Identifier: Apache-2.0
//
// An end pinned by float_range replaces what is observed (where both are, elements are not looked at, and none is
// counted as NaN or infinite); a free end is clamped to include zero. Also keeps the units and the counts.
#pragma once

#include <algorithm>
#include <lutra/affine/spec.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/observe/observer.hpp>
#include <lutra/observe/seen_units.hpp>
#include <lutra/observe/unit_range.hpp>

namespace lutra::inline LUTRA_ABI {

class range_input {
 public:
  // Raises what check(spec) raises.
  explicit range_input(const quantization_spec& spec)
      : granularity_(spec.granularity),
        pinned_(spec.float_range),
        short_groups_(spec.short_groups) {
    check(spec, "observer");
  }

  index_t units() const noexcept { return seen_.count(); }
  const seen_units& seen() const noexcept { return seen_; }
  void learn(const seen_units& units) noexcept { seen_.add(units); }
  std::int64_t samples() const noexcept { return samples_; }
  // 0 where both ends are pinned, also of observers that read elements for more than the range.
  std::int64_t nonfinite() const noexcept { return pinned_.lo && pinned_.hi ? 0 : nonfinite_; }
  // Whether counts kept per unit add up to those kept here.
  bool counted(std::int64_t samples, std::int64_t nonfinite) const noexcept {
    return samples == samples_ && nonfinite == nonfinite_;
  }

  // The units of a tensor. Raises shape_mismatch if there are not as many as before, or elsewhere.
  block_grid units_of(const shape& extents) const {
    block_grid units = grid_of(granularity_, extents, "observe", short_groups_);
    seen_.check(granularity_, units, "observe");
    return units;
  }
  // Ranges of one batch whose units these are, not yet counted; x is not empty. A unit without a finite element
  // keeps lo > hi unless both ends are pinned.
  unit_ranges read(const tensor_view<const float>& x, const block_grid& units) const {
    const auto count = to_size(units.count());
    if (pinned_.lo && pinned_.hi) {
      return {std::vector<float>(count, *pinned_.lo), std::vector<float>(count, *pinned_.hi), 0};
    }
    unit_ranges r = ranges_of(x, units);
    for (std::size_t u = 0; u < count; ++u) {
      if (r.lo[u] > r.hi[u]) continue;
      r.lo[u] = low_end(r.lo[u]);
      r.hi[u] = high_end(r.hi[u]);
    }
    return r;
  }
  // An observed end as it is handed out. Never -0: which zero comes first would depend on the order.
  float low_end(float observed) const noexcept {
    return pinned_.lo.value_or(observed < 0.0F ? observed : 0.0F);
  }
  float high_end(float observed) const noexcept {
    return pinned_.hi.value_or(observed > 0.0F ? observed : 0.0F);
  }
  // lo and hi have room for units() ranges. Raises shape_mismatch.
  void check_room(std::span<const float> lo, std::span<const float> hi) const {
    const auto needed = to_size(units());
    if (lo.size() == needed && hi.size() == needed) return;
    raise(errc::shape_mismatch, "lo and hi have not one entry per unit", "range",
          text_of(lo.size()) + " and " + text_of(hi.size()), text_of(units()));
  }
  // A batch with these units, `nonfinite` of its elements NaN or infinite.
  void count(const block_grid& units, std::int64_t nonfinite) noexcept {
    seen_.learn(units);
    samples_ += units.extents().size();
    nonfinite_ += nonfinite;
  }
  // Before merging or appending: raises incompatible if the two do not describe the same units.
  void check_same(const range_input& other, std::string_view where) const {
    if (granularity_ != other.granularity_ || pinned_ != other.pinned_ ||
        short_groups_ != other.short_groups_ || !seen_.agrees_with(other.seen_, granularity_)) {
      raise(errc::incompatible, "observers describe different units", std::string(where),
            text_of(other.granularity_) + ", " + other.seen_.description(),
            text_of(granularity_) + ", " + seen_.description() + ", equal float_range");
    }
  }
  void add(const range_input& other) noexcept {
    seen_.add(other.seen_);
    samples_ = std::min(samples_ + other.samples_, largest_count);
    nonfinite_ = std::min(nonfinite_ + other.nonfinite_, largest_count);
  }
  void reset() noexcept {
    seen_ = {};
    samples_ = nonfinite_ = 0;
  }

  void save(state_writer& w) const {
    w.i64(-record_version);
    w.i64(units());
    w.i64(samples_);
    w.i64(nonfinite_);
    seen_.save_grid(w);
  }
  void load(state_reader& r) {
    const std::int64_t first = r.i64();
    const std::int64_t units = first == -record_version ? r.i64() : first;
    const std::int64_t samples = r.i64();
    const std::int64_t nonfinite = r.i64();
    if (units < 0 || samples < units || nonfinite < 0 || nonfinite > samples ||
        samples > largest_count) {
      r.corrupt("counts of an observer contradict each other",
                text_of(units) + " units, " + text_of(samples) + " samples, " + text_of(nonfinite) +
                    " non-finite",
                "0 <= units <= samples < 2^62, non-finite <= samples");
    }
    seen_ = first == -record_version ? seen_units::load_grid(r, units)
                                     : seen_units::without_grid(units);
    samples_ = samples;
    nonfinite_ = nonfinite;
  }

 private:
  // Of the saved record, which begins with it, negative. The first one began with the number of units and had no grid.
  static constexpr std::int64_t record_version = 2;

  lutra::granularity granularity_;
  float_range_t pinned_;
  lutra::short_groups short_groups_;
  seen_units seen_;
  std::int64_t samples_ = 0;
  std::int64_t nonfinite_ = 0;
};

// Reads lo and hi of `units` units. Raises corrupt_data unless lo <= 0 <= hi, both finite.
inline unit_ranges load_ranges(state_reader& r, index_t units) {
  unit_ranges ranges{r.f32s(), r.f32s(), 0};
  if (static_cast<index_t>(ranges.lo.size()) != units || ranges.hi.size() != ranges.lo.size()) {
    r.corrupt("number of ranges differs from the number of units",
              text_of(ranges.lo.size()) + " and " + text_of(ranges.hi.size()), text_of(units));
  }
  for (std::size_t u = 0; u < ranges.lo.size(); ++u) {
    const float lo = ranges.lo[u];
    const float hi = ranges.hi[u];
    if (!(lo <= 0.0F && hi >= 0.0F && is_finite(lo) && is_finite(hi))) {
      r.corrupt("range of a unit", range_text(lo, hi), "finite, lo <= 0 <= hi");
    }
  }
  return ranges;
}

}  // namespace lutra::inline LUTRA_ABI
