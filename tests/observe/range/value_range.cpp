// What the selections make of 8 distributions x {int8, int4}, and that ours is never behind torch's.
#include <lutra/observe/global_min_max.hpp>
#include <lutra/observe/histogram_observer.hpp>
#include <lutra/observe/moving_average.hpp>
#include <lutra/observe/range/ort_entropy.hpp>
#include <lutra/observe/range/value_range.hpp>
#include <lutra/observe/torch_histogram.hpp>

#include <doctest/doctest.h>

#include "observe/distributions.hpp"

namespace {

using lutra::quantization_spec;
using lutra::value_range;

template <class O> value_range range_after(O o, std::span<const float> x) {
  for (std::size_t batch = 0; batch < 4; ++batch) {
    const auto part = x.subspan(batch * x.size() / 4, x.size() / 4);
    o.observe(
        lutra::tensor_view<const float>(part.data(), {static_cast<lutra::index_t>(part.size())}));
  }
  value_range r;
  o.range({&r.lo, 1}, {&r.hi, 1});
  return r;
}

TEST_CASE(
    "value_range: the table of observers; the mse observer is never behind torch's histogram") {
  for (const auto type : {lutra::dtype::int8, lutra::dtype::int4}) {
    for (const auto scheme : {lutra::qscheme::symmetric, lutra::qscheme::asymmetric}) {
      for (const auto& d : distributions) {
        const std::vector<float> x = draw(d, 8000, 31);
        const quantization_spec spec{.dtype = type, .qscheme = scheme};
        const auto error = [&](const value_range& r) { return mean_squared_error(x, spec, r); };
        const double min_max = error(range_after(lutra::global_min_max(spec), x));
        const double average = error(range_after(lutra::moving_average(spec), x));
        const double percentile = error(range_after(lutra::histogram_percentile(spec), x));
        const double mse = error(range_after(lutra::histogram_mse(spec), x));
        const double entropy = error(range_after(lutra::histogram_entropy(spec), x));
        const double torch_1 =
            error(range_after(lutra::torch_histogram(spec, lutra::torch_release::v1_13), x));
        const double torch_2 =
            error(range_after(lutra::torch_histogram(spec, lutra::torch_release::v2), x));
        MESSAGE(lutra::name_of(type), ' ', lutra::name_of(scheme), ' ', d.name, ": min-max ",
                min_max, ", average ", average, ", percentile ", percentile, ", mse ", mse,
                ", entropy ", entropy, ", torch 1.13 ", torch_1, ", torch 2 ", torch_2);
        CHECK(mse <= torch_1);
        CHECK(mse <= torch_2);
        CHECK(mse <= min_max);
      }
    }
  }
}

TEST_CASE("value_range: within and full_range keep zero and pinned ends") {
  lutra::histogram h;
  const std::vector<float> x = {2.0F, 5.0F};
  h.add(x.data(), 2);
  CHECK(lutra::full_range(h, {}) == value_range{0, 5});
  CHECK(lutra::full_range(h, {.float_range = {.lo = -1.0F, .hi = 3.0F}}) == value_range{-1, 3});
  CHECK(lutra::within({-4, 6}, 5) == value_range{-4, 5});
  static_assert(lutra::range_selection<lutra::mse_range>);
  static_assert(!lutra::range_selection<int>);
}

}  // namespace
