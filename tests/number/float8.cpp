#include <lutra/number/float8.hpp>

#include "formats.hpp"

using lutra::float8_e4m3fn;
using lutra::float8_e5m2;

TEST_CASE("float8: every code, tie and neighbour of a tie of e4m3fn") {
  check_format<float8_e4m3fn>({4, 3, 0x7E}, 0x80, false);
}
TEST_CASE("float8: every code, tie and neighbour of a tie of e5m2") {
  check_format<float8_e5m2>({5, 2, 0x7B}, 0x80, false);
}

TEST_CASE("float8: ranges, infinities and NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(static_cast<float>(float8_e4m3fn(1e9F)) == 448.0F);
  CHECK(static_cast<float>(float8_e4m3fn(-inf)) == -448.0F);
  CHECK(static_cast<float>(float8_e5m2(inf)) == 57344.0F);
  CHECK(static_cast<float>(float8_e4m3fn::from_bits(0x01)) == 0x1p-9F);
  CHECK(static_cast<float>(float8_e4m3fn::from_bits(0x08)) == 0x1p-6F);
  CHECK(static_cast<float>(float8_e5m2::from_bits(0x01)) == 0x1p-16F);
  CHECK(static_cast<float>(float8_e5m2::from_bits(0x04)) == 0x1p-14F);
  CHECK(float8_e4m3fn(nan).bits == 0x7F);
  CHECK(float8_e5m2(-nan).bits == 0xFF);
  CHECK(std::isnan(static_cast<float>(float8_e4m3fn::from_bits(0x7F))));
  CHECK(std::isnan(static_cast<float>(float8_e4m3fn::from_bits(0xFF))));
  CHECK(static_cast<float>(float8_e5m2::from_bits(0x7C)) == inf);
  CHECK(static_cast<float>(float8_e5m2::from_bits(0xFC)) == -inf);
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0x7D, 0x7E, 0x7F}) {
    CHECK(std::isnan(static_cast<float>(float8_e5m2::from_bits(code))));
  }
}
