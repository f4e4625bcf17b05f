#include <lutra/tensor/check_finite.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "errors.hpp"

namespace {

using lutra::tensor_view;

TEST_CASE("check_finite: NaN and infinities are counted and located") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x = {0, 1, inf, 2, std::nan(""), -inf};
  const auto check = [&](const tensor_view<const double>& v) { lutra::check_finite(v, "here"); };
  CHECK_ERROR(check({x.data(), {2, 3}}), non_finite, "here", "3 of 6", "first at position 2");
  check({x.data(), {2}});
  check({x.data(), {0}});
  const lutra::index_t backwards[] = {-1};
  CHECK_ERROR(check({x.data() + 5, {6}, backwards}), non_finite, "3 of 6", "position 0");
  const lutra::index_t every_third[] = {3};
  check({x.data(), {2}, every_third});
}

TEST_CASE("check_finite: one bad value, wherever it is; the largest floats are fine") {
  constexpr float most = std::numeric_limits<float>::max();
  for (std::size_t n = 1; n < 70; ++n) {
    std::vector<float> x(n, n % 2 == 0 ? most : -most);
    const tensor_view<const float> v(x.data(), {static_cast<lutra::index_t>(n)});
    lutra::check_finite(v, "here");
    for (std::size_t i = 0; i < n; ++i) {
      const float before = x[i];
      x[i] = i % 2 == 0 ? std::nanf("") : -std::numeric_limits<float>::infinity();
      CHECK_ERROR(lutra::check_finite(v, "here"), non_finite, "1 of " + std::to_string(n),
                  "position " + std::to_string(i));
      x[i] = before;
    }
  }
}

}  // namespace
