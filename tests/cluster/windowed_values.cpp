#include <lutra/cluster/centred_programme.hpp>
#include <lutra/cluster/refine_line.hpp>
#include <lutra/cluster/windowed_values.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "backward_executor.hpp"
#include "counted_line.hpp"
#include "noting_executor.hpp"
#include "samples.hpp"

namespace {

using lutra::index_t;
using lutra::lattice;
using lutra::line;

template <class Executor>
lutra::windowed_values read_windows(const counted_line& s, const std::vector<float>& x,
                                    const Executor& executor) {
  return lutra::values_in_windows(s.l, s.totals, std::span<const float>(x),
                                  std::span<const std::uint8_t>(s.inside), s.clusters.windows,
                                  executor);
}

TEST_CASE("windowed_values: the values of the windows give the exact optimum") {
  for (const char* name : {"normal", "bimodal", "student3", "outlier 1e3"}) {
    const std::vector<float> x = samples::draw(name, 60000);
    const lutra::atoms_1d atoms =
        lutra::make_atoms(std::span<const float>(x), std::span<const float>());
    const line all = lutra::line_of_points(atoms.value, atoms.weight);
    for (const index_t k : {2, 16}) {
      const counted_line s = counted_line_of(x, k);
      const auto v = read_windows(s, x, lutra::serial_executor{});
      CAPTURE(name);
      CAPTURE(k);
      REQUIRE(v.windows.size() == static_cast<std::size_t>(k - 1));
      std::vector<double> centre;
      for (std::size_t c = 0; c < static_cast<std::size_t>(k); ++c) {
        const index_t end =
            c + 1 < static_cast<std::size_t>(k) ? s.clusters.starts[c + 1] : s.buckets.atoms.size();
        centre.push_back(s.buckets.atoms.origin + s.buckets.atoms.mean(s.clusters.starts[c], end));
      }
      const auto exact = lutra::centred_programme<lutra::simd::native>()(v, centre);
      const auto want = lutra::certified_1d(all, k);
      // The same cuts: as many values in every cluster, and their mean.
      REQUIRE(std::ssize(exact.starts) == k);
      for (std::size_t c = 0; c < static_cast<std::size_t>(k); ++c) {
        const index_t end = c + 1 < static_cast<std::size_t>(k) ? want.starts[c + 1] : all.size();
        CHECK(exact.weight[c] == all.weight(want.starts[c], end));
        CHECK(exact.mean[c] ==
              doctest::Approx(all.origin + all.mean(want.starts[c], end)).epsilon(1e-12));
      }
      CHECK(exact.inertia == doctest::Approx(want.inertia).epsilon(1e-9));
    }
  }
}

TEST_CASE("windowed_values: sums of what no boundary cuts, whoever adds them up") {
  std::vector<float> x = samples::draw("student2", 700000);
  x[77] = -1e6F;  // outside of the lattice
  const counted_line s = counted_line_of(x, 8);
  const auto v = read_windows(s, x, lutra::serial_executor{});
  const auto again = read_windows(s, x, test::backward_executor{});
  CHECK(again.value == v.value);
  CHECK(again.weight == v.weight);
  for (const bool serial : {true, false}) {
    CHECK(test::most_pieces(serial, [&](const auto& ex) {
            CHECK(read_windows(s, x, ex).value == v.value);
          }) == (serial ? 1 : 3));
  }
  std::sort(x.begin(), x.end());
  std::size_t at = 0;
  auto next = v.joined.begin();
  long double worst = 0;
  for (index_t a = 0; a < v.size(); ++a) {
    const auto u = static_cast<std::size_t>(a);
    const std::size_t end = at + static_cast<std::size_t>(v.weight[u]);
    REQUIRE(end <= x.size());
    if (next == v.joined.end() || next->atom != a) {
      CHECK(static_cast<double>(x[at]) == v.value[u]);
      CHECK(x[end - 1] == x[at]);
    } else {
      long double moment = 0, square = 0;
      double reach = 0;
      for (std::size_t i = at; i < end; ++i) {
        const long double d = static_cast<long double>(x[i]) - static_cast<long double>(v.value[u]);
        moment += d;
        square += d * d;
        reach = std::max(reach, static_cast<double>(std::fabs(d)));
      }
      CHECK(reach <= next->reach * (1 + 1e-9));
      const long double own = std::sqrt(static_cast<long double>(v.weight[u]) * square);
      worst = std::max(worst, std::fabs(moment - static_cast<long double>(next->moment)) /
                                  std::max(own, 1e-30L));
      worst = std::max(worst, std::fabs(square - static_cast<long double>(next->square)) /
                                  std::max(square, 1e-30L));
      const auto index = next - v.joined.begin();
      CHECK(again.joined[static_cast<std::size_t>(index)].moment == next->moment);
      CHECK(again.joined[static_cast<std::size_t>(index)].square == next->square);
      ++next;
    }
    at = end;
  }
  CHECK(at == x.size());
  CHECK(next == v.joined.end());
  CHECK(v.joined.size() >= 7);
  CHECK(worst <= static_cast<long double>(v.error));
}

}  // namespace
