// Exhaustive search over all ways to cut sorted points into k runs, and for more points a programme in long double
// (64 bits on x86-64, 113 elsewhere) that subtracts no sums: the oracles of the 1-D solvers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace oracle {

// 113 bits.
#if defined(__SIZEOF_FLOAT128__)
__extension__ typedef __float128 wide;
#else
using wide = long double;
static_assert(std::numeric_limits<long double>::digits >= 106);
#endif

using pairs = std::vector<std::pair<wide, wide>>;  // values, ascending, and weights

// Least weighted squared error of k clusters; of all clusterings, by a programme in O(k n^2).
inline wide least_cost(const pairs& p, int k) {
  const std::size_t n = p.size();
  if (n == 0) return 0;
  std::vector<wide> cost(n * n), best(n + 1), next(n + 1);
  for (std::size_t i = 0; i < n; ++i) {
    wide weight = 0, mean = 0, sum = 0;
    for (std::size_t j = i; j < n; ++j) {
      const wide v = p[j].second, all = v + weight, part = v / all;
      const wide d = (p[j].first - p[i].first) - mean;
      sum += part * weight * d * d;
      mean += d * part;
      weight = all;
      cost[i * n + j] = sum;
    }
  }
  for (std::size_t j = 0; j < n; ++j) best[j + 1] = cost[j];
  for (int q = 1; q < k; ++q) {
    next = best;
    for (std::size_t j = 1; j <= n; ++j) {
      for (std::size_t i = 1; i < j; ++i) {
        const wide c = best[i] + cost[i * n + j - 1];
        if (c < next[j]) next[j] = c;
      }
    }
    best.swap(next);
  }
  return best[n];
}

struct point {
  double value;
  double weight;
};

inline long double run_cost(const std::vector<point>& p, std::size_t begin, std::size_t end) {
  long double w = 0;
  long double s = 0;
  for (std::size_t i = begin; i < end; ++i) {
    w += static_cast<long double>(p[i].weight);
    s += static_cast<long double>(p[i].weight) * static_cast<long double>(p[i].value);
  }
  const long double mean = s / w;
  long double cost = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const long double d = static_cast<long double>(p[i].value) - mean;
    cost += static_cast<long double>(p[i].weight) * d * d;
  }
  return cost;
}

inline long double best_cost(const std::vector<point>& p, std::size_t begin, int k) {
  if (k == 1) return run_cost(p, begin, p.size());
  long double best = run_cost(p, begin, p.size());
  for (std::size_t cut = begin + 1; cut < p.size(); ++cut) {
    best = std::min(best, run_cost(p, begin, cut) + best_cost(p, cut, k - 1));
  }
  return best;
}

// Least weighted squared error of at most k clusters.
inline double optimum(const std::vector<double>& x, const std::vector<double>& w, int k) {
  std::vector<point> p;
  for (std::size_t i = 0; i < x.size(); ++i) p.push_back({x[i], w.empty() ? 1.0 : w[i]});
  std::sort(p.begin(), p.end(), [](point a, point b) { return a.value < b.value; });
  return p.empty() ? 0.0 : static_cast<double>(best_cost(p, 0, k));
}

// Least weighted squared error of k = 1, 2, .., most clusters of distinct ascending values, in O(most n^2). The cost
// of a run grows by one value at a time from the mean of those before: all terms are positive, so that it is off by
// no larger part than 2^-60 times its length.
inline std::vector<long double> optima(const std::vector<double>& x, const std::vector<double>& w,
                                       std::size_t most) {
  const std::size_t n = x.size();
  std::vector<long double> cost(n * n), best(n + 1), next(n + 1), found;
  for (std::size_t i = 0; i < n; ++i) {
    long double weight = 0, mean = 0, sum = 0;  // the mean relative to the first value
    for (std::size_t j = i; j < n; ++j) {
      const auto v = static_cast<long double>(w[j]);
      const long double d =
          (static_cast<long double>(x[j]) - static_cast<long double>(x[i])) - mean;
      sum += v * weight / (v + weight) * d * d;
      weight += v;
      mean += d * v / weight;
      cost[i * n + j] = sum;
    }
  }
  for (std::size_t j = 0; j < n; ++j) best[j + 1] = cost[j];
  for (std::size_t k = 1; k <= most; ++k) {
    found.push_back(best[n]);
    for (std::size_t j = 1; j <= n; ++j) {
      next[j] = best[j];
      for (std::size_t i = std::min(k, j); i < j; ++i) {
        next[j] = std::min(next[j], best[i] + cost[i * n + j - 1]);
      }
    }
    best.swap(next);
  }
  return found;
}

}  // namespace oracle
