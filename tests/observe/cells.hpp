// What each observer's range costs on one distribution with one spec, beside torch's and the best there is.
#pragma once

#include <lutra/observe/any_observer.hpp>

#include <array>
#include <string_view>
#include <vector>

#include "observe/distributions.hpp"

inline constexpr std::array<std::string_view, 5> compared_observers = {
    "global_minmax", "moving_average", "histogram_percentile", "histogram_mse",
    "histogram_entropy"};
inline constexpr std::size_t mse_column = 3;

// Mean squared errors.
struct cell {
  std::array<double, compared_observers.size()> ours{};
  double torch_1_13 = 0;  // HistogramObserver
  double torch_2 = 0;     // the same of torch 2.1 and later
  double best = 0;        // of `thresholds` ranges
};

// Least error of so many ranges (a square grid of both ends for asymmetric specs), on the elements themselves.
inline double best_of(std::span<const float> x, const lutra::quantization_spec& spec,
                      const lutra::value_range& full, int thresholds) {
  double best = mean_squared_error(x, spec, full);
  const auto part = [](float end, int i, int steps) {
    return end * static_cast<float>(i) / static_cast<float>(steps);
  };
  if (lutra::is_symmetric(spec) || full.lo == 0.0F || full.hi == 0.0F) {
    const float largest = std::max(-full.lo, full.hi);
    for (int i = 1; i <= thresholds; ++i) {
      const auto r = lutra::within(full, part(largest, i, thresholds));
      best = std::min(best, mean_squared_error(x, spec, r));
    }
    return best;
  }
  int steps = 1;
  while ((steps + 1) * (steps + 1) <= thresholds) ++steps;
  for (int i = 1; i <= steps; ++i) {
    for (int j = 1; j <= steps; ++j) {
      const lutra::value_range r{part(full.lo, i, steps), part(full.hi, j, steps)};
      best = std::min(best, mean_squared_error(x, spec, r));
    }
  }
  return best;
}

// n elements, observed in four batches.
inline cell cell_of(const distribution& d, const lutra::quantization_spec& spec, lutra::index_t n,
                    std::uint64_t seed, int thresholds) {
  const std::vector<float> x = draw(d, n, seed);
  const auto error_with = [&](auto o) {
    for (lutra::index_t i = 0; i < 4; ++i) {
      const lutra::index_t first = i * n / 4;
      o.observe(lutra::tensor_view<const float>(x.data() + first, {(i + 1) * n / 4 - first}));
    }
    lutra::value_range r;
    o.range({&r.lo, 1}, {&r.hi, 1});
    return mean_squared_error(x, spec, r);
  };
  cell c;
  for (std::size_t k = 0; k < compared_observers.size(); ++k) {
    c.ours[k] = error_with(lutra::make_observer(compared_observers[k], spec));
  }
  c.torch_1_13 = error_with(lutra::torch_histogram(spec, lutra::torch_release::v1_13));
  c.torch_2 = error_with(lutra::torch_histogram(spec, lutra::torch_release::v2));
  const auto [lo, hi] = std::ranges::minmax(x);
  c.best = best_of(x, spec, {std::min(lo, 0.0F), std::max(hi, 0.0F)}, thresholds);
  return c;
}
