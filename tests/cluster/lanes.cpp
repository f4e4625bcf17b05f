#include <lutra/cluster/lanes.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace {

using lutra::lanes8;

// Every operation against the scalar formula; bits must be equal.
template <class A> void check_lanes() {
  using lanes = lutra::double8<A>;
  lutra::random_stream random(1);
  std::vector<double> w(lanes8 + 1), s(lanes8 + 1), q(lanes8 + 1);
  for (int trial = 0; trial < 50; ++trial) {
    for (std::size_t l = 0; l <= lanes8; ++l) {
      w[l] = 1 + random.uniform();
      s[l] = random.normal();
      q[l] = random.normal() + 1;
    }
    w[3] = s[3] = 0;  // 0/0 counts as no cost
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1}}) {
      const lanes wl = lanes::load(w.data() + offset);
      const lanes sl = lanes::load(s.data() + offset);
      const lanes ql = lanes::load(q.data() + offset);
      const auto cost = lutra::interval_cost<A>(wl, sl, ql).values();
      const auto sum = (wl + sl).values();
      const auto difference = (wl - sl).values();
      for (std::size_t l = 0; l < lanes8; ++l) {
        const std::size_t i = l + offset;
        const double square = s[i] * s[i];
        const double expected = q[i] - square / w[i];
        CHECK(cost[l] == (expected > 0.0 ? expected : 0.0));
        CHECK(sum[l] == w[i] + s[i]);
        CHECK(difference[l] == w[i] - s[i]);
      }
    }
  }
  CHECK(lanes::filled(2.5).values() ==
        std::array<double, lanes8>{2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5});
}

template <class A> void check_minimum() {
  using lanes = lutra::double8<A>;
  const double values[4][lanes8] = {{3, 1, 2, 5, 5, 5, 5, 5},
                                    {1, 1, 2, 4, 6, 5, std::nan(""), 5},
                                    {1, 0, 2, 4, 5, 5, 1, 5},
                                    {0, 1, 1, 4, 5, 5, 1, 5}};
  lutra::running_minimum8<A> minimum(9);
  CHECK(minimum.column()[0] == 9);
  CHECK(std::isinf(minimum.least()[7]));
  for (int c = 0; c < 4; ++c) minimum.take(lanes::load(values[c]), lanes::filled(10.0 + c));
  CHECK(minimum.least() == std::array<double, lanes8>{0, 0, 1, 4, 5, 5, 1, 5});
  CHECK(minimum.column() == std::array<double, lanes8>{13, 12, 13, 11, 10, 10, 12, 10});
}

TEST_CASE("lanes: the level of the build and plain doubles do the same operations") {
  check_lanes<lutra::simd::native>();
  check_lanes<lutra::simd::portable>();
}

TEST_CASE("lanes: the running minimum keeps the first column of a tie and skips NaN") {
  check_minimum<lutra::simd::native>();
  check_minimum<lutra::simd::portable>();
}

}  // namespace
