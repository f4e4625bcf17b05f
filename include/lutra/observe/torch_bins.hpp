// lutra: torch_bins.hpp - the histogram of torch.ao's HistogramObserver, defects included.
// SPDX-License-Identifier: Apache-2.0
//
// float32 counts over [min, max]. Where the range grows, v1_13 interpolates the integral of the old counts and
// truncates the ends to integers, dropping what lies beyond; v2 counts 16 points of every old bin anew. Equal to torch
// 1.13.1, and up to torch.linspace's rounding to 2.1 and later. Compatibility only: nothing merges
// (observe/histogram.hpp does). Adding is linear in elements and bins. Value type.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/core/error.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/observe/state.hpp>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

enum class torch_release : unsigned char { v1_13, v2 };

// The histogram over [min, max] and its growth.
class torch_bins {
 public:
  torch_bins(index_t bins, torch_release release) : counts_(to_size(bins)), release_(release) {}

  // x is finite and not empty. Raises non_finite, and counts nothing, if the width of the histogram would overflow
  // float32 or that of its bins underflows.
  void add(std::span<const float> x) {
    const auto [lo, hi] = std::ranges::minmax(x);
    const bool fresh = empty_ || (release_ == torch_release::v1_13 && min_ == max_);
    check_width(fresh ? lo : std::min(lo, min_), fresh ? hi : std::max(hi, max_));
    if (fresh) {
      counts_ = histc(x, end_of(lo), end_of(hi));
      min_ = lo;
      max_ = hi;
      empty_ = false;
    } else if (release_ == torch_release::v1_13) {
      grow_by_interpolation(x, std::min(lo, min_), std::max(hi, max_));
    } else {
      grow_by_resampling(x, std::min(lo, min_), std::max(hi, max_));
    }
  }
  bool empty() const noexcept { return empty_; }
  // Raises non_finite if the width of [lo, hi] overflows.
  static void check_width(float lo, float hi) {
    if (hi - lo <= std::numeric_limits<float>::max()) return;
    raise(errc::non_finite, "range of a histogram is too wide for float32", "torch_histogram",
          range_text(lo, hi), "max - min below 2^128");
  }
  float min() const noexcept { return min_; }
  float max() const noexcept { return max_; }
  const std::vector<float>& counts() const noexcept { return counts_; }

  void save(state_writer& w) const {
    w.u8(empty_ ? 1 : 0);
    w.f32(min_);
    w.f32(max_);
    w.f32s(counts_);
  }
  void load(state_reader& r) {
    torch_bins b = *this;
    b.empty_ = r.flag();
    b.min_ = r.f32();
    b.max_ = r.f32();
    b.counts_ = r.f32s();
    if (b.counts_.size() != counts_.size()) {
      r.corrupt("number of bins", text_of(b.counts_.size()), text_of(counts_.size()));
    }
    if (!(is_finite(b.min_) && is_finite(b.max_) && b.min_ <= b.max_)) {
      r.corrupt("range of a histogram", range_text(b.min_, b.max_), "finite, min <= max");
    }
    for (const float c : b.counts_) {
      if (!(c >= 0.0F && is_finite(c))) r.corrupt("count of a bin", text_of(c), "finite, >= 0");
    }
    *this = std::move(b);
  }

 private:
  float end_of(float x) const noexcept {
    return release_ == torch_release::v1_13 ? std::trunc(x) : x;
  }
  float real_bins() const noexcept { return static_cast<float>(counts_.size()); }

  // torch.histc: values beyond the ends are dropped; equal ends mean the data's.
  std::vector<float> histc(std::span<const float> x, float lo, float hi) const {
    if (lo == hi) {
      const auto [least, most] = std::ranges::minmax(x);
      lo = least;
      hi = most;
    }
    if (lo == hi) {
      lo -= 1.0F;
      hi += 1.0F;
    }
    std::vector<std::uint64_t> exact(counts_.size());
    for (const float v : x) {
      if (v < lo || v > hi) continue;
      const float at = (v - lo) * real_bins() / (hi - lo);  // infinite where the product overflows
      const bool inside = at > 0.0F && at < real_bins();
      ++exact[inside ? static_cast<std::size_t>(at) : at > 0.0F ? exact.size() - 1 : 0];
    }
    std::vector<float> counts;
    for (const std::uint64_t c : exact)
      counts.push_back(static_cast<float>(std::min(c, most_counted)));
    return counts;
  }
  static constexpr std::uint64_t most_counted = std::uint64_t{1} << 24;  // where float32 stops

  void grow_by_interpolation(std::span<const float> x, float lo, float hi) {
    constexpr float upsample = 128;
    const float fine = (max_ - min_) / (real_bins() * upsample);
    const float downsample = std::ceil((hi - lo) / (real_bins() * fine));
    const float begin = (min_ - lo) / fine;  // larger than the line above where bins are few
    if (!(downsample <= std::numeric_limits<float>::max() &&
          begin <= std::numeric_limits<float>::max())) {
      raise(errc::non_finite, "bins of a histogram are too narrow for its new range",
            "torch_histogram", range_text(lo, hi),
            "below 2^128 times " + text_of(real_bins() * fine));
    }
    hi = hi + (downsample * (real_bins() * fine) - (hi - lo));
    check_width(lo, hi);
    const double start = std::nearbyint(static_cast<double>(begin));
    std::vector<float> counts = histc(x, end_of(lo), end_of(hi));
    const bool same = lo == min_ && hi == max_;
    // Mass of the old histogram below fine position t, every bin spread over `upsample` positions.
    std::vector<double> below(counts_.size() + 1);
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      below[i + 1] = below[i] + static_cast<double>(counts_[i]) * static_cast<double>(upsample);
    }
    const auto integral = [&](double t) {
      const double at = t / static_cast<double>(upsample);
      if (!(at > 0.0)) return 0.0;
      if (at >= static_cast<double>(counts_.size())) return below.back();
      const auto bin = static_cast<std::size_t>(at);
      const double inside = t - static_cast<double>(bin) * static_cast<double>(upsample);
      return below[bin] + static_cast<double>(counts_[bin]) * inside;
    };
    double previous = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (same) {
        counts[i] += counts_[i];
        continue;
      }
      const double upto =
          integral(static_cast<double>(i + 1) * static_cast<double>(downsample) - start);
      // torch keeps the shifted integral in float32.
      counts[i] += static_cast<float>((upto - static_cast<double>(static_cast<float>(previous))) /
                                      static_cast<double>(upsample));
      previous = upto;
    }
    counts_ = std::move(counts);
    min_ = lo;
    max_ = hi;
  }

  void grow_by_resampling(std::span<const float> x, float lo, float hi) {
    std::vector<float> counts = histc(x, lo, hi);
    if (lo == min_ && hi == max_) {
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += counts_[i];
    } else if (min_ == max_) {
      const float mass = std::accumulate(counts_.begin(), counts_.end(), 0.0F);
      const std::vector<float> one = histc({&min_, 1}, lo, hi);
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += one[i] * mass;
    } else {
      const std::vector<float> moved = resampled(lo, hi);
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += moved[i];
    }
    counts_ = std::move(counts);
    min_ = lo;
    max_ = hi;
  }
  // Every bin as 16 points at the middles of its sixteenths, counted in the bins of [lo, hi].
  std::vector<float> resampled(float lo, float hi) const {
    constexpr std::size_t upsample = 16;
    const std::size_t bins = counts_.size();
    std::vector<float> edges;
    for (std::size_t i = 0; i <= bins; ++i) edges.push_back(linspace(lo, hi, bins, i));
    const float half = 0.5F * ((max_ - min_) / static_cast<float>(bins * upsample));
    std::vector<float> moved(bins);
    for (std::size_t i = 0; i < bins * upsample; ++i) {
      const float point = linspace(min_, max_, bins * upsample, i) + half;
      const auto above = std::ranges::upper_bound(edges, point) - edges.begin();
      const auto at = std::clamp<index_t>(above - 1, 0, static_cast<index_t>(bins) - 1);
      moved[to_size(at)] += counts_[i / upsample] / static_cast<float>(upsample);
    }
    return moved;
  }
  static float linspace(float lo, float hi, std::size_t steps, std::size_t i) noexcept {
    const float step = (hi - lo) / static_cast<float>(steps);
    return i < (steps + 1) / 2 ? lo + step * static_cast<float>(i)
                               : hi - step * static_cast<float>(steps - i);
  }

  std::vector<float> counts_;
  torch_release release_;
  bool empty_ = true;
  float min_ = 0;
  float max_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
