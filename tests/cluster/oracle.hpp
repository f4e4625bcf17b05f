// Exhaustive search over all ways to cut sorted points into k runs: the oracle of the 1-D solvers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace oracle {

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

}  // namespace oracle
