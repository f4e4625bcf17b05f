#include <lutra/cluster/atoms.hpp>
#include <lutra/cluster/refine_line.hpp>

#include <doctest/doctest.h>

#include "counted_line.hpp"
#include "samples.hpp"

namespace {

using lutra::index_t;
using lutra::lattice;
using lutra::line;

TEST_CASE("refine_line: windows keep their values on another line") {
  const std::vector<float> x = samples::draw("normal", 60000);
  const counted_line s = counted_line_of(x, 8);
  const lattice fine = lutra::finer_lattice(s.l, s.totals, s.buckets.leading, s.inside, 100000);
  CHECK(fine.buckets() > s.l.buckets());
  const auto totals =
      lutra::count_values(fine, std::span<const float>(x), lutra::serial_executor{});
  const lutra::bucket_line finer = lutra::line_of_buckets(fine, totals);
  CHECK(finer.atoms.size() > s.buckets.atoms.size());
  const auto moved =
      lutra::windows_on(finer.atoms, lutra::windows_by_value(s.clusters.windows, s.buckets.atoms));
  const auto want = lutra::certified_1d(finer.atoms, 8, {.final_windows = true});
  const auto got = lutra::certified_1d(finer.atoms, 8, {.windows = moved});
  CHECK(got.starts == want.starts);
  // With the same origin ends are the same numbers, and windows do not grow.
  const lutra::bucket_line same = lutra::line_of_buckets(fine, totals, {}, s.buckets.atoms.origin);
  const auto kept =
      lutra::windows_on(same.atoms, lutra::windows_by_value(s.clusters.windows, s.buckets.atoms));
  for (std::size_t q = 0; q < kept.size(); ++q) {
    const auto weight = [](const lutra::line& l, const std::pair<index_t, index_t>& w) {
      return l.weight(w.first, w.second);
    };
    CHECK(weight(same.atoms, kept[q]) == weight(s.buckets.atoms, s.clusters.windows[q]));
  }
  for (std::size_t q = 0; q < moved.size(); ++q) {
    CHECK(moved[q].first <= want.starts[q + 1]);
    CHECK(moved[q].second >= want.starts[q + 1]);
  }
}

TEST_CASE("refine_line: finer buckets for all values, of about equal weight * width^2") {
  const std::vector<float> x = samples::draw("student3", 60000);
  const auto range = lutra::sample_range(std::span<const float>(x));
  const lattice l(range->first, range->second, 2);
  const auto totals = lutra::count_values(l, std::span<const float>(x), lutra::serial_executor{});
  const lattice fine = lutra::finer_lattice(l, totals, 65536);
  CHECK(fine.buckets() < 65536 + 4 * lattice::cells);
  const auto counted =
      lutra::count_values(fine, std::span<const float>(x), lutra::serial_executor{});
  const auto worst = [&](const lattice& some, const lutra::lattice_totals& t) {
    double most = 0;
    lutra::for_each_bucket(some, t,
                           [&](std::size_t, std::size_t, double lo, double hi, double w, double) {
                             if (w > 1) most = std::max(most, w * (hi - lo) * (hi - lo));
                           });
    return most;
  };
  CHECK(100 * worst(fine, counted) < worst(l, totals));
}

TEST_CASE("refine_line: atoms in windows") {
  const lutra::position_windows windows = {{2, 4}, {4, 4}, {6, 7}};
  CHECK(lutra::atoms_in_windows(8, windows) == std::vector<std::uint8_t>{0, 0, 1, 1, 0, 0, 1, 0});
}

}  // namespace
