// lutra: ort_entropy.hpp - compatibility: the entropy threshold of ONNX Runtime's calibrator.
// SPDX-License-Identifier: Apache-2.0
//
// Follows onnxruntime 1.32 (quantization/calibrate.py), including what is questionable in it: only ranges
// symmetric about the middle bin, of 2 i + 1 bins where there are as many; the clipped mass counts in P but not
// in Q; masses of Q are truncated to integers; zeros become 1e-4 and the rest pays for them in float32.
// Everything is float32, added in numpy's order; the logarithms are correctly rounded, where numpy's may be
// one or two units off: thresholds agree unless two divergences are that close.
// Prefer entropy.hpp; this is for comparisons like for like. A first round estimates every divergence from
// prefix sums in O(levels); only ranges that could be the best are then evaluated bin by bin.
#pragma once

#include <array>
#include <lutra/number/log2.hpp>
#include <lutra/observe/range/value_range.hpp>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// numpy's pairwise summation of float32.
inline float pairwise_sum(const float* x, std::size_t n) noexcept {
  if (n < 8) {
    float sum = -0.0F;
    for (std::size_t i = 0; i < n; ++i) sum += x[i];
    return sum;
  }
  if (n > 128) {
    std::size_t half = n / 2;
    half -= half % 8;
    return pairwise_sum(x, half) + pairwise_sum(x + half, n - half);
  }
  float lane[8];
  std::copy_n(x, 8, lane);
  std::size_t i = 8;
  for (; i + 8 <= n; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) lane[k] += x[i + k];
  }
  float sum =
      ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
  for (; i < n; ++i) sum += x[i];
  return sum;
}

// The divergences of the ranges of one histogram.
class ort_entropy {
 public:
  // counts over bins of equal width, their middle at zero.
  ort_entropy(std::span<const std::int64_t> counts, std::int64_t levels)
      : counts_(counts), levels_(levels), sums_(counts.size() + 1) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto c = static_cast<double>(counts[i]);
      prefix s = sums_[i];
      s.mass += counts[i];
      if (counts[i] != 0) {
        const double log = log_of(c);
        ++s.used;
        s.entropy += c * log;
        s.log += log;
        s.inverse[0] += 1 / c;
        s.inverse[1] += 1 / (c * c);
        s.inverse[2] += 1 / (c * c * c);
      }
      sums_[i + 1] = s;
    }
  }
  // Half the length, in bins, of the range with the least divergence, the shortest of equals:
  // it ends at edges middle - i and min(middle + i + 1, bins). 0 if there are fewer bins than levels.
  std::int64_t best_half() {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const std::int64_t middle = static_cast<std::int64_t>(counts_.size()) / 2;
    const std::int64_t first = levels_ / 2;
    if (first > middle) return 0;
    std::vector<double> about;
    double lowest = infinity;
    for (std::int64_t i = first; i <= middle; ++i) {
      about.push_back(estimate(i));
      lowest = std::min(lowest, about.back());
    }
    // The estimate is good to about 1e-8, numpy's float32 to about 1e-6.
    const double limit = lowest + 2e-6 + 1e-5 * lowest;
    std::int64_t best = first;
    double least = infinity;
    for (std::int64_t i = first; i <= middle; ++i) {
      if (about[to_size(i - first)] > limit) continue;
      const double d = divergence(i);
      if (d < least) {
        best = i;
        least = d;
      }
    }
    return best;
  }
  double divergence(std::int64_t half) {
    const auto bins = static_cast<std::int64_t>(counts_.size());
    const std::int64_t start = bins / 2 - half;
    const std::int64_t end = std::min(bins / 2 + half + 1, bins);
    const auto n = to_size(end - start);
    p_.assign(counts_.begin() + start, counts_.begin() + end);
    p_.front() += at(start).mass;
    p_.back() += sums_.back().mass - at(end).mass;
    spread(start, n);
    if (!smooth(p_, p_share_) || !smooth(q_, q_share_)) {
      return std::numeric_limits<double>::infinity();
    }
    terms_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto ratio = static_cast<double>(p_share_[i] / q_share_[i]);
      terms_[i] = p_share_[i] * static_cast<float>(log_of(ratio));
    }
    return static_cast<double>(pairwise_sum(terms_.data(), n));
  }

 private:
  static constexpr double eps = 0.0001;  // what a zero becomes

  // Over the bins before one: mass, non-empty bins, and sums over these of c log c, log c, c^-1, c^-2, c^-3.
  struct prefix {
    std::int64_t mass = 0;
    std::int64_t used = 0;
    double entropy = 0;
    double log = 0;
    std::array<double, 3> inverse{};
  };
  static double log_of(double x) noexcept { return log2_of(x) * 0.6931471805599453094; }
  const prefix& at(std::int64_t bin) const noexcept { return sums_[to_size(bin)]; }

  // Sum of f(c - loss), f(x) = x log x, over the non-empty bins in [from, to), by its Taylor series.
  double entropy(std::int64_t from, std::int64_t to, double loss) const noexcept {
    const prefix& a = at(from);
    const prefix& b = at(to);
    double series = (b.inverse[2] - a.inverse[2]) * (loss / 12.0);
    series = (series + (b.inverse[1] - a.inverse[1]) / 6.0) * loss;
    series = (series + (b.inverse[0] - a.inverse[0]) / 2.0) * loss;
    series = (series - (b.log - a.log) - static_cast<double>(b.used - a.used)) * loss;
    return series + (b.entropy - a.entropy);
  }
  static double plogp(double x) noexcept { return x > 0.0 ? x * log_of(x) : 0.0; }

  // The divergence without rounding to float32. With p and q before normalization and totals P and Q it is
  // (sum p log p - sum p log q) / P + log(Q / P), and q is the same throughout a level.
  double estimate(std::int64_t half) {
    const auto bins = static_cast<std::int64_t>(counts_.size());
    const std::int64_t start = bins / 2 - half;
    const std::int64_t end = std::min(bins / 2 + half + 1, bins);
    const std::int64_t n = end - start;
    const std::int64_t merged = n / levels_;
    const std::int64_t covered = levels_ * merged;
    const std::int64_t below = at(start).mass;  // outliers, in the outermost bins of P
    const std::int64_t above = sums_.back().mass - at(end).mass;
    const std::int64_t p_first = counts_[to_size(start)] + below;
    const std::int64_t p_last = counts_[to_size(end - 1)] + above;
    const std::int64_t inner = at(end - 1).used - at(start + 1).used;
    const std::int64_t p_used = inner + (p_first != 0 ? 1 : 0) + (p_last != 0 ? 1 : 0);
    if (p_used == 0) return std::numeric_limits<double>::infinity();
    const double p_zeros = static_cast<double>(n - p_used);
    const double p_loss = eps * p_zeros / static_cast<double>(p_used);
    if (p_loss > 0.02) return divergence(half);  // the series would be too short

    double entropy_p = entropy(start + 1, end - 1, p_loss) + p_zeros * eps * log_of(eps);
    for (const std::int64_t c : {p_first, p_last}) {
      if (c != 0) entropy_p += plogp(static_cast<double>(c) - p_loss);
    }
    const auto level_count = to_size(levels_);
    level_p_.resize(level_count);
    level_q_.resize(level_count);
    level_log_.resize(level_count);
    const bool small = sums_.back().mass < std::int64_t{1}
                                               << 52;  // a quotient in double truncates right
    std::int64_t q_zeros = n - covered;
    double q_total = 0;
    double p_covered = 0;
    for (std::int64_t level = 0; level < levels_; ++level) {
      const std::int64_t from = start + level * merged;
      const std::int64_t to = from + merged;
      std::int64_t mass = at(to).mass - at(from).mass;
      std::int64_t used = at(to).used - at(from).used;
      std::int64_t p = mass;
      if (level == 0) {
        p += below;
        used += below != 0 && p_first == below ? 1 : 0;
      }
      if (to == end) {
        p += above;
        used += above != 0 && p_last == above ? 1 : 0;
      }
      if (level + 1 == levels_) mass += at(end).mass - at(to).mass;
      const std::int64_t q =
          used == 0 ? 0
          : small ? static_cast<std::int64_t>(static_cast<double>(mass) / static_cast<double>(used))
                  : mass / used;
      if (q == 0) q_zeros += merged;
      q_total += static_cast<double>(q * merged);
      const auto l = to_size(level);
      level_q_[l] = static_cast<double>(q);
      level_p_[l] = static_cast<double>(p) - p_loss * static_cast<double>(used) +
                    eps * static_cast<double>(merged - used);
      p_covered += level_p_[l];
    }
    if (q_zeros == n) return std::numeric_limits<double>::infinity();
    const double q_loss = eps * static_cast<double>(q_zeros) / static_cast<double>(n - q_zeros);
    const auto p_total = static_cast<double>(sums_.back().mass);
    double cross = (p_total - p_covered) * log_of(eps);
    for (double& q : level_q_) q = q == 0.0 ? eps : q - q_loss;
    log2_of(level_q_.data(), level_log_.data(), level_count);
    for (std::size_t l = 0; l < level_count; ++l) {
      cross += level_p_[l] * (level_log_[l] * 0.6931471805599453094);
    }
    return (entropy_p - cross) / p_total + log_of(q_total / p_total);
  }

  // q_: every level's mass over the bins of it that are not empty in P, in integers.
  void spread(std::int64_t start, std::size_t n) {
    q_.assign(n, 0);
    const auto levels = to_size(levels_);
    const std::size_t merged = n / levels;
    const auto mass = [&](std::size_t from, std::size_t to) {
      return at(start + static_cast<std::int64_t>(to)).mass -
             at(start + static_cast<std::int64_t>(from)).mass;
    };
    for (std::size_t level = 0; level < levels; ++level) {
      const std::size_t from = level * merged;
      const std::size_t to = from + merged;
      std::int64_t total = mass(from, to);
      if (level + 1 == levels) total += mass(to, n);
      std::int64_t used = 0;
      for (std::size_t i = from; i < to; ++i) used += p_[i] != 0 ? 1 : 0;
      if (used == 0) continue;
      for (std::size_t i = from; i < to; ++i) q_[i] = total / used;
    }
  }
  static bool smooth(const std::vector<std::int64_t>& counts, std::vector<float>& share) {
    const auto zeros = static_cast<double>(std::ranges::count(counts, 0));
    const double others = static_cast<double>(counts.size()) - zeros;
    if (others == 0.0) return false;
    const auto gain = static_cast<float>(eps);
    const auto loss = static_cast<float>(-(eps * zeros / others));
    share.resize(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      share[i] = static_cast<float>(counts[i]) + (counts[i] == 0 ? gain : loss);
    }
    const float sum = pairwise_sum(share.data(), share.size());
    for (float& s : share) s /= sum;
    return true;
  }

  std::span<const std::int64_t> counts_;
  std::int64_t levels_;
  std::vector<prefix> sums_;
  std::vector<double> level_p_, level_q_,
      level_log_;  // sum of p, value of q, log of q less its loss
  std::vector<std::int64_t> p_, q_;
  std::vector<float> p_share_, q_share_, terms_;
};

// ONNX Runtime's choice on our bins, mirrored about zero. Value type.
struct ort_entropy_range {
  int levels = 128;  // num_quantized_bins

  value_range operator()(const histogram& h, const quantization_spec& spec) const {
    if (levels < 2 || levels > 1 << 16) {
      raise(errc::invalid_argument, "number of levels out of range", "ort_entropy_range",
            text_of(levels), range_text(2, 1 << 16));
    }
    const value_range full = full_range(h, spec);
    if (h.finite() == 0) return full;
    const std::int64_t first = h.lattice().first;
    std::int64_t half = 0;
    for (index_t i = 0; i < h.bins(); ++i) {
      if (h.counts()[to_size(i)] == 0) continue;
      half = std::max({half, -(first + i), first + i + 1});
    }
    if (half > h.bins()) return full;  // far from zero: there is nothing to choose
    std::vector<std::int64_t> counts(to_size(2 * half));
    for (index_t i = 0; i < h.bins(); ++i) {
      const std::uint64_t c = h.counts()[to_size(i)];
      if (c != 0) counts[to_size(first + i + half)] = static_cast<std::int64_t>(c);
    }
    const std::int64_t best = ort_entropy(counts, levels).best_half();
    if (best == 0) return full;
    const double hi = static_cast<double>(std::min(best + 1, half)) * h.width();
    const double lo = -static_cast<double>(best) * h.width();
    return {static_cast<float>(std::max(lo, static_cast<double>(full.lo))),
            static_cast<float>(std::min(hi, static_cast<double>(full.hi)))};
  }
  friend bool operator==(const ort_entropy_range&, const ort_entropy_range&) = default;
};
static_assert(range_selection<ort_entropy_range>);

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
