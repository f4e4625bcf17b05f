#include <lutra/observe/torch_search.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "errors.hpp"
#include "observe/check_merge.hpp"

// torch_histogram.cpp compares the ends with torch's.
namespace {

using lutra::torch_bins;
using lutra::torch_search;

torch_bins counted(const std::vector<float>& x, lutra::index_t bins) {
  torch_bins b(bins, lutra::torch_release::v2);
  b.add(x);
  return b;
}
std::vector<float> ramp(int n) {
  std::vector<float> x;
  for (int i = 0; i <= n; ++i) x.push_back(static_cast<float>(i) / static_cast<float>(n));
  return x;
}

TEST_CASE(
    "torch_search: even data keep nearly their range, a far element loses its bin and no more") {
  std::vector<float> x = ramp(20'000);
  const torch_bins even = counted(x, 1024);
  const auto [lo, hi] = torch_search(even).ends();
  CHECK(lo >= 0.0F);
  CHECK(lo < 0.05F);
  CHECK(hi > 0.95F);
  CHECK(hi <= 1.0F);
  x.push_back(100.0F);
  const torch_bins outlier = counted(x, 1024);
  const float width = 100.0F / 1024;
  CHECK(torch_search(outlier).ends().second ==
        doctest::Approx(100.0F - width));  // greedy: one step
}

TEST_CASE("torch_search: ends lie on the edges of bins, in order") {
  const torch_bins b = counted({-4.0F, -1.0F, 0.0F, 0.5F, 1.0F, 4.0F}, 64);
  const auto [lo, hi] = torch_search(b).ends();
  CHECK(lo < hi);
  CHECK(lo * 8.0F == std::floor(lo * 8.0F));  // bins of 1/8
  CHECK(hi * 8.0F == std::floor(hi * 8.0F));
  CHECK(lo >= -4.0F);
  CHECK(hi <= 4.0F);
}

TEST_CASE("torch_search: bins too narrow for float32 are an error") {
  const torch_bins b = counted({0.0F, std::numeric_limits<float>::denorm_min()}, 64);
  CHECK_ERROR(torch_search(b).ends(), non_finite, "narrow", "above 0");
}

}  // namespace
