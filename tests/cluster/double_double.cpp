#include <lutra/cluster/double_double.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace {

using lutra::double_double;

long double wide(double_double x) {
  return static_cast<long double>(x.hi) + static_cast<long double>(x.lo);
}

TEST_CASE("double_double: sums and products of doubles are exact") {
  const double_double s = lutra::two_sum(1.0, 0x1p-80);
  CHECK(s.hi == 1.0);
  CHECK(s.lo == 0x1p-80);
  const double_double p = lutra::exact_product(1.0 + 0x1p-52, 1.0 - 0x1p-52);
  CHECK(p.hi == 1.0);
  CHECK(p.lo == -0x1p-104);
  lutra::random_stream random(1);
  for (int i = 0; i < 1000; ++i) {
    const double a = std::ldexp(random.uniform() - 0.5, static_cast<int>(random.below(40)) - 20);
    const double b = std::ldexp(random.uniform() - 0.5, static_cast<int>(random.below(40)) - 20);
    const double_double q = lutra::exact_product(a, b);
    CHECK(q.hi == a * b);
    CHECK(q.lo == std::fma(a, b, -q.hi));
  }
}

TEST_CASE("double_double: arithmetic agrees with long double to its precision") {
  lutra::random_stream random(2);
  for (int i = 0; i < 1000; ++i) {
    const double_double a = lutra::two_sum(random.normal(), random.normal() * 1e-17);
    const double_double b = lutra::two_sum(random.normal() + 8.0, random.normal() * 1e-17);
    const long double x = wide(a);
    const long double y = wide(b);
    const long double tolerance = 4e-19L * (std::fabs(x) + std::fabs(y));
    CHECK(std::fabs(wide(a + b) - (x + y)) <= tolerance);
    CHECK(std::fabs(wide(a - b) - (x - y)) <= tolerance);
    CHECK(std::fabs(wide(a * b) - x * y) <= 4e-19L * std::fabs(x * y));
    CHECK(std::fabs(wide(a / b) - x / y) <= 4e-19L * std::fabs(x / y));
    CHECK(wide(-a) == -x);
  }
}

TEST_CASE("double_double: quotients keep more than 100 bits") {
  const double_double third = double_double{1, 0} / double_double{3, 0};
  const double_double one = third * double_double{3, 0};
  CHECK(std::fabs((one.hi - 1.0) + one.lo) <= 0x1p-100);
}

TEST_CASE("double_double: a compensated sum survives cancellation") {
  lutra::compensated_sum sum;
  sum.add(1e16);
  for (int i = 0; i < 1000; ++i) sum.add(0.25);
  sum.add(-1e16);
  CHECK(sum.value() == 250.0);
  sum.add(lutra::exact_product(0.5, 3.0));
  CHECK(sum.value() == 251.5);
  CHECK(sum.pair().hi == 251.5);
}

}  // namespace
