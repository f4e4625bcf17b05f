// Values for which a fused multiply-add gives another result than a rounded multiply and a rounded add.
// tests/strict_fp searches the disassembly; these catch contraction where it changes a number, at every level.
#include <doctest/doctest.h>

#include <cmath>
#include <lutra/affine/quantize.hpp>
#include <lutra/core/random.hpp>
#include <lutra/tensor/traits.hpp>

#include "levels.hpp"

using namespace lutra;

namespace {

// Rounded product, rounded sum: the store in between keeps any compiler from fusing.
float unfused(float a, float b, float c) {
  volatile float product = a * b;
  return product + c;
}

}  // namespace

TEST_CASE("contraction: minval dequantize and fake_quantize multiply, round, add, round") {
  random_stream random(17);
  int telling = 0;
  for (int i = 0; i < 400; ++i) {
    qparams p;
    p.qformulation = qformulation::minval;
    p.scale = {static_cast<float>(random.uniform() + 0.1)};
    p.minval = {-static_cast<float>(random.uniform() * 20)};
    p.zero_point = {0};
    std::vector<std::int8_t> q(67);
    for (auto& e : q) e = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
    std::vector<float> expected, fused;
    for (const std::int8_t e : q) {
      const auto index = static_cast<float>(e) + 128.0F;
      expected.push_back(unfused(index, p.scale[0], p.minval[0]));
      fused.push_back(std::fma(index, p.scale[0], p.minval[0]));
    }
    telling += expected != fused;
    for_each_level([&](auto level) {
      std::vector<float> got(q.size());
      dequantize<decltype(level)>(view(std::as_const(q)), p, view(got));
      CHECK(got == expected);
      // The exact middle of a step quantizes to its index, so the output is the same dequantized value.
      fake_quantize<decltype(level)>(view(std::as_const(expected)), p, view(got));
      CHECK(got == expected);
    });
  }
  CHECK(telling > 390);  // or these numbers would prove nothing
}
