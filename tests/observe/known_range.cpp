#include <lutra/affine/element.hpp>
#include <lutra/observe/known_range.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

namespace {

using lutra::dtype;
using lutra::qscheme;

TEST_CASE("known_range: the documented parameters") {
  const auto sigmoid = *lutra::known_range_qparams(
      "sigmoid", {.dtype = dtype::uint8, .qscheme = qscheme::asymmetric});
  CHECK(sigmoid.scale[0] == 1.0F / 256.0F);
  CHECK(sigmoid.zero_point[0] == 0);
  const auto tanh =
      *lutra::known_range_qparams("tanh", {.dtype = dtype::uint8, .qscheme = qscheme::asymmetric});
  CHECK(tanh.scale[0] == 2.0F / 256.0F);
  CHECK(tanh.zero_point[0] == 128);
  const auto softmax = *lutra::known_range_qparams(
      "softmax", {.dtype = dtype::int8, .qscheme = qscheme::asymmetric});
  CHECK(softmax.scale[0] == 1.0F / 256.0F);
  CHECK(softmax.zero_point[0] == -128);
  const auto symmetric = *lutra::known_range_qparams("hardsigmoid", {});
  CHECK(symmetric.scale[0] == 1.0F / 128.0F);
  CHECK(symmetric.zero_point[0] == 0);
  CHECK_FALSE(lutra::known_range_qparams("relu", {}).has_value());
}

TEST_CASE(
    "known_range: both formulations, every integer width, put their levels on the same values") {
  for (const char* op : {"sigmoid", "tanh"}) {
    for (const auto d : {dtype::int2, dtype::int4, dtype::int8, dtype::uint3, dtype::uint8}) {
      for (const auto scheme :
           {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
        const auto zp = *lutra::known_range_qparams(op, {.dtype = d, .qscheme = scheme});
        const auto minval = *lutra::known_range_qparams(
            op, {.dtype = d, .qscheme = scheme, .qformulation = lutra::qformulation::minval});
        lutra::check(zp, "test");
        lutra::check(minval, "test");
        for (int q = static_cast<int>(zp.quant_min); q <= static_cast<int>(zp.quant_max); ++q) {
          const float value = lutra::decode_one(q, lutra::unit_of(zp, 0));
          CHECK(value == lutra::decode_one(q, lutra::unit_of(minval, 0)));
          CHECK(value >= -1.0F);
          CHECK(value <= 1.0F);
        }
      }
    }
  }
}

TEST_CASE("known_range: float dtypes scale by the range, bad specs are errors") {
  const auto p = *lutra::known_range_qparams("tanh", {.dtype = dtype::float8_e4m3fn});
  CHECK(p.scale[0] == 1.0F / 448.0F);
  CHECK_ERROR(lutra::known_range_qparams(
                  "tanh", {.dtype = dtype::float8_e4m3fn, .qscheme = qscheme::asymmetric}),
              invalid_argument, "symmetric");
}

}  // namespace
