#include <doctest/doctest.h>

#include <lutra/runtime/pool.hpp>
#include <lutra/runtime/reference.hpp>

#include "errors.hpp"
#include "kernel_levels.hpp"
#include "runtime/output_memory.hpp"
#include "runtime/palettes.hpp"

using namespace lutra;

namespace {

struct pool_geometry {
  shape image;
  std::array<index_t, 2> kernel;
  window2d window;
};

shape pooled_shape(const pool_geometry& g) {
  return {g.image[0], g.image[1], output_extent(g.window, 0, g.image[2], g.kernel[0]),
          output_extent(g.window, 1, g.image[3], g.kernel[1])};
}

bool all_levels_agree(random_stream& r, const pool_geometry& g) {
  test::guarded<std::int8_t> input(g.image.size());
  test::fill<std::int8_t>(r, input.elements());
  const tensor_view<const std::int8_t> x(input.data(), g.image);
  const mean_pool2d_options mean{
      .kernel = g.kernel,
      .window = g.window,
      .count_padding = r.below(2) == 1,
      .zero_point = static_cast<std::int8_t>(test::pick(r, -128, 127)),
      .output_zero_point = static_cast<std::int8_t>(test::pick(r, -128, 127)),
      .multiplier = r.below(2) == 1 ? 1.0F : static_cast<float>(r.uniform() * 2 + 0.1)};
  const shape s = pooled_shape(g);
  bool good = true;
  for_each_kernel_level([&](auto level) {
    test::fenced<std::int8_t> largest(s.size(), 5);
    test::guarded<std::int8_t> means(s.size());
    max_pool2d(x, {g.kernel, g.window}, tensor_view<std::int8_t>(largest.data(), s), level);
    mean_pool2d(x, mean, tensor_view<std::int8_t>(means.data(), s), level);
    bool same = largest.intact();
    for (index_t at = 0; at < s.size(); ++at) {
      const index_t j = at % s[3], i = at / s[3] % s[2], c = at / (s[2] * s[3]) % s[1],
                    n = at / (s[1] * s[2] * s[3]);
      same = same && largest.data()[at] == reference::max_pool(x, n, c, g.kernel, g.window, i, j) &&
             means.data()[at] == reference::mean_pool(x, n, c, g.kernel, g.window, i, j,
                                                      mean.count_padding, mean.zero_point,
                                                      mean.multiplier, mean.output_zero_point);
    }
    if (!same) {
      good = false;
      MESSAGE("level " << std::string(decltype(level)::name) << ", image " << text_of(g.image)
                       << ", kernel " << g.kernel[0] << " x " << g.kernel[1]);
    }
  });
  return good;
}

}  // namespace

TEST_CASE("pool: random windows equal the reference at every level") {
  random_stream r(1);
  bool good = true;
  for (int t = 0; t < (test::quick() ? 100 : 1500); ++t) {
    pool_geometry g{
        {test::pick(r, 1, 2), test::pick(r, 1, 3), test::pick(r, 1, 20), test::pick(r, 1, 90)},
        {test::pick(r, 1, 5), test::pick(r, 1, 5)},
        {}};
    for (std::size_t a = 0; a < 2; ++a) {
      g.window.stride[a] = test::pick(r, 1, 3);
      g.window.dilation[a] = test::pick(r, 1, 2);
      const index_t reach = g.window.dilation[a] * (g.kernel[a] - 1);
      g.window.padding[a] = test::pick(r, 0, std::min<index_t>(reach, 3));
      g.window.padding_end[a] = test::pick(r, 0, std::min<index_t>(reach, 3));
    }
    good = all_levels_agree(r, g) && good;
  }
  CHECK(good);
}

TEST_CASE("pool: pairs of every width, whole planes") {
  random_stream r(2);
  bool good = true;
  for (index_t width = 2; width <= 140; width += test::quick() ? 23 : 1) {
    good = all_levels_agree(r, {{1, 2, 5, width}, {2, 2}, window2d::symmetric({2, 2}, {0, 0})}) &&
           good;
    good = all_levels_agree(r, {{1, 2, 4, width}, {4, width}, {}}) && good;
    window2d apart = window2d::symmetric({1, 2}, {0, 0});  // rows of a window that do not touch
    apart.dilation = {2, 1};
    good = all_levels_agree(r, {{1, 5, 9, width}, {3, 2}, apart}) && good;
    good = all_levels_agree(r, {{1, 1, 20, width}, {3, 2}, apart}) && good;
  }
  CHECK(good);
}

TEST_CASE("pool: planes of more rows than are made at once, and rows longer than that") {
  random_stream r(9);
  const auto padded = window2d::symmetric({1, 1}, {1, 1});
  CHECK(all_levels_agree(r, {{1, 2, 700, 601}, {3, 3}, padded}));
  CHECK(all_levels_agree(r, {{1, 1, 3, 300'000}, {2, 3}, window2d::symmetric({1, 2}, {1, 1})}));
  CHECK(all_levels_agree(r, {{1, 1, 600, 1000}, {2, 2}, window2d::symmetric({2, 2}, {0, 0})}));
}

TEST_CASE("pool: rows too long to be held are refused") {
  const std::int8_t one = 7;
  const std::array<index_t, 4> again{0, 0, 0, 0};
  const index_t wide = (index_t{1} << 32) + 1;
  std::array<std::int8_t, 2> out{};
  const window2d sparse{.stride = {1, index_t{1} << 31}};
  const tensor_view<std::int8_t> to(out.data(), shape{1, 1, 1, 3});
  const tensor_view<const std::int8_t> x(&one, shape{1, 1, 1, wide}, again);
  CHECK_ERROR(max_pool2d(x, {.window = sparse}, to), size_overflow, "too long", "max_pool2d");
  CHECK_ERROR(mean_pool2d(x, {.window = sparse}, to), size_overflow, "too long", "mean_pool2d");
  const index_t gap = index_t{1} << 31;  // padding on both sides fills the limit, without x
  const window2d around{.padding = {0, gap}, .padding_end = {0, gap}, .dilation = {1, gap}};
  CHECK_ERROR(max_pool2d(tensor_view<const std::int8_t>(&one, shape{1, 1, 1, 1}),
                         {.kernel = {1, 2}, .window = around}, to),
              size_overflow, "too long", "max_pool2d");
}

TEST_CASE("pool: strided views") {
  random_stream r(3);
  const auto pixels = test::random_tensor<std::int8_t>(r, shape{2, 8, 10, 3});  // NHWC
  const std::array<index_t, 4> channels_last{240, 1, 30, 3};
  const tensor_view<const std::int8_t> x(pixels.data(), shape{2, 3, 8, 10}, channels_last);
  const auto dense = tensor<std::int8_t>::copy_of(x);
  const window2d halves = window2d::symmetric({2, 2}, {0, 0});
  for_each_kernel_level([&](auto level) {
    tensor<std::int8_t> expected(shape{2, 3, 4, 5}), out(shape{2, 4, 5, 3});
    const std::array<index_t, 4> out_strides{60, 1, 15, 3};
    const tensor_view<std::int8_t> as_nchw(out.data(), expected.extents(), out_strides);
    max_pool2d(dense, {{2, 2}, halves}, expected, level);
    max_pool2d(x, {{2, 2}, halves}, as_nchw, level);
    CHECK(tensor<std::int8_t>::copy_of(as_nchw) == expected);
    mean_pool2d(dense, {.kernel = {2, 2}, .window = halves}, expected, level);
    mean_pool2d(x, {.kernel = {2, 2}, .window = halves}, as_nchw, level);
    CHECK(tensor<std::int8_t>::copy_of(as_nchw) == expected);
  });
}

TEST_CASE("pool: means of known windows, a tie goes to even") {
  const tensor<std::int8_t> x(shape{1, 1, 2, 4}, {1, 2, 3, 4, 2, 1, 4, 3});
  tensor<std::int8_t> out(shape{1, 1, 1, 2});
  const window2d halves = window2d::symmetric({2, 2}, {0, 0});
  mean_pool2d(x, {.kernel = {2, 2}, .window = halves}, out);
  CHECK(out.elements() == std::vector<std::int8_t>{2, 4});  // 1.5 and 3.5
  mean_pool2d(x, {.kernel = {2, 2}, .window = halves, .output_zero_point = 1}, out);
  CHECK(out.elements() == std::vector<std::int8_t>{3, 5});
}

TEST_CASE("pool: shapes, windows and multipliers are checked") {
  const tensor<std::int8_t> x(shape{1, 1, 4, 4});
  tensor<std::int8_t> out(shape{1, 1, 3, 3});
  CHECK_ERROR(max_pool2d(x, {{3, 3}, {}}, out), shape_mismatch, "max_pool2d", "[1, 1, 2, 2]");
  tensor<std::int8_t> same(shape{1, 1, 4, 4});
  CHECK_ERROR(max_pool2d(same, {{2, 2}, {}}, tensor_view<std::int8_t>(&same[7], shape{1, 1, 3, 3})),
              invalid_argument, "out overlaps x", "max_pool2d");
  CHECK_ERROR(max_pool2d(x, {{0, 2}, {}}, out), invalid_argument, "kernel", "got 0");
  CHECK_ERROR(max_pool2d(x, {{2, 2}, window2d::symmetric({1, 1}, {2, 0})}, out), invalid_argument,
              "padding", "got 2", "<= 1");
  CHECK_ERROR(max_pool2d(tensor<std::int8_t>(shape{4, 4}), {{2, 2}, {}}, out), shape_mismatch,
              "four axes");
  CHECK_ERROR(mean_pool2d(x, {.kernel = {2, 2}, .multiplier = -1.0F}, out), invalid_argument,
              "multiplier", "-1");
  CHECK_ERROR(mean_pool2d(x, {.kernel = {2, 2}, .window = {.stride = {1, 0}}}, out),
              invalid_argument, "stride");
  tensor<std::int8_t> none(shape{0, 1, 3, 3});
  max_pool2d(tensor<std::int8_t>(shape{0, 1, 4, 4}), {{2, 2}, {}}, none);
  mean_pool2d(tensor<std::int8_t>(shape{0, 1, 4, 4}), {.kernel = {2, 2}}, none);
}

TEST_CASE("pool: out does not overlap itself") {
  random_stream r(4);
  const auto x = test::random_tensor<std::int8_t>(r, shape{2, 3, 5, 6});
  const shape s{2, 3, 4, 5};
  test::check_output_memory<std::int8_t>(s, [&](auto out) { max_pool2d(x, {{2, 2}, {}}, out); });
  test::check_output_memory<std::int8_t>(s, [&](auto out) {
    mean_pool2d(x, {.kernel = {2, 2}}, out);
  });
}
