#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// The definition in double: the conversion of acc + bias, the addition of the rest and the product are each rounded to
// float once: before that conversion and product are exact in double, and a sum of two floats that double rounds has
// the same float (double has more than twice the digits).
float scaled(std::int32_t acc, std::int32_t bias, float m, float rest) {
  const auto sum =
      static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) + static_cast<std::uint32_t>(bias));
  const auto f = static_cast<float>(static_cast<double>(sum));
  const auto sum_and_rest = static_cast<float>(static_cast<double>(f) + static_cast<double>(rest));
  return static_cast<float>(static_cast<double>(sum_and_rest) * static_cast<double>(m));
}
double requantized(std::int32_t acc, std::int32_t bias, float m, float rest, const requantize& e) {
  const double q = std::nearbyint(static_cast<double>(scaled(acc, bias, m, rest)));
  return std::clamp(q + e.zero_point, static_cast<double>(e.lo), static_cast<double>(e.hi));
}

// Sums that are the biases alone: weights of 0, one row per case.
struct bias_cases {
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
  std::vector<float> rest;
  void add(std::int32_t b, float m, float of_bias = 0) {
    bias.push_back(b);
    multiplier.push_back(m);
    rest.push_back(of_bias);
  }
  index_t size() const { return static_cast<index_t>(bias.size()); }
};

bias_cases interesting_cases() {
  constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  bias_cases c;
  for (std::int32_t b = -601; b <= 601; ++b) {
    for (const float m : {0.5F, 0.25F, 1.5F, 0.1F, 1.0F}) c.add(b, m);  // ties
    for (const float rest : {0.5F, -0.5F, 0.25F, 0.1F, -0x1p-30F}) c.add(b, 1.0F, rest);
  }
  for (const std::int32_t b : {least, least + 1, -16777217, -1, 0, 1, 16777217, most - 64, most}) {
    for (const float m : {1e-30F, 1e-9F, 3e-8F, 1.0F, 2.0F, 1e9F, 3e38F, 1e-45F}) c.add(b, m);
    for (const float rest : {0.4F, 1e9F, -3e9F, 3e38F, -3e38F, 1e-45F}) c.add(b, 1e-7F, rest);
  }
  random_stream r(1);
  for (int i = 0; i < 20000; ++i) {
    const int shift = static_cast<int>(r.below(32));
    const auto b = static_cast<std::int32_t>(static_cast<std::uint32_t>(r.next()) >> shift);
    // Near a tie: a multiplier that takes b close to n + 1/2.
    const double target = static_cast<double>(test::pick(r, -200, 200)) + 0.5;
    const double m = b == 0 ? 1.0 : std::fabs(target / b);
    c.add(r.below(2) ? b : -b, static_cast<float>(std::max(m, 1e-12)),
          i % 2 == 0 ? 0.0F : static_cast<float>(r.uniform() - 0.5));
  }
  return c;
}

packed_palette zero_palette(index_t rows) {
  random_stream r(2);
  auto p = test::random_palette(r, shape{rows, 1, 1, 1}, {.bits = 1});
  std::ranges::fill(p.lut_codes, std::uint8_t{0});
  return p;
}

// Runs one epilogue through the convolution and, with the weight reshaped, through the GEMM.
template <class Out, class Epilogue, class Level>
std::array<tensor<Out>, 2> run(const packed_palette& p, const Epilogue& e, Level level) {
  const index_t rows = p.weight_shape[0];
  tensor<Out> by_conv(shape{1, rows, 1, 1}), by_gemm(shape{1, rows});
  const tensor<std::int8_t> pixel(shape{1, 1, 1, 1});
  conv2d(make_lut_matrix(p, level), pixel, {}, e, by_conv, level);
  auto matrix = p;
  matrix.weight_shape = shape{rows, 1};
  matrix.block = shape{rows, 1};
  gemm(make_lut_matrix(matrix, level), tensor<std::int8_t>(shape{1, 1}), e, by_gemm, level);
  return {std::move(by_conv), std::move(by_gemm)};
}

}  // namespace

TEST_CASE("epilogue: requantize has the bits of its definition: ties, saturation, near-ties") {
  const bias_cases cases = interesting_cases();
  const auto p = zero_palette(cases.size());
  requantize e{.multiplier = cases.multiplier, .bias = cases.bias};
  e.rest = cases.rest;
  const auto check = [&]<class Out>(Out) {
    for_each_kernel_level([&](auto level) {
      for (const auto& out : run<Out>(p, e, level)) {
        index_t wrong = 0;
        for (index_t i = 0; i < cases.size(); ++i) {
          const auto k = static_cast<std::size_t>(i);
          const double expected =
              requantized(0, cases.bias[k], cases.multiplier[k], cases.rest[k], e);
          wrong += static_cast<double>(out[i]) != expected;
          wrong += static_cast<double>(reference::requantize(0, cases.bias[k], cases.multiplier[k],
                                                             e.zero_point, e.lo, e.hi,
                                                             cases.rest[k])) != expected;
        }
        CAPTURE(std::string(decltype(level)::name));
        CHECK(wrong == 0);
      }
    });
  };
  check(std::int8_t{});
  for (const auto& [zero_point, lo, hi] : {std::array{-128, -128, 127}, std::array{127, -128, 127},
                                           std::array{3, 3, 127}, std::array{-7, -100, -50}}) {
    e.zero_point = zero_point;
    e.lo = lo;
    e.hi = hi;
    check(std::int8_t{});
  }
  for (const auto& [zero_point, lo, hi] :
       {std::array{0, 0, 255}, std::array{255, 0, 255}, std::array{131, 131, 200}}) {
    e.zero_point = zero_point;
    e.lo = lo;
    e.hi = hi;
    check(std::uint8_t{});
  }
}

TEST_CASE("epilogue: dequantize has the bits of its definition") {
  const bias_cases cases = interesting_cases();
  const auto p = zero_palette(cases.size());
  for_each_kernel_level([&](auto level) {
    for (const auto& out :
         run<float>(p, dequantize_rows{cases.multiplier, cases.bias, cases.rest}, level)) {
      index_t wrong = 0;
      for (index_t i = 0; i < cases.size(); ++i) {
        const auto k = static_cast<std::size_t>(i);
        const float expected = scaled(0, cases.bias[k], cases.multiplier[k], cases.rest[k]);
        wrong += out[i] != expected;
        wrong +=
            reference::dequantize(0, cases.bias[k], cases.multiplier[k], cases.rest[k]) != expected;
      }
      CAPTURE(std::string(decltype(level)::name));
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("epilogue: an absent bias is 0, acc + bias wraps") {
  random_stream r(3);
  auto p = test::random_palette(r, shape{3, 4}, {});
  std::ranges::fill(p.lut_codes, std::uint8_t{1});
  tensor<std::int8_t> x(shape{1, 4}, {1, 2, 3, 4});
  for_each_kernel_level([&](auto level) {
    const lut_matrix w = make_lut_matrix(p, level);
    tensor<std::int8_t> q(shape{1, 3});
    gemm(w, x, requantize{{1.0F, 0.5F, 2.0F}, {}}, q, level);
    CHECK(q.elements() == std::vector<std::int8_t>{10, 5, 20});
    tensor<float> y(shape{1, 3});
    gemm(w, x, dequantize_rows{{1, 1, 1}, {2147483647, -11, 0}}, y, level);
    CHECK(y.elements() == std::vector<float>{-2147483648.0F + 9.0F, -1.0F, 10.0F});
  });
}

TEST_CASE("epilogue: multipliers, biases and bounds are checked") {
  random_stream r(4);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{2, 4}, {}));
  const tensor<std::int8_t> x(shape{1, 4});
  tensor<std::int8_t> q(shape{1, 2});
  tensor<std::uint8_t> u(shape{1, 2});
  tensor<float> y(shape{1, 2});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  CHECK_ERROR(gemm(w, x, requantize{{1.0F}, {}}, q), shape_mismatch, "multiplier", "got 1", "2");
  CHECK_ERROR(gemm(w, x, requantize{{1.0F, 1.0F}, {1}}, q), shape_mismatch, "bias", "got 1");
  for (const float bad : {0.0F, -1.0F, nan, inf}) {
    CHECK_ERROR(gemm(w, x, requantize{{1.0F, bad}, {}}, q), invalid_argument, "multiplier",
                " in row 1, allowed: > 0");
    CHECK_ERROR(gemm(w, x, dequantize_rows{{bad, 1.0F}, {}}, y), invalid_argument, "multiplier",
                " in row 0");
  }
  const std::vector<float> ones{1.0F, 1.0F};
  CHECK_ERROR(gemm(w, x, requantize{.multiplier = ones, .bias = {}, .rest = {0.5F}}, q),
              shape_mismatch, "rest of the bias", "got 1", "2");
  for (const float bad : {nan, inf, -inf}) {
    CHECK_ERROR(gemm(w, x, dequantize_rows{ones, {}, {0.0F, bad}}, y), invalid_argument,
                "rest of the bias is not finite", " in row 1");
  }
  dequantize_rows overlapping{ones, {}, ones};
  CHECK_ERROR(gemm(w, x, overlapping, tensor_view<float>(overlapping.rest.data(), shape{1, 2})),
              invalid_argument, "out overlaps rest of the bias");
  CHECK_ERROR(gemm(w, x, requantize{ones, {}, 128}, q), invalid_argument, "zero_point", "128");
  CHECK_ERROR(gemm(w, x, requantize{ones, {}, 0, -129, 127}, q), invalid_argument, "lo", "-129");
  CHECK_ERROR(gemm(w, x, requantize{ones, {}, 0, 5, 4}, q), invalid_argument, "hi", "5..127");
  CHECK_ERROR(gemm(w, x, requantize{ones, {}, 0, 0, 256}, u), invalid_argument, "hi", "256");
  CHECK_ERROR(gemm(w, x, requantize{ones, {}, -1, 0, 255}, u), invalid_argument, "zero_point");
}
