#include <lutra/simd/floats.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <lutra/core/random.hpp>
#include <string>
#include <utility>
#include <vector>

#include "levels.hpp"

using namespace lutra;

namespace {

std::vector<float> operands(random_stream& random, std::size_t n) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> special = {0.0F, -0.0F, inf, -inf, nan, -nan, 1e-45F, -1e-40F, 1.0F};
  std::vector<float> x(n);
  for (float& e : x) {
    e = random.below(3) == 0 ? special[random.below(special.size())]
                             : std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
  }
  return x;
}
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace

TEST_CASE("floats: every operation gives the bits of the portable one, lane by lane") {
  random_stream random(3);
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    INFO(std::string(decltype(level)::name));
    int wrong = 0;
    for (int round = 0; round < 2000; ++round) {
      const auto a = operands(random, n), b = operands(random, n);
      const V va = simd::load<V>(a.data()), vb = simd::load<V>(b.data());
      std::vector<float> out(n);
      const auto check = [&](const V& v, auto&& portable) {
        simd::store(out.data(), v);
        for (std::size_t i = 0; i < n; ++i) wrong += !same(out[i], portable(a[i], b[i]));
      };
      check(simd::magnitude(va), [](float x, float) { return simd::magnitude(x); });
      check(simd::binade(va), [](float x, float) { return simd::binade(x); });
      check(simd::nan_to(va, vb), [](float x, float y) { return simd::nan_to(x, y); });
      check(simd::with_sign_of(simd::magnitude(va), vb),
            [](float x, float y) { return simd::with_sign_of(simd::magnitude(x), y); });
      simd::store(out.data(), simd::larger_magnitude(va, vb));
      for (std::size_t i = 0; i < n; ++i) {
        if (std::isnan(a[i]) || std::isnan(b[i])) continue;
        wrong += !same(out[i], simd::larger_magnitude(a[i], b[i]));
      }
      simd::store(out.data(), simd::divide(va, vb));
      for (std::size_t i = 0; i < n; ++i) {
        const float expected = simd::divide(a[i], b[i]);
        wrong += !(same(out[i], expected) || (out[i] != out[i] && expected != expected));
      }
      // The contract of min and max: the second operand for NaN; which zero of a pair is not said.
      const auto minmax = [&](const V& v, auto&& portable) {
        simd::store(out.data(), v);
        for (std::size_t i = 0; i < n; ++i) {
          const float expected = portable(a[i], b[i]);
          if (std::isnan(a[i])) continue;  // bounds, never NaN in the loops
          wrong += std::isnan(expected) ? !std::isnan(out[i]) : out[i] != expected;
        }
      };
      minmax(simd::max(va, vb), [](float x, float y) { return simd::max(x, y); });
      minmax(simd::min(va, vb), [](float x, float y) { return simd::min(x, y); });
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("floats: fma and fnma round once where a level has them") {
  random_stream random(4);
  for_each_level([&](auto level) {
    using Level = decltype(level);
    using V = simd::floats<Level>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    if constexpr (simd::has_fma<Level>) {
      int wrong = 0;
      for (int round = 0; round < 2000; ++round) {
        std::vector<float> a(n), b(n), c(n), out(n);
        for (std::size_t i = 0; i < n; ++i) {
          a[i] = static_cast<float>(random.normal());
          b[i] = static_cast<float>(random.normal());
          c[i] = random.below(2) == 0 ? a[i] * b[i] : static_cast<float>(random.normal());
        }
        const V va = simd::load<V>(a.data()), vb = simd::load<V>(b.data()),
                vc = simd::load<V>(c.data());
        simd::store(out.data(), simd::fma(va, vb, vc));
        for (std::size_t i = 0; i < n; ++i) wrong += out[i] != std::fma(a[i], b[i], c[i]);
        simd::store(out.data(), simd::fnma(va, vb, vc));
        for (std::size_t i = 0; i < n; ++i) wrong += out[i] != std::fma(-a[i], b[i], c[i]);
      }
      CHECK(wrong == 0);
    }
  });
  CHECK(simd::fnma(3.0F, 2.0F, 10.0F) == 4.0F);
}

TEST_CASE("floats: low bytes of words") {
  random_stream random(5);
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    for (int round = 0; round < 500; ++round) {
      std::vector<float> w(4 * n);
      for (float& e : w)
        e = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()) & 0xFF7FFFFFU);
      std::vector<std::uint8_t> bytes(4 * n + 1, 99);
      const auto at = [&](std::size_t k) { return simd::load<V>(w.data() + k * n); };
      simd::store_low_bytes(bytes.data(), at(0), at(1), at(2), at(3));
      bool right = bytes[4 * n] == 99;
      for (std::size_t i = 0; i < 4 * n; ++i) {
        right = right && bytes[i] == static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(w[i]));
      }
      CHECK(right);
      alignas(64) std::uint8_t streamed[4 * n];
      simd::stream_low_bytes(streamed, at(0), at(1), at(2), at(3));
      simd::stream_fence();
      CHECK(std::equal(streamed, streamed + 4 * n, bytes.begin()));
    }
  });
}

TEST_CASE("floats: streamed stores arrive") {
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    alignas(64) float out[n];
    std::vector<float> in(n);
    for (std::size_t i = 0; i < n; ++i) in[i] = static_cast<float>(i) + 0.5F;
    simd::stream(out, simd::load<V>(in.data()));
    simd::stream_fence();
    CHECK(std::memcmp(out, in.data(), sizeof(out)) == 0);
  });
}

TEST_CASE("floats: word operations") {
  random_stream random(6);
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto n = static_cast<std::size_t>(simd::lanes<V>);
    int wrong = 0;
    for (int round = 0; round < 1000; ++round) {
      const auto a = operands(random, n), b = operands(random, n), c = operands(random, n);
      const V va = simd::load<V>(a.data()), vb = simd::load<V>(b.data()),
              vc = simd::load<V>(c.data());
      std::vector<float> out(n);
      const auto check = [&](const V& v, auto&& portable) {
        simd::store(out.data(), v);
        for (std::size_t i = 0; i < n; ++i) wrong += !same(out[i], portable(a[i], b[i], c[i]));
      };
      check(simd::add_words(va, vb), [](float x, float y, float) { return simd::add_words(x, y); });
      check(simd::and_words(va, vb), [](float x, float y, float) { return simd::and_words(x, y); });
      check(simd::shift_words_left<24>(va),
            [](float x, float, float) { return simd::shift_words_left<24>(x); });
      check(simd::or_words(va, vb), [](float x, float y, float) { return simd::or_words(x, y); });
      check(simd::shift_words<21>(va),
            [](float x, float, float) { return simd::shift_words<21>(x); });
      check(simd::where_nan(va, vb, vc),
            [](float x, float y, float z) { return std::isnan(x) ? y : z; });
      check(simd::words<V>(0x80000001U),
            [](float, float, float) { return std::bit_cast<float>(0x80000001U); });
    }
    CHECK(wrong == 0);
  });
  CHECK(std::bit_cast<std::uint32_t>(simd::add_words(-0.0F, -0.0F)) == 0);
}
