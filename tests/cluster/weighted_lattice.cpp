#include <lutra/cluster/line_of_values.hpp>
#include <lutra/cluster/weighted_lattice.hpp>

#include <doctest/doctest.h>

#include "backward_executor.hpp"
#include "cluster/samples.hpp"
#include "noting_executor.hpp"

namespace {

using lutra::index_t;
using lutra::lattice;

struct pairs {
  std::vector<double> x, w;
  std::size_t size() const { return x.size(); }
  double operator[](std::size_t i) const { return x[i]; }
  double weight(std::size_t i) const { return w[i]; }
  void fill(std::size_t first, std::size_t n, double* values, double* weights) const {
    for (std::size_t i = 0; i < n; ++i) {
      values[i] = x[first + i];
      weights[i] = w[first + i];
    }
  }
};
static_assert(lutra::weighted_source<pairs>);
static_assert(!lutra::weighted_source<std::span<const float>>);

pairs drawn(const char* name, std::size_t n) {
  pairs p;
  lutra::random_stream random(5);
  for (const float v : samples::draw(name, n)) {
    p.x.push_back(static_cast<double>(v));
    p.w.push_back(1e-3 + random.uniform() * random.uniform());
  }
  return p;
}

TEST_CASE("weighted_lattice: buckets hold the weights and moments of their values") {
  const pairs p = drawn("student2", 600001);
  const auto range = lutra::sample_range(p);
  REQUIRE(range);
  const lattice l(range->first, range->second, 2);
  const auto totals = lutra::count_values(l, p, lutra::serial_executor{});
  std::vector<long double> weight(l.buckets()), moment(l.buckets());
  std::vector<int> values(l.buckets());
  std::vector<std::pair<double, double>> outside;
  l.locate(
      std::span<const double>(p.x),
      [&](std::size_t i, std::uint64_t t) {
        const std::size_t b = l.bucket_of(t);
        weight[b] += static_cast<long double>(p.w[i]);
        moment[b] += static_cast<long double>(p.w[i]) * static_cast<long double>(l.rest_of(t));
        ++values[b];
      },
      [&](std::size_t i) { outside.emplace_back(p.x[i], p.w[i]); });
  std::sort(outside.begin(), outside.end());
  CHECK(totals.outside == outside);
  CHECK(!outside.empty());
  for (std::size_t b = 0; b < l.buckets(); ++b) {
    REQUIRE(std::fabs(static_cast<long double>(totals.weight[b]) - weight[b]) <=
            0x1p-34L * weight[b]);
    REQUIRE(std::fabs(static_cast<long double>(totals.moment[b]) - moment[b]) <=
            0x1p-34L * moment[b]);
    REQUIRE(totals.values[b] == std::min(values[b], 2));
  }
}

TEST_CASE("weighted_lattice: the executor changes nothing") {
  const pairs p = drawn("laplace", 5 * (1 << 18) + 77);
  const lattice l(-8.0, 8.0, 2);
  const auto a = lutra::count_values(l, p, lutra::serial_executor{});
  const auto b = lutra::count_values(l, p, test::backward_executor{});
  CHECK(a.weight == b.weight);
  CHECK(a.moment == b.moment);
  CHECK(a.values == b.values);
  CHECK(a.outside == b.outside);
  for (const bool serial : {true, false}) {
    CHECK(test::most_pieces(serial, [&](const auto& ex) {
            CHECK(lutra::count_values(l, p, ex).weight == a.weight);
          }) == (serial ? 1 : 4));
  }
}

TEST_CASE("weighted_lattice: the line has the weight, mean and squares of the values") {
  for (const char* name : {"normal", "student2", "lognormal"}) {
    const pairs p = drawn(name, 300000);
    const auto range = lutra::sample_range(p);
    const lattice l(range->first, range->second, 2);
    const auto b = lutra::line_of_buckets(l, lutra::count_values(l, p, lutra::serial_executor{}));
    const lutra::line& atoms = b.atoms;
    long double weight = 0, sum = 0, square = 0;
    for (std::size_t i = 0; i < p.size(); ++i) weight += static_cast<long double>(p.w[i]);
    for (std::size_t i = 0; i < p.size(); ++i) {
      sum += static_cast<long double>(p.w[i]) * static_cast<long double>(p.x[i]);
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
      const long double d = static_cast<long double>(p.x[i]) - sum / weight;
      square += static_cast<long double>(p.w[i]) * d * d;
    }
    CAPTURE(name);
    CHECK(atoms.error == lutra::weighted_totals::error);
    CHECK(atoms.weight(0, atoms.size()) ==
          doctest::Approx(static_cast<double>(weight)).epsilon(1e-9));
    CHECK(std::fabs(atoms.mean(0, atoms.size()) + atoms.origin -
                    static_cast<double>(sum / weight)) <= l.step() + 1e-9);
    const double total = static_cast<double>(square);
    const double cost = atoms.cost(0, atoms.size());
    CHECK(atoms.blurred_down(cost) <= total);
    CHECK(atoms.blurred_up(cost + atoms.within) >= total);
    // Means come from differences of prefix sums, whose rounding adds up.
    const double precision = 0x1p-42 * std::max(std::fabs(atoms.s.front()), atoms.s.back());
    for (index_t i = 0; i < atoms.size(); ++i) {
      const double off = l.step() + precision / atoms.weight(i, i + 1);
      REQUIRE(atoms.centre(i) >= atoms.least(i) - off);
      REQUIRE(atoms.centre(i) <= atoms.largest(i) + off);
    }
  }
}

}  // namespace
