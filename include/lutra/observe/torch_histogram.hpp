// lutra: torch_histogram.hpp - compatibility observer "torch_histogram": torch.ao's HistogramObserver.
// SPDX-License-Identifier: Apache-2.0
//
// Follows torch 1.13.1 (release v1_13) or 2.1 and later (v2), defects included: float32 counts over
// [min, max], bins resampled when the range grows (so the order of batches matters and nothing merges),
// 256 destination bins whatever the width of the dtype, a greedy search that moves one end by 1e-5 of
// the mass at a time and stops at the first step that does not pay. v1_13 truncates the ends of the histogram
// to integers and drops what lies beyond. Results agree with torch's up to the order in which it adds
// float32 norms (it depends on the instruction set); v2 also up to torch.linspace's rounding.
// NaN and infinities are left out and counted (torch fails or warns). A histogram wider than float32, or with bins too
// narrow for it, raises non_finite (torch goes on with NaN). Per tensor only.
// Prefer "histogram_mse"; this is for comparisons like for like. One thread at a time.
#pragma once

#include <cmath>
#include <lutra/number/finite.hpp>
#include <lutra/observe/range_input.hpp>
#include <numeric>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

enum class torch_release : unsigned char { v1_13, v2 };

// The histogram over [min, max] and its growth.
class torch_bins {
 public:
  torch_bins(index_t bins, torch_release release)
      : counts_(static_cast<std::size_t>(bins)), release_(release) {}

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
      moved[static_cast<std::size_t>(at)] += counts_[i / upsample] / static_cast<float>(upsample);
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

// torch's _non_linear_param_search: the ends it settles on, before zero is included.
class torch_search {
 public:
  explicit torch_search(const torch_bins& bins) : bins_(bins) {
    double sum = 0;
    for (const float c : bins.counts()) {
      sum += static_cast<double>(c);
      cumulative_.push_back(static_cast<float>(sum));
    }
  }
  // Raises non_finite if the width of the histogram overflows float32 or that of its bins underflows.
  std::pair<float, float> ends() const {
    torch_bins::check_width(bins_.min(), bins_.max());
    const float width = (bins_.max() - bins_.min()) / static_cast<float>(cumulative_.size());
    if (width == 0.0F && bins_.min() != bins_.max()) {
      raise(errc::non_finite, "bins of a histogram are too narrow for float32", "torch_histogram",
            range_text(bins_.min(), bins_.max()), "a width of a bin above 0");
    }
    const auto count = static_cast<index_t>(cumulative_.size());
    const auto total = static_cast<double>(cumulative_.back());
    const auto mass = [&](index_t i) { return cumulative_[static_cast<std::size_t>(i)]; };
    constexpr double step = 1e-5;
    double alpha = 0;
    double beta = 1;
    index_t start = 0;
    index_t end = count - 1;
    float least = std::numeric_limits<float>::infinity();
    while (alpha < beta) {
      const double next_alpha = alpha + step;
      const double next_beta = beta - step;
      index_t l = start;
      index_t r = end;
      while (l < end && mass(l) < static_cast<float>(next_alpha * total)) ++l;
      while (r > start && mass(r) > static_cast<float>(next_beta * total)) --r;
      index_t next_start = start;
      index_t next_end = end;
      if (l - start > end - r) {
        next_start = l;
        alpha = next_alpha;
      } else {
        next_end = r;
        beta = next_beta;
      }
      if (next_start == start && next_end == end) continue;
      const float error = quantization_error(next_start, next_end);
      if (error > least) break;
      least = error;
      start = next_start;
      end = next_end;
    }
    constexpr float most = std::numeric_limits<float>::max();  // the product may be rounded beyond
    return {bins_.min() + width * static_cast<float>(start),
            bins_.min() + std::min(width * static_cast<float>(end + 1), most)};
  }

 private:
  static float cubic(float begin, float end, float density) noexcept {
    return density * ((end * end * end - begin * begin * begin) / 3.0F);
  }
  float quantization_error(index_t start, index_t end) const {
    constexpr double destinations = 256;
    const auto count = static_cast<index_t>(cumulative_.size());
    const double width = (static_cast<double>(bins_.max()) - static_cast<double>(bins_.min())) /
                         static_cast<double>(count);
    const double step_exact = width * static_cast<double>(end - start + 1) / destinations;
    if (step_exact == 0.0) return 0.0F;
    const auto step = static_cast<float>(step_exact);
    const auto half = static_cast<float>(step_exact / 2.0);
    const auto bin_width = static_cast<float>(width);
    const float whole = cubic(-half, half, 1.0F);
    const auto destination = [&](float x) {
      return std::clamp(std::floor(x / step), 0.0F, static_cast<float>(destinations - 1));
    };
    double sum = 0;
    for (index_t i = 0; i < count; ++i) {
      const float density = bins_.counts()[static_cast<std::size_t>(i)] / bin_width;
      const float from = static_cast<float>(i - start) * bin_width;
      const float to = from + bin_width;
      const float first = destination(from);
      const float last = destination(to);
      float norm = cubic(from - (first + 0.5F) * step, half, density);
      norm += (last - first - 1.0F) * (density * whole);
      norm += cubic(-half, to - (last * step + half), density);
      sum += static_cast<double>(norm);
    }
    return static_cast<float>(sum);
  }

  const torch_bins& bins_;
  std::vector<float> cumulative_;
};

class torch_histogram {
 public:
  explicit torch_histogram(const quantization_spec& spec, torch_release release = torch_release::v2,
                           index_t bins = 2048)
      : input_(spec), bins_(bins, release), release_(release) {
    if (spec.granularity.kind() != granularity_kind::per_tensor) {
      raise(errc::unsupported, "torch's histogram observer is per tensor only", "torch_histogram",
            text_of(spec.granularity), "per_tensor");
    }
    if (bins < 2 || bins > 1 << 20) {
      raise(errc::invalid_argument, "number of bins out of range", "torch_histogram", text_of(bins),
            range_text(2, 1 << 20));
    }
  }
  void observe(tensor_view<const float> x) {
    const block_grid units = input_.units_of(x.extents());
    if (x.empty()) return;
    std::vector<float> values = to_vector<float>(x);
    std::erase_if(values, [](float v) { return !is_finite(v); });
    if (!values.empty()) bins_.add(values);
    input_.count(units, x.size() - static_cast<index_t>(values.size()));
  }
  void reset() {
    input_.reset();
    bins_ = torch_bins(static_cast<index_t>(bins_.counts().size()), release_);
  }
  index_t units() const noexcept { return input_.units(); }
  const seen_units& seen() const noexcept { return input_.seen(); }
  void learn(const seen_units& units) noexcept { input_.learn(units); }
  std::int64_t samples() const noexcept { return input_.samples(); }
  std::int64_t nonfinite() const noexcept { return input_.nonfinite(); }
  const torch_bins& bins() const noexcept { return bins_; }
  void range(std::span<float> lo, std::span<float> hi) const {
    input_.check_room(lo, hi);
    if (units() == 0) return;
    const auto [least, most] = bins_.empty() ? std::pair(0.0F, 0.0F) : torch_search(bins_).ends();
    lo[0] = input_.low_end(least);
    hi[0] = input_.high_end(most);
  }
  void save(state_writer& w) const {
    w.u32(state_version);
    w.u8(static_cast<std::uint8_t>(release_));
    input_.save(w);
    bins_.save(w);
  }
  void load(state_reader& r) {
    r.version(state_version);
    if (const int release = r.u8(); release != static_cast<int>(release_)) {
      r.corrupt("release", text_of(release), text_of(static_cast<int>(release_)));
    }
    range_input input = input_;
    input.load(r);
    if (input.units() > 1) r.corrupt("number of units", text_of(input.units()), "0, 1");
    bins_.load(r);
    input_ = input;
  }

 private:
  static constexpr std::uint32_t state_version = 1;
  range_input input_;
  torch_bins bins_;
  torch_release release_;
};
static_assert(observer<torch_histogram> && !mergeable_observer<torch_histogram> &&
              !appendable_observer<torch_histogram>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
