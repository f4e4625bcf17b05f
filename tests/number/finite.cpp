#include <lutra/number/finite.hpp>

#include "formats.hpp"

using lutra::is_finite;

namespace {
template <class T> void check_ends() {
  using limits = std::numeric_limits<T>;
  for (const T x : {T(0), limits::denorm_min(), limits::min(), T(1), limits::max()}) {
    CHECK(is_finite(x));
    CHECK(is_finite(-x));
  }
  for (const T x : {limits::infinity(), limits::quiet_NaN()}) {
    CHECK_FALSE(is_finite(x));
    CHECK_FALSE(is_finite(-x));
  }
}
}  // namespace

TEST_CASE("finite: agrees with isfinite, for the ends of each type and for any bits") {
  check_ends<float>();
  check_ends<double>();
  lutra::random_stream random(5);
  int differ = 0, others = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t bits = random.next();
    const auto narrow = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const auto wide = std::bit_cast<double>(bits | (i % 2 == 0 ? 0x7FF0000000000000U : 0));
    differ += is_finite(narrow) != std::isfinite(narrow);
    differ += is_finite(wide) != std::isfinite(wide);
    others += std::isfinite(narrow) ? 0 : 1;
  }
  CHECK(differ == 0);
  CHECK(others > 100);
}
