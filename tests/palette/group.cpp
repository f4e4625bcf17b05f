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
  const lutra::group_palettizer<float> task(w, {}, spec, options, grid, p);
  task(1);
  CHECK(p.lut == std::vector<float>{0, 0, 10, 20});
  CHECK(p.codes == std::vector<std::uint8_t>{0, 0, 0, 1});
  CHECK(p.status[0] == lutra::palette_status::empty);
  CHECK(p.status[1] == lutra::palette_status::optimal);
}

TEST_CASE("group: reference_fast rounds its table to the type of the weight") {
  const std::vector<float> w = {1.0F, 1.0009765625F, 5.0F};  // neighbours in float16
  const lutra::palettization_spec spec{.n_bits = 1};
  const lutra::palettize_options options{.mode = lutra::palettize_mode::reference_fast};
  const lutra::block_grid grid({3}, {3});
  lutra::palette<float> p = lutra::make_palette(spec, grid);
  lutra::group_palettizer<lutra::half>(w, {}, spec, options, grid, p)(0);
  CHECK(p.lut[0] == static_cast<float>(lutra::half(p.lut[0])));
  CHECK(p.lut[0] != 1.00048828125F);
}

}  // namespace
