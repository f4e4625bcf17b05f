#include <lutra/cluster/pattern_counts.hpp>
#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>

#include <doctest/doctest.h>

#include <map>

namespace {

template <class T> void check_against_a_map(std::size_t n) {
  lutra::random_stream random(n);
  std::vector<T> x;
  std::map<double, double> want;
  for (std::size_t i = 0; i < n; ++i) {
    x.emplace_back(T(static_cast<float>(random.normal())));
    if (i % 7 == 0) x.back() = T(-0.0F);
    if (i % 11 == 0) x.back() = T(0.0F);
    want[static_cast<double>(static_cast<float>(x.back())) + 0.0] += 1;
  }
  const auto counts = lutra::count_patterns(std::span<const T>(x), lutra::serial_executor{});
  const lutra::atoms_1d atoms = lutra::atoms_of_patterns<T>(counts);
  REQUIRE(atoms.value.size() == want.size());
  std::size_t at = 0;
  for (const auto& [value, count] : want) {
    CHECK(atoms.value[at] == value);
    CHECK(atoms.weight[at++] == count);
  }
}

TEST_CASE("pattern_counts: every value is counted, in order, both zeros as one") {
  check_against_a_map<lutra::half>(5000);
  check_against_a_map<lutra::bfloat16>(5000);
  check_against_a_map<lutra::bfloat16>(0);
}

TEST_CASE("pattern_counts: more elements than one shard") {
  const std::vector<lutra::half> x(3'000'001, lutra::half(1.5F));
  const auto counts =
      lutra::count_patterns(std::span<const lutra::half>(x), lutra::serial_executor{});
  CHECK(lutra::atoms_of_patterns<lutra::half>(counts).weight == std::vector<double>{3'000'001});
}

}  // namespace
