#include <lutra/palette/spec.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

namespace {

using lutra::granularity;
using lutra::palettization_spec;

void check(const palettization_spec& s) { lutra::check(s, "layer"); }

TEST_CASE("spec: the defaults are the reference's") {
  const palettization_spec s;
  CHECK(s.n_bits == 4);
  CHECK(!s.lut_qspec.enabled);
  CHECK(s.granularity == granularity::per_tensor());
  CHECK(s.cluster_dim == 1);
  CHECK(!s.enable_per_channel_scale);
  check(s);
}

TEST_CASE("spec: every width from 1 to 8 and every granularity of a palette is valid") {
  for (int bits = 1; bits <= 8; ++bits) check({.n_bits = bits});
  check({.granularity = granularity::per_grouped_channel(3, 5)});
  check({.granularity = granularity::per_block({2, -1})});
}

TEST_CASE("spec: every table type with its schemes is valid") {
  using lutra::dtype;
  using lutra::qscheme;
  for (const auto d : {dtype::int8, dtype::uint8}) {
    for (const auto s :
         {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
      check({.lut_qspec = {.dtype = d, .qscheme = s}});
    }
  }
  for (const auto d : {dtype::float8_e4m3fn, dtype::float8_e5m2}) {
    check({.lut_qspec = {.dtype = d}});
    check({.lut_qspec = {.dtype = d, .scale_dtype = dtype::float8_e8m0fnu}});
  }
}

TEST_CASE("spec: refuses the first wrong field by name") {
  using lutra::dtype;
  CHECK_ERROR(check({.n_bits = 0}), invalid_argument, "n_bits", "layer", "got 0", "1..8");
  CHECK_ERROR(check({.n_bits = 9}), invalid_argument, "n_bits", "got 9");
  CHECK_ERROR(check({.cluster_dim = 0}), invalid_argument, "cluster_dim", "got 0");
  CHECK_ERROR(check({.cluster_dim = 2}), unsupported, "vector palettes", "got 2");
  CHECK_ERROR(check({.granularity = granularity::per_channel(0)}), invalid_argument, "granularity");
  CHECK_ERROR(check({.granularity = granularity::per_block(4, 0)}), invalid_argument,
              "granularity");
  CHECK_ERROR(check({.lut_qspec = {.dtype = dtype::int4}}), invalid_argument, "lut_qspec.dtype",
              "int4");
  CHECK_ERROR(check({.lut_qspec = {.granularity = granularity::per_channel(0)}}), invalid_argument,
              "lut_qspec.granularity");
  CHECK_ERROR(check({.lut_qspec = {.qformulation = lutra::qformulation::minval}}), invalid_argument,
              "lut_qspec.qformulation");
  CHECK_ERROR(check({.lut_qspec = {.scale_rules = {.scale_type = dtype::float16}}}),
              invalid_argument, "lut_qspec.scale_rules.scale_type", "float16");
  for (const char* key : {"nonsense", "moving_average", ""}) {
    CHECK_ERROR(check({.lut_qspec = {.qparam_calculator = key}}), invalid_argument,
                "lut_qspec.qparam_calculator", key, "default, static");
  }
  CHECK_ERROR(check({.lut_qspec = {.qparam_calculator = "sttaic"}}), invalid_argument,
              "did you mean 'static'?");
  check({.lut_qspec = {.qparam_calculator = "static"}});
  CHECK_ERROR(
      check({.lut_qspec = {.dtype = dtype::float8_e5m2, .qscheme = lutra::qscheme::asymmetric}}),
      invalid_argument, "symmetric");
}

}  // namespace
