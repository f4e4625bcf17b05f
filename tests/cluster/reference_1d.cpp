#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/reference_1d.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include "oracle.hpp"

namespace {

using lutra::reference_1d;
using numbers = std::vector<double>;
using codes = std::vector<std::uint16_t>;

TEST_CASE("reference_1d: optimal on well-conditioned data") {
  lutra::random_stream random(1);
  for (int trial = 0; trial < 60; ++trial) {
    numbers x, w;
    const auto n = 1 + random.below(11);
    for (std::uint64_t i = 0; i < n; ++i) {
      x.push_back(random.normal());
      w.push_back(0.1 + random.uniform());
    }
    for (int k = 1; k <= 5; ++k) {
      const auto r = reference_1d(x, w, k);
      double inertia = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double d = x[i] - r.centroids[r.codes[i]];
        inertia += w[i] * d * d;
      }
      CHECK(inertia == doctest::Approx(oracle::optimum(x, w, k)).epsilon(1e-10));
    }
  }
}

TEST_CASE("reference_1d: ties and empty clusters as the reference has them") {
  CHECK(reference_1d(numbers{0, 1, 2}, {}, 2).codes == codes{0, 1, 1});
  CHECK(reference_1d(numbers{1, 2, 3, 4, 5, 6}, {}, 4).centroids == numbers{1, 2, 3.5, 5.5});
  // Fewer distinct values than clusters: the used clusters come last, the others keep 0.
  const auto r = reference_1d(numbers{1, 1, 2, 2}, {}, 3);
  CHECK(r.codes == codes{1, 1, 2, 2});
  CHECK(r.centroids == numbers{0, 1, 2});
  CHECK(reference_1d(numbers{5}, {}, 3).centroids == numbers{5});
  CHECK(reference_1d({}, {}, 3).codes.empty());
}

TEST_CASE("reference_1d: the input need not be sorted") {
  const auto r = reference_1d(numbers{9, 1, 8, 2}, numbers{1, 3, 1, 1}, 2);
  CHECK(r.codes == codes{1, 0, 1, 0});
  CHECK(r.centroids[0] == 1.25);
}

TEST_CASE("reference_1d: loses precision next to a large mean, which exact_1d does not") {
  lutra::random_stream random(2);
  numbers x;
  for (int i = 0; i < 500; ++i) x.push_back(1e4 + 1e-5 * random.normal());
  const auto r = reference_1d(x, {}, 8);
  double inertia = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - r.centroids[r.codes[i]];
    inertia += d * d;
  }
  CHECK(inertia > 1.5 * lutra::exact_1d(std::span<const double>(x), {}, 8).inertia);
}

}  // namespace
