#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <lutra/core/executor_ref.hpp>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/reference.hpp>

#include "backward_executor.hpp"
#include "errors.hpp"
#include "kernel_levels.hpp"
#include "noting_executor.hpp"
#include "runtime/geometries.hpp"
#include "runtime/groups.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

// Every level, from memory that ends at a guard page, against the reference. X: the activations.
template <class X = std::int8_t>
bool all_levels_agree(random_stream& r, const test::geometry& g, const test::palette_options& o) {
  const index_t groups = g.options.groups;
  const auto p = test::random_palette(
      r, shape{g.filters * groups, g.channels, g.kernel_height, g.kernel_width}, o);
  const auto w = reference::integer_weights(p);
  const shape image{g.n, g.channels * groups, g.height, g.width};
  test::guarded<X> input(image.size());
  test::fill<X>(r, input.elements());
  const tensor_view<const X> x(input.data(), image);
  tensor<std::int32_t> expected(test::output_of(g));
  reference::conv2d<X>(view(w), x, g.options.window, groups, g.options.padding_value,
                       view(expected));
  requantize e;
  for (index_t row = 0; row < expected.extent(1); ++row) {
    e.multiplier.push_back(static_cast<float>(r.uniform() * 0.02 + 1e-4));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  e.zero_point = static_cast<std::int32_t>(test::pick(r, -128, 127));
  e.lo = static_cast<std::int32_t>(test::pick(r, -128, 0));
  bool good = true;
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(p, level, {.three_bits_from = 0});
    test::fenced<std::int32_t> sums(expected.size(), 3);
    conv2d(m, x, g.options, tensor_view<std::int32_t>(sums.data(), expected.extents()), level);
    test::guarded<std::int8_t> bytes(expected.size());
    conv2d(m, x, g.options, e, tensor_view<std::int8_t>(bytes.data(), expected.extents()), level);
    tensor<float> floats(expected.extents());
    conv2d(m, x, g.options, dequantize_rows{e.multiplier, e.bias, e.rest}, floats, level);
    bool same = sums.intact();
    const index_t image_size = expected.extent(2) * expected.extent(3);
    for (index_t i = 0; i < expected.size(); ++i) {
      const auto row = static_cast<std::size_t>(i / image_size % expected.extent(1));
      const std::int32_t sum = expected[i];
      same = same && sums.data()[i] == sum &&
             bytes.data()[i] == reference::requantize(sum, e.bias[row], e.multiplier[row],
                                                      e.zero_point, e.lo, e.hi, e.rest[row]) &&
             floats[i] == reference::dequantize(sum, e.bias[row], e.multiplier[row], e.rest[row]);
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", weight "
                       << text_of(p.weight_shape) << ", image " << text_of(image) << ", out "
                       << text_of(expected.extents()));
    }
  });
  return good;
}

// The largest of every 2 x 2 block.
template <class T> tensor<T> pooled(const tensor<T>& x) {
  tensor<T> out(shape{x.extent(0), x.extent(1), x.extent(2) / 2, x.extent(3) / 2});
  const index_t rows = out.extent(2), columns = out.extent(3), width = x.extent(3);
  for (index_t k = 0; k < out.size(); ++k) {
    const index_t plane = k / (rows * columns), i = k / columns % rows, j = k % columns;
    const T* at = x.data() + (plane * x.extent(2) + 2 * i) * width + 2 * j;
    out[k] = std::max(std::max(at[0], at[1]), std::max(at[width], at[width + 1]));
  }
  return out;
}

// Pooled outputs of every level, dense and channels last, against the maxima of what is not pooled.
bool pooled_levels_agree(random_stream& r, test::geometry g, const test::palette_options& o) {
  const index_t groups = g.options.groups;
  const auto p = test::random_palette(
      r, shape{g.filters * groups, g.channels, g.kernel_height, g.kernel_width}, o);
  const auto x =
      test::random_tensor<std::int8_t>(r, shape{g.n, g.channels * groups, g.height, g.width});
  requantize e{.multiplier = {}, .bias = {}, .zero_point = 3, .lo = -100};
  for (index_t row = 0; row < g.filters * groups; ++row) {
    e.multiplier.push_back(static_cast<float>(r.uniform() * 0.02 + 1e-4));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  tensor<std::int8_t> whole(test::output_of(g));
  conv2d(make_lut_matrix(p, simd::portable{}), x, g.options, e, whole, simd::portable{});
  const tensor<std::int8_t> expected = pooled(whole);
  const shape& s = expected.extents();
  g.options.pool = true;
  requantize u = e;  // the same as uint8
  u.zero_point += 128;
  u.lo += 128;
  u.hi += 128;
  bool good = true;
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(p, level, {.three_bits_from = 0});
    test::guarded<std::int8_t> bytes(s.size());
    conv2d(m, x, g.options, e, tensor_view<std::int8_t>(bytes.data(), s), level);
    test::fenced<std::uint8_t> last(s.size(), 1);
    const std::array<index_t, 4> strides{s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
    const tensor_view<std::uint8_t> channels_last(last.data(), s, strides);
    conv2d(m, x, g.options, u, channels_last, level);
    const auto dense = tensor<std::uint8_t>::copy_of(channels_last);
    bool same = last.intact();
    for (index_t i = 0; i < s.size(); ++i) {
      same = same && bytes.data()[i] == expected[i] && dense[i] == expected[i] + 128;
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", weight "
                       << text_of(p.weight_shape) << ", image " << text_of(x.extents()) << ", out "
                       << text_of(s));
    }
  });
  return good;
}

}  // namespace

TEST_CASE("conv: random windows, groups and palettes equal the reference at every level") {
  random_stream r(1);
  bool good = true;
  for (int i = 0; i < (test::quick() ? 60 : 600); ++i) {
    test::geometry g = test::random_geometry(r);
    if (i % 5 == 0) g.channels = g.filters = 1;  // depthwise
    const test::palette_options o{.bits = static_cast<int>(test::pick(r, 1, 8)),
                                  .group_rows = std::array<index_t, 4>{0, 1, 4, 6}[r.below(4)],
                                  .lowest = i % 2 ? -128 : -127,
                                  .zero_points = i % 3 == 0};
    good = all_levels_agree(r, g, o) && good;
    g.options.padding_value += 128;
    good = all_levels_agree<std::uint8_t>(r, g, o) && good;
  }
  CHECK(good);
}

TEST_CASE("conv: pooled outputs equal the maxima of the whole ones at every level") {
  random_stream r(6);
  bool good = true;
  for (int i = 0; i < (test::quick() ? 40 : 400); ++i) {
    test::geometry g = test::random_geometry(r);
    if (i % 5 == 0) g.channels = g.filters = 1;
    const test::palette_options o{.bits = static_cast<int>(test::pick(r, 1, 8)),
                                  .group_rows = std::array<index_t, 4>{0, 1, 4, 6}[r.below(4)],
                                  .zero_points = i % 3 == 0};
    good = pooled_levels_agree(r, g, o) && good;
  }
  CHECK(good);
  const conv2d_options padded{.window = window2d::symmetric({1, 1}, {1, 1}), .padding_value = -3};
  CHECK(pooled_levels_agree(r, {2, 1, 32, 28, 28, 3, 3, padded}, {}));
  if (!test::quick()) CHECK(pooled_levels_agree(r, {1, 40, 4, 91, 90, 3, 3, padded}, {}));
}

TEST_CASE("conv: channels and taps around what a tile holds") {
  random_stream r(8);
  const auto options = [&](index_t groups) {
    conv2d_options o{.window = window2d::symmetric({1, 1}, {1, 1}), .groups = groups};
    o.padding_value = static_cast<std::int32_t>(test::pick(r, -128, 127));
    return o;
  };
  bool good = true;
  for (const index_t filters : {5, 15, 16, 17, 31, 32, 33, 48, 49}) {
    const bool zero_points = filters % 2 != 0;
    const index_t groups = filters < 20 ? 3 : 1;
    const test::palette_options o{.bits = zero_points ? 3 : 4, .zero_points = zero_points};
    test::geometry g{1, 8, filters, 6, 13, 3, 3, options(groups)};  // 72 taps
    good = all_levels_agree(r, g, o) && pooled_levels_agree(r, g, o) && good;
    g.options.padding_value += 128;
    good = all_levels_agree<std::uint8_t>(r, g, o) && good;
  }
  for (const index_t taps : {31, 32, 33, 63, 64, 65, 127, 128, 129, 200}) {
    const test::geometry g{2, taps, 35, 5, 9, 1, 1, options(1)};
    good = all_levels_agree(r, g, {.bits = 6, .group_rows = 6}) && good;
    good = pooled_levels_agree(r, g, {}) && good;
  }
  CHECK(good);
}

TEST_CASE("conv: kernels of many taps, which tiles multiply without a panel") {
  random_stream r(9);
  bool good = true;
  const auto run = [&](const test::geometry& g, const test::palette_options& o) {
    test::geometry u = g;
    u.options.padding_value += 128;
    good = all_levels_agree(r, g, o) && all_levels_agree<std::uint8_t>(r, u, o) && good;
    good =
        (test::output_of(g)[2] < 2 || test::output_of(g)[3] < 2 || pooled_levels_agree(r, g, o)) &&
        good;
  };
  for (int i = 0; i < (test::quick() ? 8 : 40); ++i) {
    test::geometry g = test::random_geometry(r);
    const bool wide = i % 4 == 0;
    g.n = 1;
    g.kernel_height = test::pick(r, 1, 3);
    g.channels = wide ? 64 : test::pick(r, 22, 70);
    g.kernel_width = 3;
    g.options.window.dilation[1] = wide ? 2 : 1;
    g.options.groups = i % 5 == 1 ? 2 : 1;
    g.filters = i % 5 == 1 ? 16 * test::pick(r, 1, 2) : test::pick(r, 5, 50);
    g.height = test::pick(r, 5, 12);
    g.width = std::max<index_t>(g.width, 7);
    run(g, {.bits = 1 + i % 6, .group_rows = i % 3 == 0 ? 4 : 0, .zero_points = i % 2 == 0});
  }
  const conv2d_options same{.window = window2d::symmetric({1, 1}, {1, 1}), .padding_value = -7};
  run({2, 192, 20, 3, 17, 1, 1, {}}, {});  // no gaps between rows
  run({1, 64, 33, 5, 64, 1, 3, {.window = window2d::symmetric({1, 1}, {0, 1})}}, {});
  run({1, 65, 5, 70, 30, 3, 3, same}, {.zero_points = true});  // two bands
  CHECK(good);
}

TEST_CASE("conv: weights decoded at load change no result, and need their layout") {
#if !LUTRA_PORTABLE && LUTRA_AMX_INT8
  using A = simd::amx_int8;
  random_stream r(10);
  const auto p = test::random_palette(r, shape{20, 40, 3, 3}, {});
  const lut_matrix fast = make_lut_matrix(p, A{});
  const lut_matrix small = make_lut_matrix(p, A{}, {.decode_convolutions = false});
  CHECK(fast.has_line_tiles());
  CHECK(!small.has_line_tiles());
  const auto pixels = test::random_tensor<std::int8_t>(r, shape{2, 9, 30, 40});  // NHWC
  const std::array<index_t, 4> channels_last{9 * 30 * 40, 1, 30 * 40, 40};
  const tensor_view<const std::int8_t> x(pixels.data(), shape{2, 40, 9, 30}, channels_last);
  const auto dense = tensor<std::int8_t>::copy_of(x);
  for (const index_t dilation : {1, 2}) {  // of 40 channels, 2 is not in the order of the weights
    const conv2d_options o{.window = window2d::symmetric({1, 1}, {1, 1}, {dilation, dilation})};
    const shape result{2, 20, 11 - 2 * dilation, 32 - 2 * dilation};
    tensor<std::int32_t> a(result), b(result), c(result);
    conv2d(fast, dense, o, a, A{});
    conv2d(fast, x, o, b, A{});
    conv2d(small, dense, o, c, A{});
    CHECK(a == b);
    CHECK(a == c);
    tensor<std::int32_t> in_any_order(result);
    conv2d(test::backward_executor{}, fast, dense, o, in_any_order, A{});
    CHECK(a == in_any_order);
  }
  // Padding alone.
  tensor<std::int32_t> of_padding(shape{2, 20, 2, 30});
  const tensor_view<const std::int8_t> empty(nullptr, shape{2, 40, 0, 28}, channels_last);
  conv2d(fast, empty, {.window = window2d::symmetric({1, 1}, {2, 2}), .padding_value = 3},
         of_padding, A{});
  for (index_t i = 0; i < of_padding.size(); ++i) {
    REQUIRE(of_padding[i] == 3 * fast.row_sum(i / 60 % 20));
  }
#endif
}

TEST_CASE("conv: an input with channels last gives the sums of a dense one") {
  random_stream r(19);
  const auto p = test::random_palette(r, shape{20, 40, 3, 3}, {});
  const auto depthwise = test::random_palette(r, shape{40, 1, 3, 3}, {});
  const auto pixels = test::random_tensor<std::uint8_t>(r, shape{2, 9, 30, 41});  // NHWC
  for (const index_t step : {41, 2 * 41}) {  // pixels side by side, and every other one
    const std::array<index_t, 4> strides{9 * 30 * 41, 1, 30 * 41, step};
    const tensor_view<const std::uint8_t> x(pixels.data(), shape{2, 40, 9, 30 * 41 / step},
                                            strides);
    const auto dense = tensor<std::uint8_t>::copy_of(x);
    conv2d_options o{.window = window2d::symmetric({1, 1}, {1, 1}), .padding_value = 130};
    for_each_kernel_level([&](auto level) {
      CAPTURE(std::string(decltype(level)::name));
      const auto same = [&](const packed_palette& w, index_t groups) {
        o.groups = groups;
        const lut_matrix m = make_lut_matrix(w, level);
        tensor<std::int32_t> a(x.extents().with(1, w.weight_shape[0])), b(a.extents());
        conv2d(m, dense, o, a, level);
        conv2d(m, x, o, b, level);
        return a == b;
      };
      CHECK(same(p, 1));
      CHECK(same(depthwise, 40));
    });
  }
}

TEST_CASE("conv: an axis of one element may have any stride, of which no multiple is an address") {
  constexpr index_t any = index_t{1} << 62;
  random_stream r(17);
  const auto p = test::random_palette(r, shape{16, 1, 5, 48}, {});
  const auto w = reference::integer_weights(p);
  for (const index_t width : {60, 1}) {
    conv2d_options o{.padding_value = 3};
    o.window.padding[1] = 96;  // so that the windows do not meet the only column
    o.window.stride[1] = 50;
    const auto dense = test::random_tensor<std::int8_t>(r, shape{1, 1, 9, width});
    const std::array<index_t, 4> strides{any, any, width, width > 1 ? 1 : any};
    const tensor_view<const std::int8_t> x(dense.data(), dense.extents(), strides);
    const index_t columns = output_extent(o.window, 1, width, 48);
    tensor<std::int32_t> sums(shape{1, 16, 5, columns}), expected(sums.extents());
    reference::conv2d<std::int8_t>(view(w), view(dense), o.window, 1, 3, view(expected));
    for_each_kernel_level([&](auto level) {
      conv2d(make_lut_matrix(p, level), x, o, sums, level);
      CHECK(sums == expected);
    });
  }
}

TEST_CASE("conv: a kernel without input channels gives sums of 0") {
  const auto p = [] {
    random_stream r(7);
    return test::random_palette(r, shape{3, 0, 2, 2}, {});
  }();
  const tensor<std::int8_t> x(shape{1, 0, 4, 5});
  tensor<std::int32_t> sums(shape{1, 3, 3, 4});
  std::ranges::fill(sums.elements(), 9);
  conv2d(make_lut_matrix(p), x, {}, sums);
  for (const std::int32_t y : sums.elements()) CHECK(y == 0);
}

TEST_CASE("conv: layers of the usual networks, more rows than fit one set of planes") {
  random_stream r(2);
  const auto same = [](index_t padding, index_t stride = 1) {
    return conv2d_options{.window = window2d::symmetric({stride, stride}, {padding, padding}),
                          .padding_value = -3};
  };
  CHECK(all_levels_agree(r, {2, 1, 32, 28, 28, 3, 3, same(1)}, {}));
  CHECK(all_levels_agree(r, {1, 16, 8, 14, 14, 1, 1, same(0)}, {}));
  CHECK(all_levels_agree(r, {1, 3, 12, 33, 33, 7, 7, same(3, 2)}, {}));
  if (!test::quick()) CHECK(all_levels_agree(r, {1, 40, 4, 90, 90, 3, 3, same(1)}, {}));
  CHECK(all_levels_agree(r, {1, 1, 1, 1000, 300, 1, 1, same(0)}, {}));  // two bands
  CHECK(all_levels_agree(r, {1, 1, 1, 300, 1000, 3, 1, same(1)}, {}));
  CHECK(pooled_levels_agree(r, {1, 1, 1, 1001, 300, 3, 1, same(1)}, {}));
  CHECK(all_levels_agree(r, {1, 16, 8, 7, 7, 1, 1, same(0)}, {}));  // one run for all rows
  CHECK(all_levels_agree(r, {1, 3, 8, 300, 1, 3, 1, same(0)}, {}));
  auto one_dimension = same(0);
  one_dimension.window = window2d::symmetric({1, 2}, {0, 4}, {1, 3});
  CHECK(all_levels_agree(r, {2, 4, 6, 1, 100, 1, 5, one_dimension}, {}));
}

TEST_CASE("conv: extreme values stay exact") {
  random_stream r(3);
  for (const int w : {-128, 127}) {
    for (const int x : {-128, 127}) {
      auto p = test::random_palette(r, shape{5, 64, 3, 3}, {});
      std::ranges::fill(p.lut_codes, static_cast<std::uint8_t>(w));
      tensor<std::int8_t> image(shape{1, 64, 6, 6});
      std::ranges::fill(image.elements(), static_cast<std::int8_t>(x));
      for_each_kernel_level([&](auto level) {
        tensor<std::int32_t> out(shape{1, 5, 4, 4});
        conv2d(make_lut_matrix(p, level), image, {}, out, level);
        for (const std::int32_t y : out.elements()) CHECK(y == w * x * 576);
        tensor<std::uint8_t> bytes(image.extents());
        std::ranges::fill(bytes.elements(), static_cast<std::uint8_t>(x + 128));
        conv2d(make_lut_matrix(p, level), bytes, {}, out, level);
        for (const std::int32_t y : out.elements()) CHECK(y == w * (x + 128) * 576);
      });
    }
  }
}

TEST_CASE("conv: extreme values stay exact at the longest depth") {
  const index_t width = test::quick() ? 5 : 70;  // more than a vector
  const auto check = [&](int w, auto x, const shape& s) {
    using X = decltype(x);
    packed_palette p;
    p.weight_shape = s;
    p.block = s;
    p.n_bits = 4;
    p.codes.assign(static_cast<std::size_t>(packed_bytes(s.size(), 4)), 0x91);
    p.lut_codes.assign(16, static_cast<std::uint8_t>(w));
    p.scale = {1.0F};
    tensor<X> image(shape{1, s[1], s[2], s[3] - 1 + width});
    std::ranges::fill(image.elements(), x);
    const std::int64_t sum = std::int64_t{w} * x * (s.size() / s[0]);
    for_each_kernel_level([&](auto level) {
      tensor<std::int32_t> out(shape{1, s[0], 1, width});
      conv2d(make_lut_matrix(p, level), image, {}, out, level);
      CHECK(std::ranges::all_of(out.elements(), [&](std::int32_t y) { return y == sum; }));
    });
  };
  for (const int w : {-128, 127}) {
    for (const int x : {-128, 127}) check(w, static_cast<std::int8_t>(x), shape{5, 131071, 1, 1});
    for (const int x : {0, 255}) check(w, static_cast<std::uint8_t>(x), shape{5, 3133, 3, 7});
  }
}

TEST_CASE("conv: strided views (channels last), empty outputs, executors") {
  random_stream r(4);
  const auto p = test::random_palette(r, shape{6, 3, 3, 3}, {});
  const auto pixels = test::random_tensor<std::int8_t>(r, shape{2, 9, 11, 3});  // NHWC
  const std::array<index_t, 4> channels_last{9 * 11 * 3, 1, 11 * 3, 3};
  const tensor_view<const std::int8_t> x(pixels.data(), shape{2, 3, 9, 11}, channels_last);
  const auto dense = tensor<std::int8_t>::copy_of(x);
  const conv2d_options o{.window = window2d::symmetric({2, 1}, {1, 1}), .padding_value = 9};
  tensor<std::int32_t> expected(shape{2, 6, 5, 11});
  conv2d(make_lut_matrix(p), dense, o, expected);
  for_each_kernel_level([&](auto level) {
    tensor<std::int32_t> out(shape{2, 5, 11, 6});
    const std::array<index_t, 4> out_strides{5 * 11 * 6, 1, 11 * 6, 6};
    const tensor_view<std::int32_t> as_nchw(out.data(), shape{2, 6, 5, 11}, out_strides);
    conv2d(make_lut_matrix(p, level), x, o, as_nchw, level);
    CHECK(tensor<std::int32_t>::copy_of(as_nchw) == expected);
  });
  tensor<std::int32_t> in_any_order(expected.extents());
  conv2d(test::backward_executor{}, make_lut_matrix(p), dense, o, in_any_order);
  CHECK(in_any_order == expected);
  tensor<std::int32_t> nothing(shape{0, 6, 5, 11}), too_small(shape{2, 6, 0, 11});
  conv2d(make_lut_matrix(p), tensor<std::int8_t>(shape{0, 3, 9, 11}), o, nothing);
  conv2d(make_lut_matrix(p), tensor<std::int8_t>(shape{2, 3, 0, 11}), o, too_small);
  if constexpr (!std::is_same_v<simd::native, simd::portable>) {
    const tensor<std::int8_t> none(shape{0, 3, 9, 11});
    CHECK_ERROR(conv2d(make_lut_matrix(p), none, o, nothing, simd::portable{}), incompatible,
                "another level", "conv2d");
  }
  // Padding alone: x has strides, but no element that pointers could be taken into.
  conv2d_options around{.window = window2d::symmetric({1, 1}, {2, 2}), .padding_value = 9};
  const tensor_view<const std::int8_t> empty(nullptr, shape{2, 3, 0, 11}, channels_last);
  tensor<std::int8_t> zero_points(shape{2, 3, 4, 15});
  std::ranges::fill(zero_points.elements(), std::int8_t{9});
  tensor<std::int32_t> of_empty(shape{2, 6, 2, 13}), of_zero_points = of_empty;
  conv2d(make_lut_matrix(p), empty, around, of_empty);
  conv2d(make_lut_matrix(p), zero_points, {}, of_zero_points);
  CHECK(of_empty == of_zero_points);
}

TEST_CASE("conv: one image runs as several bands of rows, and the bands make no difference") {
  random_stream r(14);
  struct counting_executor {
    index_t* shards;
    void bulk(index_t n, std::function<void(index_t)> f) const {
      *shards = n;
      test::backward_executor{}.bulk(n, f);
    }
  };
  for (const shape& image : {shape{1, 3, 56, 56}, shape{1, 3, 71, 33}, shape{3, 3, 90, 16}}) {
    const auto p = test::random_palette(r, shape{5, 3, 3, 3}, {.zero_points = true});
    const auto x = test::random_tensor<std::int8_t>(r, image);
    conv2d_options o{.window = window2d::symmetric({1, 1}, {1, 1}), .padding_value = -7};
    tensor<std::int32_t> expected(image.with(1, 5)), sums(expected.extents());
    const auto w = reference::integer_weights(p);
    reference::conv2d<std::int8_t>(view(w), view(x), o.window, 1, -7, view(expected));
    const requantize e{std::vector<float>(5, 1e-3F), std::vector<std::int32_t>(5, 100)};
    tensor<std::int8_t> pooled(shape{image[0], 5, image[2] / 2, image[3] / 2});
    for_each_kernel_level([&](auto level) {
      const lut_matrix m = make_lut_matrix(p, level);
      index_t shards = 0, pooled_shards = 0;
      o.pool = false;
      conv2d(counting_executor{&shards}, m, x, o, sums, level);
      CHECK(sums == expected);
      o.pool = true;
      conv2d(counting_executor{&pooled_shards}, m, x, o, e, pooled, level);
      CHECK(shards > image[0]);
      CHECK(pooled_shards > image[0]);
      index_t wrong = 0, at = 0;
      for (index_t plane = 0; plane < image[0] * 5; ++plane) {
        for (index_t i = 0; i < pooled.extent(2); ++i) {
          for (index_t j = 0; j < pooled.extent(3); ++j, ++at) {
            const std::int32_t* block = &expected[(plane * image[2] + 2 * i) * image[3] + 2 * j];
            const std::int32_t most =
                std::max({block[0], block[1], block[image[3]], block[image[3] + 1]});
            wrong += pooled[at] != reference::requantize(most, 100, 1e-3F, 0, -128, 127);
          }
        }
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("conv: what is serial runs all bands of all images as one piece") {
  random_stream r(15);
  const auto p = test::random_palette(r, shape{8, 4, 3, 3}, {});
  const auto x = test::random_tensor<std::int8_t>(r, shape{5, 8, 20, 40});
  const conv2d_options o{.groups = 2};
  const lut_matrix w = make_lut_matrix(p);
  tensor<std::int32_t> expected(shape{5, 8, 18, 38}), sums(expected.extents());
  conv2d(test::backward_executor{}, w, x, o, expected);
  for (const bool serial : {true, false}) {
    const index_t pieces =
        test::most_pieces(serial, [&](const auto& ex) { conv2d(executor_ref(ex), w, x, o, sums); });
    CHECK(sums == expected);
    CHECK((serial ? pieces == 1 : pieces >= 10));
  }
}

TEST_CASE("conv: shapes, groups and windows are checked") {
  random_stream r(5);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{4, 2, 3, 3}, {}));
  const tensor<std::int8_t> x(shape{1, 2, 5, 5});
  tensor<std::int32_t> out(shape{1, 4, 3, 3});
  conv2d(w, x, {}, out);
  CHECK_ERROR(conv2d(w, x, {.groups = 3}, out), invalid_argument, "groups", "got 3",
              "divisor of 4");
  CHECK_ERROR(conv2d(w, x, {.groups = 2}, out), shape_mismatch, "x does not match", "4, h, w");
  CHECK_ERROR(conv2d(w, tensor<std::int8_t>(shape{2, 5, 5}), {}, out), shape_mismatch, "[2, 5, 5]");
  tensor<std::int32_t> wrong(shape{1, 4, 3, 4});
  CHECK_ERROR(conv2d(w, x, {}, wrong), shape_mismatch, "[1, 4, 3, 4]", "[1, 4, 3, 3]");
  CHECK_ERROR(conv2d(w, x, {.window = {.stride = {0, 1}}}, out), invalid_argument, "stride", "0");
  CHECK_ERROR(conv2d(w, x, {.window = {.padding = {0, -1}}}, out), invalid_argument, "padding");
  const tensor<std::uint8_t> u(shape{1, 2, 5, 5});
  conv2d(w, u, {.padding_value = 255}, out);
  for (const int value : {-129, 128}) {
    CHECK_ERROR(conv2d(w, x, {.padding_value = value}, out), invalid_argument, "padding_value",
                "-128");
  }
  for (const int value : {-1, 256}) {
    CHECK_ERROR(conv2d(w, u, {.padding_value = value}, out), invalid_argument, "padding_value",
                "255");
  }
  const auto deep = test::random_palette(r, shape{1, 65794, 1, 1}, {.bits = 1});
  tensor<std::int32_t> one(shape{1, 1, 1, 1});
  conv2d(make_lut_matrix(deep), tensor<std::int8_t>(shape{1, 65794, 1, 1}), {}, one);
  CHECK_ERROR(conv2d(make_lut_matrix(deep), tensor<std::uint8_t>(shape{1, 65794, 1, 1}), {}, one),
              unsupported, "65794", "65793");
  const lut_matrix flat = make_lut_matrix(test::random_palette(r, shape{4, 18}, {}));
  CHECK_ERROR(conv2d(flat, x, {}, out), shape_mismatch, "four axes (conv2d)", "got [4, 18]",
              "allowed: [out, in / groups, kh, kw]");
  tensor<std::int32_t> block(shape{1, 4, 1, 1});
  CHECK_ERROR(conv2d(w, x, {.pool = true}, out), shape_mismatch, "[1, 4, 3, 3]", "[1, 4, 1, 1]");
  CHECK_ERROR(conv2d(w, x, {.pool = true}, block), unsupported,
              "only requantized outputs are pooled (conv2d)", "got pool = true", "allowed: false");
  tensor<std::int32_t> both(shape{100});
  const tensor_view<const std::int8_t> in(reinterpret_cast<std::int8_t*>(&both[20]),
                                          shape{1, 2, 5, 5});
  CHECK_ERROR(conv2d(w, in, {}, tensor_view<std::int32_t>(both.data(), shape{1, 4, 3, 3})),
              invalid_argument, "out overlaps x", "conv2d");
  tensor<std::int8_t> q(shape{1, 4, 3, 3});
  CHECK_ERROR(conv2d(w, x, {}, requantize{{1.0F}, {}}, q), shape_mismatch, "multiplier", "conv2d");
}

TEST_CASE("conv: windows that need memory without bounds are refused") {
  random_stream r(11);
  const tensor<std::int8_t> x(shape{1, 1, 1, 1});
  // Every field is in range, and so are the extents of the output; sizes of the planes are not.
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{1, 1, 4, 4}, {}));
  constexpr index_t third = 1431655765, half = index_t{1} << 31;
  const window2d wraps{
      .padding = {half, half}, .padding_end = {half - 1, half - 1}, .dilation = {third, third}};
  tensor<std::int32_t> out(shape{1, 1, 1, 1});
  const auto refused = [&](auto&& call) {
    CHECK_ERROR(call(), size_overflow, "dilation", "conv2d", "4294967296");
  };
  refused([&] { conv2d(w, x, {.window = wraps}, out); });
  refused([&] {
    conv2d(w, x, {.window = wraps}, dequantize_rows{{1.0F}, {}}, tensor<float>(out.extents()));
  });
  // Far from the range of an integer.
  constexpr index_t far = index_t{1} << 22;
  const lut_matrix three = make_lut_matrix(test::random_palette(r, shape{1, 1, 3, 3}, {}));
  const window2d wide = window2d::symmetric({1, 1}, {far, far}, {far, far});
  refused([&] { conv2d(three, x, {.window = wide}, out); });
  window2d pairs = wide;
  pairs.padding_end = {far + 1, far + 1};
  tensor<std::int8_t> pooled(shape{1, 1, 1, 1});
  refused([&] {
    conv2d(three, x, {.window = pairs, .pool = true}, requantize{{1.0F}, {}}, pooled);
  });
  // One axis may reach so far.
  const window2d row = window2d::symmetric({1, 1}, {1, far}, {1, far});
  conv2d(three, tensor<std::int8_t>(shape{1, 1, 1, 1}), {.window = row}, out);
  CHECK(out[0] == 0);
  // A kernel without input channels has any extents.
  const lut_matrix none = make_lut_matrix(test::random_palette(r, shape{1, 0, 1, 1 << 18}, {}));
  CHECK_ERROR(conv2d(none, tensor<std::int8_t>(shape{1, 0, 1, 1 << 18}), {}, out), unsupported,
              "kernel", "conv2d", "262144", "131072");
}

TEST_CASE("conv: groups are bounded by the channels") {
  tensor<std::int32_t> out(shape{1, 0, 3, 3});
  test::check_groups_bounded([&](const lut_matrix& w, const auto& x, index_t groups) {
    conv2d(w, x, {.groups = groups}, out);
  });
}

TEST_CASE("conv: out is aligned and does not overlap itself") {
  random_stream r(8);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{4, 2, 3, 3}, {}));
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 2, 5, 5});
  const std::vector<float> multiplier(4, 0.5F);
  const shape s{2, 4, 3, 3};
  const dequantize_rows to_float{multiplier, {}};
  const requantize to_bytes{multiplier, {}};
  test::check_output_memory<std::int32_t>(s, [&](auto out) { conv2d(w, x, {}, out); });
  test::check_output_memory<float>(s, [&](auto out) { conv2d(w, x, {}, to_float, out); });
  test::check_output_memory<std::int8_t>(s, [&](auto out) { conv2d(w, x, {}, to_bytes, out); });
  test::check_output_memory<std::int8_t>(
      shape{2, 4, 1, 1}, [&](auto out) { conv2d(w, x, {.pool = true}, to_bytes, out); });
}

TEST_CASE("conv: out lies apart from the epilogue's vectors") {
  random_stream r(13);
  const lut_matrix w = make_lut_matrix(test::random_palette(r, shape{4, 1, 1, 1}, {}));
  const tensor<std::int8_t> x(shape{1, 1, 1, 1});
  const std::vector<float> multiplier(4, 0.5F);
  dequantize_rows e{multiplier, {1, 2, 3, 4}};
  const tensor_view<float> out(e.multiplier.data(), shape{1, 4, 1, 1});
  CHECK_ERROR(conv2d(w, x, {}, e, out), invalid_argument, "out overlaps multiplier", "conv2d");
  CHECK(e.multiplier == multiplier);
}

namespace {

// What makes the products of 56 x 56 inputs, padded by one.
template <class A>
conv_products chosen(const shape& weight, index_t groups, bool channels_last,
                     index_t dilation = 1) {
  random_stream r(1);
  const lut_matrix m = make_lut_matrix(test::random_palette(r, weight, {}), A{});
  const index_t channels = weight[1] * groups;
  const tensor<std::int8_t> memory(shape{1, channels, 56, 56});
  const std::array<index_t, 4> last{channels * 56 * 56, 1, 56 * channels, channels};
  const tensor_view<const std::int8_t> x =
      channels_last ? tensor_view<const std::int8_t>(memory.data(), memory.extents(), last)
                    : tensor_view<const std::int8_t>(memory.data(), memory.extents());
  window2d window = window2d::symmetric({1, 1}, {1, 1});
  window.dilation[1] = dilation;
  tensor<std::int32_t> out(shape{1, weight[0], output_extent(window, 0, 56, weight[2]),
                                 output_extent(window, 1, 56, weight[3])});
  const conv_phase<std::int8_t, std::int32_t> all{
      window, kernel_part::whole_of(weight[2], weight[3]), x, view(out)};
  return plan_of<A>(m, {groups, 0, false, "chosen"}, all).products;
}

}  // namespace

TEST_CASE("conv2d: which loop makes the products, at every level") {
  for_each_kernel_level([](auto level) {
    using A = decltype(level);
    CAPTURE(A::name);
    const bool tiles = has_tiles(level);
    if (tiles && !simd::tiles_permitted()) return;
    for (const bool last : {false, true}) {
      CHECK(chosen<A>({64, 64, 3, 3}, 1, last) ==
            (tiles ? conv_products::lines : conv_products::panel));
      CHECK(chosen<A>({64, 40, 3, 3}, 1, last, 2) ==
            (tiles ? conv_products::tiles : conv_products::panel));
      CHECK(chosen<A>({1, 1, 3, 3}, 1, last) == conv_products::windows);
      CHECK(chosen<A>({32, 1, 3, 3}, 1, last) == conv_products::panel);
    }
    CHECK(chosen<A>({128, 1, 3, 3}, 128, false) == conv_products::windows);
    CHECK(chosen<A>({128, 1, 3, 3}, 128, true) == conv_products::channels);
    CHECK(chosen<A>({2, 1, 3, 3}, 2, true) == conv_products::windows);
  });
}
