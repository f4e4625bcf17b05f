#include <lutra/affine/blocks.hpp>

#include <doctest/doctest.h>

#include "cases.hpp"
#include "levels.hpp"

using namespace lutra;

TEST_CASE("blocks: units whose scales are not all regular, wherever those are") {
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
TEST_CASE("blocks: streamed units in several parts, an irregular one at the end of the first") {
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
