// lutra: histogram_observer.hpp - observers "histogram_percentile", "histogram_mse", "histogram_entropy".
// SPDX-License-Identifier: Apache-2.0
//
// One histogram per unit (histogram.hpp), and a selection that picks the range from it (range/).
// Statistics and selection stay apart: merging is exact, associative and commutative, the selection runs
// only when the range is asked for. An end pinned by float_range stays as it is.
// Memory: 16 KiB per unit with the default 2048 bins, whatever is observed.
// One thread at a time (one object per thread, then merge); const members may be shared.
#pragma once

#include <lutra/observe/range/entropy.hpp>
#include <lutra/observe/range/mse.hpp>
#include <lutra/observe/range/percentile.hpp>
#include <lutra/observe/range_input.hpp>
#include <lutra/observe/unit_pieces.hpp>

namespace lutra::inline LUTRA_ABI {

template <range_selection Selection> class histogram_observer {
 public:
  // Raises what check(spec) raises, invalid_argument for options of the selection or a number of bins out of range.
  explicit histogram_observer(const quantization_spec& spec, const Selection& selection = {},
                              index_t bins = histogram::default_bins)
      : spec_(spec), selection_(selection), input_(spec), empty_(bins) {
    selection_(empty_, spec_);  // so that range() need not raise, with elements observed
  }

  void observe(tensor_view<const float> x) { observe_at<simd::native>(x); }
  template <class Level> void observe_at(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    unit_.resize(to_size(units.count()), empty_);
    const std::int64_t before = count_nonfinite();
    for_each_unit_piece(x, units, [&](const float* piece, index_t n, index_t u) {
      unit_[to_size(u)].template add<Level>(piece, n);
    });
    input_.count(units, count_nonfinite() - before);
  }
  // Raises incompatible for other units, bins or selection.
  void merge(const histogram_observer& other) {
    const char* where = "histogram_observer::merge";
    input_.check_same(other.input_, where);
    if (!(selection_ == other.selection_)) {
      raise(errc::incompatible, "observers select their ranges differently", where,
            "another selection, or options of it", "equal options");
    }
    if (empty_.bins() != other.empty_.bins()) {
      raise(errc::incompatible, "histograms have different numbers of bins", where,
            text_of(other.empty_.bins()), text_of(empty_.bins()));
    }
    input_.add(other.input_);
    if (unit_.size() < other.unit_.size()) unit_.resize(other.unit_.size(), empty_);
    for (std::size_t u = 0; u < other.unit_.size(); ++u) unit_[u].merge(other.unit_[u]);
  }
  void reset() {
    input_.reset();
    unit_.clear();
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  // u is in [0, units()).
  const histogram& unit(index_t u) const noexcept { return unit_[to_size(u)]; }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    for (std::size_t u = 0; u < unit_.size(); ++u) {
      const value_range r = selection_(unit_[u], spec_);
      lo[u] = input_.low_end(r.lo);
      hi[u] = input_.high_end(r.hi);
    }
  }
  index_t state_bytes() const noexcept {
    return static_cast<index_t>(unit_.size() + 1) * empty_.count_bytes();
  }
  // O(units).
  bool within(float bound) const noexcept {
    return std::ranges::all_of(
        unit_, [&](const histogram& h) { return h.min() >= -bound && h.max() <= bound; });
  }
  void save(state_writer& w) const {
    input_.save(w);
    for (const histogram& h : unit_) h.save(w);
  }
  void load(state_reader& r) {
    range_input input = input_;
    input.load(r);
    const std::size_t unit_bytes = 8 * to_size(empty_.bins());
    if (to_size(input.units()) > r.left() / unit_bytes) {
      r.corrupt("more units than bytes", text_of(input.units()), text_of(r.left() / unit_bytes));
    }
    std::vector<histogram> units(to_size(input.units()), empty_);
    std::int64_t samples = 0;
    std::int64_t nonfinite = 0;
    for (histogram& h : units) {
      h.load(r);
      const std::int64_t n = h.finite() + h.nan() + h.infinite();
      if (n > input.samples() - samples) {
        r.corrupt("counts of the units do not add up", text_of(n), text_of(input.samples()));
      }
      samples += n;
      nonfinite += h.nan() + h.infinite();
    }
    if (!input.counted(samples, nonfinite)) {
      r.corrupt("counts of the units do not add up", text_of(samples), text_of(input.samples()));
    }
    unit_ = std::move(units);
    input_ = input;
  }

 private:
  std::int64_t count_nonfinite() const noexcept {
    std::int64_t n = 0;
    for (const histogram& h : unit_) n += h.nan() + h.infinite();
    return n;
  }
  quantization_spec spec_;
  Selection selection_;
  range_input input_;
  histogram empty_;
  std::vector<histogram> unit_;
};
using histogram_percentile = histogram_observer<percentile_range>;
using histogram_mse = histogram_observer<mse_range>;
using histogram_entropy = histogram_observer<entropy_range>;
static_assert(mergeable_observer<histogram_percentile> && mergeable_observer<histogram_mse> &&
              mergeable_observer<histogram_entropy> && bounded_observer<histogram_mse>);

}  // namespace lutra::inline LUTRA_ABI
