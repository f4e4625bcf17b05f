#include <lutra/cluster/lattice.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "samples.hpp"

namespace {

using lutra::lattice;

// Totals by the definition: nearest step, its bucket by linear search.
void check_counts(const lattice& l, const std::vector<float>& x) {
  std::vector<std::uint64_t> count(l.buckets()), rest(l.buckets()), want_count(count),
      want_rest(rest);
  std::vector<double> outside, want_outside;
  lutra::lattice_counts counts(l.buckets());
  counts.add(l, std::span<const float>(x), outside);
  counts.move_to(count, rest);
  for (const float v : x) {
    const double t = std::nearbyint((static_cast<double>(v) - l.lo()) *
                                    (lattice::last_step / (l.value(lattice::last_step) - l.lo())));
    if (!(t >= 0 && t <= lattice::last_step)) {
      want_outside.push_back(static_cast<double>(v));
      continue;
    }
    const auto step = static_cast<std::uint64_t>(t);
    const std::size_t cell = step >> lattice::in_cell_bits;
    const std::uint64_t in_cell = step - (std::uint64_t{cell} << lattice::in_cell_bits);
    const std::uint64_t width = std::uint64_t{1} << l.shift(cell);
    ++want_count[l.first_bucket(cell) + in_cell / width];
    want_rest[l.first_bucket(cell) + in_cell / width] += in_cell % width;
  }
  CHECK(count == want_count);
  CHECK(rest == want_rest);
  CHECK(outside.size() == want_outside.size());
  for (std::size_t i = 0; i < outside.size() && i < want_outside.size(); ++i) {
    CHECK(
        (outside[i] == want_outside[i] || (std::isnan(outside[i]) && std::isnan(want_outside[i]))));
  }
  // A second use starts from zero.
  std::fill(count.begin(), count.end(), 0);
  counts.move_to(count, rest);
  for (const std::uint64_t c : count) CHECK(c == 0);
}

TEST_CASE("lattice: counts and sums of every length, values outside kept in order") {
  const lattice l(-1.0, 1.0, 3);  // scale (2^42 - 1) / 2: exact in double
  CHECK(l.buckets() == lattice::cells * 8);
  CHECK(l.uniform_shift() == lattice::in_cell_bits - 3);
  std::vector<float> x = samples::draw("normal", 700);
  for (float& v : x) v *= 30;
  x[5] = 2.0F;
  x[130] = -std::numeric_limits<float>::infinity();
  x[131] = std::numeric_limits<float>::quiet_NaN();
  x[300] = -1.0F;
  x[301] = 1.0F;
  for (const std::size_t n :
       std::vector<std::size_t>{0, 1, 2, 63, 127, 128, 129, 200, 256, 301, 302, 700}) {
    CAPTURE(n);
    check_counts(l, {x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n)});
  }
}

TEST_CASE("lattice: cells with buckets of their own") {
  const lattice equal(-1.0, 1.0, 2);
  std::vector<std::uint8_t> bits(lattice::cells, 2);
  bits[4096] = 9;
  bits[4095] = 5;
  bits[0] = 3;
  const lattice l(equal, bits);
  CHECK(l.buckets() == 4 * (lattice::cells - 3) + 512 + 32 + 8);
  CHECK(l.uniform_shift() == -1);
  CHECK(l.first_bucket(1) == 8);
  std::vector<float> x = samples::draw("normal", 5000);
  check_counts(l, x);
}

TEST_CASE("lattice: the position of a value is within half a step") {
  const lattice l(0.3, 7.9, 2);
  CHECK(l.value(0) == 0.3);
  CHECK(l.value(lattice::last_step) == doctest::Approx(7.9).epsilon(1e-15));
  for (const double x : {0.3, 1.0, 2.5, 7.0, 7.9}) {
    CHECK(std::fabs(l.value(std::nearbyint(l.position(x))) - x) <= 0.51 * l.step());
  }
}

}  // namespace
