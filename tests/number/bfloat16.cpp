#include <lutra/number/bfloat16.hpp>

#include "formats.hpp"

using lutra::bfloat16;

TEST_CASE("bfloat16: every finite code, tie and neighbour of a tie") {
  check_format<bfloat16>({8, 7, 0x7F7F}, 0x8000, true);
}

TEST_CASE("bfloat16: overflow, infinities and NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7F80);
  CHECK(bfloat16(-inf).bits == 0xFF80);
  CHECK(static_cast<float>(bfloat16::from_bits(0x7F80)) == inf);
  CHECK(std::isnan(static_cast<float>(bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  // Rounding up this payload would give infinity, truncating it too.
  CHECK(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7F800001U)))));
  CHECK(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7FFFFFFFU)))));
}

TEST_CASE("bfloat16: subnormal floats are rounded, not flushed") {
  CHECK(bfloat16(std::bit_cast<float>(0x00018000U)).bits == 0x0002);  // tie to even
  CHECK(bfloat16(std::bit_cast<float>(0x00008001U)).bits == 0x0001);
  CHECK(bfloat16(std::bit_cast<float>(0x00008000U)).bits == 0x0000);
}
