// lutra: refine_line.hpp - a finer line where the boundaries of an optimal clustering can be.
// SPDX-License-Identifier: Apache-2.0
//
// A solve on buckets leaves a window for each boundary (certified_1d.hpp). Two ways to look closer:
// `finer_lattice` cuts the cells that windows touch into more buckets, and `line_of_windows` replaces
// the buckets inside windows by the values they hold and joins all others into one atom between each
// two windows.
#pragma once

#include <lutra/cluster/certified_1d.hpp>
#include <lutra/cluster/line_of_values.hpp>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

using position_windows = std::vector<std::pair<index_t, index_t>>;

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
    // Atoms that lie left of the window altogether, and those that do not lie right of it.
    found.emplace_back(std::lower_bound(l.hi.begin(), l.hi.end(), lo + shift) - l.hi.begin(),
                       std::upper_bound(l.lo.begin(), l.lo.end(), hi + shift) - l.lo.begin());
  }
  return found;
}

// 1 for every atom inside a window, where a boundary may be.
inline std::vector<std::uint8_t> atoms_in_windows(index_t atoms, const position_windows& windows) {
  std::vector<std::uint8_t> inside(static_cast<std::size_t>(atoms));
  for (const auto& [from, to] : windows) {
    std::fill(inside.begin() + from, inside.begin() + to, std::uint8_t{1});
  }
  return inside;
}

// A lattice of about `buckets` buckets: all cells share them by about the cube root of their weight, so that no bucket
// is much worse than others for a table that may have its boundaries anywhere: weight * width^2 counts.
template <class Totals>
lattice finer_lattice(const lattice& l, const Totals& totals, double buckets) {
  std::vector<double> share(lattice::cells);
  for_each_bucket(l, totals,
                  [&](std::size_t cell, std::size_t, double, double, double weight, double) {
                    share[cell] += weight;
                  });
  for (double& s :
       share) {  // to the power of 5/16, with the square root that lattice_by_share takes
    const double half = std::sqrt(s);
    s = half * std::sqrt(std::sqrt(half));
  }
  return lattice_by_share(l, share, buckets);
}

// A lattice of about `buckets` buckets: cells that windows touch share them by sqrt(weight).
template <class Totals>
lattice finer_lattice(const lattice& l, const Totals& totals, index_t leading,
                      std::span<const std::uint8_t> inside, double buckets) {
  std::vector<double> share(lattice::cells);
  auto atom = static_cast<std::size_t>(leading);
  for_each_bucket(l, totals,
                  [&](std::size_t cell, std::size_t, double, double, double count, double) {
                    if (inside[atom++] != 0) share[cell] += count;
                  });
  return lattice_by_share(l, share, buckets);
}

struct windowed_line {
  line atoms;
  position_windows windows;
};

// The values of the marked buckets, ascending.
template <class T>
std::vector<T> values_of_buckets(const lattice& l, std::span<const T> values,
                                 std::span<const std::uint8_t> marked, std::size_t expected) {
  std::vector<T> found;
  found.reserve(expected);
  l.locate(
      values,
      [&](std::size_t i, std::uint64_t t) {
        if (marked[l.bucket_of(t)] != 0) found.push_back(values[i]);
      },
      [](std::size_t) {});
  std::sort(found.begin(), found.end());
  return found;
}

// Preconditions: `windows` are positions of `buckets`, `inside` says which of its atoms they hold.
template <class T>
windowed_line line_of_windows(const lattice& l, const lattice_totals& totals,
                              const bucket_line& buckets, std::span<const T> values,
                              std::span<const std::uint8_t> inside, const position_windows& windows,
                              const shorter_gaps& gaps = {}) {
  const auto leading = static_cast<std::size_t>(buckets.leading);
  std::vector<std::uint8_t> marked(l.buckets());
  double expected = 0;
  std::size_t atom = leading;
  for_each_bucket(l, totals,
                  [&](std::size_t, std::size_t bucket, double, double, double count, double) {
                    marked[bucket] = inside[atom++];
                    if (marked[bucket] != 0) expected += count;
                  });
  const std::vector<T> found = values_of_buckets(l, values, std::span<const std::uint8_t>(marked),
                                                 static_cast<std::size_t>(expected));

  // Atoms that no window touches are joined until the next window begins or ends.
  std::vector<std::uint8_t> cut(inside.size() + 1);
  for (const auto& [from, to] : windows) {
    cut[static_cast<std::size_t>(from)] = 1;
    cut[static_cast<std::size_t>(to)] = 1;
  }
  std::vector<index_t> moved(inside.size() + 1);  // old position -> new position, where cut
  line_builder builder(buckets.atoms.origin);
  mass joined;
  double joined_lo = 0;
  double joined_hi = 0;
  const auto flush = [&] {
    if (joined.weight > 0) builder.atom(joined_lo, joined_hi, joined);
    joined = {};
  };
  const auto join = [&](double lo, double hi, const mass& m) {
    if (joined.weight == 0) joined_lo = lo;
    joined_hi = hi;
    joined += m;
  };
  const auto begin_atom = [&](std::size_t a) {
    if (cut[a] == 0) return;
    flush();
    moved[a] = builder.size();
  };
  atom = 0;
  const auto points = [&](auto first, auto last) {
    while (first != last) {
      auto next = std::upper_bound(first, last, *first);
      begin_atom(atom);
      const auto weight = static_cast<double>(next - first);
      const double x = gaps.moved(*first);
      builder.blur(gaps.lost(*first), weight);
      if (inside[atom] != 0) {
        flush();
        builder.point(x, weight);
      } else {
        join(x, x, builder.of_point(x, weight));
      }
      ++atom;
      first = next;
    }
  };
  const auto lattice_begin = std::lower_bound(totals.outside.begin(), totals.outside.end(), l.lo());
  points(totals.outside.begin(), lattice_begin);
  auto value = found.begin();
  for_each_bucket(l, totals,
                  [&](std::size_t, std::size_t, double lo, double hi, double count, double sum) {
                    begin_atom(atom);
                    const auto move = gaps.at(lo + (hi - lo) / 2);
                    if (inside[atom++] == 0) {
                      lo = move(lo);
                      hi = move(hi);
                      sum = move.of_sum(sum, count);
                      const mass m = builder.of_bucket(count, sum);
                      builder.hide(lo, hi, m);
                      join(lo, hi, m);
                      return;
                    }
                    flush();
                    const auto end = value + static_cast<std::ptrdiff_t>(count);
                    for (; value != end; ++value)
                      builder.point(move(static_cast<double>(*value)), 1);
                  });
  points(lattice_begin, totals.outside.end());
  begin_atom(atom);
  flush();
  if (cut[atom] != 0) moved[atom] = builder.size();
  windowed_line result{std::move(builder).finish(lattice_blur(l, 0.5)), {}};
  result.atoms.whole = true;
  for (const auto& [from, to] : windows) {
    result.windows.emplace_back(moved[static_cast<std::size_t>(from)],
                                moved[static_cast<std::size_t>(to)]);
  }
  return result;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
