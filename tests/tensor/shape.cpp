#include <lutra/tensor/shape.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "errors.hpp"

namespace {

using lutra::index_t;
using lutra::shape;

TEST_CASE("shape: rank, size, extents and products") {
  const shape s{2, 3, 5};
  CHECK(s.rank() == 3);
  CHECK(s.size() == 30);
  CHECK(s[1] == 3);
  CHECK(s.product(0, 3) == 30);
  CHECK(s.product(1, 3) == 15);
  CHECK(s.product(2, 2) == 1);
  CHECK(std::vector<index_t>(s.begin(), s.end()) == std::vector<index_t>{2, 3, 5});
  CHECK(s.with(1, 7) == shape{2, 7, 5});
  CHECK(s != shape{2, 3});
  CHECK(s != shape{2, 3, 5, 1});
  CHECK(lutra::text_of(s) == "[2, 3, 5]");
  static_assert(shape{4, 4}.size() == 16);
}

TEST_CASE("shape: rank 0 is a scalar, an extent of 0 an empty tensor") {
  CHECK(shape{}.rank() == 0);
  CHECK(shape{}.size() == 1);
  CHECK(shape{3, 0, 4}.size() == 0);
  CHECK(lutra::text_of(shape{}) == "[]");
}

TEST_CASE("shape: filled") {
  CHECK(shape::filled(3, 1) == shape{1, 1, 1});
  CHECK(shape::filled(0, 5) == shape{});
  CHECK_ERROR(shape::filled(9, 1), shape_mismatch, "rank", "9", "0..8");
  CHECK_ERROR(shape::filled(-1, 1), shape_mismatch, "rank", "-1");
}

TEST_CASE("shape: nine axes and negative extents are refused") {
  CHECK(shape{1, 1, 1, 1, 1, 1, 1, 1}.rank() == lutra::max_rank);
  CHECK_ERROR((shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), shape_mismatch, "rank", "9", "0..8");
  CHECK_ERROR((shape{4, -2}), shape_mismatch, "negative extent", "[4, -2]", ">= 0");
}

TEST_CASE("shape: the element count cannot overflow unseen") {
  const index_t half = index_t{1} << 31;
  CHECK(shape{half, half}.size() == lutra::max_size);
  CHECK_ERROR((shape{half, half, 2}), size_overflow, "overflows", "2147483648");
  CHECK_ERROR((shape{std::numeric_limits<index_t>::max()}), size_overflow, "overflows");
  CHECK_ERROR((shape{3, std::numeric_limits<index_t>::max() / 2}), size_overflow, "overflows");
  // An extent of 0 makes the tensor empty but does not excuse the other extents.
  CHECK_ERROR((shape{0, half, half, 2}), size_overflow, "overflows");
  CHECK(shape{half, half, 0}.size() == 0);
}

TEST_CASE("shape: row-major strides") {
  const auto strides = lutra::row_major_strides(shape{2, 3, 5});
  CHECK(strides[0] == 15);
  CHECK(strides[1] == 5);
  CHECK(strides[2] == 1);
}

TEST_CASE("shape: resolve_axis counts negative axes from the end") {
  CHECK(lutra::resolve_axis(0, 3, "t") == 0);
  CHECK(lutra::resolve_axis(2, 3, "t") == 2);
  CHECK(lutra::resolve_axis(-1, 3, "t") == 2);
  CHECK(lutra::resolve_axis(-3, 3, "t") == 0);
  CHECK_ERROR(lutra::resolve_axis(3, 3, "the axis of x"), invalid_argument, "axis", "the axis of x",
              "got 3", "-3..2");
  CHECK_ERROR(lutra::resolve_axis(-4, 3, "t"), invalid_argument, "got -4");
  CHECK_ERROR(lutra::resolve_axis(0, 0, "t"), invalid_argument, "got 0");
}

}  // namespace
