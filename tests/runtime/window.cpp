#include <doctest/doctest.h>

#include <lutra/runtime/window.hpp>

#include "errors.hpp"

using namespace lutra;

TEST_CASE("window: output extent counts the positions where the kernel fits") {
  for (index_t input = 0; input < 12; ++input) {
    for (index_t kernel = 1; kernel < 5; ++kernel) {
      for (index_t stride = 1; stride < 4; ++stride) {
        for (index_t dilation = 1; dilation < 4; ++dilation) {
          const window2d w{{1, stride}, {0, 2}, {0, 1}, {1, dilation}};
          index_t count = 0;
          for (index_t at = -2; at + dilation * (kernel - 1) < input + 1; at += stride) ++count;
          CHECK(output_extent(w, 1, input, kernel) == count);
        }
      }
    }
  }
  CHECK(output_extent(window2d{}, 0, 5, 0) == 0);
  // The reach of such a kernel is no integer.
  constexpr index_t far = index_t{1} << 31;
  CHECK(output_extent(window2d{.dilation = {far, far}}, 0, 5, index_t{1} << 60) == 0);
  CHECK(output_extent(window2d{.dilation = {far, far}}, 0, 5 * far + 1, 6) == 1);
  CHECK(output_extent(window2d{.dilation = {far, far}}, 0, 5 * far, 6) == 0);
}

TEST_CASE("window: fields out of range are named") {
  check(window2d::symmetric({2, 3}, {1, 0}, {4, 1}), "test");
  CHECK_ERROR(check(window2d{.stride = {1, 0}}, "here"), invalid_argument, "stride", "here", "0");
  CHECK_ERROR(check(window2d{.padding = {-1, 0}}, "here"), invalid_argument, "padding", "-1");
  CHECK_ERROR(check(window2d{.padding_end = {0, -2}}, "here"), invalid_argument, "padding_end");
  CHECK_ERROR(check(window2d{.dilation = {index_t{1} << 40, 1}}, "here"), invalid_argument,
              "dilation", "1099511627776");
}
