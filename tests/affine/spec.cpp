#include <lutra/affine/spec.hpp>

#include "../errors.hpp"

#include <limits>

using namespace lutra;

namespace {
void checked(const quantization_spec& s) { check(s, "test"); }
}  // namespace

TEST_CASE("spec: bounds follow dtype and scheme") {
  const auto bounds = [](dtype d, qscheme s) { return bounds_of({.dtype = d, .qscheme = s}); };
  CHECK(bounds(dtype::int8, qscheme::symmetric_with_clipping).min == -127.0F);
  CHECK(bounds(dtype::int4, qscheme::symmetric_with_clipping).min == -7.0F);
  CHECK(bounds(dtype::int2, qscheme::symmetric_with_clipping).min == -1.0F);
  CHECK(bounds(dtype::int1, qscheme::symmetric_with_clipping).min == -1.0F);  // nothing to clip
  CHECK(bounds(dtype::uint4, qscheme::symmetric_with_clipping).min == 0.0F);
  CHECK(bounds(dtype::uint4, qscheme::symmetric_with_clipping).max == 15.0F);
  CHECK(bounds(dtype::int8, qscheme::asymmetric).min == -128.0F);
  CHECK(bounds(dtype::float8_e5m2, qscheme::symmetric).max == 57344.0F);
}

TEST_CASE("spec: the defaults and the stock specs are valid, off is off") {
  checked({});
  checked(int8_symmetric);
  checked(int8_symmetric_with_clipping);
  const quantization_spec nothing = off;
  CHECK_FALSE(nothing.enabled);
  CHECK(quantization_spec{} == int8_symmetric);
  CHECK(name_of(qscheme::symmetric_with_clipping) == "symmetric_with_clipping");
}

TEST_CASE("spec: float dtypes take the symmetric scheme and zero points only") {
  checked({.dtype = dtype::float8_e4m3fn});
  CHECK_ERROR(checked({.dtype = dtype::float8_e4m3fn, .qscheme = qscheme::symmetric_with_clipping}),
              invalid_argument, "symmetric scheme", "symmetric_with_clipping");
  CHECK_ERROR(checked({.dtype = dtype::float4_e2m1fn, .qformulation = qformulation::minval}),
              invalid_argument, "zero-point formulation", "minval");
  CHECK_ERROR(checked({.dtype = dtype::float8_e8m0fnu}), invalid_argument, "dtype",
              "float8_e8m0fnu");
  CHECK_ERROR(checked({.dtype = dtype::float16}), invalid_argument, "dtype", "float16");
}

TEST_CASE("spec: scale_dtype is e8m0 for floats, absent for integers") {
  checked({.dtype = dtype::float8_e5m2, .scale_dtype = dtype::float8_e8m0fnu});
  checked({.dtype = dtype::float4_e2m1fn, .scale_dtype = dtype::float32});
  CHECK_ERROR(checked({.dtype = dtype::float8_e4m3fn, .scale_dtype = dtype::float32}),
              invalid_argument, "scale_dtype", "float32");
  CHECK_ERROR(checked({.scale_dtype = dtype::float8_e8m0fnu}), invalid_argument, "scale_dtype",
              "float8_e8m0fnu", "absent");
  CHECK_ERROR(checked({.scale_dtype = dtype::float16}), invalid_argument, "scale_dtype", "float16");
}

TEST_CASE("spec: numbers that are no enumerators") {
  const auto bad = [](auto member, int number) {
    quantization_spec s;
    s.*member = static_cast<std::remove_reference_t<decltype(s.*member)>>(number);
    return s;
  };
  CHECK_ERROR(check(bad(&quantization_spec::dtype, 99), "test"), invalid_argument, "dtype", "99");
  CHECK_ERROR(check(bad(&quantization_spec::qscheme, 99), "test"), invalid_argument, "qscheme",
              "99", "0..2");
  CHECK_ERROR(check(bad(&quantization_spec::qformulation, 2), "test"), invalid_argument,
              "qformulation", "2");
  CHECK_ERROR(check(bad(&quantization_spec::short_groups, 7), "test"), invalid_argument,
              "short_groups", "7");
  quantization_spec s;
  s.scale_rules.e8m0 = static_cast<e8m0_rule>(9);
  CHECK_ERROR(check(s, "test"), invalid_argument, "scale_rules.e8m0", "9", "0..3");
}

TEST_CASE("spec: averaging_constant and float_range") {
  checked({.averaging_constant = 1.0, .float_range = {0.0F, {}}});
  checked({.averaging_constant = 0x1p-126});
  checked({.float_range = {{}, 0.0F}});
  CHECK_ERROR(checked({.averaging_constant = 0.0}), invalid_argument, "averaging_constant", "0",
              "2^-126 .. 1");
  CHECK_ERROR(checked({.averaging_constant = 1.5}), invalid_argument, "averaging_constant", "1.5");
  CHECK_ERROR(checked({.averaging_constant = 1e-39}), invalid_argument, "averaging_constant",
              "1e-39", "2^-126");
  CHECK_ERROR(checked({.averaging_constant = std::numeric_limits<double>::quiet_NaN()}),
              invalid_argument, "averaging_constant", "nan");
  CHECK_ERROR(checked({.float_range = {1.0F, 5.0F}}), invalid_argument, "float_range.lo", "1");
  CHECK_ERROR(checked({.float_range = {{}, -1.0F}}), invalid_argument, "float_range.hi", "-1");
  CHECK_ERROR(checked({.float_range = {0.0F, 0.0F}}), invalid_argument, "float_range is empty");
  const float inf = std::numeric_limits<float>::infinity();
  CHECK_ERROR(checked({.float_range = {-inf, 1.0F}}), invalid_argument, "float_range.lo", "-inf");
  CHECK_ERROR(checked({.float_range = {{}, std::numeric_limits<float>::quiet_NaN()}}),
              invalid_argument, "float_range.hi", "nan");
}
