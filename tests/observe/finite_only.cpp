#include <lutra/observe/any_observer.hpp>
#include <lutra/observe/finite_only.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "errors.hpp"

namespace {

using lutra::finite_only;

static_assert(lutra::mergeable_observer<finite_only<lutra::global_min_max>>);
static_assert(lutra::appendable_observer<finite_only<lutra::moving_average>>);
static_assert(!lutra::mergeable_observer<finite_only<lutra::moving_average>>);

TEST_CASE(
    "finite_only: refuses what is not finite and keeps what it had, else as the observer itself") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  finite_only<lutra::global_min_max> strict{lutra::quantization_spec{}};
  lutra::global_min_max plain{lutra::quantization_spec{}};
  const float good[] = {1.0F, -2.0F, 3.0F};
  strict.observe({good, {3}});
  plain.observe({good, {3}});
  for (const float bad : {inf, -inf, nan}) {
    const float x[] = {9.0F, bad, 0.0F, bad};
    CHECK_ERROR(strict.observe({x, {2, 2}}), non_finite, "2 of 4", "position 1");
    const lutra::index_t backwards[] = {-1};
    CHECK_ERROR(strict.observe({x + 3, {4}, backwards}), non_finite, "2 of 4", "position 0");
  }
  float lo = 0, hi = 0, plain_lo = 0, plain_hi = 0;
  strict.range({&lo, 1}, {&hi, 1});
  plain.range({&plain_lo, 1}, {&plain_hi, 1});
  CHECK(lo == plain_lo);
  CHECK(hi == plain_hi);
  CHECK(strict.samples() == 3);
  CHECK(strict.nonfinite() == 0);
}

TEST_CASE("finite_only: by name") {
  lutra::register_observer("strict_average", [](const lutra::quantization_spec& s) {
    return lutra::any_observer(finite_only<lutra::moving_average>(s));
  });
  lutra::any_observer o = lutra::make_observer("strict_average", {});
  const float x[] = {1.0F, std::nanf("")};
  CHECK_ERROR(o.observe({x, {2}}), non_finite, "1 of 2");
  CHECK(o.samples() == 0);
  o.observe({x, {1}});
  CHECK(o.samples() == 1);
  CHECK(o.can_append());
  CHECK(!o.can_merge());
}

}  // namespace
