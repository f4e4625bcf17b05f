#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <lutra/runtime/conv_transpose.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/groups.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// The definition: every input code minus the zero point, scattered through the kernel, in int64. A position
// outside x and between its rows counts as the zero point, so it adds w * zero_point to the sum of codes.
template <class X>
tensor<std::int32_t> scattered(const tensor<std::int32_t>& w, const tensor<X>& x,
                               const conv_transpose2d_options& o, const shape& out) {
  std::vector<std::int64_t> real(static_cast<std::size_t>(out.size()));
  const shape& s = w.extents();
  const index_t inputs = s[0] / o.groups, outputs = s[1];
  const auto sums = [&](index_t filter) {  // of the filter's weights
    std::int64_t sum = 0;
    for (index_t c = 0; c < inputs; ++c) {
      const index_t row = (filter / outputs * inputs + c) * outputs + filter % outputs;
      for (index_t k = 0; k < s[2] * s[3]; ++k) sum += w[row * s[2] * s[3] + k];
    }
    return sum;
  };
  for (index_t at = 0; at < x.size(); ++at) {
    const index_t j = at % x.extent(3), i = at / x.extent(3) % x.extent(2);
    const index_t c = at / (x.extent(3) * x.extent(2)) % x.extent(1);
    const index_t n = at / (x.extent(3) * x.extent(2) * x.extent(1));
    for (index_t f = 0; f < outputs; ++f) {
      for (index_t k = 0; k < s[2] * s[3]; ++k) {
        const window2d& g = o.geometry.window;
        const index_t y = i * g.stride[0] - g.padding[0] + k / s[3] * g.dilation[0];
        const index_t z = j * g.stride[1] - g.padding[1] + k % s[3] * g.dilation[1];
        if (y < 0 || y >= out[2] || z < 0 || z >= out[3]) continue;
        const index_t filter = c / inputs * outputs + f;
        real[static_cast<std::size_t>(((n * out[1] + filter) * out[2] + y) * out[3] + z)] +=
            std::int64_t{w[(c * outputs + f) * s[2] * s[3] + k]} * (x[at] - o.padding_value);
      }
    }
  }
  tensor<std::int32_t> result(out);
  for (index_t i = 0; i < out.size(); ++i) {
    const index_t filter = i / (out[2] * out[3]) % out[1];
    result[i] = static_cast<std::int32_t>(real[static_cast<std::size_t>(i)] +
                                          sums(filter) * o.padding_value);
  }
  return result;
}

// Random palette of [in, out / groups, kh, kw] with tables for `block` output channels and for `inputs` input
// channels (0: for all).
packed_palette palette_of(random_stream& r, const shape& s, index_t block, int bits,
                          index_t inputs = 0) {
  packed_palette p = test::random_palette(r, s, {.bits = bits, .group_rows = inputs});
  if (block == 0) return p;
  p.block = p.block.with(1, block);
  const auto groups = static_cast<std::size_t>(p.groups().count());
  p.lut_codes.resize(groups << bits);
  for (auto& entry : p.lut_codes) entry = static_cast<std::uint8_t>(r.below(256));
  p.scale.assign(groups, 0.0F);
  for (std::size_t g = 0; g < groups; ++g) p.scale[g] = static_cast<float>(g + 1);
  p.zero_point.resize(groups);
  return p;
}

conv_transpose2d_options random_options(random_stream& r) {
  conv_transpose2d_options o;
  o.groups = test::pick(r, 1, 3);
  o.padding_value = static_cast<std::int8_t>(test::pick(r, -128, 127));
  window2d& w = o.geometry.window;
  for (std::size_t a = 0; a < 2; ++a) {
    w.stride[a] = test::pick(r, 1, 3);
    w.padding[a] = test::pick(r, 0, 3);
    w.padding_end[a] = test::pick(r, 0, 3);
    w.dilation[a] = test::pick(r, 1, 2);
    o.geometry.output_padding[a] = test::pick(r, 0, std::max(w.stride[a], w.dilation[a]) - 1);
  }
  return o;
}

struct counting_executor {
  index_t* calls;
  template <class F> void bulk(index_t n, F&& f) const {
    ++*calls;
    for (index_t i = 0; i < n; ++i) f(i);
  }
};

// Float sums by the definition: blocks of input channels one by one. One filter's table of a block has one scale.
tensor<float> scattered_floats(const packed_palette& p, const tensor<std::uint8_t>& x,
                               const conv_transpose2d_options& o, const activation_scale& s,
                               const shape& result) {
  const tensor<std::int32_t> w = reference::integer_weights(p);
  const shape& ws = p.weight_shape;
  const index_t inputs = ws[0] / o.groups, kernel = ws[2] * ws[3];
  const index_t block = std::min(p.block[0], inputs);
  tensor<float> sums(result);
  for (index_t begin = 0; begin < inputs; begin += block) {
    tensor<std::int32_t> part(ws);
    std::vector<std::int32_t> of_filter(static_cast<std::size_t>(result[1]));
    for (index_t i = 0; i < w.size(); ++i) {
      const index_t c = i / (ws[1] * kernel), f = i / kernel % ws[1];
      if (c % inputs / block * block != begin) continue;
      part[i] = w[i];
      of_filter[static_cast<std::size_t>(c / inputs * ws[1] + f)] += w[i];
    }
    const tensor<std::int32_t> exact = scattered(part, x, o, result);
    for (index_t i = 0; i < sums.size(); ++i) {
      const index_t filter = i / (result[2] * result[3]) % result[1];
      const index_t input = filter / ws[1] * inputs + begin;
      const auto g = static_cast<std::size_t>(input / p.block[0] * p.groups().grid()[1] +
                                              filter % ws[1] / p.block[1]);
      const auto code =
          static_cast<float>(exact[i] - s.zero_point * of_filter[static_cast<std::size_t>(filter)]);
      const volatile float product = code * p.scale[g];  // not contracted
      sums[i] += product;
    }
  }
  for (float& v : sums.elements()) v *= s.scale;
  return sums;
}

}  // namespace

TEST_CASE("conv_transpose: uint8 activations, groups of input channels, floats and codes") {
  random_stream r(5);
  for (int round = 0; round < (test::quick() ? 20 : 150); ++round) {
    conv_transpose2d_options o = random_options(r);
    o.padding_value += 128;
    const index_t inputs = test::pick(r, 1, 2) * test::pick(r, 1, 3);
    const shape weight{o.groups * inputs, test::pick(r, 1, 5), test::pick(r, 1, 3),
                       test::pick(r, 1, 3)};
    const index_t block = o.groups == 1 ? test::pick(r, 1, inputs) : inputs % 2 == 0 ? 2 : 1;
    const auto p = palette_of(r, weight, 1, static_cast<int>(test::pick(r, 1, 8)), block);
    const auto x = test::random_tensor<std::uint8_t>(
        r, shape{2, weight[0], test::pick(r, 1, 9), test::pick(r, 1, 30)});
    const shape result{2, weight[1] * o.groups,
                       output_extent(o.geometry, 0, x.extent(2), weight[2]),
                       output_extent(o.geometry, 1, x.extent(3), weight[3])};
    const activation_scale s{0.5F, o.padding_value};
    const auto expected = scattered_floats(p, x, o, s, result);
    const quantized_output q{{}, 30.0F, 3, -120, 100};
    const unit_params u{dtype::int8, true, 30, 3, 0, -120, 100};
    const packed_palette turned = transposed_palette(p, o.groups);
    const auto first_table = palette_of(r, weight, 0, 4);  // exact sums of uint8, too
    const auto exact = scattered(reference::integer_weights(first_table), x, o, result);
    const packed_palette whole = transposed_palette(first_table, o.groups);
    CAPTURE(text_of(weight) + " in " + text_of(p.block) + " on " + text_of(x.extents()));
    for_each_kernel_level([&](auto level) {
      const grouped_lut_matrix m = make_grouped_lut_matrix(turned, level);
      tensor<float> floats(result);
      conv_transpose2d_scaled(m, x, o, s, {}, floats, level);
      CHECK(floats == expected);
      tensor<std::int8_t> codes(result);
      conv_transpose2d_scaled(test::backward_executor{}, m, x, o, s, q, codes, level);
      bool same = true;
      for (index_t i = 0; i < codes.size(); ++i) {
        same = same && codes[i] == encode_one(expected[i], u);
      }
      CHECK(same);
      tensor<std::int32_t> sums(result);
      conv_transpose2d(test::backward_executor{}, make_lut_matrix(whole, level), x, o, sums, level);
      CHECK(sums == exact);
    });
  }
}

TEST_CASE("conv_transpose: random windows, groups and palettes equal the scattered definition") {
  random_stream r(1);
  for (int round = 0; round < (test::quick() ? 20 : 150); ++round) {
    const conv_transpose2d_options o = random_options(r);
    const index_t filters = 2 * test::pick(r, 1, 9);
    const shape weight{o.groups * test::pick(r, 1, 4), filters, test::pick(r, 1, 4),
                       test::pick(r, 1, 4)};
    const index_t block = std::array<index_t, 4>{0, 1, 2, filters}[r.below(4)];
    const auto p = palette_of(r, weight, block, static_cast<int>(test::pick(r, 1, 8)));
    const auto x = test::random_tensor<std::int8_t>(
        r, shape{2, weight[0], test::pick(r, 1, 9), test::pick(r, 1, 30)});
    const shape result{2, filters * o.groups, output_extent(o.geometry, 0, x.extent(2), weight[2]),
                       output_extent(o.geometry, 1, x.extent(3), weight[3])};
    const auto expected = scattered(reference::integer_weights(p), x, o, result);
    const packed_palette turned = transposed_palette(p, o.groups);
    CAPTURE(text_of(weight) + " on " + text_of(x.extents()));
    requantize e;
    for (index_t row = 0; row < result[1]; ++row) {
      e.multiplier.push_back(static_cast<float>(r.uniform() * 0.02 + 1e-4));
      e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
      e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
    }
    for_each_kernel_level([&](auto level) {
      const lut_matrix m = make_lut_matrix(turned, level);
      tensor<std::int32_t> sums(result);
      conv_transpose2d(m, x, o, sums, level);
      CHECK(sums == expected);
      tensor<std::int8_t> bytes(result);
      conv_transpose2d(m, x, o, e, bytes, level);
      bool same = true;
      for (index_t i = 0; i < bytes.size(); ++i) {
        const auto row = static_cast<std::size_t>(i / (result[2] * result[3]) % result[1]);
        same =
            same && bytes[i] == reference::requantize(expected[i], e.bias[row], e.multiplier[row],
                                                      0, -128, 127, e.rest[row]);
      }
      CHECK(same);
    });
  }
}

TEST_CASE(
    "conv_transpose: channels around what tiles hold, rows around a vector, strides beyond the "
    "kernel") {
  random_stream r(18);
  const auto run = [&](const shape& weight, const shape& image, conv_transpose2d_options o,
                       bool zero_points) {
    o.padding_value = static_cast<std::int32_t>(test::pick(r, -128, 127));
    const auto p = test::random_palette(r, weight, {.bits = 4, .zero_points = zero_points});
    const auto x = test::random_tensor<std::int8_t>(r, image);
    const shape result{image[0], weight[1] * o.groups,
                       output_extent(o.geometry, 0, image[2], weight[2]),
                       output_extent(o.geometry, 1, image[3], weight[3])};
    const auto exact = scattered(reference::integer_weights(p), x, o, result);
    tensor<std::uint8_t> bytes(result);
    requantize e{.multiplier = {}, .bias = {}, .zero_point = 130, .lo = 5, .hi = 250};
    for (index_t i = 0; i < result[1]; ++i) {
      e.multiplier.push_back(static_cast<float>(r.uniform() * 0.002 + 1e-5));
      e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
      e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
    }
    for (index_t i = 0; i < bytes.size(); ++i) {
      const auto row = static_cast<std::size_t>(i / (result[2] * result[3]) % result[1]);
      bytes[i] = static_cast<std::uint8_t>(reference::requantize(
          exact[i], e.bias[row], e.multiplier[row], 130, 5, 250, e.rest[row]));
    }
    CAPTURE(text_of(weight) + " on " + text_of(image) + " to " + text_of(result));
    for_each_kernel_level([&](auto level) {
      CAPTURE(std::string(decltype(level)::name));
      const lut_matrix m = make_lut_matrix(transposed_palette(p, o.groups), level);
      tensor<std::int32_t> sums(result);
      conv_transpose2d(test::backward_executor{}, m, x, o, sums, level);
      CHECK(sums == exact);
      test::fenced<std::uint8_t> got(bytes.size(), 3);
      conv_transpose2d(m, x, o, e, tensor_view<std::uint8_t>(got.data(), result), level);
      CHECK(got.intact());
      CHECK(std::equal(bytes.data(), bytes.data() + bytes.size(), got.data()));
    });
  };
  const auto options = [](index_t stride, index_t padding, index_t dilation = 1,
                          index_t groups = 1) {
    const window2d w =
        window2d::symmetric({stride, stride}, {padding, padding}, {dilation, dilation});
    return conv_transpose2d_options{.geometry = {w, {}}, .groups = groups};
  };
  for (const bool zero_points : {false, true}) {
    run({64, 64, 4, 4}, {1, 64, 7, 9}, options(2, 1), zero_points);
    run({40, 33, 4, 4}, {1, 40, 5, 17}, options(2, 1), zero_points);
    run({32, 16, 3, 3}, {2, 32, 6, 16}, options(2, 1), zero_points);
    run({64, 20, 3, 3}, {1, 64, 5, 6}, options(3, 0, 2), zero_points);
    run({64, 17, 2, 2}, {1, 64, 3, 5}, options(4, 0), zero_points);  // outputs without taps
    run({64, 17, 2, 3}, {1, 64, 3, 5}, options(2, 1, 2), zero_points);
    run({128, 32, 3, 3}, {1, 128, 4, 4}, options(2, 1, 1, 2), zero_points);
    run({64, 8, 5, 5}, {1, 64, 4, 5}, options(1, 0), zero_points);
    run({64, 8, 3, 3}, {1, 64, 6, 5}, options(1, 4), zero_points);       // cuts the input
    run({5, 1, 4, 4}, {1, 5, 6, 40}, options(2, 1, 1, 5), zero_points);  // depthwise
    run({2, 3, 4, 4}, {1, 2, 300, 90}, options(2, 1), zero_points);      // bands
  }
  for (const index_t width : {1, 2, 7, 8, 15, 16, 17, 24, 31, 32, 33}) {
    run({3, 2, 4, 4}, {1, 3, 2, width}, options(2, 1), false);
    run({3, 2, 3, 3}, {1, 3, 2, width}, options(2, 1), false);
  }
  run({3, 2, 2, 2}, {1, 3, 3, 4}, options(1000, 0), true);
}

TEST_CASE("conv_transpose: tables follow their output channels") {
  random_stream r(2);
  // 4 inputs and 6 outputs in 2 groups, a table per output channel of a group.
  const packed_palette p = palette_of(r, shape{4, 3, 2, 2}, 1, 4);
  const packed_palette t = transposed_palette(p, 2);
  CHECK(t.weight_shape == shape{6, 2, 2, 2});
  CHECK(t.block == shape{1, 2, 2, 2});
  CHECK(t.scale == std::vector<float>{1, 2, 3, 1, 2, 3});
  // A table per group of the convolution.
  packed_palette by_group = palette_of(r, shape{4, 3, 2, 2}, 3, 4);
  by_group.block = shape{2, 3, 2, 2};
  by_group.lut_codes.resize(32);
  by_group.scale = {5, 6};
  by_group.zero_point = {0, 0};
  const packed_palette g = transposed_palette(by_group, 2);
  CHECK(g.block == shape{3, 2, 2, 2});
  CHECK(g.scale == std::vector<float>{5, 6});
  const auto original = reference::integer_weights(by_group);
  const auto turned = reference::integer_weights(g);
  const auto expected = reversed_weight<std::int32_t>(original.elements(), original.extents(), 2);
  CHECK(turned.elements() == expected);
  // A short last block, where there is one group.
  const packed_palette odd = transposed_palette(palette_of(r, shape{2, 5, 1, 1}, 2, 3), 1);
  CHECK(odd.block == shape{2, 2, 1, 1});
  CHECK(odd.scale == std::vector<float>{1, 2, 3});
}

TEST_CASE("conv_transpose: weights without elements give sums of 0") {
  random_stream r(6);
  for (const index_t block : {0, 1}) {  // channels of a table, 0: all
    for (const shape& s : {shape{0, 3, 2, 2}, shape{4, 0, 2, 2}}) {
      const packed_palette turned = transposed_palette(palette_of(r, s, block, 4, block), 2);
      CHECK(turned.weight_shape == reversed_shape(s, 2));
      const tensor<std::int8_t> x(shape{1, s[0], 4, 5});
      for_each_kernel_level([&](auto level) {
        tensor<std::int32_t> sums(shape{1, 2 * s[1], 5, 6});
        std::ranges::fill(sums.elements(), 9);
        conv_transpose2d(make_lut_matrix(turned, level), x, {.groups = 2}, sums, level);
        CHECK(std::ranges::count(sums.elements(), 0) == sums.size());
        tensor<float> floats(sums.extents());
        const float_output o{.bias = std::vector<float>(static_cast<std::size_t>(2 * s[1]), 0.5F)};
        const grouped_lut_matrix w = make_grouped_lut_matrix(turned, level);
        conv_transpose2d_scaled(w, x, {.groups = 2}, {2.0F}, o, floats, level);
        CHECK(std::ranges::count(floats.elements(), 0.5F) == floats.size());
      });
    }
  }
}

TEST_CASE("conv_transpose: palettes and shapes that do not fit are refused") {
  random_stream r(3);
  const packed_palette p = palette_of(r, shape{4, 3, 2, 2}, 0, 4);
  CHECK_ERROR(transposed_palette(p, 3), shape_mismatch, "[4, 3, 2, 2]", "3 groups");
  CHECK_ERROR(transposed_palette(palette_of(r, shape{4, 3}, 0, 4), 1), shape_mismatch, "[4, 3]");
  CHECK_ERROR(transposed_palette(palette_of(r, shape{4, 3, 2, 2}, 2, 4), 2), unsupported,
              "groups of the palette", "[4, 2, 2, 2]");
  for (const index_t inputs : {2, 4}) {  // 3 input channels per group
    CHECK_ERROR(transposed_palette(palette_of(r, shape{6, 3, 2, 2}, 0, 4, inputs), 2), unsupported,
                "groups of the palette", "channels of a group");
  }
  packed_palette kernel = p;
  kernel.block = shape{4, 3, 1, 2};
  CHECK_ERROR(transposed_palette(kernel, 1), unsupported, "groups of the palette", "[4, 3, 1, 2]");
  CHECK_ERROR(make_lut_matrix(transposed_palette(palette_of(r, shape{4, 3, 2, 2}, 0, 4, 1), 1)),
              unsupported, "another axis than 0");
  packed_palette scaled = p;
  scaled.row_scale.assign(4, 1.0F);
  CHECK_ERROR(transposed_palette(scaled, 1), unsupported, "row scales");

  const lut_matrix w = make_lut_matrix(transposed_palette(p, 1));  // 4 -> 3
  const tensor<std::int8_t> x(shape{1, 4, 5, 5});
  tensor<std::int32_t> out(shape{1, 3, 6, 6});
  conv_transpose2d(w, x, {}, out);
  CHECK_ERROR(conv_transpose2d(w, x, {.groups = 3}, out), shape_mismatch, "3 groups");
  CHECK_ERROR(conv_transpose2d(w, tensor<std::int8_t>(shape{1, 3, 5, 5}), {}, out), shape_mismatch,
              "[1, 3, 5, 5]");
  CHECK_ERROR(conv_transpose2d(w, tensor<std::int8_t>(shape{4, 5, 5}), {}, out), shape_mismatch,
              "four axes", "[4, 5, 5]", "allowed: [out, in / groups, kh, kw] and [n, in, h, w]");
  tensor<std::int32_t> wrong(shape{1, 3, 6, 5});
  CHECK_ERROR(conv_transpose2d(w, x, {}, wrong), shape_mismatch, "[1, 3, 6, 5]", "[1, 3, 6, 6]");
  CHECK_ERROR(conv_transpose2d(w, x, {.geometry = {.output_padding = {1, 0}}}, out),
              invalid_argument, "output_padding");
  CHECK_ERROR(conv_transpose2d(w, x, {.padding_value = 128}, out), invalid_argument,
              "padding_value", "conv_transpose2d");
  CHECK_ERROR(conv_transpose2d_scaled(w, x, {}, {0.0F}, {}, tensor<float>(out.extents())),
              invalid_argument, "scale", "conv_transpose2d_scaled");
  const tensor_view<const std::int8_t> in(reinterpret_cast<std::int8_t*>(&out[40]),
                                          shape{1, 4, 5, 5});
  CHECK_ERROR(conv_transpose2d(w, in, {}, out), invalid_argument, "out overlaps x");
  tensor<std::int32_t> nothing(shape{0, 3, 6, 6});
  conv_transpose2d(w, tensor<std::int8_t>(shape{0, 4, 5, 5}), {}, nothing);
  // What a matrix is not made for is refused where there is nothing to compute, too.
  if constexpr (!std::is_same_v<simd::native, simd::portable>) {
    const tensor<std::int8_t> none(shape{0, 4, 5, 5});
    CHECK_ERROR(conv_transpose2d(w, none, {}, nothing, simd::portable{}), incompatible,
                "another level", "conv_transpose2d");
  }
  const lut_matrix deep =
      make_lut_matrix(transposed_palette(palette_of(r, shape{65794, 1, 1, 1}, 0, 1), 1));
  CHECK_ERROR(conv_transpose2d(deep, tensor<std::uint8_t>(shape{0, 65794, 1, 1}), {},
                               tensor<std::int32_t>(shape{0, 1, 1, 1})),
              unsupported, "65794", "65793", "conv_transpose2d");
}

TEST_CASE("conv_transpose: every vector of a palette has its size") {
  random_stream r(9);
  const auto refused = [](packed_palette p, auto member, index_t groups) {
    (p.*member).pop_back();
    CHECK_ERROR(transposed_palette(p, groups), corrupt_data, "transposed_palette");
    (p.*member).resize((p.*member).size() + 2);
    CHECK_ERROR(transposed_palette(p, groups), corrupt_data, "transposed_palette");
  };
  for (const packed_palette& p : {palette_of(r, shape{4, 4, 1, 1}, 2, 4, 2),     // four groups
                                  palette_of(r, shape{4, 4, 1, 1}, 0, 4, 2),     // two
                                  palette_of(r, shape{4, 4, 1, 1}, 0, 4, 4)}) {  // one
    for (const index_t groups : {1, 2}) {
      CHECK_NOTHROW(transposed_palette(p, groups));
      refused(p, &packed_palette::codes, groups);
      refused(p, &packed_palette::lut_codes, groups);
      refused(p, &packed_palette::scale, groups);
      packed_palette floats = p;
      floats.lut.resize(p.lut_codes.size());
      CHECK_ERROR(transposed_palette(floats, groups), corrupt_data, "lut");
      floats.lut_dtype = dtype::float32;
      floats.lut_codes.clear();
      floats.scale.clear();
      floats.zero_point.clear();
      CHECK_NOTHROW(transposed_palette(floats, groups));
      refused(floats, &packed_palette::lut, groups);
      if (p.zero_point.size() > 1) refused(p, &packed_palette::zero_point, groups);
      packed_palette bits = p;
      bits.n_bits = 9;
      CHECK_ERROR(transposed_palette(bits, groups), corrupt_data, "n_bits");
    }
  }
}

TEST_CASE("conv_transpose: windows that need memory without bounds are refused") {
  random_stream r(10);
  const lut_matrix w =
      make_lut_matrix(transposed_palette(palette_of(r, shape{1, 1, 3, 3}, 0, 4), 1));
  const tensor<std::int8_t> x(shape{1, 1, 1, 1});
  tensor<std::int32_t> out(shape{1, 1, 1, 1});
  for (const index_t far : {index_t{1} << 22, index_t{1} << 31}) {
    for (const index_t stride : {1, 2}) {
      conv_transpose2d_options o;
      o.geometry.window = window2d::symmetric({stride, stride}, {far, far}, {far, far});
      CHECK_ERROR(conv_transpose2d(w, x, o, out), size_overflow, "dilation", "4294967296");
      CHECK_ERROR(conv_transpose2d_scaled(w, x, o, {}, {}, tensor<float>(out.extents())),
                  size_overflow, "dilation", "4294967296");
    }
  }
  // Only a phase of the outputs asks for so much, and others have no taps: nothing is written.
  const index_t channels = 80, half = index_t{1} << 13;
  const lut_matrix many =
      make_lut_matrix(transposed_palette(palette_of(r, shape{channels, 1, 2, 2}, 0, 4), 1));
  conv_transpose2d_options wide;
  wide.geometry.window = window2d::symmetric({2, 2}, {half, half}, {2 * half, 2 * half});
  tensor<std::int32_t> kept(shape{1, 1, 5, 5});
  std::ranges::fill(kept.elements(), 7);
  CHECK_ERROR(conv_transpose2d(many, tensor<std::int8_t>(shape{1, channels, 3, 3}), wide, kept),
              size_overflow, "dilation", "4294967296");
  CHECK(std::ranges::count(kept.elements(), 7) == kept.size());
  // Extents of nothing are bounded, too: their products with the stride are.
  const tensor<std::int8_t> none(shape{0, 1, index_t{1} << 40, 1});
  conv_transpose2d_options o;
  o.geometry.window.stride = {index_t{1} << 31, 1};
  CHECK_ERROR(conv_transpose2d(w, none, o, tensor<std::int32_t>(shape{0, 1, 1, 1})), unsupported,
              "x", "1099511627776", "2147483648");
}

TEST_CASE("conv_transpose: groups are bounded by the channels") {
  random_stream r(11);
  constexpr index_t most = std::numeric_limits<index_t>::max();
  tensor<std::int32_t> out(shape{1, 0, 7, 7});
  test::check_groups_bounded([&](const lut_matrix& w, const auto& x, index_t groups) {
    conv_transpose2d(w, x, {.groups = groups}, out);
  });
  CHECK_ERROR(transposed_palette(palette_of(r, shape{0, 3, 2, 2}, 0, 4), most), shape_mismatch,
              "9223372036854775807 groups");
}

TEST_CASE("conv_transpose: a matrix of the palette itself is refused, also where its shape fits") {
  random_stream r(16);
  const packed_palette p = palette_of(r, shape{4, 4, 3, 3}, 0, 4);
  const tensor<std::int8_t> x(shape{1, 4, 5, 5});
  tensor<std::int32_t> out(shape{1, 4, 7, 7});
  CHECK_ERROR(conv_transpose2d(make_lut_matrix(p), x, {}, out), incompatible,
              "not made of a transposed palette (conv_transpose2d): got [4, 4, 3, 3]",
              "transposed_palette");
  CHECK_NOTHROW(conv_transpose2d(make_lut_matrix(transposed_palette(p, 1)), x, {}, out));
  CHECK_ERROR(transposed_palette(transposed_palette(p, 1), 1), incompatible, "transposed already",
              "(transposed_palette): got [4, 4, 3, 3]", "allowed: that of the layer");
  // In slices, of groups of inputs.
  const packed_palette grouped =
      test::random_palette(r, shape{4, 4, 3, 3}, {.group_rows = 2, .group_columns = 2});
  tensor<float> y(out.extents());
  CHECK_ERROR(conv_transpose2d_scaled(make_grouped_lut_matrix(grouped), x, {}, {}, {}, y),
              incompatible, "not made of a transposed palette");
  const grouped_lut_matrix w = make_grouped_lut_matrix(transposed_palette(grouped, 1));
  CHECK(w.slices().size() == 2);
  for (const lut_matrix& slice : w.slices()) CHECK(slice.transposed());
  CHECK_NOTHROW(conv_transpose2d_scaled(w, x, {}, {}, {}, y));
}

TEST_CASE("conv_transpose: outputs without taps meet the padding alone") {
  random_stream r(23);
  const auto p = palette_of(r, shape{6, 4, 1, 2}, 0, 4);
  conv_transpose2d_options o{.geometry = {{.stride = {3, 3}}, {2, 2}}, .padding_value = -9};
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 6, 3, 4});
  const shape result{2, 4, 9, 13};
  const auto expected = scattered(reference::integer_weights(p), x, o, result);
  const auto turned = transposed_palette(p, 1);
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(turned, level);
    tensor<std::int32_t> sums(result);
    conv_transpose2d(test::backward_executor{}, m, x, o, sums, level);
    CHECK(sums == expected);
    CHECK(view(sums)(0, 1, 1, 0) == -9 * m.row_sum(1));  // a row between
    CHECK(view(sums)(1, 2, 3, 5) == -9 * m.row_sum(2));  // a column between
  });
}

TEST_CASE(
    "conv_transpose: one call of an executor runs all phases, one more brings columns together") {
  random_stream r(24);
  const auto p = palette_of(r, shape{8, 4, 4, 4}, 0, 4);
  const auto w = make_lut_matrix(transposed_palette(p, 1));
  const auto x = test::random_tensor<std::int8_t>(r, shape{1, 8, 5, 6});
  const conv_transpose2d_options o{.geometry = {window2d::symmetric({2, 2}, {1, 1}), {}}};
  tensor<std::int32_t> a(shape{1, 4, 10, 12}), b(a.extents());
  conv_transpose2d(w, x, o, a);
  index_t calls = 0;
  conv_transpose2d(counting_executor{&calls}, w, x, o, b);
  CHECK(a == b);
  CHECK(calls == 2);
}

TEST_CASE("conv_transpose: strided views, any executor") {
  random_stream r(4);
  const lut_matrix w =
      make_lut_matrix(transposed_palette(palette_of(r, shape{3, 4, 3, 3}, 0, 4), 1));
  const auto pixels = test::random_tensor<std::int8_t>(r, shape{2, 5, 7, 3});  // NHWC
  const std::array<index_t, 4> channels_last{5 * 7 * 3, 1, 7 * 3, 3};
  const tensor_view<const std::int8_t> x(pixels.data(), shape{2, 3, 5, 7}, channels_last);
  const conv_transpose2d_options o{.geometry = {window2d::symmetric({2, 1}, {1, 1})},
                                   .padding_value = 9};
  const requantize e{std::vector<float>(4, 0.01F), {}, 0, -128, 127};
  tensor<std::int8_t> a(shape{2, 4, 9, 7}), b = a, c = a;
  conv_transpose2d(w, tensor<std::int8_t>::copy_of(x), o, e, a);
  conv_transpose2d(w, x, o, e, b);
  conv_transpose2d(test::backward_executor{}, w, x, o, e, c);
  CHECK(a == b);
  CHECK(a == c);
}

TEST_CASE("conv_transpose: out is aligned and does not overlap itself") {
  random_stream r(5);
  const lut_matrix w =
      make_lut_matrix(transposed_palette(palette_of(r, shape{3, 4, 3, 3}, 0, 4), 1));
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 3, 2, 3});
  const conv_transpose2d_options apart{.geometry = {window2d::symmetric({2, 1}, {1, 1})}};
  const requantize e{std::vector<float>(4, 0.01F), {}};
  const auto check = [&](const shape& s, const conv_transpose2d_options& o) {
    test::check_output_memory<std::int32_t>(s, [&](auto out) { conv_transpose2d(w, x, o, out); });
    test::check_output_memory<std::int8_t>(s, [&](auto out) { conv_transpose2d(w, x, o, e, out); });
    test::check_output_memory<float>(
        s, [&](auto out) { conv_transpose2d_scaled(w, x, o, {}, {}, out); });
  };
  check(shape{2, 4, 4, 5}, {});
  check(shape{2, 4, 3, 3}, apart);
}

TEST_CASE("conv_transpose: out lies apart from the epilogue's vectors") {
  random_stream r(13);
  const auto p = transposed_palette(test::random_palette(r, shape{1, 4, 1, 1}, {}), 1);
  const lut_matrix w = make_lut_matrix(p);
  const tensor<std::int8_t> x(shape{1, 1, 1, 1});
  requantize e{std::vector<float>(4, 0.5F), {1, 2, 3, 4}};
  const tensor_view<std::int8_t> out(reinterpret_cast<std::int8_t*>(e.bias.data()) + 12,
                                     shape{1, 4, 1, 1});
  CHECK_ERROR(conv_transpose2d(w, x, {}, e, out), invalid_argument, "out overlaps bias",
              "conv_transpose2d");
}
