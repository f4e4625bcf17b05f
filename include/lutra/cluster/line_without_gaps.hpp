// lutra: line_without_gaps.hpp - the line of counted values, wide gaps made shorter.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/cluster/line_polish.hpp>
#include <lutra/cluster/refine_line.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The line of counted values, for the first time: gaps are found that can be made shorter. First those that can be
// whatever the clustering, beside which no sum would hold anything else; then those that a good one leaves.
template <class Totals>
bucket_line line_without_gaps(const lattice& l, const Totals& totals, index_t k,
                              shorter_gaps& gaps) {
  bucket_line found = line_of_buckets(l, totals);
  const auto upper = [&](double cost) { return found.atoms.blurred_up(cost + found.atoms.within); };
  if (found.atoms.size() <= k) return found;
  double bound = upper(cost_of_rest(found.atoms, k));
  gaps = shorter_gaps(found.atoms, bound);
  const auto without = [&](const shorter_gaps& some) {
    found = {};
    found = line_of_buckets(l, totals, some);
  };
  if (!gaps.empty()) without(gaps);
  std::vector<index_t> starts = equal_shares(found.atoms, k);
  const double cost = polish(found.atoms, starts, 8);
  if (!gaps.spans(found.atoms, starts)) {
    bound = std::min(bound, upper(cost + cost_rounding(found.atoms, starts)));
  }
  if (!gaps.empty()) without({});
  gaps = shorter_gaps(found.atoms, bound);
  if (!gaps.empty()) without(gaps);
  return found;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
