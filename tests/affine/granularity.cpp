#include <lutra/affine/granularity.hpp>

#include <vector>

#include "../errors.hpp"

using namespace lutra;

namespace {
shape block(const granularity& g, const shape& s) { return grid_of(g, s, "test").block(); }
shape grid(const granularity& g, const shape& s) { return grid_of(g, s, "test").grid(); }
}  // namespace

TEST_CASE("granularity: block shapes of every kind") {
  CHECK(block(granularity::per_tensor(), {2, 3}) == shape{2, 3});
  CHECK(grid(granularity::per_tensor(), {2, 3}) == shape{1, 1});
  CHECK(grid(granularity::per_tensor(), shape{}) == shape{});
  CHECK(block(granularity::per_channel(-1), {2, 3, 4}) == shape{2, 3, 1});
  CHECK(grid(granularity::per_channel(1), {2, 3, 4}) == shape{1, 3, 1});
  CHECK(block(granularity::per_block(8, 1), {7, 16, 3, 3}) == shape{1, 8, 3, 3});
  CHECK(block(granularity::per_block(4, 0), {8, 16, 3}) == shape{4, 1, 3});
  CHECK(block(granularity::per_block(2, 0), {10}) == shape{2});
  CHECK(block(granularity::per_block(16, -1), {2, 5, 32}) == shape{1, 1, 16});
  CHECK(grid(granularity::per_block(16, 2), {2, 5, 32}) == shape{2, 5, 2});
  CHECK(block(granularity::per_block(4, 2), {2, 3, 8, 5}) == shape{1, 1, 4, 1});
  CHECK(block(granularity::per_block(4, -2), {8, 16}) == shape{4, 1});
  CHECK(block(granularity::per_block({4, 2, -1, 1}), {8, 16, 3, 3}) == shape{4, 2, 3, 1});
  CHECK(block(granularity::per_grouped_channel(4, 0), {8, 16}) == shape{4, 16});
}

TEST_CASE("granularity: an absent axis must be filled in") {
  const granularity g = granularity::per_channel();
  CHECK(g.needs_axis());
  CHECK_FALSE(g.with_axis(1).needs_axis());
  CHECK(g.with_axis(1).with_axis(0) == granularity::per_channel(1));  // an explicit axis stays
  CHECK_FALSE(granularity::per_tensor().needs_axis());
  CHECK_FALSE(granularity::per_block({2, 2}).needs_axis());
  CHECK_ERROR(grid(g, {2, 3}), invalid_argument, "axis is unresolved", "per_channel");
  CHECK_ERROR(grid(granularity::per_block(2), {2, 3}), invalid_argument, "axis is unresolved");
}

TEST_CASE("granularity: misfits say what and where") {
  CHECK_ERROR(grid(granularity::per_channel(2), {2, 3}), invalid_argument, "axis out of bounds",
              "2", "-2..1");
  CHECK_ERROR(grid(granularity::per_block(2, 3), {2, 3, 4}), invalid_argument, "axis out of bounds",
              "3", "-3..2");
  CHECK_ERROR(grid(granularity::per_block(3, -1), {2, 3, 4}), incompatible,
              "does not divide axis 2", "extent 4, block size 3");
  CHECK_ERROR(grid(granularity::per_block({2, 2}), {10}), shape_mismatch, "one block size per axis",
              "[2, 2]");
  CHECK_ERROR(grid(granularity::per_block(3, 0), {10, 20}), incompatible, "does not divide axis 0",
              "extent 10, block size 3");
  CHECK_ERROR(grid(granularity::per_block(10, 0), {5}), incompatible, "does not divide");
  CHECK_ERROR(granularity::per_block(0), invalid_argument, "block_size", "0", ">= 1");
  CHECK_ERROR(granularity::per_block({2, -2}), invalid_argument, "block_size", "-2");
  const std::vector<index_t> sizes = {2, 2};
  CHECK_ERROR(granularity::per_block(std::span<const index_t>(sizes), 1), invalid_argument,
              "axis must be absent", "1");
}

TEST_CASE("granularity: short blocks where they are allowed") {
  const block_grid g =
      grid_of(granularity::per_grouped_channel(4, 0), {10, 3}, "test", short_groups::allow);
  CHECK(g.grid() == shape{3, 1});
}

TEST_CASE("granularity: value equality and text") {
  CHECK(granularity::per_block({2, -1}) == granularity::per_block({2, -1}));
  CHECK_FALSE(granularity::per_channel(0) == granularity::per_channel(1));
  CHECK(text_of(granularity::per_block(32, 1)) == "per_block, block_size 32, axis 1");
  CHECK(text_of(granularity::per_tensor()) == "per_tensor");
}
