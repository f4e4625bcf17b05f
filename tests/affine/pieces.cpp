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
  int wrong = 0;  // constants
};

template <class V, index_t Multiple>
coverage cover(const qparams& p, const block_grid& units, bool offsets) {
  const auto size = static_cast<std::size_t>(units.extents().size());
  coverage c{std::vector<int>(size), std::vector<float>(size)};
  // All follow from the scale: unit u has scale 1 + u, zero point u mod 100 and minval -u.
  const auto check_constants = [&](const unit_constants<float>& k, bool with_offsets) {
    const auto at =
        static_cast<index_t>(std::find(p.scale.begin(), p.scale.end(), k.scale) - p.scale.begin());
    const unit_constants<float> expected = constants_of(unit_of(p, at));
    bool same = k.scale == expected.scale && k.reciprocal == expected.reciprocal &&
                k.lowest == expected.lowest && k.highest == expected.highest;
    if (with_offsets) {
      same = same && k.float_offset == expected.float_offset &&
             k.integer_offset == expected.integer_offset;
    }
    if (!same) ++c.wrong;
  };
  const auto mark = [&](index_t i, float scale) {
    ++c.times[static_cast<std::size_t>(i)];
    c.scale[static_cast<std::size_t>(i)] = scale;
  };
  for_each_piece<V, Multiple>(
      p, units, offsets,
      [&](index_t first, index_t n, index_t at) {
        ++c.runs;
        for (index_t i = first; i < first + n; ++i) mark(i, p.scale[static_cast<std::size_t>(at)]);
      },
      [&](index_t first, index_t length, index_t count, index_t at) {
        ++c.blocks;
        CHECK(length % Multiple == 0);
        for (index_t i = 0; i < length * count; ++i) {
          const float scale = p.scale[static_cast<std::size_t>(at + i / length)];
          mark(first + i, scale);
        }
      },
      [&](index_t first, index_t n, index_t period, const row_constants& row) {
        ++c.rows;
        CHECK((period >= n || period % Multiple == 0));
        for (index_t i = 0; i < n; ++i) {
          const unit_constants<float> constants = row.at(i % period);
          if (row.shared.present) {
            const bool same = row.shared.lo * constants.scale == constants.lowest &&
                              row.shared.hi * constants.scale == constants.highest;
            if (!same) ++c.wrong;
          }
          CHECK(is_regular(constants.scale));
          check_constants(constants, offsets);
          mark(first + i, constants.scale);
        }
      });
  return c;
}

void check(const granularity& g, const shape& extents, short_groups policy = short_groups::forbid) {
  INFO(text_of(g), ", shape ", text_of(extents));
  const block_grid units = grid_of(g, extents, "test", policy);
  using narrow = simd::floats<simd::portable>;
  using wide = simd::floats<simd::native>;
  constexpr index_t lanes = simd::lanes<wide>;
  for (const bool irregular : {false, true}) {
    for (const auto form : {qformulation::zp, qformulation::minval}) {
      qparams p;
      p.dtype = dtype::uint8;
      p.quant_max = 255;
      p.qformulation = form;
      p.granularity = g;
      for (index_t u = 0; u < units.count(); ++u) {
        const auto number = static_cast<float>(u);
        p.scale.push_back(irregular && u % 5 == 2 ? 0x1.8p100F + number * 0x1p90F : 1.0F + number);
        p.zero_point.push_back(static_cast<std::int32_t>(u % 100));
        p.minval.push_back(-number);
      }
      std::vector<float> expected(static_cast<std::size_t>(extents.size()));
      units.for_each_run([&](index_t first, index_t n, index_t at) {
        for (index_t i = first; i < first + n; ++i) {
          expected[static_cast<std::size_t>(i)] = p.scale[static_cast<std::size_t>(at)];
        }
      });
      const bool offsets = form == qformulation::minval;
      for (const coverage& c :
           {cover<narrow, 1>(p, units, true), cover<wide, lanes>(p, units, offsets),
            cover<wide, 4 * lanes>(p, units, true)}) {
        CHECK(c.times == std::vector<int>(expected.size(), 1));
        CHECK(c.scale == expected);
        CHECK(c.wrong == 0);
      }
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
  check(granularity::per_channel(1), {5, 64});
  check(granularity::per_channel(1), {3, 32, 6});
  check(granularity::per_channel(1), {3, 8256});
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
  check(granularity::per_channel(0), {300, 3, 3});  // one short unit after the other
  check(granularity::per_block(8, 1), {5, 48});
  check(granularity::per_block({4, 16}), {8, 64});  // four rows share their units
  check(granularity::per_block({4, 5}), {8, 2000});
}

TEST_CASE("pieces: the kind of piece follows the length of the runs") {
  const auto kinds = [](const granularity& g, const shape& extents) {
    const block_grid units = grid_of(g, extents, "test");
    qparams p;
    p.granularity = g;
    p.scale.assign(static_cast<std::size_t>(units.count()), 1.0F);
    p.zero_point.assign(p.scale.size(), 0);
    const coverage c = cover<simd::floats<simd::portable>, 16>(p, units, true);
    return std::to_string(c.runs) + "/" + std::to_string(c.blocks) + "/" + std::to_string(c.rows);
  };
  CHECK(kinds(granularity::per_channel(0), {4, 2048}) == "4/0/0");
  CHECK(kinds(granularity::per_block(32, 1), {4, 4096}) == "0/1/0");  // all in order
  CHECK(kinds(granularity::per_block({2, 32}), {4, 4096}) == "0/4/0");
  CHECK(kinds(granularity::per_channel(1), {64, 1024}) == "0/0/1");  // all rows share one table
  CHECK(kinds(granularity::per_channel(1), {4, 1000}) == "0/0/4");
  CHECK(kinds(granularity::per_channel(1), {64, 16384}) == "0/0/1024");
  CHECK(kinds(granularity::per_channel(1), {1024, 8}) == "0/0/8");   // 128 rows of 8 at a time
  CHECK(kinds(granularity::per_channel(0), {1024, 9}) == "0/0/10");  // 113 units at a time
}
