// Value distributions for the tests of the clustering.
#pragma once

#include <cmath>
#include <cstdint>
#include <lutra/core/random.hpp>
#include <string>
#include <utility>
#include <vector>

namespace samples {

// Named ways to draw value i of n.
inline std::vector<float> draw(const std::string& name, std::size_t n, std::uint64_t seed = 1) {
  lutra::random_stream r(seed);
  std::vector<float> x(n);
  const auto normal = [&] { return r.normal(); };
  for (std::size_t i = 0; i < n; ++i) {
    double v = 0;
    if (name == "normal") v = 0.02 * normal();
    if (name == "laplace") v = (r.uniform() < 0.5 ? -1.0 : 1.0) * std::log(1.0 - r.uniform());
    if (name == "student2") v = normal() / std::sqrt(-std::log(1.0 - r.uniform()));
    if (name == "student3") {
      const double a = normal(), b = normal(), c = normal();
      v = normal() / std::sqrt((a * a + b * b + c * c) / 3);
    }
    if (name == "bimodal") v = (r.uniform() < 0.5 ? 3.0 : -3.0) + 0.5 * normal();
    if (name == "two narrow modes") v = (r.uniform() < 0.5 ? 0.25 : -0.25) + 1e-4 * normal();
    if (name == "duplicates") v = std::round(normal() * 50) / 50;
    if (name == "outlier 1e3") v = i == n / 3 ? 1e3 : normal();
    if (name == "outlier 1e6") v = i == n / 3 ? 1e6 : normal();
    if (name == "outlier 1e38") v = i == n / 3 ? 1e38 : normal();  // not among names()
    if (name == "tiny") v = 1e-30 * normal();
    if (name == "huge") v = 1e30 * normal();
    if (name == "constant") v = 0.125;
    if (name == "two values") v = r.uniform() < 0.3 ? -1.5 : 2.5;
    if (name == "sorted") v = static_cast<double>(i) / static_cast<double>(n);
    if (name == "uniform") v = r.uniform();
    if (name == "half normal") v = std::fabs(normal());
    if (name == "lognormal") v = std::exp(2 * normal());
    if (name == "cauchy") v = std::tan(3.14159 * (r.uniform() - 0.5));
    if (name == "large mean") v = 1000 + 1e-2 * normal();
    if (name == "sparse") v = r.uniform() < 0.9 ? 0.0 : normal();
    x[i] = static_cast<float>(v);
  }
  return x;
}

inline const std::vector<std::string>& names() {
  static const std::vector<std::string> all = {
      "normal",     "laplace",     "student2",    "student3",    "bimodal",   "two narrow modes",
      "duplicates", "outlier 1e3", "outlier 1e6", "tiny",        "huge",      "constant",
      "two values", "sorted",      "uniform",     "half normal", "lognormal", "cauchy",
      "large mean", "sparse"};
  return all;
}

}  // namespace samples
