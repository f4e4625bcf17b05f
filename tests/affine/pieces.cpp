#include <lutra/affine/pieces.hpp>

#include <doctest/doctest.h>

#include <string>

#include "cases.hpp"

using namespace lutra;

namespace {

// Which unit every element was handed out with; every element exactly once.
struct coverage {
  std::vector<int> times;
  std::vector<float> scale;
  int runs = 0, blocks = 0, rows = 0;
};

template <index_t Lanes> coverage cover(const qparams& p, const block_grid& units) {
  const auto size = static_cast<std::size_t>(units.extents().size());
  coverage c{std::vector<int>(size), std::vector<float>(size)};
  const auto mark = [&](index_t i, float scale) {
    ++c.times[static_cast<std::size_t>(i)];
    c.scale[static_cast<std::size_t>(i)] = scale;
  };
  for_each_piece<Lanes>(
      p, units,
      [&](index_t first, index_t n, index_t at) {
        ++c.runs;
        for (index_t i = first; i < first + n; ++i) mark(i, p.scale[static_cast<std::size_t>(at)]);
      },
      [&](index_t first, index_t length, index_t count, const unit_constants<float>* u) {
        ++c.blocks;
        CHECK(length % Lanes == 0);
        for (index_t i = 0; i < length * count; ++i) {
          CHECK(is_regular(u[i / length].scale));
          mark(first + i, u[i / length].scale);
        }
      },
      [&](index_t first, index_t n, const row_constants& row) {
        ++c.rows;
        for (index_t i = 0; i < n; ++i) {
          CHECK(is_regular(row.data()[i]));
          mark(first + i, row.data()[i]);
        }
      });
  return c;
}

void check(const granularity& g, const shape& extents, short_groups policy = short_groups::forbid) {
  INFO(text_of(g), ", shape ", text_of(extents));
  const block_grid units = grid_of(g, extents, "test", policy);
  for (const bool irregular : {false, true}) {
    qparams p;
    p.granularity = g;
    for (index_t u = 0; u < units.count(); ++u) {
      p.scale.push_back(irregular && u % 5 == 2 ? 0x1.8p100F + static_cast<float>(u) * 0x1p90F
                                                : 1.0F + static_cast<float>(u));
      p.zero_point.push_back(0);
    }
    std::vector<float> expected(static_cast<std::size_t>(extents.size()));
    units.for_each_run([&](index_t first, index_t n, index_t at) {
      for (index_t i = first; i < first + n; ++i) {
        expected[static_cast<std::size_t>(i)] = p.scale[static_cast<std::size_t>(at)];
      }
    });
    for (const coverage& c : {cover<1>(p, units), cover<4>(p, units), cover<16>(p, units)}) {
      CHECK(c.times == std::vector<int>(expected.size(), 1));
      CHECK(c.scale == expected);
    }
  }
}

}  // namespace

TEST_CASE("pieces: every element comes once, with its unit") {
  check(granularity::per_tensor(), {3, 5});
  check(granularity::per_channel(0), {3, 2000});
  check(granularity::per_channel(0), {9, 40});
  check(granularity::per_channel(1), {300, 3});
  check(granularity::per_channel(1), {5, 300});
  check(granularity::per_channel(1), {3, 5000});  // a row longer than one piece
  check(granularity::per_channel(2), {2, 3, 70});
  check(granularity::per_channel(1), {4, 6, 7});
  check(granularity::per_channel(0), {70});
  check(granularity::per_block(32, 1), {3, 6400});
  check(granularity::per_block(16, 1), {5, 48});
  check(granularity::per_block(12, 1), {5, 48});
  check(granularity::per_block({2, 3}), {6, 9});
  check(granularity::per_block({1, 1, 4}), {2, 3, 64});
  check(granularity::per_grouped_channel(48, 1), {3, 100}, short_groups::allow);
  check(granularity::per_grouped_channel(5, 1), {3, 13}, short_groups::allow);
  check(granularity::per_grouped_channel(700, 1), {2, 1500}, short_groups::allow);
  check(granularity::per_channel(1), {0, 4});
}

TEST_CASE("pieces: the kind of piece follows the length of the runs") {
  const auto kinds = [](const granularity& g, const shape& extents) {
    const block_grid units = grid_of(g, extents, "test");
    qparams p;
    p.granularity = g;
    p.scale.assign(static_cast<std::size_t>(units.count()), 1.0F);
    p.zero_point.assign(p.scale.size(), 0);
    const coverage c = cover<16>(p, units);
    return std::to_string(c.runs) + "/" + std::to_string(c.blocks) + "/" + std::to_string(c.rows);
  };
  CHECK(kinds(granularity::per_channel(0), {4, 2048}) == "4/0/0");
  CHECK(kinds(granularity::per_block(32, 1), {4, 1024}) == "0/4/0");
  CHECK(kinds(granularity::per_channel(1), {64, 1024}) == "0/0/64");
  CHECK(kinds(granularity::per_channel(1), {256, 8}) == "0/0/8");  // 32 rows of 8 at a time
}
