#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <lutra/affine/lanes.hpp>
#include <lutra/core/random.hpp>
#include <lutra/simd/widen.hpp>
#include <vector>

#include "levels.hpp"
#include "quick.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace lutra;

namespace {

// Inverse of an odd m modulo 2^64.
constexpr std::uint64_t inverse(std::uint64_t m) {
  std::uint64_t x = m;
  for (int i = 0; i < 6; ++i) x *= 2 - m * x;
  return x;
}

// Collects operands and compares a register at a time.
template <class Level> class quotient_check {
 public:
  using V = simd::floats<Level>;
  void add(float x, float s) {
    x_[used_] = x;
    s_[used_] = s;
    if (++used_ == lanes) flush();
  }
  std::int64_t finish() {
    while (used_ != 0) add(1.0F, 1.0F);
    return wrong_;
  }

 private:
  static constexpr auto lanes = static_cast<std::size_t>(simd::lanes<V>);
  void flush() {
    float r[lanes], q[lanes];
    for (std::size_t i = 0; i < lanes; ++i) r[i] = 1.0F / s_[i];
    const V zero(0.0F);
    const unit_constants<V> c{simd::load<V>(s_), simd::load<V>(r), zero, zero, zero, zero};
    simd::store(q, divided<quotient_method::correct>(simd::load<V>(x_), c));
    for (std::size_t i = 0; i < lanes; ++i) wrong_ += q[i] != x_[i] / s_[i];
    used_ = 0;
  }
  float x_[lanes] = {}, s_[lanes] = {};
  std::size_t used_ = 0;
  std::int64_t wrong_ = 0;
};

}  // namespace

// With 24-bit integers x and s and a midpoint m = M / 2^t (M odd, 25 bits), x / s is near m exactly if
// d = x 2^t - M s is small, and then s = -d / M mod 2^t. Every d up to 9 covers twice the error bound of
// lanes.hpp; scaling x and s by powers of two changes nothing.
TEST_CASE("lanes: the corrected quotient is the rounded quotient next to every midpoint") {
  constexpr std::uint64_t top = 1U << 24;
  const std::uint64_t step = test::quick() ? 1026 : 2;
  for_each_level([&](auto level) {
    using Level = decltype(level);
    if constexpr (simd::has_fma<Level>) {
      quotient_check<Level> check;
      std::int64_t operands = 0;
      for (std::uint64_t m = top + 1; m < 2 * top; m += step) {
        const std::uint64_t inv = inverse(m);
        for (const int t : {24, 25}) {
          const std::uint64_t mask = (std::uint64_t{1} << t) - 1;
          for (std::int64_t d = -9; d <= 9; ++d) {
            const std::uint64_t s = (inv * static_cast<std::uint64_t>(-d)) & mask;
            if (s < top / 2 || s >= top) continue;
            const std::uint64_t x = (s * m + static_cast<std::uint64_t>(d)) >> t;
            if (x < top / 2 || x >= top) continue;
            check.add(static_cast<float>(x), static_cast<float>(s) * 0x1p-40F);
            ++operands;
          }
        }
      }
      CHECK(operands > (test::quick() ? 10000 : 10'000'000));
      CHECK(check.finish() == 0);
    }
  });
}

TEST_CASE("lanes: the corrected quotient agrees with division on random operands") {
  const int count = test::quick() ? 10000 : 4'000'000;
  for_each_level([&](auto level) {
    using Level = decltype(level);
    if constexpr (simd::has_fma<Level>) {
      quotient_check<Level> check;
      random_stream random(11);
      for (int i = 0; i < count; ++i) {
        const auto x = static_cast<std::uint32_t>(random.next() >> 41);
        const auto s = static_cast<std::uint32_t>(random.next() >> 41);
        check.add(std::bit_cast<float>(0x40000000U | x), std::bit_cast<float>(0x3B000000U | s));
      }
      CHECK(check.finish() == 0);
    }
  });
}

TEST_CASE("lanes: scales near the ends of the exponent range are not regular") {
  CHECK(is_regular(0x1p-23F));
  CHECK(is_regular(0x1p-126F));  // an all-zero unit with an e8m0 scale
  CHECK(is_regular(0x1p60F));
  CHECK_FALSE(is_regular(0x1.8p-61F));
  CHECK_FALSE(is_regular(0x1p-127F));
  CHECK_FALSE(is_regular(0x1.8p60F));
  CHECK_FALSE(is_regular(std::numeric_limits<float>::max()));
}

TEST_CASE("lanes: round_to_format agrees with the encoders") {
  random_stream random(5);
  std::vector<float> ts = {0.0F,        -0.0F, 1e-45F, -1e-40F, 0x1p-10F, 0x1.8p-9F, 0x1p-17F,
                           -0x1.8p-16F, 0.25F, 0.75F,  1.25F,   1.75F,    2.5F,      3.5F,
                           5.0F,        -5.0F, 6.0F,   17.0F,   19.0F,    448.0F};
  for (int i = 0; i < 20000; ++i) {
    ts.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.next())));
  }
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto lanes = static_cast<std::size_t>(simd::lanes<V>);
    int wrong = 0;
    const auto check = [&]<int Significand, int MinExponent>(float t, dtype d) {
      const float limit = info(d).quant_max;
      if (!(std::fabs(t) <= limit)) t = std::isnan(t) ? t : std::fmod(t, limit);
      if (std::isnan(t)) return;
      float in[lanes], out[lanes];
      for (float& e : in) e = t;
      simd::store(out,
                  round_to_format<Significand, MinExponent>(simd::load<V>(in), simd::load<V>(in)));
      const float expected = cast_to_float_dtype(t, d);
      wrong += std::bit_cast<std::uint32_t>(out[0]) != std::bit_cast<std::uint32_t>(expected);
      simd::store(out, round_to_format<Significand, MinExponent, true>(simd::load<V>(in),
                                                                       simd::load<V>(in)));
      wrong += std::bit_cast<std::uint32_t>(out[0]) != std::bit_cast<std::uint32_t>(expected);
    };
    for (const float t : ts) {
      check.template operator()<3, -6>(t, dtype::float8_e4m3fn);
      check.template operator()<2, -14>(t, dtype::float8_e5m2);
      check.template operator()<1, 0>(t, dtype::float4_e2m1fn);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("lanes: every code of the float formats has its value, under flush-to-zero, too") {
  for_each_level([&](auto level) {
    using V = simd::floats<decltype(level)>;
    constexpr auto lanes = static_cast<std::size_t>(simd::lanes<V>);
    int wrong = 0;
    const auto check = [&]<unit_form Form>(std::integral_constant<unit_form, Form>, dtype d) {
      for (std::size_t first = 0; first < 256; first += lanes) {
        std::uint8_t codes[lanes];
        float out[lanes];
        for (std::size_t i = 0; i < lanes; ++i) codes[i] = static_cast<std::uint8_t>(first + i);
        const unit_params u{d, false, 0.75F, 0, 0, info(d).quant_min, info(d).quant_max};
        simd::store(out,
                    dequantize_lanes<Form>(simd::byte_words<V>(codes), spread<V>(constants_of(u))));
        for (std::size_t i = 0; i < lanes; ++i) {
          const float expected = decode_one(codes[i], u);
          wrong += std::bit_cast<std::uint32_t>(out[i]) != std::bit_cast<std::uint32_t>(expected);
        }
      }
    };
    const auto check_all = [&] {
      check(std::integral_constant<unit_form, unit_form::e4m3fn>{}, dtype::float8_e4m3fn);
      check(std::integral_constant<unit_form, unit_form::e5m2>{}, dtype::float8_e5m2);
      check(std::integral_constant<unit_form, unit_form::e2m1fn>{}, dtype::float4_e2m1fn);
    };
    check_all();
#if defined(__SSE2__)
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040U);
    check_all();
    _mm_setcsr(saved);
#endif
    CHECK(wrong == 0);
  });
}
