// lutra: entropy.hpp - selection "entropy": the range that keeps most information (least KL divergence).
// SPDX-License-Identifier: Apache-2.0
//
// P is the observed distribution over the bins. Quantizing to L levels over a range [a, b] of whole bins
// gives Q: a level's mass, spread evenly over the bins it takes; the outermost levels take all observed
// bins beyond the range too. Then Q > 0 wherever P > 0, both have mass 1, no smoothing is needed and
//   KL(P || Q) = const - sum over levels of M log(M / n),  M mass, n bins of a level
// Clipping costs what it blurs: the tail shares one level. Zero is always represented exactly, so a peak of
// zeros (relu) must not count as blurred: the bin of zero counts at most what its fuller neighbour does.
// Chance makes even equal bins differ: a level of k bins with elements diverges by (k - 1) / (2 ln 2 n) bits in
// the mean, which is taken off, and in B bins the sum varies by about sqrt(B) bits / n. Within twice that the
// largest range is taken (of evenly spread values any part, with the rest in one level, looks as good as all).
// O(levels) per range from prefix sums; levels are evenly spaced (a float dtype counts as 2^bits of them).
// Deterministic (number/log2.hpp). It wants many more elements than bins.
// TensorRT's and ONNX Runtime's method differs (ort_entropy.hpp): it compares with the clipped P.
#pragma once

#include <cmath>
#include <lutra/number/log2.hpp>
#include <lutra/observe/range/value_range.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// KL divergences of one histogram, up to a constant.
class level_entropy {
 public:
  explicit level_entropy(const histogram& h) : first_(h.lattice().first), end_(first_) {
    std::vector<std::uint64_t> counts(h.counts().begin(), h.counts().end());
    while (!counts.empty() && counts.back() == 0) counts.pop_back();
    end_ += static_cast<std::int64_t>(counts.size());
    const auto at = [&](std::int64_t bin) {
      return bin < first_ || bin >= end_ ? 0 : counts[to_size(bin - first_)];
    };
    if (const std::uint64_t most = std::max(at(-1), at(1)); at(0) > most && most != 0) {
      counts[to_size(-first_)] = most;
    }
    mass_.push_back(0);
    used_.push_back(0);
    log_.push_back(0);
    for (const std::uint64_t c : counts) {
      mass_.push_back(mass_.back() + c);
      used_.push_back(used_.back() + (c != 0 ? 1 : 0));
      log_.push_back(log2_of(static_cast<double>(log_.size())));
    }
  }
  // Differences of divergences that say nothing.
  double chance() const noexcept { return 2.0 * std::sqrt(static_cast<double>(end_ - first_)); }
  std::int64_t first() const noexcept { return first_; }  // of the bins in use, on the lattice
  std::int64_t end() const noexcept { return end_; }

  // For levels over bins [a, b); b - a >= levels. Smaller is better.
  double operator()(std::int64_t a, std::int64_t b, std::int64_t levels) const noexcept {
    return -sums(a, b, levels).kept;
  }
  // The same less what chance alone would give.
  double beyond_chance(std::int64_t a, std::int64_t b, std::int64_t levels) const noexcept {
    const level_sums s = sums(a, b, levels);
    return -s.kept - 0.72134752044448170368 * static_cast<double>(s.joined);  // 1 / (2 ln 2)
  }

 private:
  struct level_sums {
    double kept = 0;
    std::int64_t joined = 0;  // bins with elements, less one per level that has any
  };
  level_sums sums(std::int64_t a, std::int64_t b, std::int64_t levels) const noexcept {
    level_sums s;
    std::size_t from = 0;
    const std::int64_t whole = (b - a) / levels;  // bins per level: whole + part / levels
    const std::int64_t part = (b - a) % levels;
    std::int64_t edge = a;
    std::int64_t carried = levels / 2;  // edges are rounded to the nearest bin
    for (std::int64_t j = 1; j <= levels; ++j) {
      edge += whole;
      carried += part;
      if (carried >= levels) {
        carried -= levels;
        ++edge;
      }
      const std::size_t to = j == levels ? mass_.size() - 1 : clamped(edge);
      if (to > from && mass_[to] != mass_[from]) {
        const auto m = static_cast<double>(mass_[to] - mass_[from]);
        s.kept += m * (log2_of(m) - log_[to - from]);
        s.joined += used_[to] - used_[from] - 1;
      }
      from = std::max(from, to);
    }
    return s;
  }
  std::size_t clamped(std::int64_t edge) const noexcept {
    const auto n = static_cast<std::int64_t>(mass_.size()) - 1;
    return to_size(std::clamp<std::int64_t>(edge - first_, 0, n));
  }
  std::int64_t first_;
  std::int64_t end_;
  std::vector<std::uint64_t> mass_;  // below each bin in use
  std::vector<std::int64_t> used_;   // of these, bins with elements
  std::vector<double> log_;          // of small integers
};

// Value type.
struct entropy_range {
  int levels = 0;  // 0: as many as the dtype has; else in [2, 256]

  value_range operator()(const histogram& h, const quantization_spec& spec) const {
    if (levels != 0 && (levels < 2 || levels > 256)) {
      raise(errc::invalid_argument, "number of levels out of range", "entropy_range",
            text_of(levels), "0, 2..256");
    }
    const value_range full = full_range(h, spec);
    if (h.finite() == 0) return full;
    const quant_bounds q = bounds_of(spec);
    std::int64_t count = levels != 0 ? levels : std::int64_t{1} << bits_of(spec.dtype);
    if (levels == 0 && is_integer(spec.dtype)) count = static_cast<std::int64_t>(q.max - q.min) + 1;
    const level_entropy divergence(h);
    const std::int64_t lowest = std::min<std::int64_t>(divergence.first(), 0);
    const std::int64_t highest = std::max<std::int64_t>(divergence.end(), 0);
    // Ranges that end before the first element are alike: all of it is clipped. Far from zero they are millions.
    const std::int64_t first_above = std::max<std::int64_t>(divergence.first(), 0);
    const std::int64_t first_below = std::max<std::int64_t>(-divergence.end(), 0);
    if (is_symmetric(spec)) {
      const std::int64_t most = std::max(-lowest, highest);
      const std::int64_t k = least(
          std::max({(count + 1) / 2, first_above, first_below}), most, most, divergence.chance(),
          [&](std::int64_t m) { return divergence.beyond_chance(-m, m, count); });
      return within(full, edge(k, most, h));
    }
    std::int64_t a = lowest;
    std::int64_t b = highest;
    for (int round = 0; round < 3; ++round) {
      const std::int64_t old_a = a;
      const std::int64_t old_b = b;
      b = least(std::max(a + count, first_above), highest, b, divergence.chance(),
                [&](std::int64_t m) { return divergence.beyond_chance(a, m, count); });
      a = -least(std::max(count - b, first_below), -lowest, -a, divergence.chance(),
                 [&](std::int64_t m) { return divergence.beyond_chance(-m, b, count); });
      if ((a == old_a && b == old_b) || lowest == 0 || highest == 0) break;
    }
    return {a == lowest ? full.lo : std::max(full.lo, -edge(-a, -lowest, h)),
            b == highest ? full.hi : std::min(full.hi, edge(b, highest, h))};
  }
  friend bool operator==(const entropy_range&, const entropy_range&) = default;

 private:
  // The largest m in [from, to] whose cost(m) exceeds the least one by no more than `chance`; `otherwise` if
  // there is none. Scans every 16th of many, then the neighbourhoods of the two best and of the largest.
  template <class Cost>
  static std::int64_t least(std::int64_t from, std::int64_t to, std::int64_t otherwise,
                            double chance, Cost&& cost) {
    struct candidate {
      std::int64_t m;
      double cost;
    };
    const auto cheaper = [](const candidate& a, const candidate& b) { return a.cost < b.cost; };
    const std::int64_t stride = to - from >= 64 ? 16 : 1;
    std::vector<candidate> tried;
    const auto scan = [&](std::int64_t low, std::int64_t high, std::int64_t step) {
      for (std::int64_t m = high; m >= low; m -= step) tried.push_back({m, cost(m)});
    };
    const auto around = [&](std::int64_t m) {
      scan(std::max(from, m - stride + 1), std::min(to, m + stride - 1), 1);
    };
    const auto largest = [&] {
      const double limit = std::ranges::min_element(tried, cheaper)->cost + chance;
      std::int64_t m = from;
      for (const candidate& c : tried) {
        if (c.cost <= limit) m = std::max(m, c.m);
      }
      return m;
    };
    scan(from, to, stride);
    if (tried.empty()) return otherwise;
    if (stride == 1) return largest();
    std::ranges::partial_sort(tried, tried.begin() + 2, cheaper);
    const candidate best[2] = {tried[0], tried[1]};
    for (const candidate& c : best) around(c.m);
    around(largest());
    return largest();
  }
  // The value m bins from zero; the whole range for the last bin.
  static float edge(std::int64_t m, std::int64_t most, const histogram& h) noexcept {
    const double value = static_cast<double>(m) * h.width();
    return m >= most || value > 0x1.fffffep127 ? std::numeric_limits<float>::max()
                                               : static_cast<float>(value);
  }
};
static_assert(range_selection<entropy_range>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
