#include <lutra/affine/element.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <lutra/core/random.hpp>

using namespace lutra;

namespace {
unit_params int8_unit(float scale, float zero_point) {
  return {dtype::int8, true, scale, zero_point, 0, -128, 127};
}
}  // namespace

TEST_CASE("element: rounding happens before the zero point is added") {
  // 3 / scale is 127.5 and rounds to 128; plus 43 is 171, where rounding 170.5 would give 170.
  const unit_params u{dtype::uint8, true, 3.0F / 127.5F, 43, 0, 0, 255};
  CHECK(encode_one(3.0F, u) == 171);
  CHECK(encode_one(5.0F, {dtype::uint8, true, 3.0F / 127.5F, 42, 0, 0, 255}) == 254);
}

TEST_CASE("element: the quotient is a division, the reciprocal policy is not") {
  // Documented by FBGEMM: x * (1 / s) is 127.5 and rounds up, x / s is just below and does not.
  const float s = 0.00214854861F;
  const float x = 0.273939937F;
  CHECK(encode_one(x, int8_unit(s, 0)) == 127);
  CHECK(unclamped_one(x, int8_unit(s, 0), quotient::exact) == 127.0F);
  CHECK(unclamped_one(x, int8_unit(s, 0), quotient::reciprocal) == 128.0F);
}

TEST_CASE("element: saturation, infinities and NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const unit_params u = int8_unit(0.5F, 3);
  CHECK(encode_one(1e30F, u) == 127);
  CHECK(encode_one(inf, u) == 127);
  CHECK(encode_one(-inf, u) == -128);
  CHECK(encode_one(nan, u) == 3);
  CHECK(std::isnan(fake_quantize_one(nan, u)));
  CHECK(fake_quantize_one(inf, u) == 62.0F);
  const unit_params minval{dtype::int8, true, 0.5F, -128, -10.0F, -128, 127};
  CHECK(encode_one(nan, minval) == -128);
  const unit_params fp8{dtype::float8_e4m3fn, false, 1, 0, 0, -448, 448};
  CHECK(encode_one(nan, fp8) == 0x7F);
  CHECK(encode_one(-inf, fp8) == 0xFE);
  CHECK(std::isnan(fake_quantize_one(nan, fp8)));
}

TEST_CASE("element: fake-quantization is dequantization of the code") {
  random_stream random(9);
  const float inf = std::numeric_limits<float>::infinity();
  for (int i = 0; i < 20000; ++i) {
    const float scale = static_cast<float>(random.uniform()) + 1e-3F;
    float x = static_cast<float>(random.normal()) * 40;
    if (i % 100 == 0) x = i % 200 == 0 ? inf : -inf;
    for (const unit_params& u :
         {int8_unit(scale, 5), unit_params{dtype::uint4, true, scale, 0, -2.5F, 0, 15},
          unit_params{dtype::float8_e4m3fn, false, scale, 0, 0, -448, 448},
          unit_params{dtype::float8_e5m2, false, scale, 0, 0, -57344, 57344},
          unit_params{dtype::float4_e2m1fn, false, scale, 0, 0, -6, 6}}) {
      const float expected = decode_one(encode_one(x, u), u);
      const float got = fake_quantize_one(x, u);
      const bool same = std::bit_cast<std::uint32_t>(expected) == std::bit_cast<std::uint32_t>(got);
      CHECK_MESSAGE(same, x);
    }
  }
}
