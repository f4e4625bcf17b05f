#include <lutra/affine/element.hpp>
#include <lutra/affine/quantize.hpp>
#include <lutra/affine/scale_rules.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "errors.hpp"

namespace {

using lutra::dtype;
using lutra::e8m0_rule;
using lutra::qparams;
using lutra::qscheme;
using lutra::quantization_spec;
using lutra::scale_rules;

qparams derive(quantization_spec spec, float lo, float hi, const scale_rules& rules) {
  spec.scale_rules = rules;
  return lutra::qparams_from_range(spec, {&lo, 1}, {&hi, 1});
}

TEST_CASE("scale_rules: e8m0 by every rule, on and between the deciding magnitudes") {
  const auto scale = [](dtype d, float m, e8m0_rule rule) { return lutra::e8m0_scale(d, m, rule); };
  const dtype fp4 = dtype::float4_e2m1fn;  // largest 6 = 1.5 * 2^2
  CHECK(scale(fp4, 4.0F, e8m0_rule::floor) == 1.0F);
  CHECK(scale(fp4, 4.0F, e8m0_rule::ceil) == 1.0F);
  CHECK(scale(fp4, 4.5F, e8m0_rule::ceil) == 2.0F);
  CHECK(scale(fp4, 6.0F, e8m0_rule::up) == 1.0F);
  CHECK(scale(fp4, std::nextafter(6.0F, 7.0F), e8m0_rule::up) == 2.0F);
  CHECK(scale(fp4, std::nextafter(7.0F, 0.0F), e8m0_rule::even) == 1.0F);
  CHECK(scale(fp4, 7.0F, e8m0_rule::even) == 2.0F);  // 1.75 rounds to 2
  CHECK(scale(fp4, 7.99F, e8m0_rule::floor) == 1.0F);
  CHECK(scale(dtype::float8_e4m3fn, 448.0F, e8m0_rule::up) == 1.0F);
  CHECK(scale(dtype::float8_e4m3fn, 449.0F, e8m0_rule::up) == 2.0F);
  CHECK(scale(dtype::float8_e5m2, 57344.0F, e8m0_rule::up) == 1.0F);
  CHECK(scale(fp4, 5.0F * 0x1p-126F, e8m0_rule::floor) ==
        0x1p-126F);  // the rules hold down to the smallest scale,
  CHECK(scale(fp4, 5.0F * 0x1p-126F, e8m0_rule::ceil) == 0x1p-125F);
  CHECK(scale(fp4, 5.0F * 0x1p-127F, e8m0_rule::ceil) == 0x1p-126F);
  CHECK(scale(fp4, 5.0F * 0x1p-128F, e8m0_rule::ceil) == 0x1p-126F);  // and end there
  for (const dtype d : {fp4, dtype::float8_e4m3fn, dtype::float8_e5m2}) {
    lutra::random_stream r(2);
    for (int i = 0; i < 5000; ++i) {
      const float m =
          static_cast<float>(std::ldexp(1.0 + r.uniform(), static_cast<int>(r.below(200)) - 100));
      const float up = scale(d, m, e8m0_rule::up);
      CHECK(m / up <= lutra::info(d).quant_max);          // nothing is cut,
      CHECK(m / (up / 2.0F) > lutra::info(d).quant_max);  // and half of it would cut
      for (const auto rule : {e8m0_rule::floor, e8m0_rule::ceil, e8m0_rule::even, e8m0_rule::up}) {
        const float s = scale(d, m, rule);
        CHECK((std::bit_cast<std::uint32_t>(s) & 0x007FFFFFU) == 0);
        CHECK(s >= scale(d, m, e8m0_rule::floor));
        CHECK(s <= scale(d, m, e8m0_rule::ceil));
      }
    }
    for (const auto rule : {e8m0_rule::ceil, e8m0_rule::even, e8m0_rule::up}) {
      CHECK(scale(d, 0.0F, rule) == 0x1p-126F);
      CHECK(scale(d, 1e-40F, rule) == 0x1p-126F);
    }
  }
}

TEST_CASE("scale_rules: without clipping both ends keep within half a scale") {
  lutra::random_stream r(3);
  for (int i = 0; i < 2000; ++i) {
    const float lo = static_cast<float>(-r.uniform() * 10.0);
    const float hi = static_cast<float>(r.uniform() * 10.0);
    for (const auto d : {dtype::int2, dtype::int4, dtype::int8, dtype::uint8}) {
      for (const auto scheme : {qscheme::symmetric, qscheme::symmetric_with_clipping}) {
        for (const auto form : {lutra::qformulation::zp, lutra::qformulation::minval}) {
          const quantization_spec spec{.dtype = d, .qscheme = scheme, .qformulation = form};
          const qparams p = derive(spec, lo, hi, {.no_clipping = true});
          const auto u = lutra::unit_of(p, 0);
          for (const float end : {lo, hi}) {
            CHECK(std::abs(lutra::fake_quantize_one(end, u) - end) <= 0.5001F * p.scale[0]);
            const float t = lutra::unclamped_one(end, u, lutra::quotient::exact);
            CHECK(t >= p.quant_min);
            CHECK(t <= p.quant_max);
          }
        }
      }
    }
  }
  // The reference's scale saturates the positive end of int8 (spec section 21, point 9).
  CHECK(derive({}, 0.0F, 3.0F, {.no_clipping = true}).scale[0] == 3.0F / 127.0F);
  CHECK(derive({}, -3.0F, 0.0F, {.no_clipping = true}).scale[0] == 3.0F / 128.0F);
  CHECK_ERROR(derive({.dtype = dtype::int1}, -1.0F, 1.0F, {.no_clipping = true}), invalid_argument,
              "positive level", "int1");
}

TEST_CASE("scale_rules: the relative floor") {
  const std::vector<float> lo = {-1e-7F, -1e-9F, 0.0F};
  const std::vector<float> hi = {1e-7F, 1e-20F, 0.0F};
  const auto absolute = lutra::qparams_from_range({}, lo, hi);
  CHECK(absolute.scale == std::vector<float>(3, 0x1p-23F));
  const auto relative =
      lutra::qparams_from_range({.scale_rules = {.floor = lutra::scale_floor::relative}}, lo, hi);
  CHECK(relative.scale[0] == 1e-7F / 127.5F);
  CHECK(relative.scale[1] == 1e-9F / 127.5F);
  CHECK(relative.scale[2] == relative.scale[0] * 0x1p-23F);
  CHECK(derive({}, 0.0F, 0.0F, {.floor = lutra::scale_floor::relative}).scale[0] == 0x1p-126F);
}

TEST_CASE("scale_rules: scales stored as float16 and bfloat16") {
  const quantization_spec spec{.dtype = dtype::uint8, .qscheme = qscheme::asymmetric};
  for (const auto type : {dtype::float16, dtype::bfloat16}) {
    const qparams p = derive(spec, -1.3F, 2.9F, {.scale_type = type});
    const float stored = type == dtype::float16 ? static_cast<float>(lutra::half(p.scale[0]))
                                                : static_cast<float>(lutra::bfloat16(p.scale[0]));
    CHECK(stored == p.scale[0]);
    CHECK(p.scale[0] == doctest::Approx(4.2 / 255.0).epsilon(0.005));
    CHECK(static_cast<float>(p.zero_point[0]) == lutra::round_half_even(1.3F / p.scale[0]));
  }
  // Below the normal numbers of float16 its resolution is that of the floor, and with a relative one never zero.
  CHECK(derive(spec, 0.0F, 3.1e-3F, {.scale_type = dtype::float16}).scale[0] ==
        static_cast<float>(lutra::half(3.1e-3F / 255.0F)));
  CHECK(derive(spec, 0.0F, 0.0F, {.scale_type = dtype::float16}).scale[0] == 0x1p-23F);
  CHECK(derive(spec, 0.0F, 1e-8F,
               {.floor = lutra::scale_floor::relative, .scale_type = dtype::float16})
            .scale[0] == 0x1p-24F);
  CHECK_ERROR(derive(spec, 0.0F, 1e30F, {.scale_type = dtype::float16}), non_finite, "too wide",
              "float16");
  CHECK_ERROR(derive(spec, 0.0F, 1.0F, {.scale_type = dtype::int8}), invalid_argument, "scale_type",
              "int8");
  CHECK_ERROR(derive(spec, 1.0F, 0.0F, {}), invalid_argument, "reversed");
}

TEST_CASE("scale_rules: a rule that the spec has no use for is an error") {
  const auto checked = [](const quantization_spec& s) { lutra::check(s, "test"); };
  const scale_rules even{.e8m0 = e8m0_rule::even};
  const scale_rules relative{.floor = lutra::scale_floor::relative};
  checked({.dtype = dtype::float4_e2m1fn, .scale_rules = even});
  checked({.dtype = dtype::float8_e4m3fn, .scale_rules = relative});
  CHECK_ERROR(checked({.scale_rules = even}), invalid_argument, "scale_rules.e8m0", "float32");
  CHECK_ERROR(checked({.dtype = dtype::float4_e2m1fn, .scale_rules = relative}), invalid_argument,
              "scale_rules.floor", "float8_e8m0fnu");
  CHECK_ERROR(
      checked({.dtype = dtype::float4_e2m1fn, .scale_rules = {.scale_type = dtype::float16}}),
      invalid_argument, "scale_rules.scale_type", "float16");
  CHECK_ERROR(checked({.qscheme = qscheme::asymmetric, .scale_rules = {.no_clipping = true}}),
              invalid_argument, "scale_rules.no_clipping", "asymmetric");
  CHECK_ERROR(checked({.dtype = dtype::float8_e5m2, .scale_rules = {.no_clipping = true}}),
              invalid_argument, "scale_rules.no_clipping", "float8_e5m2");
}

}  // namespace
