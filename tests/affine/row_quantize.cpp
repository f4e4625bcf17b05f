#include <lutra/affine/quantize.hpp>
#include <lutra/affine/row_quantize.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "errors.hpp"
#include "levels.hpp"

namespace {

using lutra::index_t;
using lutra::quantized_row;
using float_view = lutra::tensor_view<const float>;
using out_view = lutra::tensor_view<std::int8_t>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> normal(index_t n, std::uint64_t seed, float scale = 1) {
  lutra::random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = scale * static_cast<float>(r.normal());
  return x;
}

TEST_CASE(
    "row_quantize: what symmetric_with_clipping derives from the row, every length and offset") {
  const std::vector<float> all = normal(300, 1);
  for (index_t n = 1; n <= 270; ++n) {
    const float* x = all.data() + n % 4;
    const auto [lo, hi] = std::minmax_element(x, x + n);
    const lutra::qparams p =
        lutra::qparams_from_range(lutra::int8_symmetric_with_clipping, {&*lo, 1}, {&*hi, 1});
    std::vector<std::int8_t> expected(static_cast<std::size_t>(n));
    lutra::quantize(float_view(x, {n}), p, out_view(expected.data(), {n}));
    for_each_level([&](auto level) {
      std::vector<std::int8_t> q(static_cast<std::size_t>(n) + 1, 99);
      const quantized_row row = lutra::quantize_row<decltype(level)>(x, n, q.data());
      CHECK(q.back() == 99);
      q.pop_back();
      CHECK(q == expected);
      CHECK(row.scale == p.scale[0]);
      CHECK(row.sum == std::accumulate(q.begin(), q.end(), 0));
    });
  }
}

TEST_CASE("row_quantize: NaN, infinities, zeros, denormals, the largest and smallest floats") {
  constexpr float top = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> rows = {{nan, infinity, -infinity, 1.0F, -0.5F},
                                                {0.0F, -0.0F, 0.0F},
                                                {nan, nan},
                                                {1e-40F, -1e-41F},
                                                {top, -top, 1.0F},
                                                std::vector<float>(70, infinity),
                                                {1e-30F, 5e-31F}};
  for (const auto& x : rows) {
    const auto n = static_cast<index_t>(x.size());
    float largest = 0;
    for (const float v : x) {
      if (is_finite(v)) largest = std::max(largest, std::abs(v));
    }
    const float scale = std::max(largest / 127.0F, 0x1p-23F);
    for_each_level([&](auto level) {
      std::vector<std::int8_t> q(x.size());
      const quantized_row row = lutra::quantize_row<decltype(level)>(x.data(), n, q.data());
      CHECK(row.scale == scale);
      for (std::size_t i = 0; i < x.size(); ++i) {
        int expected = 0;
        if (x[i] == x[i]) {
          expected =
              static_cast<int>(std::clamp(lutra::round_half_even(x[i] / scale), -127.0F, 127.0F));
        }
        CHECK(static_cast<int>(q[i]) == expected);
      }
    });
  }
  const quantized_row none = lutra::quantize_row(rows[0].data(), 0, nullptr);
  CHECK(none.scale == 0x1p-23F);
  CHECK(none.sum == 0);
}

TEST_CASE("row_quantize: the sum of a long row of equal elements") {
  const std::vector<float> x((1 << 21) + 37, -3.0F);
  std::vector<std::int8_t> q(x.size());
  for_each_level([&](auto level) {
    const auto n = static_cast<index_t>(x.size());
    CHECK(lutra::quantize_row<decltype(level)>(x.data(), n, q.data()).sum == -127 * n);
  });
}

TEST_CASE("row_quantize: rows of any view, and what does not fit") {
  const std::vector<float> x = normal(3 * 5 * 40, 2, 7.0F);
  std::vector<std::int8_t> q(600);
  std::vector<quantized_row> rows(15);
  lutra::quantize_rows(float_view(x.data(), {3, 5, 40}), out_view(q.data(), {3, 5, 40}), rows);
  for (index_t r = 0; r < 15; ++r) {
    std::vector<std::int8_t> one(40);
    const quantized_row row = lutra::quantize_row(x.data() + 40 * r, 40, one.data());
    CHECK(row.scale == rows[static_cast<std::size_t>(r)].scale);
    CHECK(row.sum == rows[static_cast<std::size_t>(r)].sum);
    CHECK(std::equal(one.begin(), one.end(), q.begin() + 40 * r));
  }
  // The same tensor transposed twice: rows gathered, results scattered.
  std::vector<float> columns(600);
  for (std::size_t i = 0; i < 15; ++i) {
    for (std::size_t j = 0; j < 40; ++j) columns[j * 15 + i] = x[i * 40 + j];
  }
  std::vector<std::int8_t> scattered(600);
  std::vector<quantized_row> again(15);
  const std::array<index_t, 2> strides{1, 15};
  lutra::quantize_rows(float_view(columns.data(), {15, 40}, strides),
                       out_view(scattered.data(), {15, 40}, strides), again);
  for (std::size_t i = 0; i < 15; ++i) {
    CHECK(again[i].sum == rows[i].sum);
    for (std::size_t j = 0; j < 40; ++j) CHECK(scattered[j * 15 + i] == q[i * 40 + j]);
  }
  CHECK_ERROR(
      lutra::quantize_rows(float_view(x.data(), {15, 40}), out_view(q.data(), {40, 15}), rows),
      shape_mismatch, "[40, 15]", "[15, 40]");
  CHECK_ERROR(
      lutra::quantize_rows(float_view(x.data(), {10, 60}), out_view(q.data(), {10, 60}), rows),
      shape_mismatch, "per row", "15", "10");
  CHECK_ERROR(lutra::quantize_rows(float_view(x.data(), {}), out_view(q.data(), {}), rows),
              shape_mismatch, "scalar");
}

}  // namespace
