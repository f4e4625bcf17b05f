#include <lutra/number/float4.hpp>

#include "formats.hpp"

using lutra::float4_e2m1fn;

TEST_CASE("float4: every code, tie and neighbour of a tie") {
  check_format<float4_e2m1fn>({2, 1, 7}, 8, false);
}

TEST_CASE("float4: the sixteen values, saturation and NaN") {
  const std::vector<float> expected = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  for (unsigned code = 0; code < 8; ++code) {
    CHECK(static_cast<float>(float4_e2m1fn::from_bits(static_cast<std::uint8_t>(code))) ==
          expected[code]);
  }
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(float4_e2m1fn(inf).bits == 7);
  CHECK(float4_e2m1fn(-1e30F).bits == 15);
  CHECK(float4_e2m1fn(std::numeric_limits<float>::quiet_NaN()).bits == 0);
  CHECK(float4_e2m1fn(-0.0F).bits == 8);
  CHECK(float4_e2m1fn::from_bits(0xF3).bits == 3);  // the upper nibble is not part of the value
}
