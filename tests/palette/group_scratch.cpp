#include <lutra/number/half.hpp>
#include <lutra/palette/group_scratch.hpp>

#include <doctest/doctest.h>

#include "cluster/samples.hpp"

namespace {

TEST_CASE("group_scratch: the line for levels holds every value once, whatever they are") {
  for (const auto& name : samples::names()) {
    const std::vector<float> x = samples::draw(name, 150000);
    lutra::group_scratch<float, lutra::simd::native> s;
    const std::vector<float> w(x);
    s.elements.gather(w, lutra::block_grid({150000}, {150000}), 0, {});
    const lutra::line& l = s.clustered_line(true, lutra::serial_executor{});
    CAPTURE(name);
    CHECK(l.weight(0, l.size()) == 150000.0);
    const auto [lo, hi] = std::minmax_element(x.begin(), x.end());
    CHECK(l.origin + l.least(0) <=
          static_cast<double>(*lo) + 1e-6 * std::fabs(static_cast<double>(*lo)));
    CHECK(l.origin + l.largest(l.size() - 1) >=
          static_cast<double>(*hi) - 1e-6 * std::fabs(static_cast<double>(*hi)));
  }
}

TEST_CASE("group_scratch: error and nearest codes with row scales and importance") {
  lutra::group_scratch<float, lutra::simd::native> s;
  const std::vector<float> x = {1, 2, 3, 40};
  s.elements.gather(x, lutra::block_grid({4}, {4}), 0, {});
  const std::vector<float> table = {1, 4};
  std::vector<std::uint8_t> codes(4);
  CHECK(s.assign(table, codes, lutra::serial_executor{}) == 1 + 1 + 36 * 36);
  CHECK(codes == std::vector<std::uint8_t>{0, 0, 1, 1});
  s.scale = {1, 1, 1, 10};
  s.factor = {1, 1, 1, 0.5F};
  s.wide = {1, 2, 3, 4};
  CHECK(s.assign(table, codes, lutra::serial_executor{}) == 2);
  s.elements.gather(x, lutra::block_grid({4}, {4}), 0, {});
  codes = {0, 0, 1, 0};
  CHECK(s.error_of(table, codes) == 1 + 1 + 0.5 * 30 * 30);
}

TEST_CASE("group_scratch: what is clustered with row scales: quotients, weighted by scale^2") {
  lutra::group_scratch<float, lutra::simd::native> s;
  const std::vector<float> x = {1, 2, 3};
  s.elements.gather(x, lutra::block_grid({3}, {3}), 0, {});
  s.sort_source();
  CHECK(s.work.atoms.value == std::vector<double>{1, 2, 3});
  s.scale = {1, 4, 3};
  s.factor = {2, 3, 5};
  s.squared = true;
  s.sort_source();
  CHECK(s.wide == std::vector<double>{1, 0.5, 1});
  CHECK(s.weights == std::vector<double>{2, 48, 45});
  CHECK(s.work.atoms.value == std::vector<double>{0.5, 1});
  CHECK(s.work.atoms.weight == std::vector<double>{48, 47});
  std::array<double, 2> value{}, weight{};
  s.source().fill(1, 2, value.data(), weight.data());
  CHECK(value == std::array<double, 2>{0.5, 1});
  CHECK(weight == std::array<double, 2>{48, 45});
  s.squared = false;
  s.sort_source();
  CHECK(s.weights == std::vector<double>{2, 3, 5});
  s.scale = {3, 3, 3};
  lutra::gather_as_reference<lutra::half>(s);  // in the type of the weight
  CHECK(s.wide[0] == static_cast<double>(static_cast<float>(lutra::half(1.0F / 3.0F))));
  CHECK(s.weights == std::vector<double>{2, 3, 5});
}

}  // namespace
