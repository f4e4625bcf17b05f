#include <lutra/palette/fit_group.hpp>
#include <lutra/palette/palettize.hpp>

#include <doctest/doctest.h>

#include "backward_executor.hpp"
#include "cluster/samples.hpp"
#include "quick.hpp"

namespace {

using lutra::index_t;
using lutra::shape;

lutra::tensor_view<const float> as_tensor(const std::vector<float>& x, const shape& s) {
  return {x.data(), s};
}

TEST_CASE("fit_group: as good as the optimum, proven, for groups in one piece and in many") {
  for (const char* name : {"normal", "student3", "duplicates"}) {
    const std::vector<float> x = samples::draw(name, 512 * 520);
    for (const int axis : {0, 1}) {
      const lutra::palettization_spec spec{
          .granularity = lutra::granularity::per_grouped_channel(axis == 0 ? 256 : 260, axis)};
      const auto w = as_tensor(x, {512, 520});
      const auto got = lutra::palettize(w, spec);
      const auto best = lutra::palettize(w, spec, {.mode = lutra::palettize_mode::exact});
      CAPTURE(name);
      CAPTURE(axis);
      REQUIRE(got.groups().count() == 2);
      for (std::size_t g = 0; g < 2; ++g) {
        CHECK(got.status[g] == lutra::palette_status::certified);
        CHECK(got.inertia[g] <= best.inertia[g] * (1 + 1e-6));
        CHECK(got.lower_bound[g] <= best.inertia[g] * (1 + 1e-12));
        CHECK(got.inertia[g] <= got.lower_bound[g] * (1 + 1e-4));
      }
      // The codes lie where they belong: the loss of the whole tensor is that of the groups.
      double loss = 0;
      got.groups().for_each_run([&](index_t first, index_t length, index_t group) {
        for (index_t i = first; i < first + length; ++i) {
          const auto u = static_cast<std::size_t>(i);
          const double d =
              static_cast<double>(x[u]) -
              static_cast<double>(got.lut[static_cast<std::size_t>(group) * 16 + got.codes[u]]);
          loss += d * d;
        }
      });
      CHECK(loss == doctest::Approx(got.inertia[0] + got.inertia[1]).epsilon(1e-10));
    }
  }
}

// Such groups are counted; what is sorted finds the same.
TEST_CASE("fit_group: the exact optimum of a million values and 256 entries") {
  if (test::quick()) return;
  const std::vector<float> x = samples::draw("normal", std::size_t{1} << 20);
  const lutra::fit_group_options options{.entries = 256, .exact = true, .max_gap = 1e-9};
  std::vector<std::uint8_t> codes(x.size()), sorted_codes(x.size()), other_codes(x.size());
  const std::span<const float> values(x);
  const auto got = lutra::fit_counted<lutra::simd::native>(
      values, options, std::span<std::uint8_t>(codes), lutra::serial_executor{});
  REQUIRE(got);
  CHECK(got->counted);
  CHECK(got->status == lutra::palette_status::optimal);
  lutra::exact_workspace<lutra::simd::native> work;
  const auto want = lutra::fit_sorted<lutra::simd::native>(
      values, options, std::span<std::uint8_t>(sorted_codes), work);
  CHECK(want.status == lutra::palette_status::optimal);
  CHECK(got->table == want.table);
  CHECK(codes == sorted_codes);
  CHECK(got->inertia == doctest::Approx(want.inertia).epsilon(1e-12));
  CHECK(got->lower_bound <= want.inertia * (1 + 1e-14));
  const auto other = lutra::fit_counted<lutra::simd::portable>(
      values, options, std::span<std::uint8_t>(other_codes), test::backward_executor{});
  REQUIRE(other);
  CHECK(other->table == got->table);
  CHECK(other->inertia == got->inertia);
  CHECK(other->lower_bound == got->lower_bound);
  CHECK(other_codes == codes);
}

TEST_CASE("fit_group: any executor, same bits") {
  const std::vector<float> x = samples::draw("laplace", 700000);
  const auto w = as_tensor(x, {700, 1000});
  const auto a = lutra::palettize(w, {.n_bits = 8});
  const auto b = lutra::palettize(w, {.n_bits = 8}, {}, test::backward_executor{});
  CHECK(a.codes == b.codes);
  CHECK(a.lut == b.lut);
  CHECK(a.inertia == b.inertia);
  CHECK(a.lower_bound == b.lower_bound);
  CHECK(a.status[0] == lutra::palette_status::certified);
}

TEST_CASE("fit_group: a gap that cannot be reached is not certified, and what is proven holds") {
  const std::vector<float> x = samples::draw("normal", 200000);
  const auto w = as_tensor(x, {200000});
  const auto p = lutra::palettize(w, {.n_bits = 8}, {.max_gap = 1e-15});
  CHECK(p.status[0] == lutra::palette_status::not_certified);
  const auto best = lutra::palettize(w, {.n_bits = 8}, {.mode = lutra::palettize_mode::exact});
  CHECK(p.lower_bound[0] <= best.inertia[0]);
  CHECK(p.lower_bound[0] >= best.inertia[0] * 0.99);
  CHECK(p.inertia[0] <= best.inertia[0] * (1 + 1e-4));
}

TEST_CASE("fit_group: an outlier on either side takes one entry and leaves the others alone") {
  const std::vector<float> bulk = samples::draw("normal", 200'000);
  struct outcome {
    double inertia = 0;
    lutra::palette_status status{};
  };
  const auto palettized = [](const std::vector<float>& x) {
    const auto p = lutra::palettize(as_tensor(x, {static_cast<index_t>(x.size())}), {.n_bits = 4});
    outcome o{0, p.status[0]};
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double d = static_cast<double>(x[i]) - static_cast<double>(p.lut[p.codes[i]]);
      o.inertia += d * d;
    }
    return o;
  };
  const double without = palettized(bulk).inertia;
  for (const float far : {1e3F, 1e6F, 1e12F, 3e38F}) {
    for (const float sign : {1.0F, -1.0F}) {
      std::vector<float> x = bulk;
      x[777] = sign * far;
      const outcome got = palettized(x);
      CAPTURE(far);
      CAPTURE(sign);
      CHECK(got.inertia <= 1.2 * without);  // 15 entries for the others
      CHECK(got.status == lutra::palette_status::certified);
    }
  }
}

}  // namespace
