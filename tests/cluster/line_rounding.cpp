#include <lutra/cluster/exact_1d.hpp>
#include <lutra/cluster/line_rounding.hpp>

#include <doctest/doctest.h>

#include "cluster/samples.hpp"

namespace {

using lutra::index_t;

// Cost of one cluster and the least cost of k, by trying all cuts, in long double (64 bits on x86-64, 113 elsewhere).
long double precise_cost(const std::vector<double>& x, const std::vector<double>& w, std::size_t i,
                         std::size_t j) {
  long double weight = 0, moment = 0, sum = 0;
  for (std::size_t a = i; a < j; ++a) {
    weight += static_cast<long double>(w[a]);
    moment += static_cast<long double>(w[a]) *
              (static_cast<long double>(x[a]) - static_cast<long double>(x[i]));
  }
  const long double mean = moment / weight;
  for (std::size_t a = i; a < j; ++a) {
    const long double d = (static_cast<long double>(x[a]) - static_cast<long double>(x[i])) - mean;
    sum += static_cast<long double>(w[a]) * d * d;
  }
  return sum;
}
long double precise_optimum(const std::vector<double>& x, const std::vector<double>& w,
                            std::size_t end, int k) {
  if (k == 1) return precise_cost(x, w, 0, end);
  long double best = precise_cost(x, w, 0, end);
  for (std::size_t cut = static_cast<std::size_t>(k) - 1; cut < end; ++cut) {
    best = std::min(best, precise_optimum(x, w, cut, k - 1) + precise_cost(x, w, cut, end));
  }
  return best;
}

struct weighted_values {
  std::vector<double> x, w;
};

// Few values with weights up to 1e15 times as heavy as others, some of them far away.
weighted_values adversarial(lutra::random_stream& random) {
  weighted_values v;
  const std::size_t n = 4 + random.below(9);
  const double spread = std::pow(10.0, 15 * random.uniform());
  double at = random.below(3) == 0 ? 1e3 : -1.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double far = random.below(5) == 0 ? std::pow(10.0, 6 * random.uniform()) : 1.0;
    at += far * (1e-3 + random.uniform());
    v.x.push_back(at);
    v.w.push_back(std::pow(spread, random.uniform()) * (random.below(3) == 0 ? 1e-6 : 1.0));
  }
  return v;
}

TEST_CASE("line_rounding: no clustering is cheaper than claimed, whatever the weights") {
  lutra::random_stream random(21);
  int sharp = 0, tried = 0, beyond_usual = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const weighted_values v = adversarial(random);
    const int k = 2 + static_cast<int>(random.below(3));
    if (static_cast<int>(v.x.size()) <= k) continue;
    const long double optimum = precise_optimum(v.x, v.w, v.x.size(), k);
    // The layered programme on sums in double.
    const lutra::line l = lutra::line_of_points(v.x, v.w);
    const auto found = lutra::certified_1d(l, k);
    long double cost = 0;
    for (std::size_t c = 0; c < found.starts.size(); ++c) {
      const auto end =
          c + 1 < found.starts.size() ? static_cast<std::size_t>(found.starts[c + 1]) : v.x.size();
      cost += precise_cost(v.x, v.w, static_cast<std::size_t>(found.starts[c]), end);
    }
    CAPTURE(trial);
    const auto too_much = static_cast<double>(cost - optimum);
    CHECK(too_much <= found.excess);
    beyond_usual += too_much > l.rounding() ? 1 : 0;
    // And the exact solver, which takes sums of more digits where it must.
    const auto exact = lutra::exact_1d(v.x, v.w, k);
    CHECK(static_cast<double>(static_cast<long double>(exact.inertia) - optimum) <= exact.rounding);
    CHECK(static_cast<double>(static_cast<long double>(exact.inertia) - optimum) >=
          -exact.rounding);
    ++tried;
    sharp += exact.rounding <= 1e-4 * exact.inertia ? 1 : 0;
  }
  CHECK(tried > 2000);
  CHECK(sharp + tried / 200 >= tried);  // double-double leaves nothing open
  CHECK(beyond_usual > 0);              // the bound of the squares alone would have been wrong
}

TEST_CASE("line_rounding: small beside the cost of what palettes are made of") {
  for (const char* name : {"normal", "laplace", "student2", "cauchy", "uniform", "bimodal"}) {
    std::vector<float> x = samples::draw(name, 20000), w = samples::draw("lognormal", 20000, 3);
    for (const bool weighted : {false, true}) {
      const auto atoms =
          lutra::make_atoms(std::span<const float>(x),
                            weighted ? std::span<const float>(w) : std::span<const float>());
      const lutra::line l = lutra::line_of_points(atoms.value, atoms.weight);
      const double cost = lutra::certified_1d(l, 16).inertia;
      CAPTURE(name);
      CAPTURE(weighted);
      CHECK(lutra::line_rounding(l)(16, cost) <= 5e-5 * cost);
      CHECK(lutra::line_rounding(l)(16, cost) >= l.rounding());
    }
  }
}

}  // namespace
