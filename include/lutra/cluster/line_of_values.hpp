// lutra: line_of_values.hpp - many values to the line that the clustering works on.
// SPDX-License-Identifier: Apache-2.0
//
// Values are counted into the buckets of a lattice (lattice.hpp) whose ends come from a sample; the few
// values outside become points. Sums are exact on the lattice, those of weighted values nearly so, and line::blur
// bounds what rounding to its 2^42 steps does. Work is cut into shards of 2^18 values whose integer sums are added up,
// so the line does not depend on the executor.
#pragma once

#include <array>
#include <cmath>
#include <lutra/cluster/few_distinct.hpp>
#include <lutra/cluster/lattice.hpp>
#include <lutra/cluster/line.hpp>
#include <lutra/cluster/shorter_gaps.hpp>
#include <lutra/cluster/weighted_lattice.hpp>
#include <lutra/core/executor.hpp>
#include <lutra/core/random.hpp>
#include <optional>
#include <utility>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Calls f(x, weight) for about so many values, one from each of as many equal stretches. Values: a span of
// numbers, which weigh 1, or a weighted_source.
template <class Values, class F>
void for_each_sample(const Values& values, F&& f, std::uint64_t samples = 16384) {
  const std::uint64_t n = values.size();
  const std::uint64_t stride = std::max<std::uint64_t>(1, n / samples);
  for (std::uint64_t i = 0; i + stride <= n; i += stride) {
    const std::uint64_t at = i + mix64(i) % stride;
    if constexpr (weighted_source<Values>) {
      f(values[at], values.weight(at));
    } else {
      f(static_cast<double>(values[at]), 1.0);
    }
  }
}

// Smallest and largest value of the sample, a little widened; without up to four values at each end where these alone
// make the range 64 times as long. Empty if all are equal, or too far apart to be subtracted.
template <class Values>
std::optional<std::pair<double, double>> sample_range(const Values& values) {
  constexpr std::size_t far = 4;
  constexpr double longer = 64;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::array<double, far + 1> least, largest;  // ascending, descending
  least.fill(infinity);
  largest.fill(-infinity);
  std::size_t count = 0;
  for_each_sample(values, [&](double x, double) {
    ++count;
    for (std::size_t i = far + 1; i-- > 0 && x < least[i];) {
      if (i < far) least[i + 1] = least[i];
      least[i] = x;
    }
    for (std::size_t i = far + 1; i-- > 0 && x > largest[i];) {
      if (i < far) largest[i + 1] = largest[i];
      largest[i] = x;
    }
  });
  double lo = least.front(), hi = largest.front();
  const double inner = largest.back() - least.back();
  if (count > 1024 && inner > 0 && hi - lo > longer * inner) {
    lo = least.back();
    hi = largest.back();
  }
  const double margin = (hi - lo) * 0.125;
  if (!(margin > 0 && std::isfinite(8 * margin))) return {};
  return std::pair(lo - margin, hi + margin);
}

// Whether the sample holds so few distinct values that all of them may be counted one by one: below an eighth.
template <class Values> bool sample_is_coarse(const Values& values) {
  std::vector<double> sample;
  for_each_sample(values, [&](double x, double) { sample.push_back(x); });
  return !sample.empty() &&
         few_distinct(std::span<const double>(sample), (sample.size() - 1) / 8).has_value();
}

// A lattice over the range of `l` whose cells have about `buckets` buckets in all, given out by the
// square root of their shares.
inline lattice lattice_by_share(const lattice& l, std::span<const double> share, double buckets) {
  double sum = 0;
  for (const double s : share) sum += std::sqrt(s);
  std::vector<std::uint8_t> bits(lattice::cells, lattice::least_bucket_bits);
  for (std::size_t c = 0; c < share.size(); ++c) {
    double room = sum > 0 ? buckets * std::sqrt(share[c]) / sum : 0;
    for (; room >= 6 && bits[c] < 20; room /= 2) ++bits[c];
  }
  return {l, bits};
}

// What the buckets of a lattice hold.
struct lattice_totals {
  std::vector<std::uint64_t> count, rest;  // by bucket
  std::vector<double> outside;             // ascending
};

template <class T, executor Executor>
lattice_totals count_values(const lattice& l, std::span<const T> values, const Executor& executor) {
  const index_t at_once = shards_at_once(executor);
  const auto n = static_cast<index_t>(values.size());
  const index_t shards = (n + lattice_counts::most_values - 1) / lattice_counts::most_values;
  std::vector<lattice_counts> counts(to_size(std::min(shards, at_once)),
                                     lattice_counts(l.buckets()));
  std::vector<std::vector<double>> outside(counts.size());
  lattice_totals totals{
      std::vector<std::uint64_t>(l.buckets()), std::vector<std::uint64_t>(l.buckets()), {}};
  for (index_t first = 0; first < shards; first += at_once) {
    const index_t wave = std::min(at_once, shards - first);
    executor.bulk(wave, [&](index_t i) {
      const index_range r = shard(n, shards, first + i);
      const auto u = to_size(i);
      counts[u].add(l, values.subspan(to_size(r.begin), to_size(r.size())), outside[u]);
    });
    for (std::size_t u = 0; u < to_size(wave); ++u) {
      counts[u].move_to(totals.count, totals.rest);
      totals.outside.insert(totals.outside.end(), outside[u].begin(), outside[u].end());
      outside[u].clear();
    }
  }
  std::sort(totals.outside.begin(), totals.outside.end());
  return totals;
}

// Sums over values, relative to an origin; `square` of buckets counts their means only.
struct mass {
  double weight = 0, moment = 0, square = 0;
};

// Builds a line from atoms given in ascending order of their values.
class line_builder {
 public:
  // `atoms`: about how many there will be.
  explicit line_builder(double origin, std::size_t atoms = 0) {
    line_.origin = origin;
    for (auto* ends : {&line_.lo, &line_.hi}) ends->reserve(atoms);
    for (auto* sums : {&line_.w, &line_.s, &line_.q}) {
      sums->reserve(atoms + 1);
      sums->push_back(0);
    }
  }
  index_t size() const noexcept { return line_.size(); }

  mass of_point(double x, double weight) const noexcept {
    const double d = x - line_.origin;
    return {weight, weight * d, weight * d * d};
  }
  // A bucket with the sum of its values.
  mass of_bucket(double weight, double sum) const noexcept {
    const double moment = sum - line_.origin * weight;
    return {weight, moment, moment * moment / weight};
  }
  // What is lost by knowing only the mean of values in [lo, hi], at most.
  void hide(double lo, double hi, const mass& m) noexcept {
    const double mean = line_.origin + m.moment / m.weight;
    line_.within += m.weight * std::max(0.0, (mean - lo) * (hi - mean));
  }
  void atom(double lo, double hi, const mass& m) {
    line_.lo.push_back(lo - line_.origin);
    line_.hi.push_back(hi - line_.origin);
    line_.w.push_back(m.weight);
    line_.s.push_back(m.moment);
    line_.q.push_back(m.square);
    total_ += m.weight;
  }
  // Equal points in a row become one atom.
  void point(double x, double weight) {
    const double d = x - line_.origin;
    if (!line_.lo.empty() && line_.lo.back() == d && line_.hi.back() == d) {
      const mass m = of_point(x, weight);
      line_.w.back() += m.weight;
      line_.s.back() += m.moment;
      line_.q.back() += m.square;
      total_ += weight;
    } else {
      atom(x, x, of_point(x, weight));
    }
  }
  // Values of this weight were moved by at most `distance`, beside what all are; by the sum of two of them.
  void blur(double distance, double weight) noexcept {
    moved_ += 2 * weight * (distance * distance);
  }
  // Every value was moved by at most `distance`.
  line finish(double distance) && {
    line_.blur = distance * std::sqrt(total_) + std::sqrt(moved_);
    const double* const moment = line_.s.data() + 1;
    const double* const square = line_.q.data() + 1;
    accumulate(
        line_, std::span<const double>(line_.w).subspan(1),
        [=](std::size_t i) { return moment[i]; }, [=](std::size_t i) { return square[i]; });
    return std::move(line_);
  }

 private:
  line line_;  // its sums hold those of atom i at i + 1 until they are added up
  double total_ = 0;
  double moved_ = 0;
};

// The sums of a bucket: of weights, and of distances from its start in steps. alone: a single value.
struct bucket_sums {
  double weight = 0, moment = 0;
  bool alone = false;
};
inline bucket_sums sums_of(const lattice_totals& totals, std::size_t bucket) noexcept {
  return {static_cast<double>(totals.count[bucket]), static_cast<double>(totals.rest[bucket])};
}
inline bucket_sums sums_of(const weighted_totals& totals, std::size_t bucket) noexcept {
  return {totals.weight[bucket], totals.moment[bucket], totals.values[bucket] == 1};
}

// Calls f(cell, bucket, lowest value, highest value, weight, weighted sum of the values) for every bucket that
// holds something, in ascending order.
template <class Totals, class F>
void for_each_bucket(const lattice& l, const Totals& totals, F&& f) {
  for (std::size_t cell = 0; cell < lattice::cells; ++cell) {
    const int shift = l.shift(cell);
    const std::size_t buckets = std::size_t{1} << (lattice::in_cell_bits - shift);
    const auto start = static_cast<double>(cell << lattice::in_cell_bits);
    const auto width = static_cast<double>(std::size_t{1} << shift);
    for (std::size_t b = 0; b < buckets; ++b) {
      const std::size_t bucket = l.first_bucket(cell) + b;
      const bucket_sums sums = sums_of(totals, bucket);
      if (sums.weight == 0) continue;
      const double first = start + static_cast<double>(b) * width;
      const double sum = sums.weight * l.value(first) + l.step() * sums.moment;
      if (sums.alone) {
        f(cell, bucket, sum / sums.weight, sum / sums.weight, sums.weight, sum);
      } else {
        f(cell, bucket, l.value(first - 0.5), l.value(first + width - 0.5), sums.weight, sum);
      }
    }
  }
}

struct bucket_line {
  line atoms;
  index_t leading = 0;  // atoms before those of the buckets: points left of the lattice
};

// A value near the middle of all: the start of the bucket that holds the median. `filled` becomes the number of
// buckets that hold something.
template <class Totals>
double median_bucket(const lattice& l, const Totals& totals, std::size_t& filled) {
  double all = 0;
  filled = 0;
  for (std::size_t b = 0; b < l.buckets(); ++b) {
    const double weight = sums_of(totals, b).weight;
    all += weight;
    filled += weight != 0 ? 1 : 0;
  }
  double seen = 0;
  double median = l.lo();
  for_each_bucket(l, totals,
                  [&](std::size_t, std::size_t, double lo, double, double weight, double) {
                    if (2 * seen <= all) median = lo;
                    seen += weight;
                  });
  return median;
}

// The distance that values are moved by at most: `steps` of the lattice, and what forming their positions and the sums
// of their buckets may add.
inline double lattice_blur(const lattice& l, double steps) {
  const double magnitude = std::max(std::fabs(l.lo()), std::fabs(l.value(lattice::last_step)));
  return l.step() * (steps + 0x1p-7) + 0x1p-50 * magnitude;
}

// One atom per bucket that holds something, and one per distinct value outside; what lies above gaps is moved.
// `origin`: of the line, if it is not to be near the median.
template <class Totals>
bucket_line line_of_buckets(const lattice& l, const Totals& totals, const shorter_gaps& gaps = {},
                            std::optional<double> origin = {}) {
  constexpr bool weighted = std::same_as<Totals, weighted_totals>;
  std::size_t filled = 0;
  const double median = median_bucket(l, totals, filled);
  line_builder builder(origin ? *origin : gaps.moved(median), filled + totals.outside.size());
  const auto value = [](const auto& far) {
    if constexpr (weighted)
      return far.first;
    else
      return far;
  };
  const auto add = [&](const auto& far) {
    const double x = value(far);
    double weight = 1;
    if constexpr (weighted) weight = far.second;
    builder.blur(gaps.lost(x), weight);
    if constexpr (weighted) builder.blur(totals.rounded * std::fabs(x), weight);
    builder.point(gaps.moved(x), weight);
  };
  auto far = totals.outside.begin();
  for (; far != totals.outside.end() && value(*far) < l.lo(); ++far) add(*far);
  const index_t leading = builder.size();
  for_each_bucket(l, totals,
                  [&](std::size_t, std::size_t, double lo, double hi, double weight, double sum) {
                    if (!gaps.empty()) {
                      const auto move = gaps.at(lo + (hi - lo) / 2);
                      lo = move(lo);
                      hi = move(hi);
                      sum = move.of_sum(sum, weight);
                    }
                    const mass m = builder.of_bucket(weight, sum);
                    if (lo < hi) builder.hide(lo, hi, m);
                    builder.atom(lo, hi, m);
                  });
  for (; far != totals.outside.end(); ++far) add(*far);
  // Steps that a value is moved by: half a one, and what sums of weighted values are off.
  constexpr double moved = weighted ? 0.5 + 0x1p-5 : 0.5;
  line atoms = std::move(builder).finish(lattice_blur(l, moved));
  atoms.whole = !weighted;
  if constexpr (weighted) {
    atoms.alone = 0;
    atoms.error = weighted_totals::error;
  }
  return {std::move(atoms), leading};
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
