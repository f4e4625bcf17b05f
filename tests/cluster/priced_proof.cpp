#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/line_polish.hpp>
#include <lutra/cluster/priced_line.hpp>
#include <lutra/cluster/priced_proof.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "cluster/oracle.hpp"
#include "cluster/samples.hpp"
#include "quick.hpp"

namespace {

using lutra::atoms_1d;
using lutra::index_t;
using level = lutra::simd::native;

oracle::pairs wide_pairs(const atoms_1d& atoms) {
  oracle::pairs p;
  for (std::size_t i = 0; i < atoms.value.size(); ++i) {
    p.emplace_back(static_cast<oracle::wide>(atoms.value[i]),
                   static_cast<oracle::wide>(atoms.weight[i]));
  }
  return p;
}

TEST_CASE(
    "priced_proof: no price makes it larger than the optimum, whatever the values and weights") {
  lutra::random_stream r(5);
  lutra::priced_proof proof;
  for (int round = 0; round < 60; ++round) {
    const std::size_t n = 1 + r.below(50);
    const double apart = round % 3 == 0 ? 0.0 : 60 * r.uniform();
    const double offset = round % 4 == 0 ? 1e9 * r.uniform() : 0.0;
    const bool ramp = round % 5 == 0;
    std::vector<double> x, w;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back(offset + (ramp ? static_cast<double>(i) : r.normal()));
      w.push_back(std::exp2(apart * (r.uniform() - 0.5)));
    }
    if (round % 7 == 0) x[0] = 1e18;
    const atoms_1d atoms =
        lutra::make_atoms(std::span<const double>(x), std::span<const double>(w));
    const auto m = static_cast<int>(atoms.size());
    const oracle::pairs points = wide_pairs(atoms);
    for (int k = 1; k <= m; k = 1 + k * 2) {
      const oracle::wide best = oracle::least_cost(points, k);
      for (const double price : {0.0, 1e-9, 0.01, 0.3, 5.0, 1e6, 1e30}) {
        CAPTURE(round);
        CAPTURE(k);
        CAPTURE(price);
        const double floor = proof(atoms.value, atoms.weight, price, k);
        CHECK(static_cast<oracle::wide>(floor) <= best);
      }
    }
  }
}

TEST_CASE("priced_proof: as good as the optimum at the price that finds it") {
  lutra::priced_line<level> prices;
  lutra::priced_proof proof;
  int found = 0;
  const std::size_t n = test::quick() ? 300 : 600;  // the oracle takes n^2 k long doubles
  for (const char* name : {"normal", "student3", "laplace", "large mean", "outlier 1e6"}) {
    for (const index_t k : {33, 80, 150}) {
      const std::vector<float> x = samples::draw(name, n);
      const atoms_1d atoms = lutra::make_atoms(std::span<const float>(x), std::span<const float>());
      if (atoms.size() <= k) continue;
      const lutra::line l = lutra::line_of_points<level>(atoms.value, atoms.weight);
      const auto priced = prices(l, k);
      if (priced.starts.empty()) continue;
      ++found;
      CAPTURE(name);
      CAPTURE(k);
      const auto best = static_cast<double>(
          oracle::optima(atoms.value, atoms.weight, static_cast<std::size_t>(k)).back());
      const double floor = proof(atoms.value, atoms.weight, priced.price, k);
      CHECK(floor <= best);
      CHECK(floor >= best * (1 - 1e-11));
    }
  }
  CHECK(found >= 5);
}

TEST_CASE("priced_proof: rows and lanes beyond the ends, and what takes too long") {
  lutra::priced_proof proof;
  for (std::size_t n = 1; n <= 40; ++n) {
    std::vector<double> x, w(n, 1.0);
    for (std::size_t i = 0; i < n; ++i) x.push_back(static_cast<double>(i));
    // A price at which one cluster of all is best.
    const auto m = static_cast<double>(n);
    const double all = m * (m * m - 1) / 12;
    CHECK(std::fabs(proof(x, w, all, 1) - all) <= 1e-12 * all + 1e-300);
    CHECK(proof(x, w, 1e-3, static_cast<index_t>(n)) <= 0.0);
  }
  std::vector<double> x, w(3000, 1.0);
  for (int i = 0; i < 3000; ++i) x.push_back(1 + 1e-9 * i);
  CHECK(proof(x, w, 1e6, 2) < 0);
}

}  // namespace
