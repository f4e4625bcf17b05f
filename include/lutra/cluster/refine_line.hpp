// lutra: refine_line.hpp - a finer line where the boundaries of an optimal clustering can be.
// SPDX-License-Identifier: Apache-2.0
//
// A solve on buckets leaves a window for each boundary (certified_1d.hpp). Two ways to look closer: `finer_lattice`
// cuts the cells that windows touch into more buckets, and windowed_values.hpp reads the values in windows.
#pragma once

#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/line_of_values.hpp>
#include <lutra/cluster/windowed_values.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// Windows by the values at their ends, for other lines of the same values.
struct value_windows {
  double origin = 0;  // what the ends are relative to
  std::vector<std::pair<double, double>> ends;
};
inline value_windows windows_by_value(const position_windows& windows, const line& l) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  value_windows found{l.origin, {}};
  for (const auto& [begin, end] : windows) {
    found.ends.emplace_back(begin > 0 ? l.largest(begin - 1) : -infinity,
                            end < l.size() ? l.least(end) : infinity);
  }
  return found;
}
inline position_windows windows_on(const line& l, const value_windows& windows) {
  const double shift = windows.origin - l.origin;
  position_windows found;
  for (const auto& [lo, hi] : windows.ends) {
    // Atoms that lie left of the window altogether, and those that do not lie right of it. Ends that were not shifted
    // are the same numbers, so that an atom that ends there is told from one that goes on.
    const auto left = shift == 0 ? std::upper_bound(l.hi.begin(), l.hi.end(), lo)
                                 : std::lower_bound(l.hi.begin(), l.hi.end(), lo + shift);
    const auto right = shift == 0 ? std::lower_bound(l.lo.begin(), l.lo.end(), hi)
                                  : std::upper_bound(l.lo.begin(), l.lo.end(), hi + shift);
    found.emplace_back(left - l.hi.begin(), right - l.lo.begin());
  }
  return found;
}

// 1 for every atom inside a window, where a boundary may be.
inline std::vector<std::uint8_t> atoms_in_windows(index_t atoms, const position_windows& windows) {
  std::vector<std::uint8_t> inside(to_size(atoms));
  for (const auto& [from, to] : windows) {
    std::fill(inside.begin() + from, inside.begin() + to, std::uint8_t{1});
  }
  return inside;
}

// A lattice of about `buckets` buckets: all cells share them by about the cube root of their weight, so that no bucket
// is much worse than others for a table that may have its boundaries anywhere: weight * width^2 counts.
inline lattice even_lattice(const lattice& l, std::vector<double> weight, double buckets) {
  for (double& w :
       weight) {  // to the power of 5/16, with the square root that lattice_by_share takes
    const double half = std::sqrt(w);
    w = half * std::sqrt(std::sqrt(half));
  }
  return lattice_by_share(l, weight, buckets);
}
template <class Totals>
lattice finer_lattice(const lattice& l, const Totals& totals, double buckets) {
  std::vector<double> share(lattice::cells);
  for_each_bucket(l, totals,
                  [&](std::size_t cell, std::size_t, double, double, double weight, double) {
                    share[cell] += weight;
                  });
  return even_lattice(l, std::move(share), buckets);
}

// A lattice of about `buckets` buckets: cells that windows touch share them by sqrt(weight).
template <class Totals>
lattice finer_lattice(const lattice& l, const Totals& totals, index_t leading,
                      std::span<const std::uint8_t> inside, double buckets) {
  std::vector<double> share(lattice::cells);
  auto atom = to_size(leading);
  for_each_bucket(l, totals,
                  [&](std::size_t cell, std::size_t, double, double, double count, double) {
                    if (inside[atom++] != 0) share[cell] += count;
                  });
  return lattice_by_share(l, share, buckets);
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
