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

TEST_CASE("loops: blocks whose scales are not all regular, wherever those are") {
  random_stream random(42);
  constexpr index_t length = 32;
  for_each_level([&](auto level) {
    using Level = decltype(level);
    constexpr auto method = method_of<Level>(quotient::exact);
    for (const index_t count : {1, 15, 16, 17, 33, 48, 70}) {
      for (const index_t irregular : {-1, 0, 5, 16, 31, 32, 47, 69}) {
        qparams p;
        p.quant_min = -8;
        p.quant_max = 7;
        for (index_t u = 0; u < count; ++u) {
          p.scale.push_back(u == irregular ? 0x1.8p-70F : 0.25F + static_cast<float>(u) / 64);
          p.zero_point.push_back(static_cast<std::int32_t>(u % 3));
        }
        const auto size = static_cast<std::size_t>(count * length);
        std::vector<float> x(size), expected(size), memory(size + 16);
        float* out = memory.data();
        while (reinterpret_cast<std::uintptr_t>(out) % 64 != 0) ++out;
        for (std::size_t i = 0; i < size; ++i) {
          const auto u = static_cast<index_t>(i) / length;
          x[i] = static_cast<float>(random.normal()) * 4 * p.scale[static_cast<std::size_t>(u)];
          expected[i] = fake_quantize_one(x[i], unit_of(p, u), quotient::exact);
        }
        for (const bool stream : {false, true}) {
          fake_quantize_blocks<Level, unit_form::zp, method>(x.data(), out, length, count,
                                                             {p, false}, 0, stream);
          simd::stream_fence();
          CHECK(cases::same_bits(std::vector<float>(out, out + size), expected));
        }
      }
    }
  });
}

template <unit_form Form>
void check_streamed_parts(const qparams& p, index_t length, bool same_zero_points = false) {
  random_stream random(43);
  const auto count = static_cast<index_t>(p.scale.size());
  const auto size = static_cast<std::size_t>(count * length);
  std::vector<float> x(size), expected(size), memory(size + 16);
  float* out = memory.data();
  while (reinterpret_cast<std::uintptr_t>(out) % 64 != 0) ++out;
  for (std::size_t i = 0; i < size; ++i) {
    const unit_params u = unit_of(p, static_cast<index_t>(i) / length);
    x[i] = static_cast<float>(random.normal()) * 4 * u.scale + u.float_offset;
    expected[i] = fake_quantize_one(x[i], u, quotient::exact);
  }
  for_each_level([&](auto level) {
    using Level = decltype(level);
    std::fill_n(out, size, 77.0F);
    fake_quantize_blocks<Level, Form, method_of<Level>(quotient::exact)>(
        x.data(), out, length, count, {p, same_zero_points}, 0, true);
    simd::stream_fence();
    CHECK(cases::same_bits(std::vector<float>(out, out + size), expected));
  });
}
TEST_CASE("loops: streamed blocks of several parts, an irregular one at the end of the first") {
  for (const index_t length : {32, 512}) {
    const index_t part = (index_t{1} << 19) / length;
    qparams p;
    p.quant_min = -8;
    p.quant_max = 7;
    for (index_t u = 0; u < part + 37; ++u) {
      p.scale.push_back(u == part - 1 ? 0x1.8p-70F : 0.25F + static_cast<float>(u % 97) / 64);
      p.zero_point.push_back(static_cast<std::int32_t>(u % 5));
      p.minval.push_back(static_cast<float>(u % 7) - 4.0F);
    }
    qparams minval = p, e4m3 = p;
    minval.qformulation = qformulation::minval;
    e4m3.dtype = dtype::float8_e4m3fn;
    e4m3.quant_min = -448;
    e4m3.quant_max = 448;
    check_streamed_parts<unit_form::zp>(p, length);
    qparams alike = p;
    std::fill(alike.zero_point.begin(), alike.zero_point.end(), -3);
    check_streamed_parts<unit_form::zp>(alike, length, true);
    check_streamed_parts<unit_form::zp>(alike, length, false);
    check_streamed_parts<unit_form::minval>(minval, length);
    check_streamed_parts<unit_form::e4m3fn>(e4m3, length);
  }
}
