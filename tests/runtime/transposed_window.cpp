#include <lutra/runtime/transposed_window.hpp>

#include <doctest/doctest.h>

#include <numeric>

#include "errors.hpp"

using namespace lutra;

TEST_CASE("transposed_window: extents undo those of the window") {
  for (index_t stride = 1; stride <= 3; ++stride) {
    for (index_t padding = 0; padding <= 2; ++padding) {
      for (index_t dilation = 1; dilation <= 2; ++dilation) {
        for (index_t kernel = 1; kernel <= 4; ++kernel) {
          for (index_t input = 9; input <= 12; ++input) {
            const window2d w = window2d::symmetric({1, stride}, {0, padding}, {1, dilation});
            const index_t out = output_extent(w, 1, input, kernel);
            const index_t rest = (input + 2 * padding - dilation * (kernel - 1) - 1) % stride;
            transposed_window t{w, {0, rest}};
            CHECK(output_extent(t, 1, out, kernel) == input);
          }
        }
      }
    }
  }
  const transposed_window cut{window2d::symmetric({1, 1}, {0, 3})};
  CHECK(output_extent(cut, 1, 4, 3) == 0);
  CHECK(output_extent(transposed_window{}, 0, 0, 3) == 0);
  CHECK(output_extent(transposed_window{}, 0, 3, 0) == 0);
}

TEST_CASE("transposed_window: planes are spread and cut") {
  std::vector<int> in(12);
  std::iota(in.begin(), in.end(), 1);  // two planes of 2 x 3
  std::vector<int> out(2 * 4 * 4, -7);
  spread_planes(in.data(), 2, 2, 3, {4, 1, 2}, {4, -1, 2}, out.data());
  const std::vector<int> expected{-7, -7, -7, -7, -7, 2, -7, 3, -7, -7, -7, -7, -7, 5,  -7, 6,
                                  -7, -7, -7, -7, -7, 8, -7, 9, -7, -7, -7, -7, -7, 11, -7, 12};
  CHECK(out == expected);
}

TEST_CASE(
    "transposed_window: phases have every tap of every output that meets an input, and none else") {
  for (index_t stride = 1; stride <= 5; ++stride) {
    for (index_t dilation = 1; dilation <= 4; ++dilation) {
      for (index_t kernel = 1; kernel <= 5; ++kernel) {
        for (index_t padding = 0; padding <= 4; ++padding) {
          const transposed_window t{window2d::symmetric({1, stride}, {0, padding}, {1, dilation})};
          const index_t input = 4, out = output_extent(t, 1, input, kernel);
          const spread_axis spread = spread_of(t, 1, input, kernel);
          std::vector<int> met(static_cast<std::size_t>(out * kernel));
          for (const axis_phase& p : phases_of(t, 1, input, kernel)) {
            REQUIRE(p.outputs > 0);
            REQUIRE(p.output + (p.outputs - 1) * stride < out);
            REQUIRE(p.output + p.outputs * stride >= out);
            for (index_t i = 0; i < p.outputs; ++i) {
              for (index_t k = 0; k < p.taps.count; ++k) {
                const index_t tap = p.taps.first + k * p.taps.step, at = p.output + i * stride;
                REQUIRE(tap < kernel);
                const index_t position = i + p.offset + k * p.dilation;
                REQUIRE(at + tap * dilation == spread.first + position * stride);
                ++met[static_cast<std::size_t>(at * kernel + tap)];
              }
            }
          }
          for (index_t at = 0; at < out; ++at) {
            for (index_t tap = 0; tap < kernel; ++tap) {
              const bool meets = (at + tap * dilation - spread.first) % stride == 0;
              REQUIRE(met[static_cast<std::size_t>(at * kernel + tap)] == (meets ? 1 : 0));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("transposed_window: the reversed weight, twice, is the weight") {
  const shape s{6, 2, 2, 3};  // 6 inputs in 3 groups, 2 outputs per group
  std::vector<int> w(72);
  std::iota(w.begin(), w.end(), 0);
  const std::vector<int> r = reversed_weight<int>(w, s, 3);
  const shape t = reversed_shape(s, 3);
  CHECK(t == shape{6, 2, 2, 3});
  for (index_t o = 0; o < 6; ++o) {
    for (index_t c = 0; c < 2; ++c) {
      for (index_t k = 0; k < 6; ++k) {
        const index_t from = ((o / 2 * 2 + c) * 2 + o % 2) * 6 + 5 - k;
        CHECK(r[static_cast<std::size_t>((o * 2 + c) * 6 + k)] == from);
      }
    }
  }
  CHECK(reversed_weight<int>(r, t, 3) == w);
  CHECK(reversed_shape({4, 6, 3}, 2) == shape{12, 2, 3});
}

TEST_CASE("transposed_window: fields out of range are named") {
  transposed_window t{window2d::symmetric({2, 1}, {0, 0}, {1, 3})};
  t.output_padding = {1, 2};
  CHECK_NOTHROW(check(t, "here"));
  t.output_padding = {2, 0};
  CHECK_ERROR(check(t, "here"), invalid_argument, "output_padding", "here", "got 2", "0..1");
  t.output_padding = {0, -1};
  CHECK_ERROR(check(t, "here"), invalid_argument, "output_padding", "got -1");
  t.window.stride[0] = 0;
  CHECK_ERROR(check(t, "here"), invalid_argument, "stride", "here");
}
