#include <lutra/observe/statistics.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "levels.hpp"
#include "observe/check_merge.hpp"
#include "observe/distributions.hpp"
#include "observe/range_record.hpp"

namespace {

using lutra::granularity;
using lutra::index_t;
using lutra::quantization_spec;
using lutra::statistics;
using view = lutra::tensor_view<const float>;

TEST_CASE("statistics: per tensor, channel and block against the elements of each unit") {
  const std::vector<float> x = draw(distributions[0], 6 * 10 * 8, 1);
  const lutra::shape extents{6, 10, 8};
  for (const granularity& g : {granularity::per_tensor(), granularity::per_channel(0),
                               granularity::per_channel(1), granularity::per_channel(2),
                               granularity::per_block(5, 1), granularity::per_block({2, 5, 4})}) {
    statistics s({.granularity = g});
    s.observe(view(x.data(), extents));
    const lutra::block_grid units = lutra::grid_of(g, extents, "test");
    REQUIRE(s.units() == units.count());
    CHECK(s.samples() == 480);
    std::vector<std::vector<float>> elements(static_cast<std::size_t>(units.count()));
    units.for_each_run([&](index_t first, index_t n, index_t u) {
      for (index_t i = first; i < first + n; ++i) {
        elements[static_cast<std::size_t>(u)].push_back(x[static_cast<std::size_t>(i)]);
      }
    });
    std::vector<float> lo(elements.size());
    std::vector<float> hi(elements.size());
    s.range(lo, hi);
    for (std::size_t u = 0; u < elements.size(); ++u) {
      const auto& m = s.unit(static_cast<index_t>(u));
      double sum = 0;
      double squares = 0;
      for (const float v : elements[u]) {
        sum += static_cast<double>(v);
        squares += static_cast<double>(v) * static_cast<double>(v);
      }
      CHECK(m.finite == static_cast<std::int64_t>(elements[u].size()));
      CHECK(m.min == *std::ranges::min_element(elements[u]));
      CHECK(m.max == *std::ranges::max_element(elements[u]));
      CHECK(m.sum.value() == doctest::Approx(sum).epsilon(1e-12));
      CHECK(m.sum_of_squares.value() == doctest::Approx(squares).epsilon(1e-12));
      CHECK(lo[u] == std::min(m.min, 0.0F));
      CHECK(hi[u] == std::max(m.max, 0.0F));
    }
  }
}

TEST_CASE("statistics: the same bytes at every level and for a strided view") {
  const std::vector<float> x = draw(distributions[3], 7 * 333, 2);
  std::vector<float> transposed(x.size());
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 333; ++j) transposed[j * 7 + i] = x[i * 333 + j];
  }
  const std::array<index_t, 2> strides{1, 7};
  for (const granularity& g : {granularity::per_tensor(), granularity::per_channel(1)}) {
    statistics expected({.granularity = g});
    expected.observe_at<lutra::simd::portable>(view(x.data(), {7, 333}));
    for_each_level([&](auto level) {
      statistics s({.granularity = g});
      s.template observe_at<decltype(level)>(view(x.data(), {7, 333}));
      CHECK(bytes_of(s) == bytes_of(expected));
    });
    statistics strided({.granularity = g});
    strided.observe(view(transposed.data(), {7, 333}, strides));
    CHECK(bytes_of(strided) == bytes_of(expected));
  }
}

TEST_CASE("statistics: 64 shards in any order and tree give the bytes of one pass") {
  check_merges([] { return statistics{}; }, 1);
  check_merges([] { return statistics({.granularity = granularity::per_channel(1)}); }, 3);
}

TEST_CASE("statistics: saved state comes back, damaged state does not") {
  check_saved([] { return statistics({.granularity = granularity::per_channel(1)}); },
              draw(distributions[1], 40, 3), 4);
}

TEST_CASE("statistics: saved counts whose sum would overflow are refused") {
  statistics s;
  const float one = 1;
  s.observe(view(&one, {1}));
  std::vector<std::uint8_t> bytes = bytes_of(s);
  bytes[range_record::samples + 7] = 0x3F;  // 63 * 2^56 samples
  for (const std::size_t back : {1U, 9U})
    bytes[bytes.size() - back] = 0x3F;  // as many infinite, NaN
  lutra::state_reader r(bytes, "test");
  CHECK_ERROR(s.load(r), corrupt_data, "add up");
}

TEST_CASE("statistics: empty tensors, reset, and what does not fit") {
  statistics s({.granularity = granularity::per_channel(1)});
  s.observe(view(nullptr, {0, 3}));
  CHECK(s.units() == 0);
  CHECK(s.samples() == 0);
  const std::vector<float> x(12, 1.0F);
  s.observe(view(x.data(), {4, 3}));
  CHECK_ERROR(s.observe(view(x.data(), {3, 4})), shape_mismatch, "number of units", "4", "3");
  CHECK(s.samples() == 12);
  statistics other;
  CHECK_ERROR(s.merge(other), incompatible, "different units", "per_tensor");
  s.reset();
  CHECK(s.units() == 0);
  CHECK(bytes_of(s) == bytes_of(statistics({.granularity = granularity::per_channel(1)})));
}

TEST_CASE("statistics: pinned ends replace observed ones") {
  statistics s({.float_range = {.lo = -2.0F}});
  const std::vector<float> x = {-5.0F, 3.0F};
  s.observe(view(x.data(), {2}));
  float lo = 0;
  float hi = 0;
  s.range({&lo, 1}, {&hi, 1});
  CHECK(lo == -2.0F);
  CHECK(hi == 3.0F);
}

}  // namespace
