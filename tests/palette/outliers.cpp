#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/outliers.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/palette/restore.hpp>
#include <lutra/runtime/lut_matrix.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "cluster/samples.hpp"
#include "errors.hpp"

namespace {

using lutra::index_t;
using lutra::outlier_list;
using lutra::tensor_view;

std::vector<index_t> largest(const std::vector<float>& x, index_t count,
                             const std::vector<index_t>& left_out = {}) {
  return lutra::largest_magnitudes(std::span<const float>(x), count, left_out);
}

TEST_CASE("outliers: the largest magnitudes, the first of equal ones") {
  const std::vector<float> x = {1, -5, 3, 5, 0, -3, 5};
  CHECK(largest(x, 0).empty());
  CHECK(largest(x, -1).empty());
  CHECK(largest(x, 1) == std::vector<index_t>{1});
  CHECK(largest(x, 4) == std::vector<index_t>{1, 3, 6, 2});
  CHECK(largest(x, 100) == std::vector<index_t>{1, 3, 6, 2, 5, 0, 4});
  CHECK(largest(x, 2, {1, 6}) == std::vector<index_t>{3, 2});
  // Against sorting.
  const std::vector<float> many = samples::draw("duplicates", 3000);
  std::vector<index_t> order(many.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<index_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    return std::fabs(many[static_cast<std::size_t>(a)]) >
           std::fabs(many[static_cast<std::size_t>(b)]);
  });
  order.resize(137);
  CHECK(largest(many, 137) == order);
}

TEST_CASE("outliers: limits and bytes") {
  CHECK(!lutra::outlier_spec{}.enabled());
  CHECK(lutra::outlier_spec{.count = 3}.limit(100) == 3);
  CHECK(lutra::outlier_spec{.count = 3, .fraction = 0.015}.limit(100) == 4);
  CHECK(lutra::outlier_spec{.fraction = 1}.limit(7) == 7);
  CHECK(lutra::outlier_spec{.count = 9}.limit(7) == 7);
  CHECK(lutra::outlier_spec{.count = std::numeric_limits<index_t>::max(), .fraction = 0.5}.limit(
            7) == 7);
  const outlier_list list{{1, 5}, {2, 3}};
  CHECK(list.bytes(100) == 16);
  CHECK(list.bytes(index_t{1} << 33) == 24);
  CHECK_ERROR(lutra::check(lutra::outlier_spec{.count = -1}, "w"), invalid_argument,
              "outliers.count", "got -1");
  CHECK_ERROR(lutra::check(lutra::outlier_spec{.fraction = 1.5}, "w"), invalid_argument,
              "outliers.fraction", "1.5");
  CHECK_ERROR(lutra::check(lutra::outlier_spec{.fraction = std::nan("")}, "w"), invalid_argument,
              "outliers.fraction", "nan");
}

TEST_CASE("outliers: a stored list is checked") {
  const auto check = [](const outlier_list& l) { lutra::check(l, 10, "file"); };
  check({});
  check({{0, 9}, {1, 2}});
  CHECK_ERROR(check({{1, 2}, {1}}), corrupt_data, "differ in number", "1 values");
  CHECK_ERROR(check({{1, 10}, {1, 1}}), corrupt_data, "position out of range", "got 10", "0..9");
  CHECK_ERROR(check({{-1}, {1}}), corrupt_data, "position out of range", "got -1");
  CHECK_ERROR(check({{4, 4}, {1, 1}}), corrupt_data, "not ascending", "4 after 4");
  CHECK_ERROR(check({{4}, {std::nanf("")}}), corrupt_data, "outlier value", "nan");
}

// N(0, 0.02) with eight values at 3: the outlier probe of the specification.
std::vector<float> probe() {
  std::vector<float> x = samples::draw("normal", 65536);
  for (std::size_t i = 0; i < 8; ++i) x[i * 8000 + 17] = 3.0F;
  return x;
}
double squared_error(const std::vector<float>& x, const std::vector<float>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += d * d;
  }
  return sum;
}

TEST_CASE("outliers: eight large weights cost 0.008 bit per weight and no accuracy") {
  const std::vector<float> x = probe();
  const tensor_view<const float> w(x.data(), {256, 256});
  for (const bool by_gain : {false, true}) {
    const lutra::palettization_spec spec{.lut_qspec = lutra::int8_symmetric,
                                         .refine_lut = true,
                                         .outliers = {.count = 8, .by_gain = by_gain}};
    const auto p = lutra::palettize(w, spec);
    const auto packed = lutra::pack(p);
    CHECK(p.outliers.position.size() == 8);
    CHECK(p.outliers.value == std::vector<float>(8, 3.0F));
    const auto dense = lutra::restore(packed);
    CHECK(squared_error(x, dense.elements()) <= 4.0e-6 * 65536);
    CHECK(p.error[0] == doctest::Approx(squared_error(x, dense.elements())).epsilon(1e-9));
    CHECK(dense[17] == 3.0F);
    CHECK(8.0 * static_cast<double>(p.outliers.bytes(65536)) / 65536 <= 0.01);
    auto without = spec;
    without.outliers = {};
    CHECK(packed.bytes() - lutra::pack(lutra::palettize(w, without)).bytes() == 64);
    CHECK(lutra::unpack(packed).outliers == p.outliers);
    CHECK(lutra::restore(p).elements() == dense.elements());
  }
}

TEST_CASE("outliers: by gain, none are kept where none pay") {
  const std::vector<float> x = samples::draw("uniform", 4096);
  const tensor_view<const float> w(x.data(), {64, 64});
  const auto p = lutra::palettize(w, {.outliers = {.fraction = 0.01, .by_gain = true}});
  CHECK(p.outliers.empty());
  const auto forced = lutra::palettize(w, {.outliers = {.fraction = 0.01}});
  CHECK(forced.outliers.position.size() == 40);
  // Eight large ones among more that may be taken: no more than needed.
  std::vector<float> y = x;
  for (std::size_t i = 0; i < 8; ++i) y[i * 500] = 1000.0F;
  const auto some = lutra::palettize(
      tensor_view<const float>(y.data(), {64, 64}),
      {.lut_qspec = lutra::int8_symmetric, .outliers = {.count = 100, .by_gain = true}});
  CHECK(some.outliers.position.size() == 8);
}

TEST_CASE("outliers: the others are clustered as if they were alone, in every kind of group") {
  const std::vector<float> x = samples::draw("student2", 40 * 30);
  const auto in_bfloat16 =
      lutra::tensor<lutra::bfloat16>::copy_of(tensor_view<const float>(x.data(), {40, 30}));
  for (const bool scaled : {false, true}) {
    lutra::palettization_spec spec{.n_bits = 3,
                                   .granularity = lutra::granularity::per_grouped_channel(1, 1),
                                   .enable_per_channel_scale = scaled,
                                   .outliers = {.count = 60}};
    const auto check = [&](const lutra::palette<float>& p) {
      const auto dense = lutra::restore(lutra::pack(p));
      double error = 0;
      for (const double e : p.error) error += e;
      CHECK(squared_error(x, dense.elements()) ==
            doctest::Approx(error).epsilon(scaled ? 1e-4 : 1e-9));
      CHECK(std::is_sorted(p.outliers.position.begin(), p.outliers.position.end()));
      for (std::size_t i = 0; i < 60; ++i) {
        const auto at = static_cast<std::size_t>(p.outliers.position[i]);
        CHECK(dense.elements()[at] == x[at]);
        CHECK(p.codes[at] < 8);
      }
    };
    check(lutra::palettize(tensor_view<const float>(x.data(), {40, 30}), spec));
    const auto p = lutra::palettize(in_bfloat16, spec);
    CHECK(p.outliers.value.size() == 60);
    CHECK(lutra::restore(p).elements()[static_cast<std::size_t>(p.outliers.position[5])] ==
          p.outliers.value[5]);
  }
  // Row scales no longer follow the outlier.
  const std::vector<float> y = {1, -2, 100, 3};
  const auto p = lutra::palettize(tensor_view<const float>(y.data(), {1, 4}),
                                  {.enable_per_channel_scale = true, .outliers = {.count = 1}});
  CHECK(p.row_scale == std::vector<float>{3});
  CHECK(lutra::restore(p).elements() == y);
}

TEST_CASE("outliers: all elements, a group of nothing else, large groups") {
  const std::vector<float> x = {5, 6, 7, 1};
  const auto all = lutra::palettize(tensor_view<const float>(x.data(), {2, 2}),
                                    {.lut_qspec = lutra::int8_symmetric,
                                     .granularity = lutra::granularity::per_grouped_channel(1, 0),
                                     .outliers = {.fraction = 1}});
  CHECK(all.status[0] == lutra::palette_status::empty);
  CHECK(lutra::restore(lutra::pack(all)).elements() == x);
  const auto row = lutra::palettize(
      tensor_view<const float>(x.data(), {2, 2}),
      {.granularity = lutra::granularity::per_grouped_channel(1, 0), .outliers = {.count = 2}});
  CHECK(lutra::restore(lutra::pack(row)).elements() == x);
  std::vector<float> many = samples::draw("normal", 140000);
  many[777] = -1e6F;
  const auto large =
      lutra::palettize(tensor_view<const float>(many.data(), {140000}), {.outliers = {.count = 1}});
  CHECK(large.outliers.position == std::vector<index_t>{777});
  CHECK(large.status[0] == lutra::palette_status::certified);
  many[777] = 0;
  CHECK(large.error[0] ==
        doctest::Approx(
            lutra::palettize(tensor_view<const float>(many.data(), {140000}), {}).error[0])
            .epsilon(1e-3));
}

TEST_CASE("outliers: no codes of the table, so neither bytes nor integer kernels") {
  const std::vector<float> x = {1, 2, 3, 100};
  const auto packed =
      lutra::pack(lutra::palettize(tensor_view<const float>(x.data(), {1, 4}),
                                   {.lut_qspec = lutra::int8_symmetric, .outliers = {.count = 1}}));
  CHECK_ERROR(lutra::restore<std::int8_t>(packed), unsupported, "outliers", "1 outliers");
  CHECK_ERROR(lutra::make_lut_matrix(packed), unsupported, "outliers", "1 outliers");
}

}  // namespace
