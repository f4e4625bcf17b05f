#include <lutra/palette/packed.hpp>

#include <doctest/doctest.h>

namespace {

TEST_CASE("packed: bytes counts codes, tables, scales and zero points as stored") {
  lutra::packed_palette p;
  p.weight_shape = {10, 10};
  p.block = {5, 10};
  p.n_bits = 3;
  CHECK(p.entries() == 8);
  CHECK(p.groups().count() == 2);
  p.lut_dtype = lutra::dtype::float32;
  CHECK(!p.quantized());
  p.codes.resize(38);
  p.lut.resize(16);
  CHECK(p.bytes() == 38 + 64);
  p.lut.clear();
  p.lut_dtype = lutra::dtype::int8;
  CHECK(p.quantized());
  p.lut_codes.resize(16);
  p.scale.resize(2);
  p.zero_point.resize(2);
  CHECK(p.bytes() == 38 + 16 + 8);  // the zero points of int8 tables are 0 and need no bytes...
  p.lut_dtype = lutra::dtype::uint8;
  CHECK(p.bytes() == 38 + 16 + 8 + 2);  // ...those of uint8 take one each
  p.row_scale.resize(10);
  CHECK(p.bytes() == 38 + 16 + 8 + 2 + 40);
}

}  // namespace
