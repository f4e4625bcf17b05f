// Checks a small float format against a table of its values: every code, every tie and both neighbours
// of every tie, random floats, and all of it again under flush-to-zero and other rounding modes.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <lutra/core/random.hpp>
#include <vector>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

// What a format is, stated independently of the implementation.
struct format_facts {
  int exponent_bits;
  int significand_bits;
  unsigned largest;  // code of the largest finite value
};

inline double value_of_code(const format_facts& f, unsigned code) {
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  const auto exponent = static_cast<int>(code >> f.significand_bits);
  const double fraction = std::ldexp(code & ((1U << f.significand_bits) - 1U), -f.significand_bits);
  return exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
}

// Nearest code of the non-negative x by search, ties to the even code, saturating.
inline unsigned nearest_code(const std::vector<double>& values, double x) {
  const auto above = std::lower_bound(values.begin(), values.end(), x);
  if (above == values.end()) return static_cast<unsigned>(values.size() - 1);
  const auto b = static_cast<unsigned>(above - values.begin());
  if (b == 0 || *above == x) return b;
  const double down = x - values[b - 1];
  const double up = values[b] - x;
  if (down != up) return down < up ? b - 1 : b;
  return b % 2 == 0 ? b : b - 1;
}

inline float next_float(float x, int steps) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) + static_cast<std::uint32_t>(steps));
}

// Floats around which an encoder can go wrong, all non-negative and finite.
inline std::vector<float> critical_floats(const std::vector<double>& values) {
  std::vector<float> xs = {0.0F, 1e-45F, 1e-40F, std::numeric_limits<float>::min(),
                           std::numeric_limits<float>::max()};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double next = i + 1 < values.size() ? values[i + 1] : 2 * values[i] - values[i - 1];
    for (const double v :
         {values[i], (values[i] + next) / 2}) {  // exact: one more bit than the format
      const auto x = static_cast<float>(v);
      for (const int step : {-2, -1, 0, 1, 2}) {
        if (v > 0) xs.push_back(next_float(x, step));
      }
    }
  }
  lutra::random_stream random(1);
  for (int i = 0; i < 20000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random.next() >> 33));
    if (std::isfinite(x)) xs.push_back(x);
  }
  return xs;
}

// F: bits, explicit construction from float, explicit conversion to float, from_bits.
template <class F>
void check_format(const format_facts& facts, unsigned sign_bit, bool overflow_to_infinity) {
  std::vector<double> values;
  for (unsigned code = 0; code <= facts.largest; ++code)
    values.push_back(value_of_code(facts, code));
  const auto of = [](unsigned bits) { return F::from_bits(static_cast<decltype(F{}.bits)>(bits)); };
  for (unsigned code = 0; code <= facts.largest; ++code) {
    CHECK(static_cast<double>(static_cast<float>(of(code))) == values[code]);
    const auto negative = static_cast<float>(of(code | sign_bit));
    CHECK(static_cast<double>(negative) == -values[code]);
    CHECK(std::signbit(negative));
  }
  // Beyond the largest value by half a step or more, infinity comes next (if the format has one).
  const double step = values.back() - values[values.size() - 2];
  unsigned wrong = 0;
  const auto sweep = [&] {
    for (const float x : critical_floats(values)) {
      unsigned expected = nearest_code(values, static_cast<double>(x));
      if (overflow_to_infinity && static_cast<double>(x) >= values.back() + step / 2) {
        expected = facts.largest + 1;
      }
      wrong += F(x).bits != expected;
      wrong += F(-x).bits != (expected | sign_bit);
    }
  };
  sweep();
  CHECK(wrong == 0);
#if defined(__SSE2__)
  const unsigned saved = _mm_getcsr();
  const std::vector<float> xs = critical_floats(values);
  std::vector<unsigned> before;
  for (const float x : xs) before.push_back(F(x).bits);
  for (const unsigned mode : {0x8040U, 0x2000U, 0x4000U, 0x6000U}) {  // FTZ|DAZ, down, up, to zero
    _mm_setcsr(saved | mode);
    std::vector<unsigned> under;
    for (const float x : xs) under.push_back(F(x).bits);
    _mm_setcsr(saved);
    CHECK(under == before);
  }
#endif
}
