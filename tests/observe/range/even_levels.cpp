#include <lutra/observe/range/even_levels.hpp>
#include <lutra/observe/range/mse.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "observe/distributions.hpp"

namespace {

using lutra::even_levels;
using lutra::histogram;
using lutra::index_t;
using lutra::quantization_spec;
using lutra::value_range;

histogram counted(std::span<const float> x, index_t bins = 2048) {
  histogram h(bins);
  h.add(x.data(), static_cast<index_t>(x.size()));
  return h;
}

// The literal definition: the distance to the nearest of the levels, integrated over every bin piece by piece.
double by_pieces(const histogram& h, double low, double high, double step) {
  double sum = 0;
  for (index_t b = 0; b < h.bins(); ++b) {
    const auto count = static_cast<double>(h.counts()[static_cast<std::size_t>(b)]);
    double x = static_cast<double>(h.lattice().first + b);
    const double end = x + 1;
    double level = std::clamp(std::floor(x / step + 0.5), low, high);
    for (; count > 0 && x < end; ++level) {
      const double next = level == high ? end : std::clamp((level + 0.5) * step, x, end);
      const double a = x - level * step;
      const double c = next - level * step;
      sum += count * (c * c * c - a * a * a) / 3.0;
      x = next;
    }
  }
  return sum;
}

TEST_CASE("even_levels: the error is that of the definition, for steps of every size") {
  for (const auto& d : distributions) {
    const histogram h = counted(draw(d, 3000, 3), 128);
    for (const auto& [low, high] : {std::pair{-128.0, 127.0}, {-32.0, 31.0}, {-7.0, 7.0}}) {
      const even_levels levels(h, low, high);
      for (double step = 20; step > 0.01; step *= 0.83) {
        CAPTURE(d.name);
        CAPTURE(step);
        CHECK(levels.error(step) == doctest::Approx(by_pieces(h, low, high, step)).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("even_levels: the best step is within 0.5 % of the best of 10^4, or absent") {
  const bool quick = std::getenv("LUTRA_TEST_QUICK") != nullptr;
  const int steps = quick ? 200 : 10'000;
  int told = 0;
  for (const auto& d : distributions) {
    const histogram h = counted(draw(d, quick ? 20'000 : 200'000, 5));
    const quantization_spec spec{};
    const value_range full = lutra::full_range(h, spec);
    const double largest = static_cast<double>(std::max(-full.lo, full.hi)) / h.width() / 127.5;
    const auto step = even_levels(h, -128, 127).best_step(largest);
    if (!step) continue;
    ++told;
    const lutra::squared_error error(h, spec);
    const auto at = [&](double s) {
      return error(lutra::within(full, static_cast<float>(s * 127.5 * h.width())));
    };
    double best = error(full);
    for (int i = 1; i <= steps; ++i) best = std::min(best, at(largest * i / steps));
    CAPTURE(d.name);
    CHECK(*step <= largest);
    CHECK(at(*step) <= 1.005 * best);
    CHECK(lutra::mse_range{}(h, spec) ==
          lutra::within(full, static_cast<float>(*step * 127.5 * h.width())));
  }
  CHECK(told >= (quick ? 0 : 2));
}

TEST_CASE("even_levels: a density with a period near the step") {
  // Values quantized before to 111 levels, and noise: the best step is where the levels meet.
  // Normal values of an even sequence: as smooth as 20 times as many random ones.
  constexpr int n = 200'000;
  std::vector<float> x;
  for (int i = 0; i < n; ++i) {
    const double radius = std::sqrt(-2 * std::log((i + 0.5) / n));
    const double turn = 6.283185307179586 * std::fmod(i * 0.6180339887498949, 1.0);
    const double level = std::round(radius * std::cos(turn) * 111 / 3.5);
    x.push_back(static_cast<float>((level + 0.39 * radius * std::sin(turn)) / 111));
  }
  const histogram h = counted(x);
  const quantization_spec spec{};
  const value_range full = lutra::full_range(h, spec);
  const double largest = static_cast<double>(std::max(-full.lo, full.hi));
  const lutra::squared_error error(h, spec);
  double best = error(full);
  for (double share = 1; share > 0.2; share *= 0.999) {
    best = std::min(best, error(lutra::within(full, static_cast<float>(share * largest))));
  }
  CHECK(error(lutra::mse_range{}(h, spec)) <= 1.01 * best);
}

TEST_CASE("even_levels: few values, or values on a grid, are not told") {
  const std::vector<float> few = draw(distributions[0], 500, 6);
  CHECK_FALSE(even_levels(counted(few), -128, 127).best_step(8).has_value());
  std::vector<float> grid;
  for (int i = 0; i < 100'000; ++i) grid.push_back(static_cast<float>(i % 201 - 100));
  const histogram h = counted(grid);
  CHECK_FALSE(even_levels(h, -128, 127).best_step(100 / h.width() / 127.5).has_value());
}

}  // namespace
