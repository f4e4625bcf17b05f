#include <doctest/doctest.h>
#include <lutra/affine/constant.hpp>

using namespace lutra;

TEST_CASE("constant: bytes are those of codes, scales and the offsets that are stored") {
  affine_constant c;
  c.extents = {2, 3};
  c.codes = {1, 2, 3};
  c.parameters.dtype = dtype::int4;
  c.parameters.scale = {0.5F, 0.25F};
  c.parameters.zero_point = {0, 0};
  CHECK(c.n_bits() == 4);
  CHECK(c.bytes() == 3 + 8);
  c.parameters.zero_point = {0, -3};
  CHECK(c.bytes() == 3 + 8 + 2);
  c.parameters.qformulation = qformulation::minval;
  c.parameters.zero_point.clear();
  c.parameters.minval = {-1.0F, -2.0F};
  CHECK(c.bytes() == 3 + 8 + 8);
  CHECK(affine_constant().bytes() == 0);
}
