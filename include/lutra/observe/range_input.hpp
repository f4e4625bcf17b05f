// lutra: range_input.hpp - the part every range observer shares: one batch's range per unit.
// SPDX-License-Identifier: Apache-2.0
//
// An end pinned by float_range replaces what is observed (where both are, elements are not looked at, and none is
// counted as NaN or infinite); a free end is clamped to include zero. Also keeps the number of units and the counts.
#pragma once

#include <algorithm>
#include <lutra/affine/spec.hpp>
#include <lutra/observe/observer.hpp>
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

  index_t units() const noexcept { return units_; }
  std::int64_t samples() const noexcept { return samples_; }
  // 0 where both ends are pinned, also of observers that read elements for more than the range.
  std::int64_t nonfinite() const noexcept { return pinned_.lo && pinned_.hi ? 0 : nonfinite_; }
  // Whether counts kept per unit add up to those kept here.
  bool counted(std::int64_t samples, std::int64_t nonfinite) const noexcept {
    return samples == samples_ && nonfinite == nonfinite_;
  }

  // The units of a tensor. Raises shape_mismatch if there are not as many as before.
  block_grid units_of(const shape& extents) const {
    block_grid units = grid_of(granularity_, extents, "observe", short_groups_);
    if (extents.size() != 0 && units_ != 0 && units.count() != units_) {
      raise(errc::shape_mismatch, "number of units differs from earlier tensors", "observe",
            text_of(units.count()) + " for shape " + text_of(extents), text_of(units_));
    }
    return units;
  }
  // Ranges of one batch, not yet counted. Empty for an empty tensor. A unit without a finite element
  // keeps lo > hi unless both ends are pinned.
  unit_ranges read(const tensor_view<const float>& x) const {
    const block_grid units = units_of(x.extents());
    if (x.empty()) return {};
    const auto count = static_cast<std::size_t>(units.count());
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
    const auto needed = static_cast<std::size_t>(units_);
    if (lo.size() == needed && hi.size() == needed) return;
    raise(errc::shape_mismatch, "lo and hi have not one entry per unit", "range",
          text_of(lo.size()) + " and " + text_of(hi.size()), text_of(units_));
  }
  void count(index_t units, index_t samples, std::int64_t nonfinite) noexcept {
    units_ = units;
    samples_ += samples;
    nonfinite_ += nonfinite;
  }
  void count(const unit_ranges& r, index_t samples) noexcept {
    count(static_cast<index_t>(r.lo.size()), samples, r.nonfinite);
  }
  // Before merging or appending: raises incompatible if the two do not describe the same units.
  void check_same(const range_input& other, std::string_view where) const {
    if (granularity_ != other.granularity_ || pinned_ != other.pinned_ ||
        short_groups_ != other.short_groups_ ||
        (units_ != 0 && other.units_ != 0 && units_ != other.units_)) {
      raise(errc::incompatible, "observers describe different units", std::string(where),
            text_of(other.granularity_) + ", " + text_of(other.units_) + " units",
            text_of(granularity_) + ", " + text_of(units_) + " units, equal float_range");
    }
  }
  void add(const range_input& other) noexcept {
    if (units_ == 0) units_ = other.units_;
    samples_ = std::min(samples_ + other.samples_, largest_count);
    nonfinite_ = std::min(nonfinite_ + other.nonfinite_, largest_count);
  }
  void reset() noexcept { units_ = samples_ = nonfinite_ = 0; }

  void save(state_writer& w) const {
    w.i64(units_);
    w.i64(samples_);
    w.i64(nonfinite_);
  }
  void load(state_reader& r) {
    const std::int64_t units = r.i64();
    const std::int64_t samples = r.i64();
    const std::int64_t nonfinite = r.i64();
    if (units < 0 || samples < units || nonfinite < 0 || nonfinite > samples ||
        samples > largest_count) {
      r.corrupt("counts of an observer contradict each other",
                text_of(units) + " units, " + text_of(samples) + " samples, " + text_of(nonfinite) +
                    " non-finite",
                "0 <= units <= samples < 2^62, non-finite <= samples");
    }
    units_ = units;
    samples_ = samples;
    nonfinite_ = nonfinite;
  }

 private:
  lutra::granularity granularity_;
  float_range_t pinned_;
  lutra::short_groups short_groups_;
  index_t units_ = 0;
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
    if (!(lo <= 0.0F && hi >= 0.0F && lo - lo == 0.0F && hi - hi == 0.0F)) {
      r.corrupt("range of a unit", range_text(lo, hi), "finite, lo <= 0 <= hi");
    }
  }
  return ranges;
}

}  // namespace lutra::inline LUTRA_ABI
