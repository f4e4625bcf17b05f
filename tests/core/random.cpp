#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>

namespace {

TEST_CASE("random: mix64 is SplitMix64, by the published outputs for seed 1234567") {
  constexpr std::uint64_t step = 0x9e3779b97f4a7c15ULL;
  CHECK(lutra::mix64(1234567 + step) == 6457827717110365317ULL);
  CHECK(lutra::mix64(1234567 + 2 * step) == 3203168211198807973ULL);
  CHECK(lutra::mix64(1234567 + 3 * step) == 9817491932198370423ULL);
}

// Values computed with exact integers outside C++; they may never change (seeds are part of results).
TEST_CASE("random: streams give the same bits for ever") {
  lutra::random_stream a(0);
  CHECK(a.next() == 0x75c1372c22f81ffeULL);
  CHECK(a.next() == 0xf34fefb69a1672e1ULL);
  lutra::random_stream b(42, 1);
  CHECK(b.next() == 0x52b4af4a8b78dc38ULL);
  CHECK(b.next() == 0xf43d64a0c506a16fULL);
  CHECK(lutra::random_stream(42).uniform() == 0x1.faac57085ba26p-1);
  static_assert(lutra::random_stream(42).next() == 0xfd562b842dd13208ULL);
}

TEST_CASE("random: a copy continues like the original, other seeds and streams do not") {
  lutra::random_stream a(3, 4);
  a.next();
  lutra::random_stream b = a;
  CHECK(a.next() == b.next());
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    for (std::uint64_t stream = 0; stream < 32; ++stream) {
      first.insert(lutra::random_stream(seed, stream).next());
    }
  }
  CHECK(first.size() == 32 * 32);
}

TEST_CASE("random: uniform and below stay in range and fill it evenly") {
  lutra::random_stream r(1);
  constexpr int n = 60'000;
  std::array<int, 6> die{};
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double u = r.uniform();
    CHECK_UNARY(u >= 0.0 && u < 1.0);
    sum += u;
    ++die.at(r.below(6));
  }
  CHECK(std::abs(sum / n - 0.5) < 0.006);                            // 5 sigma = 5 * sqrt(1/12/n)
  for (const int faces : die) CHECK(std::abs(faces - n / 6) < 457);  // 5 * sqrt(n * 1/6 * 5/6)
  CHECK(r.below(1) == 0);
}

TEST_CASE("random: normal has mean 0, variance 1 and no skew") {
  lutra::random_stream r(2);
  constexpr int n = 100'000;
  double m1 = 0, m2 = 0, m3 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = r.normal();
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
  }
  CHECK(std::abs(m1 / n) < 0.016);      // 5 / sqrt(n)
  CHECK(std::abs(m2 / n - 1) < 0.023);  // 5 * sqrt(2/n)
  CHECK(std::abs(m3 / n) < 0.062);      // 5 * sqrt(15/n)
}

}  // namespace
