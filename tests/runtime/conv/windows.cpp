#include <doctest/doctest.h>

#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

struct depthwise_case {
  index_t images, groups, filters, height, width;
  shape kernel;
  window2d window;
};

// Depthwise by nature: one input channel per group. Sums, bytes and pooled bytes of every level, through dense and
// channels-last views, against the reference.
template <class X>
bool depthwise_levels_agree(random_stream& r, const depthwise_case& d, bool zero_points) {
  const index_t rows = d.groups * d.filters;
  const auto p = test::random_palette(r, shape{rows, 1, d.kernel[0], d.kernel[1]},
                                      {.bits = static_cast<int>(test::pick(r, 1, 8)),
                                       .group_rows = test::pick(r, 0, 3),
                                       .zero_points = zero_points});
  const shape image{d.images, d.groups, d.height, d.width};
  test::guarded<X> input(image.size());
  test::fill<X>(r, input.elements());
  const tensor_view<const X> x(input.data(), image);
  const auto lowest = std::is_signed_v<X> ? -128 : 0;
  const auto pad = static_cast<std::int32_t>(test::pick(r, lowest, lowest + 255));
  conv2d_options o{.window = d.window, .groups = d.groups, .padding_value = pad};
  tensor<std::int32_t> expected(shape{d.images, rows,
                                      output_extent(d.window, 0, d.height, d.kernel[0]),
                                      output_extent(d.window, 1, d.width, d.kernel[1])});
  if (expected.size() == 0) return true;
  const auto w = reference::integer_weights(p);
  reference::conv2d<X>(view(w), x, d.window, d.groups, pad, view(expected));
  requantize e{.multiplier = {}, .bias = {}, .zero_point = 5, .lo = -90};
  for (index_t i = 0; i < rows; ++i) {
    e.multiplier.push_back(static_cast<float>(r.uniform() * 0.01 + 1e-4));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  const shape& s = expected.extents();
  const index_t plane = s[2] * s[3];
  tensor<std::int8_t> bytes(s);
  for (index_t i = 0; i < bytes.size(); ++i) {
    const auto row = static_cast<std::size_t>(i / plane % rows);
    bytes[i] = static_cast<std::int8_t>(reference::requantize(
        expected[i], e.bias[row], e.multiplier[row], 5, e.lo, e.hi, e.rest[row]));
  }
  bool good = true;
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(p, level);
    test::fenced<std::int32_t> sums(s.size(), 1);
    conv2d(m, x, o, tensor_view<std::int32_t>(sums.data(), s), level);
    test::guarded<std::int8_t> got(s.size());
    conv2d(m, x, o, e, tensor_view<std::int8_t>(got.data(), s), level);
    bool same = sums.intact();
    for (index_t i = 0; i < s.size(); ++i) {
      same = same && sums.data()[i] == expected[i] && got.data()[i] == bytes[i];
    }
    const std::array<index_t, 4> last{s[1] * plane, 1, s[3] * s[1], s[1]};
    tensor<std::int8_t> memory(s);
    const tensor_view<std::int8_t> channels_last(memory.data(), s, last);
    conv2d(m, x, o, e, channels_last, level);
    same = same && tensor<std::int8_t>::copy_of(channels_last) == bytes;
    tensor<float> scaled(s);
    conv2d_scaled(m, x, o, {.scale = 0.25F, .zero_point = pad}, {}, scaled, level);
    for (index_t i = 0; i < s.size(); ++i) {
      const index_t row = i / plane % rows;
      const auto exact = static_cast<float>(expected[i] - pad * m.row_sum(row));
      same = same && scaled[i] == exact * m.row_scale(row) * 0.25F;
    }
    if (s[2] > 1 && s[3] > 1) {
      tensor<std::int8_t> pooled(shape{s[0], s[1], s[2] / 2, s[3] / 2});
      conv2d_options halves = o;
      halves.pool = true;
      conv2d(m, x, halves, e, pooled, level);
      for (index_t i = 0; i < pooled.size(); ++i) {
        const index_t columns = s[3] / 2,
                      row = i / columns / (s[2] / 2) * s[2] + i / columns % (s[2] / 2) * 2;
        const std::int8_t* at = bytes.data() + row * s[3] + i % columns * 2;
        same = same && pooled[i] == std::max({at[0], at[1], at[s[3]], at[s[3] + 1]});
      }
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", weight "
                       << text_of(p.weight_shape) << ", image " << text_of(image) << ", out "
                       << text_of(s));
    }
  });
  return good;
}

plane_geometry kernel_geometry(index_t channels, index_t rows, index_t columns, index_t stride,
                               index_t dilation) {
  const window2d w{.stride = {stride, stride}, .dilation = {dilation, dilation}};
  return {w, channels, {rows, columns}, 20, 1};
}

}  // namespace

TEST_CASE(
    "conv::windows: depthwise kernels of every width, stride and dilation equal the reference") {
  random_stream r(1);
  bool good = true;
  for (int i = 0; i < (test::quick() ? 40 : 400); ++i) {
    depthwise_case d{test::pick(r, 1, 2),
                     test::pick(r, 1, 5),
                     1 + i % 2,
                     test::pick(r, 1, 20),
                     test::pick(r, 1, 80),
                     {test::pick(r, 1, 7), test::pick(r, 1, 9)},
                     {}};
    for (std::size_t a = 0; a < 2; ++a) {
      d.window.stride[a] = test::pick(r, 1, 3);
      d.window.dilation[a] = test::pick(r, 1, 3);
      d.window.padding[a] = test::pick(r, 0, 4);
      d.window.padding_end[a] = test::pick(r, 0, 4);
    }
    good = depthwise_levels_agree<std::int8_t>(r, d, i % 3 == 0) && good;
    good = depthwise_levels_agree<std::uint8_t>(r, d, i % 3 == 1) && good;
  }
  CHECK(good);
}

TEST_CASE("conv::windows: rows around a vector's width, and more of them than a band holds") {
  random_stream r(2);
  const window2d same = window2d::symmetric({1, 1}, {1, 1});
  bool good = true;
  for (const index_t width : {13, 14, 15, 16, 29, 30, 31, 61, 62, 63, 64, 65, 126}) {
    good = depthwise_levels_agree<std::int8_t>(r, {1, 3, 1, 5, width, {3, 3}, same}, false) && good;
  }
  CHECK(good);
  CHECK(depthwise_levels_agree<std::int8_t>(r, {1, 2, 1, 330, 300, {3, 3}, same}, true));
}

TEST_CASE("conv::windows: taps side by side share a group") {
  const auto groups = [](index_t columns, index_t stride, index_t dilation) {
    return window_groups(kernel_geometry(1, 1, columns, stride, dilation)).size();
  };
  CHECK(groups(1, 1, 1) == 1);
  CHECK(groups(4, 1, 1) == 1);
  CHECK(groups(5, 1, 1) == 2);
  CHECK(groups(9, 1, 1) == 3);
  CHECK(groups(3, 2, 1) == 2);  // the taps 0 and 2, and 1
  CHECK(groups(3, 1, 2) == 2);  // 0 and 2, 4
  CHECK(groups(3, 2, 2) == 1);
  CHECK(groups(3, 1, 9) == 3);
  for (const index_t stride : {1, 2, 3}) {
    for (const index_t dilation : {1, 2, 3}) {
      const plane_geometry g = kernel_geometry(2, 3, 7, stride, dilation);
      const window_groups w(g);
      std::vector<index_t> begin;
      w.add_offsets(g, 4, 0, begin);
      REQUIRE(static_cast<index_t>(begin.size()) == w.size());
      const std::vector<index_t> taps = g.taps(4, 0);
      std::vector<int> met(taps.size());
      w.each_tap([&](index_t group, index_t k, index_t j) {
        CHECK(begin[static_cast<std::size_t>(group)] + j == taps[static_cast<std::size_t>(k)]);
        ++met[static_cast<std::size_t>(k)];
      });
      CHECK(met == std::vector<int>(taps.size(), 1));
    }
  }
}

TEST_CASE("conv::windows: depthwise kernels use them, those of many outputs or of columns do not") {
  const auto pays = [](index_t channels, index_t rows, index_t columns, index_t outputs,
                       index_t stride = 1) {
    return window_groups(kernel_geometry(channels, rows, columns, stride, 1)).pays(outputs);
  };
  CHECK(pays(1, 3, 3, 1));
  CHECK(pays(1, 3, 3, 1, 2));
  CHECK(pays(1, 3, 3, 2));
  CHECK(!pays(1, 3, 3, 3));
  CHECK(pays(1, 5, 5, 1));
  CHECK(pays(1, 7, 7, 1, 2));
  CHECK(!pays(1, 9, 1, 1));
  CHECK(!pays(8, 1, 1, 1));
}
