#include <lutra/affine/program_pass.hpp>

#include "../errors.hpp"

using namespace lutra;

namespace {
qparams of(dtype d, qscheme scheme, float lo, float hi) {
  return program_pass_qparams({.dtype = d, .qscheme = scheme}, {&lo, 1}, {&hi, 1});
}
}  // namespace

TEST_CASE("program_pass: both symmetric kinds are clipped") {
  CHECK(program_pass_bounds(dtype::int8, qscheme::symmetric).min == -127.0F);
  CHECK(program_pass_bounds(dtype::uint8, qscheme::symmetric).max == 254.0F);
  CHECK(program_pass_bounds(dtype::uint2, qscheme::symmetric).max == 2.0F);
  CHECK(program_pass_bounds(dtype::uint8, qscheme::asymmetric).max == 255.0F);
  CHECK(program_pass_bounds(dtype::float8_e4m3fn, qscheme::symmetric).min == -448.0F);
}

TEST_CASE("program_pass: scale and zero point") {
  const qparams s = of(dtype::int8, qscheme::symmetric, -1, 3);
  CHECK(s.scale[0] == (6.0F + 1e-6F) / 254.0F);
  CHECK(s.zero_point[0] == 0);
  CHECK(of(dtype::uint8, qscheme::symmetric, -1, 3).zero_point[0] == 127);
  const qparams a = of(dtype::int8, qscheme::asymmetric, -1, 3);
  CHECK(a.scale[0] == (4.0F + 1e-6F) / 255.0F);
  CHECK(a.zero_point[0] == -64);  // (-128 * 3 + 127 * 1) / 4 is -64.25
  CHECK(of(dtype::float8_e4m3fn, qscheme::symmetric, -1, 3).zero_point.empty());
  const std::vector<float> two = {0, 0};
  CHECK_ERROR(program_pass_qparams({}, two, {two.data(), 1}), shape_mismatch, "length");
}
