#include <lutra/cluster/line_of_values.hpp>
#include <lutra/core/executor_ref.hpp>

#include <doctest/doctest.h>

#include "backward_executor.hpp"
#include "noting_executor.hpp"
#include "samples.hpp"

namespace {

using lutra::index_t;
using lutra::lattice;

TEST_CASE("line_of_values: the sample finds the bulk of the values") {
  const std::vector<float> x = samples::draw("normal", 100000);
  const auto range = lutra::sample_range(std::span<const float>(x));
  REQUIRE(range);
  std::size_t outside = 0;
  for (const float v : x) {
    const auto d = static_cast<double>(v);
    outside += d < range->first || d > range->second ? 1U : 0U;
  }
  CHECK(outside < 20);
  CHECK(!lutra::sample_range(std::span<const float>(samples::draw("constant", 1000))));
  CHECK(!lutra::sample_range(std::span<const float>()));
  CHECK(lutra::sample_is_coarse(std::span<const float>(samples::draw("duplicates", 100000))));
  CHECK(!lutra::sample_is_coarse(std::span<const float>(x)));
}

TEST_CASE("line_of_values: weights, means and squares of the buckets are those of the values") {
  std::vector<float> x = samples::draw("student2", 300000);
  const auto range = lutra::sample_range(std::span<const float>(x));
  const lattice l(range->first, range->second, 2);
  const auto totals = lutra::count_values(l, std::span<const float>(x), lutra::serial_executor{});
  const lutra::bucket_line b = lutra::line_of_buckets(l, totals);
  const lutra::line& atoms = b.atoms;
  CHECK(atoms.weight(0, atoms.size()) == 300000);
  long double sum = 0;
  for (const float v : x) sum += static_cast<long double>(v);
  const double mean = static_cast<double>(sum / 300000);
  CHECK(std::fabs(atoms.mean(0, atoms.size()) + atoms.origin - mean) <= l.step() + 1e-12);
  // Within and total: the squared distances of all values to their mean lie between the bounds.
  long double square = 0;
  for (const float v : x)
    square +=
        (static_cast<long double>(v) - sum / 300000) * (static_cast<long double>(v) - sum / 300000);
  const double total = static_cast<double>(square);
  const double cost = atoms.cost(0, atoms.size());
  CHECK(cost <= total * (1 + 1e-9));
  CHECK(cost + atoms.within >= total * (1 - 1e-9));
  for (index_t i = 1; i < atoms.size(); ++i) {
    REQUIRE(atoms.centre(i - 1) < atoms.centre(i));
    REQUIRE(atoms.largest(i - 1) <= atoms.least(i) + l.step());
    REQUIRE(atoms.centre(i) >= atoms.least(i) - l.step());
    REQUIRE(atoms.centre(i) <= atoms.largest(i) + l.step());
  }
  // Points outside on either side.
  REQUIRE(!totals.outside.empty());
  CHECK(b.leading > 0);
  CHECK(atoms.least(0) == atoms.largest(0));
}

TEST_CASE("line_of_values: the executor and the order of the shards change nothing") {
  const std::vector<float> x = samples::draw("laplace", 5 * (1 << 18) + 77);
  const lattice l(-8.0, 8.0, 2);
  const auto a = lutra::count_values(l, std::span<const float>(x), lutra::serial_executor{});
  const auto b = lutra::count_values(l, std::span<const float>(x), test::backward_executor{});
  CHECK(a.count == b.count);
  CHECK(a.rest == b.rest);
  CHECK(a.outside == b.outside);
}

TEST_CASE(
    "line_of_values: shards are counted side by side, but by what is serial one after the other") {
  const std::vector<float> x = samples::draw("laplace", 5 * (1 << 18) + 77);
  const lattice l(-8.0, 8.0, 2);
  const auto expected = lutra::count_values(l, std::span<const float>(x), lutra::serial_executor{});
  for (const bool serial : {true, false}) {
    const index_t pieces = test::most_pieces(serial, [&](const test::noting_executor& ex) {
      const auto totals =
          lutra::count_values(l, std::span<const float>(x), lutra::executor_ref(ex));
      CHECK(totals.count == expected.count);
      CHECK(totals.rest == expected.rest);
      CHECK(totals.outside == expected.outside);
    });
    CHECK(pieces == (serial ? 1 : 4));
  }
}

TEST_CASE("line_of_values: buckets go where the shares are") {
  const lattice l(0, 1, 2);
  std::vector<double> share(lattice::cells);
  share[17] = 100;
  share[18] = 1;
  const lattice fine = lutra::lattice_by_share(l, share, 10000);
  CHECK(fine.shift(17) < fine.shift(18));
  CHECK(fine.shift(18) < fine.shift(19));
  CHECK(fine.buckets() < 4 * lattice::cells + 20000);
}

TEST_CASE("line_of_values: equal points in a row are one atom") {
  lutra::line_builder builder(1.0);
  builder.point(0.5, 1);
  builder.point(0.5, 2);
  builder.point(2.0, 1);
  const lutra::line l = std::move(builder).finish(0);
  REQUIRE(l.size() == 2);
  CHECK(l.weight(0, 1) == 3);
  CHECK(l.mean(0, 1) == -0.5);
  CHECK(l.cost(0, 1) == 0);
}

}  // namespace
