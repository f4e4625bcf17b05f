#include <doctest/doctest.h>
#include <lutra/core/random.hpp>
#include <lutra/palette/affine_palette.hpp>
#include <lutra/palette/restore.hpp>

#include "errors.hpp"

using namespace lutra;

namespace {
affine_constant constant_of(dtype d, qscheme scheme, const granularity& g, const shape& extents) {
  random_stream random(1);
  tensor<float> w(extents);
  for (float& x : w.elements()) x = static_cast<float>(random.normal() + 0.3);
  quantization_spec spec = int8_symmetric;
  spec.dtype = d;
  spec.qscheme = scheme;
  spec.granularity = g;
  const index_t groups = grid_of(g, extents, "test", short_groups::allow).count();
  std::vector<float> lo, hi;
  for (index_t i = 0; i < groups; ++i) {
    lo.push_back(-1.0F - 0.125F * static_cast<float>(i));
    hi.push_back(2.0F + 0.0625F * static_cast<float>(i % 3));
  }
  return quantize_constant(lutra::view(w), qparams_from_range(spec, lo, hi));
}
}  // namespace

TEST_CASE("affine_palette: the palette restores to the bits of the constant") {
  for (int d = 0; d < 16; ++d) {
    if (d == 0) continue;  // of a single bit there is one level below 0 and none above
    for (const qscheme scheme : {qscheme::symmetric, qscheme::asymmetric}) {
      for (const granularity& g :
           {granularity::per_tensor(), granularity::per_channel(0), granularity::per_channel(1),
            granularity::per_grouped_channel(4, 0), granularity::per_block(3, 1)}) {
        const affine_constant c = constant_of(static_cast<dtype>(d), scheme, g, {6, 7, 2});
        const tensor<float> expected = restore(c);
        for (const affine_scales s : {affine_scales::by_row, affine_scales::by_group}) {
          const packed_palette p = palette_of_codes(c, "here", s);
          check(p, "palette");
          CHECK(restore(p) == expected);
          if (s == affine_scales::by_group) CHECK(p.row_scale.empty());
        }
      }
    }
  }
}

TEST_CASE("affine_palette: scales of rows share one table, unless zero points differ") {
  const auto of = [](qscheme s, const granularity& g) {
    return palette_of_codes(constant_of(dtype::int4, s, g, {8, 3}), "here");
  };
  const packed_palette rows = of(qscheme::symmetric, granularity::per_channel(0));
  CHECK(rows.groups().count() == 1);
  CHECK(rows.row_scale.size() == 8);
  CHECK(rows.lut_codes.size() == 16);
  CHECK(of(qscheme::asymmetric, granularity::per_channel(0)).groups().count() == 8);
  CHECK(of(qscheme::symmetric, granularity::per_channel(1)).groups().count() == 3);
  CHECK(of(qscheme::symmetric, granularity::per_tensor()).row_scale.empty());
}

TEST_CASE("affine_palette: float codes and minvals are no integers") {
  CHECK_ERROR(palette_of_codes(constant_of(dtype::float8_e4m3fn, qscheme::symmetric,
                                           granularity::per_tensor(), {2, 2}),
                               "here"),
              unsupported, "integer codes", "float8_e4m3fn", "here");
  affine_constant c =
      constant_of(dtype::int8, qscheme::symmetric, granularity::per_tensor(), {2, 2});
  c.parameters.qformulation = qformulation::minval;
  c.parameters.zero_point.clear();
  c.parameters.minval = {-1.0F};
  CHECK_ERROR(palette_of_codes(c, "here"), unsupported, "int8, minval");
}
