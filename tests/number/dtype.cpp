#include <lutra/number/dtype.hpp>

#include "../errors.hpp"

using namespace lutra;

TEST_CASE("dtype: integer ranges follow the bit count") {
  for (int bits = 1; bits <= 8; ++bits) {
    const dtype_info s = info(parse_dtype("int" + std::to_string(bits)));
    const dtype_info u = info(parse_dtype("uint" + std::to_string(bits)));
    CHECK(s.bits == bits);
    CHECK(s.quant_min == -static_cast<float>(1 << (bits - 1)));
    CHECK(s.quant_max == static_cast<float>((1 << (bits - 1)) - 1));
    CHECK(u.quant_min == 0.0F);
    CHECK(u.quant_max == static_cast<float>((1 << bits) - 1));
    CHECK((s.integer && s.is_signed && u.integer && !u.is_signed));
  }
}

TEST_CASE("dtype: float formats, names and aliases") {
  CHECK(info(dtype::float8_e4m3fn).quant_max == 448.0F);
  CHECK(info(dtype::float8_e5m2).quant_max == 57344.0F);
  CHECK(info(dtype::float4_e2m1fn).quant_max == 6.0F);
  CHECK(bits_of(dtype::float4_e2m1fn) == 4);
  CHECK(parse_dtype("float8_e4m3") == dtype::float8_e4m3fn);
  CHECK(parse_dtype("float4_e2m1fn_x2") == dtype::float4_e2m1fn);
  CHECK(parse_dtype("float8_e8m0") == dtype::float8_e8m0fnu);
  for (int i = 0; i <= static_cast<int>(dtype::float32); ++i) {
    CHECK(parse_dtype(name_of(static_cast<dtype>(i))) == static_cast<dtype>(i));
  }
  CHECK_ERROR(parse_dtype("float8_e4m3fnuz"), unsupported, "unknown dtype", "float8_e4m3fnuz",
              "int1..int8");
}
