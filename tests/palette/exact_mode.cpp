// Mode `exact` against a programme in long double: what palette/options.hpp says of it.
#include <lutra/palette/palettize.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "cluster/oracle.hpp"
#include "cluster/samples.hpp"
#include "quick.hpp"

namespace {

constexpr double exact_gap = 1e-9;  // ratio to the optimum, and of the proof

// The distinct values of x with the sums of their weights.
std::pair<std::vector<double>, std::vector<double>> distinct(const std::vector<float>& x,
                                                             const std::vector<float>& w) {
  std::vector<std::pair<double, double>> pairs;
  for (std::size_t i = 0; i < x.size(); ++i) {
    pairs.emplace_back(static_cast<double>(x[i]), static_cast<double>(w[i]));
  }
  std::sort(pairs.begin(), pairs.end());
  std::pair<std::vector<double>, std::vector<double>> found;
  for (const auto& [value, weight] : pairs) {
    if (found.first.empty() || found.first.back() != value) {
      found.first.push_back(value);
      found.second.push_back(0);
    }
    found.second.back() += weight;
  }
  return found;
}

TEST_CASE(
    "exact_mode: within 1e-9 of the optimum, and proven, for 20 distributions and 1 to 8 bits") {
  const std::size_t n = test::quick() ? 150 : 420;
  std::vector<std::string> names = samples::names();
  names.push_back("outlier 1e38");
  int tight = 0, tried = 0;
  for (const std::string& name : names) {
    const std::vector<float> x = samples::draw(name, n, 7);
    for (const bool weighted : {false, true}) {
      std::vector<float> w(n, 1.0F);
      if (weighted) w = samples::draw("lognormal", n, 8);
      const auto [value, weight] = distinct(x, w);
      const std::vector<long double> optimum =
          oracle::optima(value, weight, std::min<std::size_t>(256, value.size()));
      for (int bits = 1; bits <= 8; ++bits) {
        const std::size_t k = std::size_t{1} << bits;
        if (k > value.size()) continue;
        lutra::palettize_options options{.mode = lutra::palettize_mode::exact};
        const lutra::shape extents{static_cast<lutra::index_t>(n)};
        if (weighted) options.importance = lutra::tensor_view<const float>(w.data(), extents);
        const auto p = lutra::palettize(lutra::tensor_view<const float>(x.data(), extents),
                                        {.n_bits = bits}, options);
        CAPTURE(name);
        CAPTURE(weighted);
        CAPTURE(bits);
        const auto best = static_cast<double>(optimum[k - 1]);
        CHECK(p.status[0] == lutra::palette_status::optimal);
        // Before the centroids were rounded to float.
        CHECK(p.inertia[0] - p.rounding[0] <= best * (1 + exact_gap));
        CHECK(p.lower_bound[0] <= best * (1 + 1e-15));
        CHECK(p.lower_bound[0] >= best * (1 - exact_gap));
        ++tried;
        tight += p.inertia[0] - p.rounding[0] <= best * (1 + 1e-13) ? 1 : 0;
      }
    }
  }
  CHECK(tried > 200);
  CHECK(tight > tried * 9 / 10);
}

}  // namespace
