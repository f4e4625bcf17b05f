#include <lutra/palette/palette.hpp>

#include <doctest/doctest.h>

namespace {

TEST_CASE("palette: one made by default has codes for no element, and no table yet") {
  const lutra::palette<float> p;
  CHECK(p.entries() == 16);
  CHECK(!p.quantized());
  CHECK(p.weight_shape.size() == 0);
  CHECK(p.codes.empty());
  CHECK(p.lut.empty());
  CHECK(p.groups().count() == 1);  // what a weight without elements has
}

TEST_CASE("palette: every status has a name") {
  using lutra::palette_status;
  for (const auto s : {palette_status::empty, palette_status::optimal, palette_status::certified,
                       palette_status::not_certified, palette_status::unproven}) {
    CHECK(lutra::name_of(s) != "unknown");
  }
}

}  // namespace
