// lutra: weighted_lattice.hpp - many weighted values as the weights and moments of a lattice's buckets, in one pass.
// SPDX-License-Identifier: Apache-2.0
//
// As lattice_counts (lattice.hpp), for values of different weights: a bucket holds the sum of the weights and the
// sum of weight * (t - start of the bucket), in double. Shards of at most 2^18 values are summed in the order of
// the values and then added up in their order, so the sums do not depend on the executor, though on the order of
// the values in the last bits. All terms are positive: a sum is off by at most 2^-34 of itself, for up to 2^36
// values, and the mean of a bucket by 2^-33 of its width, 2^-6 of a step.
//   cost of a clustering, counted with the sums <= (1 + weighted_totals::error) * its cost, and the reverse.
// Cost: about 3 ns per value; 17 bytes per bucket, and per shard that is counted at the same time, at most four.
#pragma once

#include <cstdint>
#include <lutra/cluster/few_distinct.hpp>
#include <lutra/cluster/lattice.hpp>
#include <lutra/core/executor.hpp>
#include <utility>
#include <vector>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// What the buckets of a lattice hold.
struct weighted_totals {
  static constexpr double error = 0x1.0p-32;
  std::vector<double> weight, moment;              // by bucket
  std::vector<std::uint8_t> values;                // 0, 1, or 2 for more
  std::vector<std::pair<double, double>> outside;  // value and weight, ascending
  double rounded = 0;                              // values are off by no larger part of them
  explicit weighted_totals(std::size_t buckets)
      : weight(buckets), moment(buckets), values(buckets) {}
};

// Adds values [begin, end) of a source; those outside the lattice are appended unsorted.
template <weighted_source V>
void add_weighted(const lattice& l, const V& source, std::size_t begin, std::size_t end,
                  weighted_totals& totals) {
  constexpr std::size_t block = 128;
  std::array<double, block> x, w;
  for (std::size_t i = begin; i < end; i += block) {
    const std::size_t n = std::min(block, end - i);
    source.fill(i, n, x.data(), w.data());
    l.locate(
        std::span<const double>(x.data(), n),
        [&](std::size_t j, std::uint64_t t) {
          const std::size_t b = l.bucket_of(t);
          totals.weight[b] += w[j];
          totals.moment[b] += w[j] * static_cast<double>(l.rest_of(t));
          totals.values[b] = totals.values[b] == 0 ? 1 : 2;
        },
        [&](std::size_t j) { totals.outside.emplace_back(x[j], w[j]); });
  }
}

template <weighted_source V, executor Executor>
weighted_totals count_values(const lattice& l, const V& source, const Executor& executor) {
  const index_t at_once = std::min<index_t>(shards_at_once(executor), l.buckets() > 65536 ? 2 : 4);
  const auto n = static_cast<index_t>(source.size());
  const index_t shards = (n + lattice_counts::most_values - 1) / lattice_counts::most_values;
  weighted_totals totals(l.buckets());
  if constexpr (requires { source.rounded(); }) totals.rounded = source.rounded();
  for (index_t first = 0; first < shards; first += at_once) {
    const index_t wave = std::min(at_once, shards - first);
    std::vector<weighted_totals> parts;
    parts.reserve(to_size(wave));
    for (index_t i = 0; i < wave; ++i) parts.emplace_back(l.buckets());
    executor.bulk(wave, [&](index_t i) {
      const index_range r = shard(n, shards, first + i);
      add_weighted(l, source, to_size(r.begin), to_size(r.end), parts[to_size(i)]);
    });
    for (const weighted_totals& part : parts) {
      for (std::size_t b = 0; b < l.buckets(); ++b) {
        totals.weight[b] += part.weight[b];
        totals.moment[b] += part.moment[b];
        totals.values[b] =
            static_cast<std::uint8_t>(std::min(2, totals.values[b] + part.values[b]));
      }
      totals.outside.insert(totals.outside.end(), part.outside.begin(), part.outside.end());
    }
  }
  std::sort(totals.outside.begin(), totals.outside.end());
  return totals;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
