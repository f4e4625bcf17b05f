#include <lutra/affine/loops.hpp>

#include <doctest/doctest.h>

#include "cases.hpp"
#include "levels.hpp"

using namespace lutra;

// tests/affine/quantize.cpp runs every loop at every length; here is what only the loops promise.

TEST_CASE("loops: constants per element give the bits of constants per run") {
  random_stream random(41);
  for_each_level([&](auto level) {
    using Level = decltype(level);
    using V = simd::floats<Level>;
    constexpr auto method = method_of<Level>(quotient::exact);
    for (const index_t n : {1, 7, 31, 64, 100, 131}) {
      const unit_constants<float> c = constants_of({dtype::uint8, true, 0.037F, 11, 0, 0, 255});
      row_constants row(n);
      for (index_t i = 0; i < n; ++i) row.set(i, c);
      const auto size = static_cast<std::size_t>(n);
      std::vector<float> x(size), a(size), b(size);
      for (float& e : x) e = static_cast<float>(random.normal()) * 3;
      fake_quantize_loop<Level, unit_form::zp, method>(x.data(), a.data(), n,
                                                       uniform_constants<V>(c), false);
      fake_quantize_loop<Level, unit_form::zp, method>(x.data(), b.data(), n,
                                                       varying_constants<V>(row), false);
      CHECK(cases::same_bits(a, b));
      std::vector<std::uint8_t> p(size), q(size);
      quantize_loop<Level, unit_form::zp, method>(x.data(), p.data(), n, uniform_constants<V>(c));
      quantize_loop<Level, unit_form::zp, method>(x.data(), q.data(), n, varying_constants<V>(row));
      CHECK(p == q);
      dequantize_loop<Level, unit_form::zp>(p.data(), a.data(), n, uniform_constants<V>(c));
      dequantize_loop<Level, unit_form::zp>(q.data(), b.data(), n, varying_constants<V>(row));
      CHECK(cases::same_bits(a, b));
    }
  });
}

TEST_CASE("loops: streamed stores cover every element at every misalignment") {
  for_each_level([&](auto level) {
    using Level = decltype(level);
    using V = simd::floats<Level>;
    constexpr auto method = method_of<Level>(quotient::exact);
    const uniform_constants<V> c(constants_of({dtype::int8, true, 0.5F, 0, 0, -128, 127}));
    for (index_t n = 0; n <= 70; ++n) {
      for (std::size_t shift = 0; shift < 17; ++shift) {
        const auto size = static_cast<std::size_t>(n);
        std::vector<float> x(size), out(size + 40, 77.0F);
        for (std::size_t i = 0; i < size; ++i) x[i] = static_cast<float>(i % 100) * 0.5F;
        fake_quantize_loop<Level, unit_form::zp, method>(x.data(), out.data() + shift, n, c, true);
        simd::stream_fence();
        bool right = true;
        for (std::size_t i = 0; i < out.size(); ++i) {
          const bool inside = i >= shift && i < shift + size;
          right = right && out[i] == (inside ? x[i - shift] : 77.0F);
        }
        CHECK(right);
      }
    }
  });
}
