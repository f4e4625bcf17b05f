#include <lutra/affine/granularity.hpp>
#include <lutra/observe/unit_pieces.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

namespace {

using lutra::granularity;
using lutra::index_t;

TEST_CASE("unit_pieces: every element once, in order, with its unit") {
  for (const lutra::shape& extents : {lutra::shape{}, lutra::shape{7}, lutra::shape{5, 130},
                                      lutra::shape{70'000, 3}, lutra::shape{6, 4, 9}}) {
    std::vector<float> x(static_cast<std::size_t>(extents.size()));
    std::iota(x.begin(), x.end(), 0.0F);
    std::vector<granularity> kinds = {granularity::per_tensor()};
    for (int axis = 0; axis < extents.rank(); ++axis)
      kinds.push_back(granularity::per_channel(axis));
    if (extents.rank() == 3)
      kinds.push_back(granularity::per_block({4, 3, 2}));  // short at the end
    for (const granularity& g : kinds) {
      const auto units = lutra::grid_of(g, extents, "test", lutra::short_groups::allow);
      std::vector<index_t> unit_of(x.size(), -1);
      units.for_each_run([&](index_t first, index_t n, index_t u) {
        for (index_t i = first; i < first + n; ++i) unit_of[static_cast<std::size_t>(i)] = u;
      });
      std::vector<float> last(static_cast<std::size_t>(units.count()), -1.0F);
      std::size_t seen = 0;
      bool right = true;
      lutra::for_each_unit_piece(lutra::tensor_view<const float>(x.data(), extents), units,
                                 [&](const float* piece, index_t n, index_t u) {
                                   for (index_t i = 0; i < n; ++i, ++seen) {
                                     right = right &&
                                             unit_of[static_cast<std::size_t>(piece[i])] == u &&
                                             piece[i] > last[static_cast<std::size_t>(u)];
                                     last[static_cast<std::size_t>(u)] = piece[i];
                                   }
                                 });
      CHECK(right);
      CHECK(seen == x.size());
    }
  }
}

TEST_CASE("unit_pieces: a channel on the last axis is handed out in useful lengths") {
  const std::vector<float> x(1000 * 4);
  const auto units = lutra::grid_of(granularity::per_channel(1), {1000, 4}, "test");
  int pieces = 0;
  lutra::for_each_dense_piece(x.data(), units, [&](const float*, index_t n, index_t) {
    CHECK(n == 1000);
    ++pieces;
  });
  CHECK(pieces == 4);
}

TEST_CASE("unit_pieces: nothing for an empty tensor") {
  const auto units = lutra::grid_of(granularity::per_tensor(), {0, 4}, "test");
  lutra::for_each_unit_piece(lutra::tensor_view<const float>(nullptr, {0, 4}), units,
                             [](const float*, index_t, index_t) { FAIL("called"); });
}

}  // namespace
