#include <lutra/core/random.hpp>
#include <lutra/number/log2.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace {

TEST_CASE("log2: exact for powers of two, close to the true value elsewhere") {
  for (int k = -1022; k <= 1023; ++k) CHECK(lutra::log2_of(std::ldexp(1.0, k)) == k);
  lutra::random_stream r(1);
  for (int i = 0; i < 200'000; ++i) {
    const double x = std::ldexp(1.0 + r.uniform(), static_cast<int>(r.below(120)) - 60);
    const double expected = std::log2(x);
    const double scale = std::max(std::abs(expected), 0.5);
    CHECK_UNARY(std::abs(lutra::log2_of(x) - expected) <= 5 * 0x1p-53 * scale);
  }
}

// A transcription in Python (bench/peers/torch_observers.py) gives the same; every machine must.
TEST_CASE("log2: several at once are the same as one by one") {
  std::vector<double> x, out;
  for (int i = 0; i < 203; ++i) x.push_back(std::ldexp(1.0 + i * 0.0049, i - 100));
  out.resize(x.size());
  for (std::size_t n = 0; n < x.size(); ++n) {
    lutra::log2_of(x.data(), out.data(), n);
    for (std::size_t i = 0; i < n; ++i) CHECK(out[i] == lutra::log2_of(x[i]));
  }
}

TEST_CASE("log2: the same bits for ever") {
  static_assert(lutra::log2_of(1.0) == 0.0);
  std::uint64_t h = 0xcbf29ce484222325ULL;
  lutra::random_stream r(2);
  for (int i = 0; i < 1000; ++i) {
    const double y = lutra::log2_of(0x1p-10 + 1000.0 * r.uniform());
    h = (h ^ std::bit_cast<std::uint64_t>(y)) * 0x100000001b3ULL;
  }
  CHECK(h == 0x55ada4258a896703ULL);
}

}  // namespace
