#include <lutra/observe/torch_bins.hpp>

#include <doctest/doctest.h>

#include <numeric>

#include "errors.hpp"
#include "observe/check_merge.hpp"
#include "observe/distributions.hpp"

// torch_histogram.cpp compares counts with torch's; here is what is to be seen without it.
namespace {

using lutra::torch_bins;
using lutra::torch_release;

double mass(const torch_bins& b) {
  return std::accumulate(b.counts().begin(), b.counts().end(), 0.0);
}
void add(torch_bins& b, const std::vector<float>& x) { b.add(x); }

TEST_CASE(
    "torch_bins: the first batch is counted over its range, its largest element in the last") {
  torch_bins b(4, torch_release::v2);
  CHECK(b.empty());
  add(b, {0.0F, 1.0F, 1.5F, 2.0F, 8.0F});
  CHECK_FALSE(b.empty());
  CHECK(b.min() == 0.0F);
  CHECK(b.max() == 8.0F);
  CHECK(b.counts() == std::vector<float>{3, 1, 0, 1});
  torch_bins truncated(4, torch_release::v1_13);
  add(truncated, {0.5F, 1.5F, 3.5F, 4.5F});  // bins over [0, 4]: 4.5 lies beyond
  CHECK(truncated.counts() == std::vector<float>{1, 1, 0, 1});
  torch_bins one(4, torch_release::v2);
  add(one, {3.0F, 3.0F});  // over [2, 4]
  CHECK(one.counts() == std::vector<float>{0, 0, 2, 0});
}

TEST_CASE("torch_bins: a range that grows keeps its mass") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    torch_bins b(512, torch_release::v2);
    double elements = 0;
    for (int batch = 0; batch < 4; ++batch) {
      std::vector<float> x = draw(d, 2000, static_cast<std::uint64_t>(batch));
      for (float& v : x) v *= static_cast<float>(1 << batch);
      add(b, x);
      elements += 2000;
      CHECK(mass(b) == doctest::Approx(elements).epsilon(1e-5));
      CHECK(b.min() <= std::ranges::min(x));
      CHECK(b.max() >= std::ranges::max(x));
    }
  }
}

TEST_CASE("torch_bins: widths beyond float32 are refused before anything is counted") {
  torch_bins b(16, torch_release::v2);
  CHECK_ERROR(add(b, {-3e38F, 3e38F}), non_finite, "too wide", "2^128");
  CHECK(b.empty());
  add(b, {0.0F, 1.0F});
  const std::vector<float> before = b.counts();
  CHECK_ERROR(add(b, {-3e38F, 3e38F}), non_finite, "too wide", "2^128");
  CHECK(b.counts() == before);
  CHECK(b.max() == 1.0F);
}

}  // namespace
