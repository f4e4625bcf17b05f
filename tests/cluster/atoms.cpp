#include <lutra/cluster/atoms.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "errors.hpp"

namespace {

using lutra::atoms_1d;

atoms_1d atoms_of(const std::vector<double>& x, const std::vector<double>& w = {}) {
  return lutra::make_atoms(std::span<const double>(x), std::span<const double>(w));
}

TEST_CASE("atoms: sorted, merged, counted") {
  const atoms_1d a = atoms_of({3, 1, 2, 1, 3, 3});
  CHECK(a.value == std::vector<double>{1, 2, 3});
  CHECK(a.weight == std::vector<double>{2, 1, 3});
  CHECK(atoms_of({}).size() == 0);
}

TEST_CASE("atoms: both zeros are one value") {
  const atoms_1d a = atoms_of({0.0, -0.0, -0.0});
  REQUIRE(a.size() == 1);
  CHECK(!std::signbit(a.value[0]));
  CHECK(a.weight[0] == 3);
}

TEST_CASE("atoms: the order of the input does not matter, not even for rounding") {
  const std::vector<double> w = {1.0, 0x1p-53, 0x1p-53};
  const atoms_1d a = atoms_of({5, 5, 5}, w);
  const atoms_1d b = atoms_of({5, 5, 5}, {w[1], w[0], w[2]});
  CHECK(a.weight == b.weight);
  CHECK(a.weight[0] == 1.0 + 0x1p-52);  // smallest first: nothing is lost
}

TEST_CASE("atoms: floats keep their value") {
  const std::vector<float> x = {0.1F, 0.1F, 0.2F};
  const atoms_1d a = lutra::make_atoms(std::span<const float>(x), std::span<const double>());
  CHECK(a.value[0] == static_cast<double>(0.1F));
  CHECK(a.weight == std::vector<double>{2, 1});
}

TEST_CASE("atoms: weights must be positive, finite and as many as the values") {
  const auto check = [](std::vector<double> w, std::size_t n) {
    lutra::check_weights(std::span<const double>(w), n, "here");
  };
  check({}, 3);
  check({1, 2}, 2);
  CHECK_ERROR(check({1, 2}, 3), shape_mismatch, "got 2", "allowed: 3");
  CHECK_ERROR(check({1, 0}, 2), invalid_argument, "0 at position 1", "> 0");
  CHECK_ERROR(check({-1, 1}, 2), invalid_argument, "-1 at position 0");
  CHECK_ERROR(check({1, std::nan("")}, 2), invalid_argument, "nan at position 1");
  CHECK_ERROR(check({std::numeric_limits<double>::infinity(), 1}, 2), invalid_argument, "inf");
}

}  // namespace
