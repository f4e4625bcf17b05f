#include <lutra/observe/range/ort_entropy.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "errors.hpp"
#include "observe/distributions.hpp"

namespace {

using lutra::histogram;

// 512 bins of 1/32 over [-8, 8), what lies beyond in the outermost ones.
std::vector<std::int64_t> counts_of(std::span<const float> x) {
  std::vector<std::int64_t> counts(512);
  for (const float v : x) {
    const float at = std::floor((v + 8.0F) * 32.0F);
    ++counts[static_cast<std::size_t>(std::clamp(at, 0.0F, 511.0F))];
  }
  return counts;
}

struct edges {
  std::int64_t first, last;  // edges of the range
};

// From onnxruntime 1.32.0 on the same counts (bench/peers/torch_observers.py --golden prints this table).
constexpr std::array<edges, 8> expected_edges = {
    {{123, 390}, {192, 321}, {64, 449}, {104, 409}, {128, 385}, {192, 321}, {0, 512}, {56, 457}}};

TEST_CASE("ort_entropy: the thresholds of onnxruntime") {
  for (std::size_t i = 0; i < distributions.size(); ++i) {
    CAPTURE(distributions[i].name);
    const std::vector<std::int64_t> counts = counts_of(draw(distributions[i], 5000, 3));
    const std::int64_t half = lutra::ort_entropy(counts, 128).best_half();
    CHECK(256 - half == expected_edges[i].first);
    CHECK(std::min<std::int64_t>(256 + half + 1, 512) == expected_edges[i].last);
  }
}

TEST_CASE("ort_entropy: the first round leaves out no range that could be the best") {
  lutra::random_stream r(5);
  for (const auto& d : distributions) {
    for (const std::int64_t levels : {16, 64, 128}) {
      std::vector<std::int64_t> counts =
          counts_of(draw(d, 2000 + static_cast<lutra::index_t>(r.below(4000)), r.next()));
      counts.resize(511 - r.below(40));
      lutra::ort_entropy search(counts, levels);
      std::int64_t best = levels / 2;
      for (std::int64_t i = levels / 2; i <= static_cast<std::int64_t>(counts.size()) / 2; ++i) {
        if (search.divergence(i) < search.divergence(best)) best = i;
      }
      CAPTURE(d.name);
      CHECK(search.best_half() == best);
    }
  }
}

TEST_CASE("ort_entropy: pairwise sums add in numpy's order") {
  std::vector<float> x(1000);
  lutra::random_stream r(1);
  for (float& v : x) v = static_cast<float>(r.uniform());
  double exact = 0;
  for (std::size_t n = 0; n <= x.size(); ++n) {
    CHECK(lutra::pairwise_sum(x.data(), n) == doctest::Approx(exact).epsilon(1e-6));
    if (n < x.size()) exact += static_cast<double>(x[n]);
  }
}

TEST_CASE("ort_entropy: as a selection it stays inside what was observed") {
  for (const auto& d : distributions) {
    CAPTURE(d.name);
    const std::vector<float> x = draw(d, 20'000, 9);
    histogram h;
    h.add(x.data(), 20'000);
    const auto r = lutra::ort_entropy_range{}(h, {});
    CHECK(r.lo >= std::min(h.min(), 0.0F));
    CHECK(r.hi <= std::max(h.max(), 0.0F));
    CHECK(r.hi > 0.0F);
  }
  CHECK(lutra::ort_entropy_range{}(histogram{}, {}) == lutra::value_range{0, 0});
  CHECK_ERROR(lutra::ort_entropy_range{1}(histogram{}, {}), invalid_argument, "levels", "1");
}

}  // namespace
