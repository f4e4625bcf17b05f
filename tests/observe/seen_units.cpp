#include <lutra/observe/seen_units.hpp>

#include "../errors.hpp"

using namespace lutra;

namespace {
block_grid grid(const granularity& g, const shape& extents) {
  return grid_of(g, extents, "test", short_groups::allow);
}
seen_units seen(const granularity& g, const shape& extents) {
  return seen_units::of(grid(g, extents));
}
// Whether a second tensor may follow a first one; check() and agrees_with() say the same.
bool follows(const granularity& g, const shape& first, const shape& second) {
  const seen_units units = seen(g, first);
  const bool agrees = units.agrees_with(seen(g, second), g);
  bool taken = true;
  try {
    units.check(g, grid(g, second), "test");
  } catch (const error& e) {
    CHECK(e.code() == errc::shape_mismatch);
    taken = false;
  }
  CHECK(agrees == taken);
  return taken;
}
}  // namespace

TEST_CASE("seen_units: as many units elsewhere are other units") {
  const granularity blocks = granularity::per_block(32, 1);
  CHECK(follows(blocks, {4, 64}, {4, 64}));
  CHECK_FALSE(follows(blocks, {4, 64}, {8, 32}));
  CHECK_FALSE(follows(blocks, {8, 32}, {1, 256}));
  CHECK_FALSE(follows(blocks, {4, 64}, {4, 96}));
  CHECK(follows(blocks, {4, 64}, {4, 64, 3}));  // the third axis is not cut
  CHECK(follows(blocks, {4, 64}, {4, 63}));     // a short last block
  const granularity last = granularity::per_block(32, -1);
  CHECK(follows(last, {64}, {1, 64}));
  CHECK(follows(last, {4, 64}, {1, 4, 64}));
  CHECK_FALSE(follows(last, {8, 32}, {1, 256}));
  CHECK_FALSE(follows(last, {2, 4, 32}, {1, 8, 32}));
  const granularity tuple = granularity::per_block({2, -1, 3});
  CHECK(follows(tuple, {4, 5, 6}, {4, 7, 6}));
  CHECK_FALSE(follows(tuple, {4, 5, 3}, {2, 5, 6}));
  CHECK_FALSE(follows(tuple, {8, 5, 3}, {4, 5, 6}));
}

TEST_CASE("seen_units: where one axis at most is cut, the number of units says all") {
  CHECK(follows(granularity::per_tensor(), {4, 5}, {7}));
  CHECK(follows(granularity::per_channel(1), {2, 6}, {9, 6, 5, 5}));
  CHECK(follows(granularity::per_channel(-1), {2, 6}, {9, 3, 6}));
  CHECK_FALSE(follows(granularity::per_channel(0), {2, 6}, {3, 4}));
  CHECK(follows(granularity::per_grouped_channel(2, 0), {4, 6}, {4}));
  CHECK_FALSE(follows(granularity::per_grouped_channel(2, 0), {4, 6}, {6, 6}));
}

TEST_CASE("seen_units: the error names both grids") {
  const granularity g = granularity::per_block(32, 1);
  const seen_units units = seen(g, {4, 64});
  CHECK_ERROR(units.check(g, grid(g, {8, 32}), "here"), shape_mismatch, "lie elsewhere", "here",
              "grid [8, 1] for shape [8, 32]", "grid [4, 2]");
  CHECK_ERROR(units.check(g, grid(g, {4, 96}), "here"), shape_mismatch, "number of units",
              "12 for shape [4, 96]", "8");
  units.check(g, grid(g, {0, 32}), "here");  // an empty tensor has no units
}

TEST_CASE("seen_units: unknown ones are compared by their number, until learnt") {
  const granularity g = granularity::per_block(32, 1);
  seen_units units;
  CHECK(units.count() == 0);
  units.check(g, grid(g, {8, 32}), "test");
  units = seen_units::without_grid(8);
  units.check(g, grid(g, {8, 32}), "test");
  CHECK(units.agrees_with(seen(g, {8, 32}), g));
  CHECK_FALSE(units.agrees_with(seen(g, {4, 32}), g));
  CHECK_ERROR(units.check(g, grid(g, {4, 32}), "test"), shape_mismatch, "number of units");
  CHECK(units.description() == "8 units");
  seen_units other = units;
  units.learn(grid(g, {4, 64}));
  CHECK(units.grid() == shape{4, 2});
  CHECK(units.description() == "8 units in grid [4, 2]");
  CHECK_ERROR(units.check(g, grid(g, {8, 32}), "test"), shape_mismatch, "lie elsewhere");
  other.add(units);
  CHECK(other.grid() == shape{4, 2});
  seen_units fresh;
  CHECK(fresh.agrees_with(units, g));
  fresh.add(units);
  CHECK(fresh.count() == 8);
}

TEST_CASE("seen_units: a saved grid comes back, one of another number of units is corrupt") {
  const auto bytes = [](const seen_units& units) {
    state_writer w;
    units.save_grid(w);
    return w.take();
  };
  const auto load = [](const std::vector<std::uint8_t>& from, index_t count) {
    state_reader r(from, "test");
    const seen_units units = seen_units::load_grid(r, count);
    r.expect_end();
    return units;
  };
  const seen_units units = seen(granularity::per_block(32, 1), {4, 64});
  CHECK(load(bytes(units), 8).grid() == shape{4, 2});
  CHECK_FALSE(load(bytes(seen_units::without_grid(8)), 8).grid().has_value());
  CHECK_ERROR(load(bytes(units), 7), corrupt_data, "grid of the units", "[4, 2]", "7 units");
  CHECK_ERROR(load(bytes(units), 0), corrupt_data, "grid of the units");
  CHECK_ERROR(load({2}, 8), corrupt_data, "flag");
  CHECK_ERROR(load({1, 2, 4}, 8), corrupt_data, "end too early");
}
