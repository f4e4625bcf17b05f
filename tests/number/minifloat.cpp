#include <lutra/number/minifloat.hpp>

#include "formats.hpp"

namespace {
// A format no header of the library uses: the template must hold for it as well.
struct e3m2 {
  std::uint8_t bits = 0;
  e3m2() = default;
  explicit e3m2(float x) {
    const auto f = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t code =
        std::min(lutra::minifloat<3, 2>::round_magnitude(f & 0x7FFFFFFFU), 0x1FU);
    bits = static_cast<std::uint8_t>(code | ((f >> 31) << 5));
  }
  static e3m2 from_bits(std::uint8_t bits) {
    e3m2 f;
    f.bits = bits;
    return f;
  }
  explicit operator float() const {
    const std::uint32_t sign = (bits & 0x20U) != 0 ? 0x80000000U : 0U;
    return std::bit_cast<float>(lutra::minifloat<3, 2>::magnitude_bits(bits & 0x1FU) | sign);
  }
};
}  // namespace

TEST_CASE("minifloat: fp6 e3m2, every code, tie and neighbour of a tie") {
  check_format<e3m2>({3, 2, 0x1F}, 0x20, false);
  CHECK(static_cast<float>(e3m2::from_bits(0x1F)) == 28.0F);
}
