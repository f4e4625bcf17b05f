#include <lutra/cluster/sort_floats.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace {

std::vector<std::uint32_t> bits_of(std::span<const float> x) {
  std::vector<std::uint32_t> bits;
  for (const float v : x) bits.push_back(std::bit_cast<std::uint32_t>(v));
  return bits;
}

TEST_CASE("sort_floats: as std::sort does, for every length around the changes of method") {
  lutra::float_sorter sorter;
  for (const std::size_t n :
       std::vector<std::size_t>{0, 1, 2, 63, 64, 65, 1000, 16383, 16384, 40000}) {
    lutra::random_stream random(n);
    std::vector<float> x(n);
    for (float& v : x)
      v = static_cast<float>(random.normal() *
                             std::ldexp(1.0, static_cast<int>(random.below(9)) * 20 - 90));
    if (n > 3) x[n / 2] = x[n / 3];
    std::vector<float> want = x;
    std::sort(want.begin(), want.end());
    CHECK(bits_of(sorter(x)) == bits_of(want));
  }
}

TEST_CASE("sort_floats: extremes, denormals and both zeros") {
  using limits = std::numeric_limits<float>;
  for (const std::size_t copies : std::vector<std::size_t>{1, 20, 4000}) {
    std::vector<float> x;
    for (std::size_t i = 0; i < copies; ++i) {
      x.insert(x.end(), {0.0F, -0.0F, limits::max(), limits::lowest(), limits::denorm_min(),
                         -limits::denorm_min(), limits::infinity(), -limits::infinity()});
    }
    lutra::float_sorter sorter;
    const auto sorted = sorter(x);
    CHECK(std::is_sorted(sorted.begin(), sorted.end()));
    bool negative_zero = false;
    for (const float v : sorted) negative_zero = negative_zero || (v == 0 && std::signbit(v));
    CHECK(!negative_zero);
    CHECK(sorted.front() == -limits::infinity());
    CHECK(sorted[copies - 1] == -limits::infinity());
    CHECK(sorted[copies] == limits::lowest());
  }
}

TEST_CASE("sort_floats: equal values, and values that share digits") {
  lutra::float_sorter sorter;
  const std::vector<float> same(5000, 1.25F);
  CHECK(bits_of(sorter(same)) == bits_of(same));
  std::vector<float> close(5000);
  for (std::size_t i = 0; i < close.size(); ++i) {
    close[i] = std::bit_cast<float>(static_cast<std::uint32_t>(0x3F800000U + (i * 37) % 256));
  }
  const auto sorted = sorter(close);
  CHECK(std::is_sorted(sorted.begin(), sorted.end()));
}

}  // namespace
