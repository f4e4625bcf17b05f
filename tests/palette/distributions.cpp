// The bounds that bench/distributions.cpp prints in full, on smaller weights.
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "cluster/samples.hpp"

namespace {

using lutra::palette;
using lutra::palettize_mode;

struct measured {
  palette<float> p;
  double inertia;
};
measured run(const std::vector<float>& x, int bits, palettize_mode mode) {
  lutra::palettize_options options;
  options.mode = mode;
  measured m{lutra::palettize(
                 lutra::tensor_view<const float>(x.data(), {static_cast<lutra::index_t>(x.size())}),
                 {.n_bits = bits}, options),
             0};
  const std::vector<float> dense = lutra::dense_values(m.p);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(dense[i]);
    m.inertia += d * d;
  }
  return m;
}

// What rounding the entries to float costs: the sum of n (mean - entry)^2 over the clusters.
double moved(const std::vector<float>& x, const palette<float>& p) {
  std::vector<double> n(p.lut.size()), sum(p.lut.size());
  const auto entry = [&](std::size_t code) { return static_cast<double>(p.lut[code]); };
  for (std::size_t i = 0; i < x.size(); ++i) {
    n[p.codes[i]] += 1;
    sum[p.codes[i]] += static_cast<double>(x[i]) - entry(p.codes[i]);
  }
  double cost = 0;
  for (std::size_t code = 0; code < n.size(); ++code) {
    if (n[code] > 0) cost += sum[code] * sum[code] / n[code];
  }
  return cost;
}

// Counted groups: from 2^17 values on.
constexpr std::size_t counted = 133000;

TEST_CASE(
    "distributions: up to four bits, certified is within 1e-6 of the optimum and proves 1e-4") {
  for (const auto& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, counted, 5);
    for (const int bits : {1, 4}) {
      CAPTURE(name);
      CAPTURE(bits);
      const measured best = run(x, bits, palettize_mode::exact);
      const measured got = run(x, bits, palettize_mode::certified);
      CHECK(got.inertia <= best.inertia * (1 + 1e-6));
      CHECK(got.p.lower_bound[0] <= best.inertia * (1 + 1e-9));
      CHECK(best.p.status[0] == lutra::palette_status::optimal);
      // Around 1000 neighbouring floats are far apart: rounding the table costs more than the gap.
      const double rounding = got.p.rounding[0];
      CHECK(got.inertia - rounding <= got.p.lower_bound[0] * (1 + 1e-4));
      CHECK(rounding <= got.inertia * (name == "large mean" ? 1e-3 : 1e-5));
      if (name == "large mean") CHECK(rounding == doctest::Approx(moved(x, got.p)).epsilon(0.05));
      CHECK(got.p.status[0] <= lutra::palette_status::certified);
      CHECK(run(x, bits, palettize_mode::reference_fast).inertia >= got.inertia * (1 - 1e-6));
    }
  }
}

TEST_CASE("distributions: at eight bits, certified is within 1e-4 of the optimum and proves 1e-2") {
  if (std::getenv("LUTRA_TEST_QUICK") != nullptr) return;
  for (const auto& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, counted, 6);
    CAPTURE(name);
    const measured best = run(x, 8, palettize_mode::exact);
    const measured got = run(x, 8, palettize_mode::certified);
    CHECK(got.inertia <= best.inertia * (1 + 1e-4));
    CHECK(got.p.lower_bound[0] <= best.inertia * (1 + 1e-9));
    CHECK(got.inertia - got.p.rounding[0] <= got.p.lower_bound[0] * (1 + 1e-2));
    CHECK(got.p.status[0] <= lutra::palette_status::certified);
  }
}

}  // namespace
