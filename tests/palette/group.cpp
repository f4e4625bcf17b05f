#include <lutra/palette/group.hpp>

#include <doctest/doctest.h>

#include <lutra/number/bfloat16.hpp>
#include <lutra/palette/palettize.hpp>

namespace {

static_assert(lutra::weight_element<float>);
static_assert(lutra::weight_element<double>);
static_assert(lutra::weight_element<lutra::half>);
static_assert(lutra::weight_element<lutra::bfloat16>);
static_assert(!lutra::weight_element<int>);

TEST_CASE("group: one group is palettized, the others stay untouched") {
  const std::vector<float> w = {1, 2, 10, 20};
  const lutra::palettization_spec spec{.n_bits = 1};
  const lutra::palettize_options options;
  const lutra::block_grid grid({2, 2}, {1, 2});
  lutra::palette<float> p = lutra::make_palette(spec, grid);
  const lutra::group_palettizer<float> task(w, {}, {}, spec, options, grid, p);
  lutra::group_palettizer<float>::scratch scratch;
  task(1, scratch);
  CHECK(p.lut == std::vector<float>{0, 0, 10, 20});
  CHECK(p.codes == std::vector<std::uint8_t>{0, 0, 0, 1});
  CHECK(p.status[0] == lutra::palette_status::empty);
  CHECK(p.status[1] == lutra::palette_status::optimal);
}

TEST_CASE("group: reference_fast rounds its table to the type of the weight") {
  std::vector<lutra::half> w;  // neighbours in float16
  for (const float x : {1.0F, 1.0009765625F, 5.0F}) w.emplace_back(x);
  const lutra::palettization_spec spec{.n_bits = 1};
  const lutra::palettize_options options{.mode = lutra::palettize_mode::reference_fast};
  const lutra::block_grid grid({3}, {3});
  lutra::palette<float> p = lutra::make_palette(spec, grid);
  lutra::group_palettizer<lutra::half>::scratch scratch;
  lutra::group_palettizer<lutra::half>(w, {}, {}, spec, options, grid, p)(0, scratch);
  CHECK(p.lut[0] == static_cast<float>(lutra::half(p.lut[0])));
  CHECK(p.lut[0] != 1.00048828125F);
}

TEST_CASE("group: a scratch used before gives the same bits") {
  std::vector<float> w;
  for (int i = 0; i < 900; ++i) w.push_back(static_cast<float>((i * 7919) % 1009));
  const lutra::palettization_spec spec{.n_bits = 3};
  const lutra::palettize_options options;
  const lutra::block_grid grid({3, 300}, {1, 300});
  lutra::palette<float> fresh = lutra::make_palette(spec, grid);
  lutra::palette<float> used = fresh;
  const lutra::group_palettizer<float> first(w, {}, {}, spec, options, grid, fresh);
  const lutra::group_palettizer<float> second(w, {}, {}, spec, options, grid, used);
  lutra::group_palettizer<float>::scratch shared;
  for (const lutra::index_t g : {2, 0, 1}) {
    lutra::group_palettizer<float>::scratch own;
    first(g, own);
    second(g, shared);
  }
  CHECK(fresh.lut == used.lut);
  CHECK(fresh.codes == used.codes);
  CHECK(fresh.inertia == used.inertia);
}

}  // namespace
