// lutra: histogram.hpp - counts of floats on an absolute power-of-two lattice; merges exactly.
// SPDX-License-Identifier: Apache-2.0
//
// Bin i counts the x with floor(x * 2^-e) = first + i. Both e and first follow from the smallest and the
// largest element alone: e is the least exponent at which `bins` bins cover them (but bins are never
// finer than the largest element's last bit, nor than 2^-126), first = floor(min * 2^-e).
// Coarser bins are whole unions of finer ones (index >> 1), so growing the range and merging move integer
// counts and lose nothing: any order and any grouping of batches give the same bytes. Counts are 64-bit.
// Subnormal elements count as zeros, so that modes which flush them change nothing. NaN and infinities are left out and
// counted. One read of the data, about one table increment per element; memory bins * 8 bytes, plus bins * 16 while
// adding.
#pragma once

#include <algorithm>
#include <limits>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/observe/bin_lattice.hpp>
#include <lutra/observe/state.hpp>
#include <lutra/simd/cache.hpp>
#include <lutra/simd/lattice.hpp>
#include <span>
#include <vector>

LUTRA_STRICT_FP_BEGIN
namespace lutra::inline LUTRA_ABI {

// One thread at a time; const members may be shared.
class histogram {
 public:
  static constexpr index_t default_bins = 2048;
  static constexpr index_t least_bins = 16;
  static constexpr index_t most_bins = index_t{1} << 20;

  explicit histogram(index_t bins = default_bins) {
    if (bins < least_bins || bins > most_bins) {
      raise(errc::invalid_argument, "number of bins out of range", "histogram", text_of(bins),
            range_text(least_bins, most_bins));
    }
    counts_.resize(to_size(bins));
  }

  template <class Level = simd::native> void add(const float* x, index_t n) {
    const bool tables = n >= table_worth * bins();
    std::vector<std::uint32_t> table(tables ? table_count * counts_.size() : 0);
    index_t pending = 0;
    for (index_t at = 0; at < n; at += block) {
      const index_t size = std::min(block, n - at);
      span_ends ends = ends_of<Level>(x + at, size);
      ends.min = without_subnormals(ends.min);
      ends.max = without_subnormals(ends.max);
      if (!ends.finite) {
        flush(table);
        add_elements(x + at, size);
        continue;
      }
      if (finite_ == 0 || ends.min < min_ || ends.max > max_) {
        flush(table);
        cover(ends.min, ends.max);
      }
      finite_ += size;
      const index_t more = n - at - size;
      tables ? count_in<Level>(x + at, size, more, table)
             : count_in<Level>(x + at, size, more, counts_);
      pending += size;
      if (pending >= flush_after) {
        flush(table);
        pending = 0;
      }
    }
    flush(table);
  }
  // Raises incompatible if the numbers of bins differ.
  void merge(const histogram& other) {
    if (other.bins() != bins()) {
      raise(errc::incompatible, "histograms have different numbers of bins", "histogram::merge",
            text_of(other.bins()), text_of(bins()));
    }
    nan_ += other.nan_;
    infinite_ += other.infinite_;
    if (other.finite_ == 0) return;
    cover(other.min_, other.max_);
    move_counts(other.counts_, other.lattice_, lattice_, counts_);
    finite_ += other.finite_;
  }

  index_t bins() const noexcept { return static_cast<index_t>(counts_.size()); }
  // Memory of its counts.
  index_t count_bytes() const noexcept { return bins() * static_cast<index_t>(sizeof(counts_[0])); }
  std::span<const std::uint64_t> counts() const noexcept { return counts_; }
  const bin_lattice& lattice() const noexcept { return lattice_; }
  float min() const noexcept { return min_; }  // 0 before the first finite element
  float max() const noexcept { return max_; }
  std::int64_t finite() const noexcept { return finite_; }
  std::int64_t nan() const noexcept { return nan_; }
  std::int64_t infinite() const noexcept { return infinite_; }
  double width() const noexcept { return power_of_two(lattice_.exponent); }  // of a bin
  // Lower edge of bin i; exact.
  double edge(index_t i) const noexcept {
    return static_cast<double>(lattice_.first + i) * width();
  }

  void save(state_writer& w) const {
    w.u32(version);
    w.i64(bins());
    w.f32(min_);
    w.f32(max_);
    w.i64(nan_);
    w.i64(infinite_);
    for (const std::uint64_t c : counts_) w.u64(c);
  }
  // Raises corrupt_data for bytes save() cannot have written, incompatible for another number of bins.
  void load(state_reader& r) {
    r.version(version);
    if (const std::int64_t n = r.i64(); n != bins()) {
      if (n < least_bins || n > most_bins) {
        r.corrupt("number of bins", text_of(n), range_text(least_bins, most_bins));
      }
      raise(errc::incompatible, "state has another number of bins", "histogram::load", text_of(n),
            text_of(bins()));
    }
    histogram h(bins());
    h.min_ = r.f32();
    h.max_ = r.f32();
    h.nan_ = r.i64();
    h.infinite_ = r.i64();
    for (std::uint64_t& c : h.counts_) {
      c = r.u64();
      if (c > most_samples - static_cast<std::uint64_t>(h.finite_)) {
        r.corrupt("count of a bin", text_of(c), "a total below 2^62");
      }
      h.finite_ += static_cast<std::int64_t>(c);
    }
    h.check_loaded(r);
    *this = std::move(h);
  }
  friend bool operator==(const histogram&, const histogram&) = default;

 private:
  static constexpr std::uint32_t version = 1;
  static constexpr auto most_samples = static_cast<std::uint64_t>(largest_count);
  static constexpr index_t block = 4096;
  static constexpr index_t table_worth = 4;      // elements per bin from which extra tables pay
  static constexpr std::size_t table_count = 4;  // equal neighbours do not wait for each other
  static constexpr index_t flush_after = index_t{1} << 31;

  struct span_ends {
    float min, max;
    bool finite;
  };
  template <class Level> static span_ends ends_of(const float* x, index_t n) noexcept;
  template <class Level, class Count>
  void count_in(const float* x, index_t n, index_t more, std::vector<Count>& to) const noexcept;

  void add_elements(const float* x, index_t n) {
    for (index_t i = 0; i < n; ++i) {
      if (!is_finite(x[i])) {
        (x[i] == x[i] ? infinite_ : nan_) += 1;
        continue;
      }
      const float v = without_subnormals(x[i]);
      cover(v, v);
      ++counts_[to_size(lattice_index(v, lattice_.exponent) - lattice_.first)];
      ++finite_;
    }
  }
  // Extends the range to [lo, hi], neither subnormal. -0 becomes 0: which zero comes first would depend on the order.
  void cover(float lo, float hi) {
    const float min = (finite_ == 0 ? lo : std::min(lo, min_)) + 0.0F;
    const float max = (finite_ == 0 ? hi : std::max(hi, max_)) + 0.0F;
    const bin_lattice to = lattice_of(min, max, bins());
    if (finite_ != 0 && !(to == lattice_)) {
      std::vector<std::uint64_t> moved(counts_.size());
      move_counts(counts_, lattice_, to, moved);
      counts_ = std::move(moved);
    }
    lattice_ = to;
    min_ = min;
    max_ = max;
  }
  static void move_counts(std::span<const std::uint64_t> from, const bin_lattice& old,
                          const bin_lattice& to, std::span<std::uint64_t> counts) noexcept {
    const int shift =
        std::min(to.exponent - old.exponent, 63);  // from there on only the sign is left
    if (shift == 0) {                              // bins past the end of `counts` are empty
      const auto at = to_size(old.first - to.first);
      const std::size_t n = std::min(from.size(), counts.size() - at);
      for (std::size_t i = 0; i < n; ++i) counts[at + i] += from[i];
      return;
    }
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (from[i] == 0) continue;
      const std::int64_t at = ((old.first + static_cast<std::int64_t>(i)) >> shift) - to.first;
      counts[to_size(at)] += from[i];
    }
  }
  void flush(std::vector<std::uint32_t>& table) noexcept {
    const std::size_t n = counts_.size();
    for (std::size_t t = 0; t < table.size(); t += n) {
      for (std::size_t i = 0; i < n; ++i) counts_[i] += table[t + i];
    }
    std::ranges::fill(table, 0U);
  }
  void check_loaded(const state_reader& r) {
    if (nan_ < 0 || infinite_ < 0 || nan_ > largest_count - finite_ ||
        infinite_ > largest_count - finite_ - nan_) {
      r.corrupt("count of non-finite elements", text_of(nan_) + " and " + text_of(infinite_),
                ">= 0, with the finite ones below 2^62");
    }
    if (!(is_finite(min_) && is_finite(max_) && min_ <= max_) ||
        !(without_subnormals(min_) == min_ && without_subnormals(max_) == max_) ||
        (finite_ == 0 && (min_ != 0.0F || max_ != 0.0F))) {
      r.corrupt("range of a histogram", range_text(min_, max_),
                "finite, min <= max, no subnormals");
    }
    if (finite_ == 0) return;
    lattice_ = lattice_of(min_, max_, bins());
    const auto last = to_size(lattice_index(max_, lattice_.exponent) - lattice_.first);
    const auto after = counts_.begin() + static_cast<index_t>(last) + 1;
    if (counts_[0] == 0 || counts_[last] == 0 ||
        std::any_of(after, counts_.end(), [](std::uint64_t c) { return c != 0; })) {
      r.corrupt("counts of a histogram contradict its range", range_text(min_, max_), "");
    }
  }

  std::vector<std::uint64_t> counts_;
  bin_lattice lattice_;
  float min_ = 0;
  float max_ = 0;
  std::int64_t finite_ = 0;
  std::int64_t nan_ = 0;
  std::int64_t infinite_ = 0;
};

template <class Level> histogram::span_ends histogram::ends_of(const float* x, index_t n) noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  span_ends e{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
              true};
  float zeros = 0;  // stays 0, or becomes NaN
  index_t i = 0;
  if (n >= 2 * lanes) {
    V lo0 = simd::load<V>(x), lo1 = lo0, hi0 = lo0, hi1 = lo0, z0 = lo0 - lo0, z1 = z0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      const V a = simd::load<V>(x + i);
      const V b = simd::load<V>(x + i + lanes);
      lo0 = simd::min(a, lo0);
      hi0 = simd::max(a, hi0);
      z0 = z0 + (a - a);
      lo1 = simd::min(b, lo1);
      hi1 = simd::max(b, hi1);
      z1 = z1 + (b - b);
    }
    float lane[3][to_size(lanes)];
    simd::store(lane[0], simd::min(lo0, lo1));
    simd::store(lane[1], simd::max(hi0, hi1));
    simd::store(lane[2], z0 + z1);
    for (index_t l = 0; l < lanes; ++l) {
      e.min = std::min(e.min, lane[0][l]);
      e.max = std::max(e.max, lane[1][l]);
      zeros += lane[2][l];
    }
  }
  for (; i < n; ++i) {
    e.min = std::min(e.min, x[i]);
    e.max = std::max(e.max, x[i]);
    zeros += x[i] - x[i];
  }
  e.finite = zeros == 0.0F;
  return e;
}

// Every x[i] lies in the range. Asks for the block that ends_of() reads next: `more` elements follow.
template <class Level, class Count>
void histogram::count_in(const float* x, index_t n, index_t more,
                         std::vector<Count>& to) const noexcept {
  using V = simd::floats<Level>;
  constexpr index_t lanes = simd::lanes<V>;
  constexpr index_t chunk = 256;
  const simd::lattice l{static_cast<float>(power_of_two(-lattice_.exponent)),
                        static_cast<float>(power_of_two(lattice_.exponent)),
                        static_cast<std::int32_t>(lattice_.first)};
  // One table, or one per position modulo 4.
  const std::size_t next = to.size() == counts_.size() ? 0 : counts_.size();
  Count* const t0 = to.data();
  Count* const t1 = t0 + next;
  Count* const t2 = t1 + next;
  Count* const t3 = t2 + next;
  std::int32_t index[chunk];
  for (index_t at = 0; at < n; at += chunk) {
    const index_t size = std::min(chunk, n - at);
    index_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      if (at + i < more) simd::read_ahead(x + at + i, block * index_t{sizeof(float)});
      simd::store_lattice_index(index + i, simd::load<V>(x + at + i), l);
    }
    for (; i < size; ++i) simd::store_lattice_index(index + i, x[at + i], l);
    for (i = 0; i + 4 <= size; i += 4) {
      ++t0[index[i]];
      ++t1[index[i + 1]];
      ++t2[index[i + 2]];
      ++t3[index[i + 3]];
    }
    for (; i < size; ++i) ++t0[index[i]];
  }
}

}  // namespace lutra::inline LUTRA_ABI
LUTRA_STRICT_FP_END
