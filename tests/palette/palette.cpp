#include <lutra/palette/palette.hpp>

#include <doctest/doctest.h>

namespace {

TEST_CASE("palette: an empty one is consistent") {
  const lutra::palette<float> p;
  CHECK(p.entries() == 16);
  CHECK(!p.quantized());
  CHECK(p.groups().count() == 0);
}

TEST_CASE("palette: every status has a name") {
  using lutra::palette_status;
  for (const auto s : {palette_status::empty, palette_status::optimal, palette_status::certified,
                       palette_status::not_certified, palette_status::unproven}) {
    CHECK(lutra::name_of(s) != "unknown");
  }
}

}  // namespace
