// Values counted into the buckets of an even lattice, solved, and the buckets in windows: what finer looks start from.
#pragma once

#include <lutra/cluster/refine_line.hpp>
#include <span>
#include <vector>

struct counted_line {
  lutra::lattice l;
  lutra::lattice_totals totals;
  lutra::bucket_line buckets;
  lutra::certified_clusters clusters;
  std::vector<std::uint8_t> inside;
};

inline counted_line counted_line_of(const std::vector<float>& x, lutra::index_t k) {
  const std::span<const float> values(x);
  const auto range = lutra::sample_range(values);
  const lutra::lattice l(range->first, range->second, 2);
  auto totals = lutra::count_values(l, values, lutra::serial_executor{});
  auto buckets = lutra::line_of_buckets(l, totals);
  auto clusters = lutra::certified_1d(buckets.atoms, k, {.final_windows = true});
  auto inside = lutra::atoms_in_windows(buckets.atoms.size(), clusters.windows);
  return {l, std::move(totals), std::move(buckets), std::move(clusters), std::move(inside)};
}
