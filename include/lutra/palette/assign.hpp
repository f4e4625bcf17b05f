// lutra: assign.hpp - the nearest table entry of every value, and what is lost.
// SPDX-License-Identifier: Apache-2.0
//
// code = number of midpoints below the value, so a value halfway between two entries gets the lower one.
// Midpoints are formed in double; as values are floats, comparing with the largest float not above the
// midpoint decides the same. The loss sum (x - table[code])^2 is taken in double, in 16 running sums per
// block of 4096 values and then block by block: the same bits on every ISA and for every executor.
// Cost: one read of the values; up to 16 entries about 0.5 ns per value, more about 1.3 ns, 5 ns beside outliers.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/core/executor.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/simd/arch.hpp>
#include <lutra/simd/cache.hpp>
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

// Sixteen floats in registers, looked up by lane, where the level can: fewer are padded.
template <class Level> struct table_of_16 { static constexpr bool available = false; };
#if !LUTRA_PORTABLE
template <class Level>
requires(std::is_base_of_v<simd::avx2, Level>) struct table_of_16<Level> {
  static constexpr bool available = true;
  using floats = simd::batch<float, Level>;
  using words = simd::batch<std::uint32_t, Level>;
  static constexpr std::size_t parts = 16 / floats::size;
  std::array<floats, parts> part;

  table_of_16(std::span<const float> values, float padding) noexcept {
    std::array<float, 16> all;
    all.fill(padding);
    std::copy(values.begin(), values.end(), all.begin());
    for (std::size_t p = 0; p < parts; ++p) {
      part[p] = floats::load_unaligned(all.data() + p * floats::size);
    }
  }
  // Lane by lane the value of that number, 0..15.
  floats operator[](const words& number) const noexcept {
    if constexpr (parts == 1) {
      return swizzle(part[0], number);
    } else {  // vpermps reads three bits
      const auto low = swizzle(part[0], number), high = swizzle(part[1], number);
      return select(batch_bool_cast<float>(number > words(7U)), high, low);
    }
  }
};
#endif

// Assigns values to an ascending table of 1..256 entries. Immutable after construction: may be shared.
class nearest_entry {
 public:
  static constexpr std::size_t block = 4096;

  // `values`: how many there will be, about.
  explicit nearest_entry(std::span<const float> table, std::size_t values = 0)
      : table_(table.begin(), table.end()) {
    for (std::size_t k = 1; k < table_.size(); ++k) {
      const auto a = static_cast<double>(table_[k - 1]);
      threshold_.push_back(float_below(a + (static_cast<double>(table_[k]) - a) * 0.5));
    }
    if (threshold_.size() <= 16) return;
    const float range = threshold_.back() - threshold_.front();
    threshold_.push_back(std::numeric_limits<float>::infinity());
    // As many stretches as it takes to have one midpoint in each, while making them is little beside using them.
    constexpr std::size_t least = 1024, most = 16384;
    for (std::size_t n = least; n <= most && (n == least || 32 * n <= values); n *= 2) {
      make_stretches(n, range);
      if (steps_ == 1) break;
    }
    if (steps_ <= most_steps) return;
    start_.clear();  // beside an outlier nearly all lie in one stretch
    threshold_.resize(256, std::numeric_limits<float>::infinity());
  }

  // Codes of at most `block` values; returns the loss.
  template <class Level = simd::native, class T>
  double assign(std::span<const T> values, std::uint8_t* codes) const {
    std::array<float, piece> converted, entry;
    std::array<double, 16> sums{};
    for (std::size_t i = 0; i < values.size(); i += piece) {
      const std::size_t n = std::min(piece, values.size() - i);
      const float* const x = as_floats(values.subspan(i, n), converted.data());
      if (threshold_.size() == 256 && start_.empty()) {
        bisect<Level>(x, n, codes + i, entry.data());
      } else if (start_.empty()) {
        few_entries<Level>(x, n, codes + i, entry.data());
      } else {
        many_entries<Level>(x, n, codes + i, entry.data());
      }
      add_squares(x, entry.data(), n, sums);
    }
    for (std::size_t half = 8; half >= 1; half /= 2) {
      for (std::size_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    }
    return sums[0];
  }

 private:
  static constexpr int most_steps = 8;       // more take longer than bisection
  static constexpr std::size_t piece = 256;  // what is kept of it between the loops stays in L1

  template <class T> static const float* as_floats(std::span<const T> values, float* room) {
    if constexpr (std::is_same_v<T, float>) {
      return values.data();
    } else {
      std::transform(values.begin(), values.end(), room, [](T x) { return static_cast<float>(x); });
      return room;
    }
  }
  // sums[i % 16] += (x[i] - entry[i])^2.
  static void add_squares(const float* x, const float* entry, std::size_t n,
                          std::array<double, 16>& sums) noexcept {
    std::array<double, 16> kept = sums;
    const auto add = [](double& sum, float a, float b) {
      const double d = static_cast<double>(a) - static_cast<double>(b);
      sum += d * d;
    };
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      for (std::size_t l = 0; l < 16; ++l) add(kept[l], x[i + l], entry[i + l]);
    }
    for (std::size_t l = 0; i + l < n; ++l) add(kept[l], x[i + l], entry[i + l]);
    sums = kept;
  }

  // Where to start in each of n equal stretches between the first midpoint and the last one.
  void make_stretches(std::size_t n, float range) {
    last_stretch_ = static_cast<float>(n - 1);
    per_unit_ = range > 0 && std::isfinite(range) ? last_stretch_ / range : 0.0F;
    if (!std::isfinite(per_unit_)) per_unit_ = 0.0F;
    start_.resize(n);
    steps_ = 1;
    std::uint32_t code = 0;
    for (std::size_t g = 0; g < n; ++g) {
      // The stretch is monotone in the value: midpoints of earlier stretches are below all of this one.
      const auto lies = [&](std::size_t c) {
        return c + 1 < threshold_.size() ? to_size(stretch(threshold_[c])) : n;
      };
      while (lies(code) < g) ++code;
      start_[g] = {threshold_[code], code};
      int inside = 0;
      for (std::size_t c = code; lies(c) == g; ++c) ++inside;
      steps_ = std::max(steps_, inside);
    }
  }
  std::int32_t stretch(float x) const noexcept {
    const float s = (x - threshold_[0]) * per_unit_;
    return static_cast<std::int32_t>(s > 0.0F ? (s < last_stretch_ ? s : last_stretch_) : 0.0F);
  }

  // Up to 17 entries: how many midpoints are below, and the entry of that number.
  template <class Level>
  void few_entries(const float* x, std::size_t n, std::uint8_t* codes,
                   float* entry) const noexcept {
    std::size_t i = 0;
    if constexpr (!std::is_same_v<Level, simd::portable>) {
      std::array<std::uint32_t, piece> code;
      if constexpr (table_of_16<Level>::available) {
        if (table_.size() <= 16) i = search<Level>(x, n, code.data(), entry);
      }
      if (i == 0) i = count_below<Level>(x, n, code.data(), entry);
      for (std::size_t j = 0; j < i; ++j) codes[j] = static_cast<std::uint8_t>(code[j]);
    }
    for (; i < n; ++i) {
      std::size_t code = 0;
      for (const float t : threshold_) code += x[i] > t ? 1 : 0;
      codes[i] = static_cast<std::uint8_t>(code);
      entry[i] = table_[code];
    }
  }
  // Full registers only, by bisection.
  template <class Level>
  std::size_t search(const float* x, std::size_t n, std::uint32_t* codes,
                     float* entry) const noexcept {
    using table = table_of_16<Level>;
    using floats = typename table::floats;
    using words = typename table::words;
    const table midpoints(threshold_, std::numeric_limits<float>::infinity());
    const table entries(table_, 0.0F);
    std::size_t i = 0;
    for (; i + floats::size <= n; i += floats::size) {
      simd::read_ahead(x + i);
      const floats v = floats::load_unaligned(x + i);
      words code(0U);
      for (const std::uint32_t step : {8U, 4U, 2U, 1U}) {
        const auto above = v > midpoints[code + words(step - 1)];
        code = select(batch_bool_cast<std::uint32_t>(above), code + words(step), code);
      }
      code.store_unaligned(codes + i);
      entries[code].store_unaligned(entry + i);
    }
    return i;
  }
  // Full registers only: count the midpoints below, and carry the entry along.
  template <class Level>
  std::size_t count_below(const float* x, std::size_t n, std::uint32_t* codes,
                          float* entry) const noexcept {
    using floats = simd::batch<float, Level>;
    using words = simd::batch<std::uint32_t, Level>;
    std::size_t i = 0;
    for (; i + floats::size <= n; i += floats::size) {
      const floats v = floats::load_unaligned(x + i);
      words c(0U);
      floats e(table_[0]);
      for (std::size_t k = 0; k < threshold_.size(); ++k) {
        const auto above = v > floats(threshold_[k]);
        c = select(batch_bool_cast<std::uint32_t>(above), c + words(1U), c);
        e = select(above, floats(table_[k + 1]), e);
      }
      c.store_unaligned(codes + i);
      e.store_unaligned(entry + i);
    }
    return i;
  }
  // More: from the first midpoint of the stretch on, as many as a stretch can hold.
  template <class Level>
  void many_entries(const float* x, std::size_t n, std::uint8_t* codes,
                    float* entry) const noexcept {
    std::array<std::uint32_t, piece> at;
    std::array<stretch_start, piece> start;
    for (std::size_t i = 0; i < n; ++i) at[i] = static_cast<std::uint32_t>(stretch(x[i]));
    look_up<Level>(start_.data(), at.data(), n, start.data());
    std::array<std::uint32_t, piece>& code = at;
    for (std::size_t i = 0; i < n; ++i) {
      code[i] = start[i].code + (x[i] > start[i].midpoint ? 1U : 0U);
    }
    for (int step = 1; step < steps_; ++step) {
      for (std::size_t i = 0; i < n; ++i) code[i] += x[i] > threshold_[code[i]] ? 1U : 0U;
    }
    for (std::size_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(code[i]);
    look_up<Level>(table_.data(), code.data(), n, entry);
  }
  // Whatever the midpoints: eight halves of 256.
  template <class Level>
  void bisect(const float* x, std::size_t n, std::uint8_t* codes, float* entry) const noexcept {
    std::array<std::uint32_t, piece> code{};
    for (std::uint32_t half = 128; half > 0; half /= 2) {
      for (std::size_t i = 0; i < n; ++i) {
        code[i] += x[i] > threshold_[code[i] + half - 1] ? half : 0U;
      }
    }
    for (std::size_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(code[i]);
    look_up<Level>(table_.data(), code.data(), n, entry);
  }
  // Alone: among other loops compilers run out of registers here, and gathers are slower than loads.
  template <class Level, class T>
  [[gnu::noinline]] static void look_up(const T* table, const std::uint32_t* at, std::size_t n,
                                        T* out) noexcept {
    for (std::size_t i = 0; i < n; ++i) out[i] = table[at[i]];
  }

  struct stretch_start {
    float midpoint;      // the first one that is not in an earlier stretch
    std::uint32_t code;  // how many are
  };
  std::vector<float> table_, threshold_;
  std::vector<stretch_start>
      start_;  // empty for up to 17 entries, and where midpoints are bisected
  float per_unit_ = 0, last_stretch_ = 0;
  int steps_ = 1;  // most midpoints in one stretch
};

// Codes of all values; returns the loss. codes.size() == values.size().
template <class Level = simd::native, class T, executor Executor>
double assign_nearest(std::span<const T> values, std::span<const float> table,
                      std::span<std::uint8_t> codes, const Executor& executor) {
  constexpr auto block = static_cast<index_t>(nearest_entry::block);
  constexpr index_t per_shard = 256;
  const nearest_entry nearest(table, values.size());
  const auto n = static_cast<index_t>(values.size());
  const index_t blocks = (n + block - 1) / block;
  std::vector<double> loss(to_size(blocks));
  executor.bulk((blocks + per_shard - 1) / per_shard, [&](index_t s) {
    for (index_t b = s * per_shard; b < std::min(blocks, (s + 1) * per_shard); ++b) {
      const auto first = to_size(b * block);
      const auto size = to_size(std::min(block, n - b * block));
      loss[to_size(b)] = nearest.assign<Level>(values.subspan(first, size), codes.data() + first);
    }
  });
  return std::accumulate(loss.begin(), loss.end(), 0.0);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
