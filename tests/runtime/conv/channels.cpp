#include <doctest/doctest.h>

#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/reference.hpp>
#include <lutra/runtime/scaled_conv.hpp>

#include "backward_executor.hpp"
#include "kernel_levels.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

struct channels_case {
  index_t images, channels, height, width;
  shape kernel;
  window2d window;
  index_t between = 0;  // bytes from the last channel of a pixel to the first one of the next
};

// The strides of a tensor with channels last, of pixels of `pixel` elements.
std::array<index_t, 4> last(const shape& s, index_t pixel) {
  return {s[2] * s[3] * pixel, 1, s[3] * pixel, pixel};
}

// Depthwise with channels last, from memory that ends at a guard page: sums, bytes, floats and pooled bytes of every
// level against the reference.
template <class X> bool levels_agree(random_stream& r, const channels_case& d, bool zero_points) {
  const auto p = test::random_palette(r, shape{d.channels, 1, d.kernel[0], d.kernel[1]},
                                      {.bits = static_cast<int>(test::pick(r, 1, 8)),
                                       .group_rows = test::pick(r, 0, 3),
                                       .zero_points = zero_points});
  const shape image{d.images, d.channels, d.height, d.width};
  const index_t pixel = d.channels + d.between;
  test::guarded<X> input(d.images * d.height * d.width * pixel - d.between);
  test::fill<X>(r, input.elements());
  const tensor_view<const X> x(input.data(), image, last(image, pixel));
  const auto lowest = std::is_signed_v<X> ? -128 : 0;
  const auto pad = static_cast<std::int32_t>(test::pick(r, lowest, lowest + 255));
  const conv2d_options o{.window = d.window, .groups = d.channels, .padding_value = pad};
  tensor<std::int32_t> expected(shape{d.images, d.channels,
                                      output_extent(d.window, 0, d.height, d.kernel[0]),
                                      output_extent(d.window, 1, d.width, d.kernel[1])});
  if (expected.size() == 0) return true;
  const auto w = reference::integer_weights(p);
  reference::conv2d<X>(view(w), x, d.window, d.channels, pad, view(expected));
  requantize e{.multiplier = {}, .bias = {}, .zero_point = 5, .lo = -90};
  for (index_t i = 0; i < d.channels; ++i) {
    e.multiplier.push_back(static_cast<float>(r.uniform() * 0.01 + 1e-4));
    e.bias.push_back(static_cast<std::int32_t>(test::pick(r, -3000, 3000)));
    e.rest.push_back(static_cast<float>(r.uniform() - 0.5));
  }
  requantize u = e;  // the same as uint8
  u.zero_point += 128;
  u.lo += 128;
  u.hi += 128;
  const shape& s = expected.extents();
  const index_t plane = s[2] * s[3];
  tensor<std::int8_t> bytes(s);
  tensor<float> floats(s);
  for (index_t i = 0; i < bytes.size(); ++i) {
    const auto row = static_cast<std::size_t>(i / plane % d.channels);
    bytes[i] = static_cast<std::int8_t>(reference::requantize(
        expected[i], e.bias[row], e.multiplier[row], 5, e.lo, e.hi, e.rest[row]));
    floats[i] = reference::dequantize(expected[i], e.bias[row], e.multiplier[row], e.rest[row]);
  }
  bool good = true;
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(p, level);
    // f(out) writes a tensor of shape `of` with channels last; whether it does, element i being wanted(i), and
    // nothing beside it.
    const auto gives = [&]<class Out>(std::type_identity<Out>, const shape& of, auto&& wanted,
                                      auto&& f) {
      test::fenced<Out> memory(of.size(), 1);
      const tensor_view<Out> out(memory.data(), of, last(of, of[1]));
      f(out);
      const auto dense = tensor<Out>::copy_of(out);
      bool same = memory.intact();
      for (index_t i = 0; i < of.size(); ++i) same = same && dense[i] == wanted(i);
      return same;
    };
    bool same = gives(
        std::type_identity<std::int32_t>{}, s, [&](index_t i) { return expected[i]; },
        [&](const auto& out) { conv2d(m, x, o, out, level); });
    same = same &&
           gives(
               std::type_identity<std::int8_t>{}, s, [&](index_t i) { return bytes[i]; },
               [&](const auto& out) { conv2d(test::backward_executor{}, m, x, o, e, out, level); });
    same = same &&
           gives(
               std::type_identity<std::uint8_t>{}, s, [&](index_t i) { return bytes[i] + 128; },
               [&](const auto& out) { conv2d(m, x, o, u, out, level); });
    const dequantize_rows f{e.multiplier, e.bias, e.rest};
    same = same && gives(
                       std::type_identity<float>{}, s, [&](index_t i) { return floats[i]; },
                       [&](const auto& out) { conv2d(m, x, o, f, out, level); });
    const auto scaled = [&](index_t i) {
      const index_t row = i / plane % d.channels;
      const volatile float product =  // not contracted
          static_cast<float>(expected[i] - pad * m.row_sum(row)) * m.row_scale(row);
      return product * 0.25F + 0.5F * static_cast<float>(row);
    };
    float_output biased;
    for (index_t i = 0; i < d.channels; ++i) biased.bias.push_back(0.5F * static_cast<float>(i));
    same = same && gives(std::type_identity<float>{}, s, scaled, [&](const auto& out) {
             const activation_scale a{.scale = 0.25F, .zero_point = pad};
             conv2d_scaled(m, x, o, a, biased, out, level);
           });
    tensor<std::int8_t> dense(s);  // with columns side by side
    conv2d(m, x, o, e, dense, level);
    same = same && dense == bytes;
    if (s[2] > 1 && s[3] > 1) {
      conv2d_options halves = o;
      halves.pool = true;
      const shape half{s[0], s[1], s[2] / 2, s[3] / 2};
      const auto largest = [&](index_t i) {
        const index_t row = i / half[3] / half[2] * s[2] + i / half[3] % half[2] * 2;
        const std::int8_t* at = bytes.data() + row * s[3] + i % half[3] * 2;
        return std::max({at[0], at[1], at[s[3]], at[s[3] + 1]});
      };
      same = same && gives(std::type_identity<std::int8_t>{}, half, largest,
                           [&](const auto& out) { conv2d(m, x, halves, e, out, level); });
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

}  // namespace

TEST_CASE("conv::channels: every number of channels around the vectors of a level") {
  random_stream r(1);
  const window2d same = window2d::symmetric({1, 1}, {1, 1});
  bool good = true;
  for (index_t channels = 1; channels < 131; channels += test::quick() ? 7 : 1) {
    const channels_case d{1, channels, 4, test::pick(r, 1, 9), {3, 3}, same};
    good = levels_agree<std::int8_t>(r, d, channels % 3 == 0) && good;
    good = levels_agree<std::uint8_t>(r, d, channels % 3 == 1) && good;
  }
  CHECK(good);
}

TEST_CASE("conv::channels: kernels of every size, stride, dilation and padding") {
  random_stream r(2);
  bool good = true;
  for (int i = 0; i < (test::quick() ? 30 : 300); ++i) {
    channels_case d{test::pick(r, 1, 2),
                    test::pick(r, 1, 80),
                    test::pick(r, 1, 12),
                    test::pick(r, 1, 20),
                    {test::pick(r, 1, 9), test::pick(r, 1, 7)},
                    {},
                    i % 4 == 0 ? test::pick(r, 0, 3) : 0};
    for (std::size_t a = 0; a < 2; ++a) {
      d.window.stride[a] = test::pick(r, 1, 3);
      d.window.dilation[a] = test::pick(r, 1, 3);
      d.window.padding[a] = test::pick(r, 0, 4);
      d.window.padding_end[a] = test::pick(r, 0, 4);
    }
    good = levels_agree<std::int8_t>(r, d, i % 3 == 0) && good;
    good = levels_agree<std::uint8_t>(r, d, i % 3 == 1) && good;
  }
  CHECK(good);
}

TEST_CASE("conv::channels: rows of several pieces") {
  random_stream r(3);
  bool good = true;
  for (const index_t stride : {1, 2}) {
    const window2d w = window2d::symmetric({1, stride}, {2, 2});
    good = levels_agree<std::int8_t>(r, {1, 70, 3, 301, {5, 5}, w}, stride == 2) && good;
  }
  CHECK(good);
}

TEST_CASE("conv::channels: an input without columns is padding alone and needs no address") {
  random_stream r(4);
  const auto p = test::random_palette(r, shape{140, 1, 3, 3}, {});
  const shape none{1, 140, 4, 0};
  const tensor_view<const std::int8_t> x(nullptr, none, last(none, 140));
  const conv2d_options o{
      .window = window2d::symmetric({1, 1}, {1, 2}), .groups = 140, .padding_value = -7};
  for_each_kernel_level([&](auto level) {
    const lut_matrix m = make_lut_matrix(p, level);
    tensor<std::int32_t> sums(shape{1, 140, 4, 2});
    conv2d(m, x, o, sums, level);
    bool same = true;
    for (index_t i = 0; i < sums.size(); ++i) same = same && sums[i] == -7 * m.row_sum(i / 8);
    CHECK(same);
  });
}

TEST_CASE("conv::channels: where panels would be large or lanes empty, other products are made") {
  using A = simd::native;
  const auto pays = [](index_t rows, index_t columns, index_t dilation, index_t channels) {
    const window2d w{.dilation = {1, dilation}};
    const plane_geometry g(w, 1, {rows, columns}, 20, 1);
    return channel_geometry<A>(g).pays(g, channels, 256 * 1024);
  };
  CHECK(pays(3, 3, 1, 64));
  CHECK(pays(7, 7, 2, 64));
  CHECK(!pays(3, 3, 1, simd::int_lanes<A> - 1));
  CHECK(!pays(3, 3, 1 << 20, 64));
  CHECK(!pays(1 << 16, 1, 1, 64));
}
