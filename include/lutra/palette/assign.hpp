// lutra: assign.hpp - the nearest table entry of every value, and what is lost.
// SPDX-License-Identifier: Apache-2.0
//
// code = number of midpoints below the value, so a value halfway between two entries gets the lower one.
// Midpoints are formed in double; as values are floats, comparing with the largest float not above the
// midpoint decides the same. The loss sum (x - table[code])^2 is taken in double, in 16 running sums per
// block of 4096 values and then block by block: the same bits on every ISA and for every executor.
// Cost: one read of the values; up to 16 entries about 0.4 ns per value, more about 2 ns.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/core/executor.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/simd/arch.hpp>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Largest float that is not above x.
inline float float_below(double x) noexcept {
  const auto f = static_cast<float>(x);
  return static_cast<double>(f) > x ? std::nextafter(f, -std::numeric_limits<float>::infinity())
                                    : f;
}

// Assigns values to an ascending table of 1..256 entries. Immutable after construction: may be shared.
class nearest_entry {
 public:
  static constexpr std::size_t block = 4096;

  explicit nearest_entry(std::span<const float> table) : table_(table.begin(), table.end()) {
    for (std::size_t k = 1; k < table_.size(); ++k) {
      const auto a = static_cast<double>(table_[k - 1]);
      threshold_.push_back(float_below(a + (static_cast<double>(table_[k]) - a) * 0.5));
    }
    // Many entries: a first guess for each of 4096 equal stretches between the ends.
    if (threshold_.size() <= 16) return;
    origin_ = threshold_.front();
    const float range = threshold_.back() - origin_;
    per_unit_ = range > 0 && std::isfinite(range) ? last_stretch / range : 0.0F;
    if (!std::isfinite(per_unit_)) per_unit_ = 0.0F;
    guess_.resize(4096);
    std::size_t code = 0;
    for (std::size_t g = 0; g < guess_.size(); ++g) {
      // The stretch is monotone in the value: midpoints of earlier stretches are below all of this one.
      const auto here = static_cast<std::int32_t>(g);
      while (code < threshold_.size() && stretch(threshold_[code]) < here) ++code;
      guess_[g] = static_cast<std::uint8_t>(code);
      int inside = 0;
      for (std::size_t c = code; c < threshold_.size() && stretch(threshold_[c]) == here; ++c)
        ++inside;
      steps_ = std::max(steps_, inside);
    }
    threshold_.push_back(std::numeric_limits<float>::infinity());
  }

  // Codes of at most `block` values; returns the loss.
  template <class Level = simd::native, class T>
  double assign(std::span<const T> values, std::uint8_t* codes) const {
    std::array<float, block> x, entry;
    const std::size_t n = values.size();
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(values[i]);
    if (guess_.empty()) {
      few_entries<Level>(x.data(), n, codes, entry.data());
    } else {
      many_entries(x.data(), n, codes, entry.data());
    }
    std::array<double, 16> sums{};
    const auto add = [](double& sum, float a, float b) {
      const double d = static_cast<double>(a) - static_cast<double>(b);
      sum += d * d;
    };
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      for (std::size_t l = 0; l < 16; ++l) add(sums[l], x[i + l], entry[i + l]);
    }
    for (std::size_t l = 0; i + l < n; ++l) add(sums[l], x[i + l], entry[i + l]);
    for (std::size_t half = 8; half >= 1; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    }
    return sums[0];
  }

 private:
  std::int32_t stretch(float x) const noexcept {
    const float s = (x - origin_) * per_unit_;
    return static_cast<std::int32_t>(s > 0.0F ? (s < last_stretch ? s : last_stretch) : 0.0F);
  }

  // Up to 17 entries: count the midpoints below, and carry the entry along.
  template <class Level>
  void few_entries(const float* x, std::size_t n, std::uint8_t* codes,
                   float* entry) const noexcept {
    std::size_t i = 0;
    if constexpr (!std::is_same_v<Level, simd::portable>) {
      using floats = simd::batch<float, Level>;
      using ints = simd::batch<std::int32_t, Level>;
      constexpr std::size_t lanes = floats::size;
      std::array<std::int32_t, block> code;
      for (; i + lanes <= n; i += lanes) {
        const floats v = floats::load_unaligned(x + i);
        ints c(0);
        floats e(table_[0]);
        for (std::size_t k = 0; k < threshold_.size(); ++k) {
          const auto above = v > floats(threshold_[k]);
          c = select(batch_bool_cast<std::int32_t>(above), c + ints(1), c);
          e = select(above, floats(table_[k + 1]), e);
        }
        c.store_unaligned(code.data() + i);
        e.store_unaligned(entry + i);
      }
      for (std::size_t j = 0; j < i; ++j) codes[j] = static_cast<std::uint8_t>(code[j]);
    }
    for (; i < n; ++i) {
      std::size_t code = 0;
      for (const float t : threshold_) code += x[i] > t ? 1 : 0;
      codes[i] = static_cast<std::uint8_t>(code);
      entry[i] = table_[code];
    }
  }
  // More: start from the guess of the stretch, and step over as many midpoints as a stretch can hold.
  void many_entries(const float* x, std::size_t n, std::uint8_t* codes,
                    float* entry) const noexcept {
    std::array<std::int32_t, block> at;
    for (std::size_t i = 0; i < n; ++i) at[i] = stretch(x[i]);
    const float* const threshold = threshold_.data();
    for (std::size_t i = 0; i < n; ++i) {
      std::size_t code = guess_[static_cast<std::size_t>(at[i])];
      for (int step = 0; step < steps_; ++step) code += x[i] > threshold[code] ? 1 : 0;
      codes[i] = static_cast<std::uint8_t>(code);
      entry[i] = table_[code];
    }
  }

  static constexpr float last_stretch = 4095.0F;
  std::vector<float> table_, threshold_;
  std::vector<std::uint8_t> guess_;  // empty for up to 17 entries
  float origin_ = 0, per_unit_ = 0;
  int steps_ = 0;  // most midpoints in one stretch
};

// Codes of all values; returns the loss. codes.size() == values.size().
template <class Level = simd::native, class T, executor Executor>
double assign_nearest(std::span<const T> values, std::span<const float> table,
                      std::span<std::uint8_t> codes, const Executor& executor) {
  constexpr auto block = static_cast<index_t>(nearest_entry::block);
  constexpr index_t per_shard = 256;
  const nearest_entry nearest(table);
  const auto n = static_cast<index_t>(values.size());
  const index_t blocks = (n + block - 1) / block;
  std::vector<double> loss(static_cast<std::size_t>(blocks));
  executor.bulk((blocks + per_shard - 1) / per_shard, [&](index_t s) {
    for (index_t b = s * per_shard; b < std::min(blocks, (s + 1) * per_shard); ++b) {
      const auto first = static_cast<std::size_t>(b * block);
      const auto size = static_cast<std::size_t>(std::min(block, n - b * block));
      loss[static_cast<std::size_t>(b)] =
          nearest.assign<Level>(values.subspan(first, size), codes.data() + first);
    }
  });
  return std::accumulate(loss.begin(), loss.end(), 0.0);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
