#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/weight_values.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

namespace {

using lutra::index_t;

TEST_CASE("weight_values: every value that no float can stand for is found") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x = {1, -inf, 3.4e38, 3.5e38, std::nan(""), -1e300, 0};
  const auto found = lutra::misfits(std::span<const double>(x));
  CHECK(found == std::vector<index_t>{1, 3, 4, 5});
  const std::vector<float> fine = {0, -0.0F, std::numeric_limits<float>::max(), 1e-45F};
  CHECK(lutra::misfits(std::span<const float>(fine)).empty());
}

// All 65,536 patterns: a misfit is what is not finite as a float.
template <class T> void check_patterns() {
  std::vector<T> x;
  std::vector<index_t> want;
  for (unsigned p = 0; p < 65536; ++p) {
    x.push_back(T::from_bits(static_cast<std::uint16_t>(p)));
    if (!std::isfinite(static_cast<float>(x.back()))) want.push_back(static_cast<index_t>(p));
  }
  CHECK(lutra::misfits(std::span<const T>(x)) == want);
}
TEST_CASE("weight_values: 16-bit types by their bits") {
  check_patterns<lutra::half>();
  check_patterns<lutra::bfloat16>();
}

TEST_CASE("weight_values: the error says how many, of how many, and where the first is") {
  const std::vector<float> x = {1, 2, std::nanf(""), 4, std::numeric_limits<float>::infinity()};
  const auto refuse = [](const auto& w) {
    const std::span weight(w);
    lutra::refuse_misfits(weight, lutra::misfits(weight), "fc1.weight");
  };
  CHECK_ERROR(refuse(x), non_finite, "NaN or infinite", "fc1.weight", "2 of 5",
              "first at position 2");
  const std::vector<double> y = {1, 2, 1e39};
  CHECK_ERROR(refuse(y), non_finite, "beyond the range of float", "1 of 3", "position 2", "1e+39");
  refuse(std::vector<float>{1, 2});
}

TEST_CASE("weight_values: the largest magnitude per row, without those left out") {
  const std::vector<float> x = {1, -3, 2, 0, 0, 0, 9, -8, 7};
  const auto scales = [&](const std::vector<index_t>& left_out) {
    return lutra::row_scales(std::span<const float>(x), {3, 3}, left_out, "w");
  };
  CHECK(scales({}) == std::vector<float>{3, 1, 9});
  CHECK(scales({1, 6}) == std::vector<float>{2, 1, 8});
  CHECK(scales({6, 7, 8}) == std::vector<float>{3, 1, 1});
  CHECK(lutra::row_scales(std::span<const float>(), {3, 0}, {}, "w") ==
        std::vector<float>{1, 1, 1});
  CHECK_ERROR(lutra::row_scales(std::span<const float>(x).first(1), lutra::shape{}, {}, "w"),
              incompatible, "per-channel scale");
}

}  // namespace
