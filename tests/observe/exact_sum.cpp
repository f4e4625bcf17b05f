#include <lutra/core/random.hpp>
#include <lutra/observe/exact_sum.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using lutra::float_sum;
using lutra::square_sum;

// Every exponent of a float, every sign.
double any_float(lutra::random_stream& r) {
  const double m = 1.0 + std::floor(r.uniform() * 0x1p23) * 0x1p-23;
  const double x = std::ldexp(m, static_cast<int>(r.below(254)) - 126);
  return r.uniform() < 0.5 ? -x : x;
}

TEST_CASE("exact_sum: integers and their negatives") {
  float_sum s;
  CHECK(s.value() == 0.0);
  s.add(3.0);
  s.add(-5.0);
  CHECK(s.value() == -2.0);
  s.add(2.0);
  CHECK(s == float_sum{});
  s.add(-0.0);
  s.add(0.0);
  CHECK(s == float_sum{});
}

TEST_CASE("exact_sum: both ends of the exponent range, which a double loses") {
  float_sum s;
  s.add(0x1p127);
  s.add(0x1p-149);
  CHECK(s.value() == 0x1p127);
  s.add(-0x1p127);
  CHECK(s.value() == 0x1p-149);
  square_sum q;
  q.add(0x1p254);
  q.add(0x1p-298);
  q.add(-0x1p254);
  CHECK(q.value() == 0x1p-298);
}

TEST_CASE("exact_sum: value is rounded to nearest, ties to even") {
  const auto of = [](std::initializer_list<double> xs) {
    float_sum s;
    for (const double x : xs) s.add(x);
    return s.value();
  };
  CHECK(of({0x1p53, 1.0}) == 0x1p53);                  // tie, down to even
  CHECK(of({0x1p53, 3.0}) == 0x1p53 + 4.0);            // tie, up to even
  CHECK(of({0x1p53, 1.0, 0x1p-149}) == 0x1p53 + 2.0);  // just above the tie
  CHECK(of({0x1p53, 1.0, -0x1p-149}) == 0x1p53);       // just below it
  CHECK(of({-0x1p53, -1.0, -0x1p-149}) == -0x1p53 - 2.0);
  CHECK(of({0x1p54, -1.0}) == 0x1p54);  // rounds up over a power of two
  CHECK(of({0x1.fffffffffffffp53, 1.0}) == 0x1p54);
}

TEST_CASE("exact_sum: any order and any grouping give the same bytes") {
  lutra::random_stream r(7);
  std::vector<double> terms(400);
  for (double& x : terms) x = any_float(r);
  float_sum one_by_one;
  for (const double x : terms) one_by_one.add(x);
  for (int trial = 0; trial < 64; ++trial) {
    for (std::size_t i = terms.size(); i > 1; --i) std::swap(terms[i - 1], terms[r.below(i)]);
    std::vector<float_sum> parts(1 + r.below(9));
    for (const double x : terms) parts[r.below(parts.size())].add(x);
    while (parts.size() > 1) {
      parts[r.below(parts.size() - 1)].add(parts.back());
      parts.pop_back();
    }
    CHECK(parts[0] == one_by_one);
  }
}

// Terms of 2^-20 .. 2^40 whose sum long double holds exactly where it has 64 bits.
TEST_CASE("exact_sum: agrees with integer arithmetic") {
  lutra::random_stream r(8);
  float_sum s;
  std::int64_t exact = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto m = static_cast<std::int64_t>(r.below(1 << 24)) - (1 << 23);
    const int e = static_cast<int>(r.below(20));
    s.add(std::ldexp(static_cast<double>(m), e - 30));
    exact += m * (std::int64_t{1} << e);
    CHECK(s.value() == std::ldexp(static_cast<double>(exact), -30));
  }
}

TEST_CASE("exact_sum: saved and loaded") {
  float_sum s;
  s.add(-0x1.23456p70);
  s.add(0x1p-140);
  lutra::state_writer w;
  s.save(w);
  lutra::state_reader in(w.bytes(), "test");
  float_sum t;
  t.load(in);
  in.expect_end();
  CHECK(s == t);
}

}  // namespace
