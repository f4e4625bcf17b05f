#include <lutra/cluster/fit_many.hpp>
#include <lutra/cluster/line_without_gaps.hpp>

#include <doctest/doctest.h>

#include "cluster/samples.hpp"

namespace {

// Counted as the first pass does; the gaps that were found.
lutra::line line_of(const std::vector<float>& x, lutra::index_t k, lutra::shorter_gaps& gaps) {
  const std::span<const float> values(x);
  const auto lattice = lutra::first_lattice(values, k);
  REQUIRE(lattice);
  const auto totals = lutra::count_values(*lattice, values, lutra::serial_executor{});
  return lutra::line_without_gaps(*lattice, totals, k, gaps).atoms;
}
double width(const lutra::line& l) { return l.largest(l.size() - 1) - l.least(0); }

TEST_CASE("line_without_gaps: values without wide gaps stay where they are") {
  lutra::shorter_gaps gaps;
  const std::vector<float> x = samples::draw("uniform", 60000);
  const auto [least, largest] = std::minmax_element(x.begin(), x.end());
  const lutra::line l = line_of(x, 16, gaps);
  CHECK(gaps.empty());
  CHECK(width(l) == doctest::Approx(static_cast<double>(*largest - *least)).epsilon(1e-3));
}

TEST_CASE("line_without_gaps: an outlier comes nearer, and back") {
  std::vector<float> x = samples::draw("normal", 60000);
  x[777] = 1e9F;
  lutra::shorter_gaps gaps;
  const lutra::line l = line_of(x, 16, gaps);
  REQUIRE_FALSE(gaps.empty());
  CHECK(l.weight(0, l.size()) == 60000);
  CHECK(width(l) < 1e6);
  CHECK(gaps.restored(l.origin + l.least(l.size() - 1)) == doctest::Approx(1e9).epsilon(1e-9));
}

}  // namespace
