#include <lutra/cluster/double_double.hpp>
#include <lutra/core/random.hpp>
#include <lutra/number/half.hpp>
#include <lutra/palette/assign.hpp>

#include <doctest/doctest.h>

#include "backward_executor.hpp"
#include "levels.hpp"

namespace {

using lutra::index_t;

std::vector<float> sorted_table(std::size_t entries, std::uint64_t seed) {
  lutra::random_stream random(seed);
  std::vector<float> table;
  for (std::size_t i = 0; i < entries; ++i) table.push_back(static_cast<float>(random.normal()));
  std::sort(table.begin(), table.end());
  return table;
}

// Values of every kind, many of them exactly halfway between two entries.
std::vector<float> values_for(const std::vector<float>& table, std::size_t n) {
  lutra::random_stream random(n);
  std::vector<float> x;
  for (std::size_t i = 0; i < n; ++i) {
    x.push_back(static_cast<float>(2 * random.normal()));
    if (i % 5 == 0 && table.size() > 1) {
      const std::size_t k = 1 + random.below(table.size() - 1);
      const double mid = (static_cast<double>(table[k - 1]) + static_cast<double>(table[k])) / 2;
      x.back() = static_cast<float>(mid);
      if (i % 10 == 0) x.back() = std::nextafter(x.back(), random.uniform() < 0.5 ? -9.0F : 9.0F);
    }
  }
  return x;
}

// The number of midpoints below x, in exact arithmetic: 2 x against the exact sum of two entries.
std::size_t nearest_by_search(const std::vector<float>& table, float x) {
  std::size_t below = 0;
  for (std::size_t k = 1; k < table.size(); ++k) {
    const lutra::double_double sum =
        lutra::two_sum(static_cast<double>(table[k - 1]), static_cast<double>(table[k]));
    const double twice = 2 * static_cast<double>(x);
    below += twice > sum.hi || (twice == sum.hi && sum.lo < 0) ? 1U : 0U;
  }
  return below;
}

TEST_CASE("assign: the nearest entry for every size of table and every tail, on every level") {
  for (const std::size_t entries :
       std::vector<std::size_t>{1, 2, 3, 8, 16, 17, 18, 32, 100, 255, 256}) {
    std::vector<float> table = sorted_table(entries, entries);
    if (entries == 100 || entries == 255)
      table.back() = 1e30F;  // nearly all midpoints in one stretch
    const lutra::nearest_entry nearest(table);
    for (const std::size_t n :
         std::vector<std::size_t>{0, 1, 7, 15, 16, 17, 33, 100, 255, 256, 257, 1000, 4096}) {
      const std::vector<float> x = values_for(table, n);
      double first_loss = -1;
      for_each_level([&]<class Level>(Level) {
        std::vector<std::uint8_t> codes(n + 1, 0xAA);
        const double loss = nearest.assign<Level>(std::span<const float>(x), codes.data());
        long double want = 0;
        for (std::size_t i = 0; i < n; ++i) {
          CAPTURE(entries);
          CAPTURE(x[i]);
          REQUIRE(table[codes[i]] == table[nearest_by_search(table, x[i])]);
          const long double d =
              static_cast<long double>(x[i]) - static_cast<long double>(table[codes[i]]);
          want += d * d;
        }
        CHECK(codes[n] == 0xAA);
        CHECK(loss == doctest::Approx(static_cast<double>(want)).epsilon(1e-13));
        if (first_loss < 0) first_loss = loss;
        CHECK(loss == first_loss);
      });
    }
  }
}

TEST_CASE("assign: entries that crowd, and that lie at the ends of float") {
  const std::vector<std::vector<float>> tables = {{0.0F, 0.0F, 0.0F},
                                                  {-3e38F, 0.0F, 3e38F},
                                                  {1e-45F, 2e-45F, 3e-45F},
                                                  {1.0F, std::nextafter(1.0F, 2.0F)}};
  for (const std::vector<float>& table : tables) {
    const lutra::nearest_entry nearest(table);
    for (const float x : {-3.4e38F, -1.0F, 0.0F, 1e-45F, 2e-45F, 1.0F, 2.0F, 3.4e38F}) {
      std::uint8_t code = 9;
      nearest.assign(std::span<const float>(&x, 1), &code);
      CHECK(table[code] == table[nearest_by_search(table, x)]);
    }
  }
  std::vector<float>
      crowded;  // 200 neighbouring floats and one far away: one stretch holds them all
  for (float v = 1.0F; crowded.size() < 200; v = std::nextafter(v, 2.0F)) crowded.push_back(v);
  crowded.push_back(1e6F);
  const lutra::nearest_entry nearest(crowded);
  for (const float x : {1.0F, crowded[57], crowded[199], 5.0F, 1e7F}) {
    std::uint8_t code = 0;
    nearest.assign(std::span<const float>(&x, 1), &code);
    CHECK(crowded[code] == crowded[nearest_by_search(crowded, x)]);
  }
}

TEST_CASE("assign: values of other types, and floats that are not aligned, lose the same") {
  const std::vector<float> table = sorted_table(16, 5);
  const lutra::nearest_entry nearest(table);
  std::vector<float> x = values_for(table, 700);
  for (float& v : x) v = static_cast<float>(lutra::half(v));
  std::vector<lutra::half> halves;
  for (const float v : x) halves.emplace_back(v);
  std::vector<float> moved(1, 0.0F);
  moved.insert(moved.end(), x.begin(), x.end());
  std::vector<std::uint8_t> a(x.size()), b(x.size()), c(x.size() + 3);
  const double loss = nearest.assign(std::span<const float>(x), a.data());
  CHECK(loss == nearest.assign(std::span<const lutra::half>(halves), b.data()));
  CHECK(loss == nearest.assign(std::span<const float>(moved).subspan(1), c.data() + 3));
  CHECK(a == b);
  CHECK(std::equal(a.begin(), a.end(), c.begin() + 3));
}

TEST_CASE("assign: finer stretches for many values change nothing") {
  // Cubes of normal numbers crowd around 0: few stretches hold many midpoints each.
  for (const std::size_t entries : std::vector<std::size_t>{18, 64, 256}) {
    std::vector<float> table = sorted_table(entries, 7 * entries);
    for (float& v : table) v = v * v * v;
    const lutra::nearest_entry few(table), many(table, std::size_t{1} << 24);
    const std::vector<float> x = values_for(table, 3000);
    for_each_level([&]<class Level>(Level) {
      std::vector<std::uint8_t> a(x.size()), b(x.size());
      const double loss = few.assign<Level>(std::span<const float>(x), a.data());
      CHECK(loss == many.assign<Level>(std::span<const float>(x), b.data()));
      CHECK(a == b);
    });
    std::vector<std::uint8_t> codes(x.size());
    many.assign(std::span<const float>(x), codes.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      REQUIRE(table[codes[i]] == table[nearest_by_search(table, x[i])]);
    }
  }
}

TEST_CASE("assign: many blocks, any executor") {
  const std::vector<float> table = sorted_table(16, 3);
  const std::vector<float> x = values_for(table, 3 * 4096 * 256 + 5);
  std::vector<std::uint8_t> a(x.size()), b(x.size());
  const double loss =
      lutra::assign_nearest(std::span<const float>(x), std::span<const float>(table),
                            std::span<std::uint8_t>(a), lutra::serial_executor{});
  CHECK(loss == lutra::assign_nearest(std::span<const float>(x), std::span<const float>(table),
                                      std::span<std::uint8_t>(b), test::backward_executor{}));
  CHECK(a == b);
}

}  // namespace
