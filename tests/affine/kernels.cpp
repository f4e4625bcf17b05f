#include <lutra/affine/kernels.hpp>

#include <doctest/doctest.h>

#include "cases.hpp"
#include "levels.hpp"

using namespace lutra;

// Every pointer must lead to the loop of the kind that was asked for: element.hpp is the reference.
TEST_CASE("kernels: each of the ten kinds quantizes and restores as element.hpp does") {
  const auto of = [](dtype d, qformulation f, float lo, float hi) {
    const bool minval = f == qformulation::minval;
    qparams p{d, f, lo, hi, granularity::per_tensor(), {0.037F}, {minval ? 0 : 3}, {}};
    if (minval) p.minval = {-1.25F};
    if (!is_integer(d)) p.zero_point.clear();
    return p;
  };
  const std::vector<qparams> kinds{of(dtype::uint8, qformulation::zp, 0, 255),
                                   of(dtype::uint8, qformulation::minval, 0, 255),
                                   of(dtype::float8_e4m3fn, qformulation::zp, -448, 448),
                                   of(dtype::float8_e5m2, qformulation::zp, -57344, 57344),
                                   of(dtype::float4_e2m1fn, qformulation::zp, -6, 6)};
  random_stream random(43);
  constexpr index_t n = 77;
  constexpr std::size_t size = 77;
  std::vector<float> x(size), out(size);
  for (float& e : x) e = static_cast<float>(random.normal()) * 4;
  for_each_level([&](auto level) {
    using Level = decltype(level);
    for (const qparams& p : kinds) {
      const unit_params u = unit_of(p, 0);
      const unit_constants<float> c = constants_of(u);
      row_constants row(n);
      for (index_t i = 0; i < n; ++i) row.set(i, c);
      row.shared = {p.qformulation == qformulation::zp, p.quant_min - u.integer_offset,
                    p.quant_max - u.integer_offset, u.integer_offset};
      for (const quotient q : {quotient::exact, quotient::reciprocal}) {
        std::vector<float> faked(size);
        std::vector<std::uint8_t> expected(size), codes(size);
        for (std::size_t i = 0; i < size; ++i) {
          faked[i] = fake_quantize_one(x[i], u, q);
          expected[i] = static_cast<std::uint8_t>(encode_one(x[i], u, q));
        }
        const auto fake = fake_quantize_kernels_of<Level>(p, q);
        fake.run(x.data(), out.data(), n, u, false);
        CHECK(cases::same_bits(out, faked));
        unit_params tiny = u;  // not regular
        tiny.scale = 0x1.8p-70F;
        fake.run(x.data(), out.data(), n, tiny, false);
        bool same = true;
        for (std::size_t i = 0; i < size; ++i) {
          same = same && std::bit_cast<std::uint32_t>(out[i]) ==
                             std::bit_cast<std::uint32_t>(fake_quantize_one(x[i], tiny, q));
        }
        CHECK(same);
        fake.rows(x.data(), out.data(), n, n, row, false);
        CHECK(cases::same_bits(out, faked));
        constexpr index_t lanes = simd::lanes<simd::floats<Level>>;
        std::vector<float> blocks(x.begin(), x.end());
        qparams two = p;
        for (auto* values : {&two.scale, &two.minval}) {
          if (!values->empty()) values->push_back(values->front());
        }
        if (!two.zero_point.empty()) two.zero_point.push_back(two.zero_point.front());
        fake.blocks(x.data(), blocks.data(), lanes, 2, {two, false}, 0, false);
        CHECK(std::equal(blocks.begin(), blocks.begin() + 2 * lanes, faked.begin()));
        const auto kernels = quantize_kernels_of<Level>(p, q);
        kernels.run(x.data(), codes.data(), n, c, false);
        CHECK(codes == expected);
        kernels.rows(x.data(), codes.data(), n, n, row, false);
        CHECK(codes == expected);
        const auto back = dequantize_kernels_of<Level, std::uint8_t>(p);
        std::vector<float> restored(size);
        for (std::size_t i = 0; i < size; ++i) restored[i] = decode_one(codes[i], u);
        back.run(codes.data(), out.data(), n, c, false);
        CHECK(cases::same_bits(out, restored));
        back.rows(codes.data(), out.data(), n, n, row, false);
        CHECK(cases::same_bits(out, restored));
      }
    }
  });
}
