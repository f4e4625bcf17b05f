#include <lutra/core/random.hpp>
#include <lutra/palette/lut_quantize.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace {

using lutra::dtype;
using lutra::qscheme;
using lutra::quantization_spec;
using lutra::quantized_lut;
using float_table = std::vector<float>;

quantized_lut quantize(const float_table& t, const quantization_spec& s) {
  return lutra::quantize_lut(t, s);
}
std::vector<int> codes(const quantized_lut& q) {
  std::vector<int> out;
  for (const std::uint8_t c : q.codes) {
    out.push_back(q.scale.lut_dtype == dtype::int8 ? static_cast<std::int8_t>(c) : c);
  }
  return out;
}
std::vector<float> values(const quantized_lut& q) {
  std::vector<float> out;
  for (const std::uint8_t c : q.codes) out.push_back(lutra::lut_value(q.scale, c));
  return out;
}

TEST_CASE("lut_quantize: int8 symmetric divides by 127.5 and clips the largest positive entry") {
  const quantized_lut q = quantize({1, 2, 3, 4}, {});
  CHECK(q.scale.scale == 4.0F / 127.5F);
  CHECK(q.scale.zero_point == 0);
  CHECK(codes(q) == std::vector<int>{32, 64, 96, 127});
  CHECK(codes(quantize({-0.465250015F, 0, 0.1F}, {})) == std::vector<int>{-128, 0, 27});
}

TEST_CASE("lut_quantize: int8 symmetric_with_clipping divides by 127 and stays in [-127, 127]") {
  const quantized_lut q = quantize({1, 2, 3, 4}, {.qscheme = qscheme::symmetric_with_clipping});
  CHECK(q.scale.scale == 4.0F / 127.0F);
  CHECK(codes(q) == std::vector<int>{32, 64, 95, 127});
  CHECK(values(q)[3] == 4.0F);
  CHECK(codes(quantize({-4, 4}, {.qscheme = qscheme::symmetric_with_clipping})) ==
        std::vector<int>{-127, 127});
}

TEST_CASE("lut_quantize: uint8 and asymmetric") {
  const quantized_lut u = quantize({1, 2, 3, 4}, {.dtype = dtype::uint8});
  CHECK(u.scale.zero_point == 128);
  CHECK(codes(u) == std::vector<int>{160, 192, 224, 255});
  const quantized_lut a =
      quantize({1, 2, 3, 4}, {.dtype = dtype::uint8, .qscheme = qscheme::asymmetric});
  CHECK(a.scale.zero_point == 0);
  CHECK(codes(a) == std::vector<int>{64, 127, 191, 255});
  const quantized_lut i = quantize({-1, 0, 3}, {.qscheme = qscheme::asymmetric});
  CHECK(i.scale.zero_point == -64);
  CHECK(values(i)[1] == 0.0F);
  CHECK(codes(i).back() == 127);
}

TEST_CASE("lut_quantize: float8 tables") {
  const quantized_lut e4 = quantize({1, 2, 3, 4}, {.dtype = dtype::float8_e4m3fn});
  CHECK(e4.scale.scale == 4.0F / 448.0F);
  CHECK(values(e4)[3] == 4.0F);
  CHECK(values(e4)[2] == 320.0F * e4.scale.scale);
  const quantized_lut e5 = quantize({1, 2, 3, 4}, {.dtype = dtype::float8_e5m2});
  CHECK(values(e5)[2] == 40960.0F * e5.scale.scale);
  const quantized_lut p =
      quantize({0.5F, 3}, {.dtype = dtype::float8_e4m3fn, .scale_dtype = dtype::float8_e8m0fnu});
  CHECK(p.scale.scale == 0x1p-7F);  // 2^(floor(log2 3) - 8)
  CHECK(values(p) == float_table{0.5F, 3.0F});
}

TEST_CASE("lut_quantize: float_range replaces the observed ends") {
  const quantized_lut q = quantize({1, 2}, {.qscheme = qscheme::symmetric_with_clipping,
                                            .float_range = {.lo = -1.0F, .hi = 1.0F}});
  CHECK(q.scale.scale == 1.0F / 127.0F);
  CHECK(codes(q) == std::vector<int>{127, 127});
}

TEST_CASE("lut_quantize: zero and tiny tables keep the least scale") {
  for (const float x : {0.0F, 1e-20F, -1e-30F}) {
    const quantized_lut q = quantize({x, x}, {});
    CHECK(q.scale.scale == 0x1p-23F);
    CHECK(codes(q) == std::vector<int>{0, 0});
  }
}

TEST_CASE("lut_quantize: an entry moves by half a step at most, one step where it is clipped") {
  lutra::random_stream random(5);
  for (const auto d : {dtype::int8, dtype::uint8}) {
    for (const auto s :
         {qscheme::symmetric, qscheme::symmetric_with_clipping, qscheme::asymmetric}) {
      for (int trial = 0; trial < 50; ++trial) {
        float_table t;
        for (int k = 0; k < 16; ++k) {
          t.push_back(static_cast<float>(random.normal() + (trial % 3 - 1) * 2.0));
        }
        std::sort(t.begin(), t.end());
        const quantized_lut q = quantize(t, {.dtype = d, .qscheme = s});
        const std::vector<float> v = values(q);
        CHECK(std::is_sorted(v.begin(), v.end()));
        for (std::size_t k = 0; k < t.size(); ++k) {
          CHECK(std::fabs(v[k] - t[k]) <= q.scale.scale * 1.0001F);
        }
      }
    }
  }
}

}  // namespace
