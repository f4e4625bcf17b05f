#include <lutra/runtime/layer_epilogue.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <lutra/runtime/gemm.hpp>
#include <lutra/runtime/reference.hpp>

#include "errors.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// A layer of random scales and biases, some of which cancel the sums or are larger than int32 holds.
struct layer {
  packed_palette p;
  activation_scale x, y;
  std::vector<float> bias;
};
template <class X, class Out> layer random_layer(random_stream& r) {
  const shape s{test::pick(r, 1, 9), test::pick(r, 1, 40)};
  layer l;
  l.p = test::random_palette(r, s, {.group_rows = test::pick(r, 0, 3), .zero_points = true});
  const auto scale = [&] { return static_cast<float>(std::exp2(r.uniform() * 16 - 12)); };
  for (float& v : l.p.scale) v = scale();
  const auto zero_point = [&](auto of) {
    using T = decltype(of);
    return static_cast<std::int32_t>(
        test::pick(r, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  };
  l.x = {scale(), zero_point(X{})};
  l.y = {scale() * 256, zero_point(Out{})};
  if (r.below(4) == 0) return l;
  const std::array<double, 4> sizes{1e-3, 1, 1e3, 1e12};
  for (index_t i = 0; i < s[0]; ++i) {
    l.bias.push_back(static_cast<float>((r.uniform() - 0.5) * sizes[r.below(4)]));
  }
  return l;
}

// Sums, biases and quotients in long double, each code rounded once; `slack` in steps beside a tie may go either way.
template <class X, class Out> void check_codes(std::uint64_t seed) {
  random_stream r(seed);
  index_t wrong = 0;
  for (int round = 0; round < (test::quick() ? 40 : 400); ++round) {
    const layer l = random_layer<X, Out>(r);
    const lut_matrix w = make_lut_matrix(l.p);
    const auto weights = reference::integer_weights(l.p);
    const auto x = test::random_tensor<X>(r, shape{w.depth()});
    tensor<Out> codes({w.rows()});
    tensor<float> floats({w.rows()});
    gemv(w, view(x), requantize_of<Out>(w, l.x, l.y, l.bias), view(codes));
    gemv(w, view(x), dequantize_of(w, l.x, l.bias), view(floats));
    for (index_t row = 0; row < w.rows(); ++row) {
      long double sum = 0;
      for (index_t k = 0; k < w.depth(); ++k) {
        sum += static_cast<long double>(x[k] - l.x.zero_point) *
               static_cast<long double>(weights[row * w.depth() + k]);
      }
      const long double b = l.bias.empty() ? 0 : l.bias[to_size(row)];
      const long double real =
          sum * static_cast<long double>(w.row_scale(row)) * static_cast<long double>(l.x.scale) +
          b;
      const long double q = real / static_cast<long double>(l.y.scale) + l.y.zero_point;
      const long double lowest = std::numeric_limits<Out>::min();
      const long double highest = std::numeric_limits<Out>::max();
      const long double got = codes[row];
      constexpr long double slack = 0x1p-13L;
      const long double clamped = std::clamp(q, lowest, highest);
      if (!(std::fabs(got - clamped) <= 0.5L + slack)) ++wrong;
      const long double most = 0x1p-21L * std::fabs(real) + 0x1p-22L * std::fabs(b);
      if (!(std::fabs(static_cast<long double>(floats[row]) - real) <= most)) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("layer_epilogue: codes are those of exact arithmetic, floats near it") {
  check_codes<std::int8_t, std::int8_t>(1);
  check_codes<std::int8_t, std::uint8_t>(2);
  check_codes<std::uint8_t, std::int8_t>(3);
  check_codes<std::uint8_t, std::uint8_t>(4);
}

TEST_CASE("layer_epilogue: without a bias, and bounds of the output type") {
  random_stream r(5);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{3, 4}, {}));
  const requantize e = requantize_of<std::uint8_t>(w, {0.5F, 2}, {0.25F, 7});
  CHECK(e.lo == 0);
  CHECK(e.hi == 255);
  CHECK(e.zero_point == 7);
  CHECK(e.rest.empty());
  for (index_t row = 0; row < 3; ++row) {
    CHECK(e.bias[to_size(row)] == -2 * w.row_sum(row));
    CHECK(e.multiplier[to_size(row)] == w.row_scale(row) * 2);
  }
  CHECK(requantize_of(w, {}, {}).lo == -128);
}

TEST_CASE("layer_epilogue: a bias beyond int32 is a float beside a clamped integer") {
  random_stream r(6);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{1, 2}, {}));
  const float huge = 1e15F * w.row_scale(0);
  const requantize e = requantize_of(w, {1, 0}, {1, 0}, std::span(&huge, 1));
  CHECK(e.bias[0] > 2'140'000'000);
  CHECK(static_cast<double>(e.rest[0]) == doctest::Approx(1e15 - e.bias[0]).epsilon(1e-7));
}

namespace {

// All weights table[0] - zero_point, codes the farthest from the zero point of x: no sum of this depth is larger.
template <class X> void check_largest_sums(index_t depth, std::int32_t z_x) {
  packed_palette p;
  p.weight_shape = p.block = {2, depth};
  p.n_bits = 1;
  p.codes.resize(to_size(packed_bytes(2 * depth, 1)));
  p.lut_codes = {128, 128};
  p.zero_point = {127};  // weights of -255
  p.scale = {1};
  const lut_matrix w = make_lut_matrix(p);
  REQUIRE(depth <= w.max_depth<X>());
  for (const X code : {std::numeric_limits<X>::min(), std::numeric_limits<X>::max()}) {
    tensor<X> x({depth});
    std::ranges::fill(x.elements(), code);
    const double sum = -255.0 * static_cast<double>(depth) * (code - z_x);
    for (const float bias : {4e9F, 1e15F}) {
      const std::array<float, 2> both{bias, -bias};  // with the sum or against it
      tensor<float> out({2});
      gemv(w, view(x), dequantize_of(w, {1, z_x}, both), view(out));
      CAPTURE(depth);
      CAPTURE(z_x);
      for (index_t row = 0; row < 2; ++row) {
        const auto b = static_cast<double>(both[to_size(row)]);
        CHECK(std::fabs(static_cast<double>(out[row]) - (sum + b)) <= 0x1p-21 * std::fabs(b));
      }
    }
  }
}

}  // namespace

TEST_CASE("layer_epilogue: the largest sums and biases beyond int32 do not wrap") {
  for (const index_t depth :
       {1, 1000, 32768, 33025}) {  // of uint8 33,025 at most, so shallow ones of int8
    for (const int z_x : {-128, 0, 127}) check_largest_sums<std::int8_t>(depth, z_x);
    for (const int z_x : {0, 128, 255}) check_largest_sums<std::uint8_t>(depth, z_x);
  }
  check_largest_sums<std::int8_t>(65000, 0);  // deeper ones are of int8, with little beside them
  check_largest_sums<std::int8_t>(50000, 38);
}

TEST_CASE("layer_epilogue: what cannot be is refused, with the row") {
  random_stream r(7);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{3, 4}, {.zero_points = true}));
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_ERROR(requantize_of(w, {0, 0}, {}), invalid_argument, "scale of x is not", "requantize_of",
              "0");
  CHECK_ERROR(requantize_of(w, {nan, 0}, {}), invalid_argument, "scale of x", "nan");
  CHECK_ERROR(requantize_of(w, {}, {-1, 0}), invalid_argument, "scale of the output", "-1");
  CHECK_ERROR(requantize_of(w, {1, 256}, {}), invalid_argument, "zero_point of x", "256",
              "-128..255");
  CHECK_ERROR(requantize_of(w, {}, {1, 128}), invalid_argument, "zero_point of the output", "128",
              "-128..127");
  CHECK_ERROR(requantize_of<std::uint8_t>(w, {}, {1, -1}), invalid_argument, "-1", "0..255");
  CHECK_ERROR(dequantize_of(w, {-2, 0}), invalid_argument, "dequantize_of", "-2");
  CHECK_ERROR(requantize_of(w, {1e-30F, 0}, {1e30F, 0}), unsupported, "normal multiplier",
              "in row 0");
  CHECK_ERROR(requantize_of(w, {1e30F, 0}, {1e-30F, 0}), unsupported, "normal multiplier");
  const std::vector<float> two{1, 2}, not_finite{1, 2, nan}, too_large{1, 3e38F, 1};
  CHECK_ERROR(requantize_of(w, {}, {}, two), shape_mismatch, "bias", "2", "3");
  CHECK_ERROR(requantize_of(w, {}, {}, not_finite), unsupported, "bias is no finite", "in row 2");
  CHECK_ERROR(requantize_of(w, {1e-9F, 0}, {1e-9F, 0}, too_large), unsupported, "bias is no finite",
              "in row 1");
  // All weights -127, so deep that only int8 fits: -128 * -127 * 100,000 do, with a zero point of 127 beside they do
  // not.
  const auto deep = [&](index_t depth) {
    auto p = test::random_palette(r, shape{1, depth}, {.bits = 1});
    p.lut_codes = {129, 129};
    return make_lut_matrix(p);
  };
  CHECK_ERROR(requantize_of(deep(100000), {1, 127}, {}), unsupported, "do not fit int32",
              "in row 0", "2147483647");
  CHECK(requantize_of(deep(100000), {1, 0}, {}).bias[0] == 0);
  CHECK(requantize_of(deep(100000), {1, 30}, {}).bias[0] == 30 * 127 * 100000);
  CHECK(requantize_of(deep(65000), {1, 255}, {}).bias[0] == 255 * 127 * 65000);
}
