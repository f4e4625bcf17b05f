#include <doctest/doctest.h>

#include <limits>
#include <lutra/runtime/reference.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/geometries.hpp"
#include "runtime/output_memory.hpp"

using namespace lutra;

namespace {

quantized_output random_codes(random_stream& r, index_t rows, std::int32_t lowest) {
  quantized_output q;
  for (index_t i = 0; i < rows; ++i) q.real.bias.push_back(static_cast<float>(r.normal() * 10));
  q.real.lo = r.below(2) == 0 ? 0.0F : -std::numeric_limits<float>::infinity();
  q.scale = static_cast<float>(1 + 9 * r.uniform());
  q.zero_point = lowest + static_cast<std::int32_t>(test::pick(r, 0, 255));
  q.lo = lowest + static_cast<std::int32_t>(test::pick(r, 0, 100));
  q.hi = lowest + static_cast<std::int32_t>(test::pick(r, 150, 255));
  return q;
}

// Floats and codes of every level against the reference; x ends at a guard page.
template <class X>
bool every_level_scales(random_stream& r, const test::geometry& g, const test::palette_options& o,
                        bool row_scales) {
  const index_t groups = g.options.groups;
  auto p = test::random_palette(
      r, shape{g.filters * groups, g.channels, g.kernel_height, g.kernel_width}, o);
  for (index_t i = 0; row_scales && i < g.filters * groups; ++i) {
    p.row_scale.push_back(static_cast<float>(r.uniform() + 0.1));
  }
  const shape image{g.n, g.channels * groups, g.height, g.width};
  test::guarded<X> input(image.size());
  test::fill<X>(r, input.elements());
  const tensor_view<const X> x(input.data(), image);
  const shape result = test::output_of(g);
  constexpr std::int32_t lowest = std::is_signed_v<X> ? -128 : 0;
  const activation_scale s{0.01F, g.options.padding_value};
  const quantized_output q = random_codes(r, result[1], lowest);
  tensor<float> expected(result);
  reference::conv2d<X>(p, x, g.options.window, groups, g.options.padding_value,
                       {1, s.zero_point, {s.scale}, q.real.bias, q.real.lo, q.real.hi}, expected);
  const unit_params u{dtype::int8,
                      true,
                      q.scale,
                      static_cast<float>(q.zero_point),
                      0,
                      static_cast<float>(q.lo),
                      static_cast<float>(q.hi)};
  bool good = true;
  for_each_kernel_level([&](auto level) {
    const auto w = make_grouped_lut_matrix(p, level, {.three_bits_from = 0});
    test::fenced<float> floats(expected.size(), 3);
    conv2d_scaled(w, x, g.options, s, q.real, tensor_view<float>(floats.data(), result), level);
    test::guarded<X> codes(expected.size());
    conv2d_scaled(test::backward_executor{}, w, x, g.options, s, q,
                  tensor_view<X>(codes.data(), result), level);
    bool same = floats.intact();
    for (index_t i = 0; i < expected.size(); ++i) {
      same =
          same && floats.data()[i] == expected[i] && codes.data()[i] == encode_one(expected[i], u);
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", weight "
                       << text_of(p.weight_shape) << " in " << text_of(p.block) << ", image "
                       << text_of(image) << ", out " << text_of(result));
    }
  });
  return good;
}

}  // namespace

TEST_CASE("scaled_conv: random windows and groups along both axes equal the reference") {
  random_stream r(1);
  bool good = true;
  for (int i = 0; i < (test::quick() ? 60 : 400); ++i) {
    test::geometry g = test::random_geometry(r);
    g.channels = test::pick(r, 1, 9);
    const test::palette_options o{.bits = static_cast<int>(test::pick(r, 1, 8)),
                                  .group_rows = std::array<index_t, 4>{0, 1, 4, 6}[r.below(4)],
                                  .lowest = i % 2 ? -128 : -127,
                                  .zero_points = i % 3 == 0,
                                  .group_columns = test::pick(r, 0, 4)};
    if (i % 2 == 0) {
      good = every_level_scales<std::int8_t>(r, g, o, i % 5 == 0) && good;
    } else {
      g.options.padding_value += 128;
      good = every_level_scales<std::uint8_t>(r, g, o, i % 5 == 0) && good;
    }
  }
  CHECK(good);
}

TEST_CASE("scaled_conv: channels and blocks of taps around what a tile holds") {
  random_stream r(5);
  bool good = true;
  for (const index_t filters : {6, 16, 17, 32, 33, 50}) {
    test::geometry g{1, 19, filters, 5, 14, 3, 2, {}};
    g.options.padding_value = -7;
    g.options.window.padding = {1, 0};
    g.options.groups = filters < 20 ? 2 : 1;
    const test::palette_options o{.zero_points = filters % 2 != 0, .group_columns = 8};
    good = every_level_scales<std::int8_t>(r, g, o, filters % 3 == 0) && good;
  }
  CHECK(good);
}

TEST_CASE("scaled_conv: blocks of which only some have zero points") {
  random_stream r(2);
  auto p = test::random_palette(r, shape{5, 7, 3, 3}, {.group_columns = 3});
  p.zero_point = {0, -77, 0};
  const auto x = test::random_tensor<std::uint8_t>(r, shape{2, 7, 9, 30});
  tensor<float> expected(shape{2, 5, 7, 28}), out(expected.extents());
  const float infinity = std::numeric_limits<float>::infinity();
  reference::conv2d<std::uint8_t>(p, view(x), {}, 1, 0, {1, 9, {0.5F}, {}, -infinity, infinity},
                                  expected);
  for_each_kernel_level([&](auto level) {
    conv2d_scaled(make_grouped_lut_matrix(p, level), x, {}, {0.5F, 9}, {}, out, level);
    CHECK(out == expected);
  });
}

TEST_CASE("scaled_conv: strided views, empty ones, one slice") {
  random_stream r(3);
  const auto p = test::random_palette(r, shape{6, 4, 3, 3}, {.group_columns = 2});
  const auto pixels = test::random_tensor<std::uint8_t>(r, shape{2, 9, 11, 4});  // NHWC
  const std::array<index_t, 4> channels_last{9 * 11 * 4, 1, 11 * 4, 4};
  const tensor_view<const std::uint8_t> x(pixels.data(), shape{2, 4, 9, 11}, channels_last);
  const auto dense = tensor<std::uint8_t>::copy_of(x);
  const conv2d_options o{.window = window2d::symmetric({2, 1}, {1, 1}), .padding_value = 200};
  const activation_scale s{0.25F, 200};
  const quantized_output q{{}, 90, 128, 0, 255};
  tensor<std::uint8_t> expected(shape{2, 6, 5, 11});
  conv2d_scaled(make_grouped_lut_matrix(p), dense, o, s, q, expected);
  for_each_kernel_level([&](auto level) {
    tensor<std::uint8_t> out(shape{2, 5, 11, 6});
    const std::array<index_t, 4> out_strides{5 * 11 * 6, 1, 11 * 6, 6};
    const tensor_view<std::uint8_t> as_nchw(out.data(), shape{2, 6, 5, 11}, out_strides);
    conv2d_scaled(make_grouped_lut_matrix(p, level), x, o, s, q, as_nchw, level);
    CHECK(tensor<std::uint8_t>::copy_of(as_nchw) == expected);
  });
  tensor<float> nothing(shape{0, 6, 5, 11});
  conv2d_scaled(make_grouped_lut_matrix(p), tensor<std::uint8_t>(shape{0, 4, 9, 11}), o, s, {},
                nothing);
  // No input channels: the bias alone.
  const auto none = test::random_palette(r, shape{3, 0, 2, 2}, {.group_columns = 2});
  tensor<float> biases(shape{1, 3, 3, 4});
  conv2d_scaled(make_grouped_lut_matrix(none), tensor<std::int8_t>(shape{1, 0, 4, 5}), {}, {},
                {.bias = {1, 2, 3}}, biases);
  for (index_t i = 0; i < biases.size(); ++i) {
    CHECK(biases[i] == static_cast<float>(1 + i / 12));
  }
  // A matrix that is not grouped gives what dequantize_rows gives, up to the order of scales.
  const auto whole = test::random_palette(r, shape{6, 4, 3, 3}, {.group_rows = 2});
  const lut_matrix w = make_lut_matrix(whole);
  dequantize_rows rows;
  for (index_t i = 0; i < 6; ++i) rows.multiplier.push_back(w.row_scale(i));
  tensor<float> a(expected.extents()), b(expected.extents());
  conv2d(w, dense, o, rows, a);
  conv2d_scaled(w, dense, o, {}, {}, b);
  CHECK(a == b);
  tensor<float> c(expected.extents());  // without an output, as gemm_scaled
  conv2d_scaled(w, dense, o, {}, c);
  CHECK(a == c);
}

TEST_CASE("scaled_conv: what does not fit is an error") {
  random_stream r(4);
  const auto p = test::random_palette(r, shape{4, 2, 3, 3}, {.group_columns = 1});
  const auto w = make_grouped_lut_matrix(p);
  const tensor<std::int8_t> x(shape{1, 2, 5, 5});
  const tensor<std::uint8_t> u(shape{1, 2, 5, 5});
  tensor<float> out(shape{1, 4, 3, 3});
  conv2d_scaled(w, x, {}, {}, {}, out);
  for (const float scale : {0.0F, -1.0F, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_ERROR(conv2d_scaled(w, x, {}, {scale}, {}, out), invalid_argument, "scale",
                "conv2d_scaled");
  }
  CHECK_ERROR(conv2d_scaled(w, x, {}, {1, 128}, {}, out), invalid_argument, "zero_point", "128");
  CHECK_ERROR(conv2d_scaled(w, u, {}, {1, -1}, {}, out), invalid_argument, "zero_point", "-1");
  CHECK_ERROR(conv2d_scaled(w, x, {.padding_value = 128}, {}, {}, out), invalid_argument,
              "padding_value", "128");
  CHECK_ERROR(conv2d_scaled(w, u, {.padding_value = -1}, {}, {}, out), invalid_argument,
              "padding_value", "-1");
  CHECK_ERROR(conv2d_scaled(w, x, {}, {}, {.bias = {1}}, out), shape_mismatch, "bias",
              "(conv2d_scaled)");
  tensor<std::int8_t> codes(shape{1, 4, 3, 3}), pooled(shape{1, 4, 1, 1});
  CHECK_ERROR(conv2d_scaled(w, x, {}, {}, quantized_output{{}, 0}, codes), invalid_argument,
              "scale of the output", "(conv2d_scaled)");
  CHECK_ERROR(conv2d_scaled(w, x, {.pool = true}, {}, quantized_output{}, pooled), unsupported,
              "pooled");
  tensor<float> wrong(shape{1, 4, 3, 4});
  CHECK_ERROR(conv2d_scaled(w, x, {}, {}, {}, wrong), shape_mismatch, "[1, 4, 3, 4]");
  CHECK_ERROR(conv2d_scaled(w, tensor<std::int8_t>(shape{1, 3, 5, 5}), {}, {}, {}, out),
              shape_mismatch, "[1, 3, 5, 5]");
  tensor<float> both(shape{100});
  const tensor_view<const std::int8_t> in(reinterpret_cast<std::int8_t*>(&both[20]),
                                          shape{1, 2, 5, 5});
  CHECK_ERROR(conv2d_scaled(w, in, {}, {}, {}, tensor_view<float>(both.data(), out.extents())),
              invalid_argument, "out overlaps x");
  // Depths are limited block by block, and with a zero point further.
  const auto deep = test::random_palette(r, shape{1, 65794, 1, 1}, {.bits = 1});
  const tensor<std::int8_t> codes_in(shape{1, 65794, 1, 1});
  tensor<float> one(shape{1, 1, 1, 1});
  conv2d_scaled(make_lut_matrix(deep), codes_in, {}, {}, {}, one);
  CHECK_ERROR(conv2d_scaled(make_lut_matrix(deep), codes_in, {}, {1, 5}, {}, one), unsupported,
              "65794", "zero point");
  if constexpr (!std::is_same_v<simd::native, simd::portable>) {
    CHECK_ERROR(conv2d_scaled(w, x, {}, {}, {}, out, simd::portable{}), incompatible,
                "another level", "portable");
  }
}

TEST_CASE("scaled_conv: out is aligned and does not overlap itself") {
  random_stream r(5);
  const auto w =
      make_grouped_lut_matrix(test::random_palette(r, shape{4, 2, 3, 3}, {.group_columns = 1}));
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 2, 5, 5});
  const shape s{2, 4, 3, 3};
  test::check_output_memory<float>(s, [&](auto out) { conv2d_scaled(w, x, {}, {}, {}, out); });
  test::check_output_memory<std::int8_t>(
      s, [&](auto out) { conv2d_scaled(w, x, {}, {}, quantized_output{}, out); });
}

TEST_CASE("scaled_conv: out lies apart from the bias") {
  random_stream r(13);
  const auto w = make_grouped_lut_matrix(test::random_palette(r, shape{4, 1, 1, 1}, {}));
  const tensor<std::int8_t> x(shape{1, 1, 1, 1});
  float_output o{.bias = {1, 2, 3, 4}};
  const tensor_view<float> out(o.bias.data(), shape{1, 4, 1, 1});
  CHECK_ERROR(conv2d_scaled(w, x, {}, {}, o, out), invalid_argument, "out overlaps bias");
}
