#include <lutra/affine/quantize.hpp>
#include <lutra/fake_quant/saturation.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "fake_quant/cases.hpp"
#include "levels.hpp"

namespace {

using lutra::quantized_element;

TEST_CASE("saturation: one element by the reference's definition") {
  lutra::unit_params u{lutra::dtype::int8, true, 0.5F, 0, 0, -128, 127};
  const auto at = [&](float x) { return lutra::quantized_one(x, u, lutra::quotient::exact); };
  CHECK(at(63.5F).inside);         // 127
  CHECK(at(63.7F).inside);         // 127.4 rounds to 127
  CHECK_FALSE(at(63.75F).inside);  // 127.5 rounds to 128
  CHECK(at(-64.25F).inside);       // -128.5 rounds to -128
  CHECK_FALSE(at(-64.3F).inside);
  CHECK(at(63.75F).slope == 127.0F);
  CHECK(at(-1000.0F).slope == -128.0F);
  CHECK(at(1.2F).slope == doctest::Approx(2.0 - 2.4));
  const quantized_element nan = at(std::nanf(""));
  CHECK_FALSE(nan.inside);
  CHECK_FALSE(nan.beyond);
  CHECK(nan.slope == 0.0F);
}

template <class V, lutra::unit_form Form, lutra::quotient_method Method>
void compare(const std::vector<float>& x, const lutra::unit_params& u, lutra::quotient q) {
  constexpr auto lanes = static_cast<std::size_t>(lutra::simd::lanes<V>);
  const auto c = lutra::spread<V>(lutra::constants_of(u));
  const auto b = lutra::saturation_bounds_of<Form, V>(u);
  for (std::size_t i = 0; i + lanes <= x.size(); i += lanes) {
    const V values = lutra::simd::load<V>(x.data() + i);
    const V quotient = lutra::quotient_of<Form, Method>(values, c, b);
    const V level = lutra::level_of<Form>(quotient);
    const V limited = lutra::limited_to(level, b);
    const std::uint32_t inside = lutra::simd::mask_to_bits(lutra::simd::equal(level, limited));
    const std::uint32_t beyond = lutra::simd::mask_to_bits(lutra::simd::differ(level, limited));
    float slope[lanes], bound[lanes];
    lutra::simd::store(bound, limited);
    lutra::simd::store(slope, V(lutra::rounded_of<Form>(limited, limited) - quotient));
    for (std::size_t k = 0; k < lanes; ++k) {
      CAPTURE(x[i + k]);
      const quantized_element e = lutra::quantized_one(x[i + k], u, q);
      CHECK_UNARY(((inside >> k) & 1U) == (e.inside ? 1U : 0U));
      CHECK_UNARY(((beyond >> k) & 1U) == (e.beyond ? 1U : 0U));
      if (e.inside) CHECK_UNARY(slope[k] == e.slope);
      if (e.beyond) CHECK_UNARY(bound[k] == e.slope);
    }
  }
}

TEST_CASE("saturation: registers agree with single elements at every level, form and quotient") {
  for (const auto& spec : specs_of_every_form()) {
    CAPTURE(lutra::name_of(spec.dtype));
    const float lo = -3.0F;
    const float hi = 5.0F;
    lutra::qparams p = lutra::qparams_from_range(spec, {&lo, 1}, {&hi, 1});
    const float least = p.quant_min, most = p.quant_max;
    std::vector<std::pair<float, float>> bounds{{least, most}};
    if (!lutra::is_integer(spec.dtype)) {  // also narrower than the dtype, and on one side of zero
      for (const auto& narrow :
           {std::pair(least, -1.0F), std::pair(least, 0.0F), std::pair(0.0F, most),
            std::pair(least, 0x1p-30F), std::pair(1.0F, 1.5F), std::pair(-2.0F, -2.0F),
            std::pair(0.0F, 0.0F)}) {
        bounds.push_back(narrow);
      }
    }
    for (const auto& ends : bounds) {
      const float from = ends.first, to = ends.second;
      p.quant_min = from;
      p.quant_max = to;
      CAPTURE(from);
      CAPTURE(to);
      const lutra::unit_params u = lutra::unit_of(p, 0);
      std::vector<float> x = mixed_data(4096, p.scale[0], 5);
      for (std::size_t i = 0; i < x.size(); i += 5) {  // near the bounds
        x[i] =
            (i % 2 == 0 ? from : to) * p.scale[0] * (1.0F + static_cast<float>(i % 7) * 0x1p-20F);
      }
      for (const auto q : {lutra::quotient::exact, lutra::quotient::reciprocal}) {
        for_each_level([&](auto level) {
          using Level = decltype(level);
          lutra::with_form<Level>(p, q, [&](auto form, auto method) {
            compare<lutra::simd::floats<Level>, form(), method()>(x, u, q);
          });
        });
      }
    }
  }
}

}  // namespace
