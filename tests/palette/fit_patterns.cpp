#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/fit_patterns.hpp>

#include <doctest/doctest.h>

namespace {

// The same fit as that of the values as floats, sorted.
template <class T> void check_against_floats(std::size_t n, int entries, double scale) {
  lutra::random_stream random(n);
  std::vector<T> x;
  std::vector<float> wide;
  for (std::size_t i = 0; i < n; ++i) {
    x.emplace_back(T(static_cast<float>(scale * random.normal())));
    if (i % 50 == 0) x.back() = T(i % 100 == 0 ? -0.0F : 0.0F);
    wide.push_back(static_cast<float>(x.back()));
  }
  lutra::exact_workspace<lutra::simd::native> work;
  std::vector<std::uint8_t> codes(n), want_codes(n);
  const lutra::group_fit fit =
      lutra::fit_patterns(std::span<const T>(x), {.entries = entries, .max_gap = 1e-2},
                          std::span(codes), work, lutra::serial_executor{});
  const lutra::group_fit want =
      lutra::fit_sorted(std::span<const float>(wide), {.entries = entries, .max_gap = 1e-2},
                        std::span(want_codes), work);
  CHECK(fit.table == want.table);
  CHECK(codes == want_codes);
  CHECK(fit.inertia == doctest::Approx(want.inertia).epsilon(1e-12));
  CHECK(fit.lower_bound <= fit.inertia);
  CHECK(fit.lower_bound == doctest::Approx(want.lower_bound).epsilon(1e-12));
  CHECK(fit.status == lutra::palette_status::optimal);
}

TEST_CASE("fit_patterns: the optimum of the values as floats") {
  for (const int entries : {2, 16, 256}) {
    check_against_floats<lutra::bfloat16>(3000, entries, 0.02);
    check_against_floats<lutra::half>(3000, entries, 0.02);
    check_against_floats<lutra::half>(200, entries, 1e-6);  // subnormals
  }
  check_against_floats<lutra::bfloat16>(1, 16, 1.0);
}

}  // namespace
