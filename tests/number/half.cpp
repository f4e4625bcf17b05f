#include <lutra/number/half.hpp>

#include "formats.hpp"

using lutra::half;

TEST_CASE("half: every code, tie and neighbour of a tie") {
  check_format<half>({5, 10, 0x7BFF}, 0x8000, true);
}

TEST_CASE("half: overflow, infinities and NaN") {
  CHECK(half(65504.0F).bits == 0x7BFF);
  CHECK(half(65519.996F).bits == 0x7BFF);
  CHECK(half(65520.0F).bits == 0x7C00);
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(half(-inf).bits == 0xFC00);
  CHECK(static_cast<float>(half::from_bits(0x7C00)) == inf);
  const half nan(std::numeric_limits<float>::quiet_NaN());
  CHECK((nan.bits & 0x7E00) == 0x7E00);
  CHECK(std::isnan(static_cast<float>(nan)));
  for (unsigned code = 0x7C01; code <= 0x7FFF; ++code) {
    CHECK(std::isnan(static_cast<float>(half::from_bits(static_cast<std::uint16_t>(code)))));
  }
  const half signalling(
      std::bit_cast<float>(0xFF800001U));  // low payload bits must not make it infinity
  CHECK(std::isnan(static_cast<float>(signalling)));
  CHECK(std::signbit(static_cast<float>(signalling)));
}

TEST_CASE("half: conversions are constant expressions") {
  static_assert(half(1.5F).bits == 0x3E00);
  static_assert(static_cast<float>(half::from_bits(0x0001)) == 0x1p-24F);
}
