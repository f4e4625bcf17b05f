#include <lutra/number/e8m0.hpp>

#include "formats.hpp"

using lutra::float8_e8m0fnu;

TEST_CASE("e8m0: every code round-trips") {
  for (unsigned code = 0; code < 255; ++code) {
    const auto f = static_cast<float>(float8_e8m0fnu::from_bits(static_cast<std::uint8_t>(code)));
    CHECK(static_cast<double>(f) == std::ldexp(1.0, static_cast<int>(code) - 127));
    CHECK(float8_e8m0fnu(f).bits == code);
  }
  CHECK(std::isnan(static_cast<float>(float8_e8m0fnu::from_bits(255))));
}

TEST_CASE("e8m0: nearest power of two, ties to the even exponent") {
  for (int code = 0; code < 254; ++code) {
    const auto lower = static_cast<float>(std::ldexp(1.0, code - 127));
    const auto tie = static_cast<float>(std::ldexp(1.5, code - 127));
    const int even = code % 2 == 0 ? code : code + 1;
    CHECK(float8_e8m0fnu(tie).bits == even);
    CHECK(float8_e8m0fnu(next_float(tie, -1)).bits == code);
    CHECK(float8_e8m0fnu(next_float(tie, 1)).bits == code + 1);
    CHECK(float8_e8m0fnu(next_float(lower, 1)).bits == code);
  }
}

TEST_CASE("e8m0: zero, negative, huge and non-finite values") {
  CHECK(float8_e8m0fnu(0.0F).bits == 0);
  CHECK(float8_e8m0fnu(-0.0F).bits == 0);
  CHECK(float8_e8m0fnu(1e-45F).bits == 0);
  CHECK(float8_e8m0fnu(std::numeric_limits<float>::max()).bits == 254);
  CHECK(float8_e8m0fnu(-1.0F).bits == 255);
  CHECK(float8_e8m0fnu(-1e-45F).bits == 255);
  CHECK(float8_e8m0fnu(std::numeric_limits<float>::infinity()).bits == 255);
  CHECK(float8_e8m0fnu(std::numeric_limits<float>::quiet_NaN()).bits == 255);
}
