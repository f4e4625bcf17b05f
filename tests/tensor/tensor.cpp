#include <lutra/tensor/tensor.hpp>

#include <doctest/doctest.h>

#include <array>

#include "errors.hpp"

namespace {

using lutra::shape;
using lutra::tensor;

TEST_CASE("tensor: owns value-initialised elements") {
  const tensor<float> t(shape{2, 3});
  CHECK(t.rank() == 2);
  CHECK(t.extent(1) == 3);
  CHECK(t.size() == 6);
  CHECK(t.elements() == std::vector<float>(6, 0.0F));
  CHECK(tensor<int>().size() == 0);
  CHECK(tensor<int>(shape{}).size() == 1);  // a scalar
}

TEST_CASE("tensor: the element count must match the shape") {
  CHECK_ERROR(tensor<int>({2, 3}, {1, 2, 3}), shape_mismatch, "element count", "got 3", "6",
              "[2, 3]");
}

TEST_CASE("tensor: is a writable tensor, const to const") {
  tensor<int> t({2, 2}, {1, 2, 3, 4});
  lutra::view(t)(1, 0) = 9;
  CHECK(t[2] == 9);
  const tensor<int>& c = t;
  static_assert(std::same_as<decltype(lutra::view(c)), lutra::tensor_view<const int>>);
  CHECK(lutra::view(c)(1, 1) == 4);
}

TEST_CASE("tensor: copy_of makes strided input dense and converts") {
  std::array<int, 6> data = {1, 2, 3, 4, 5, 6};
  const std::array<lutra::index_t, 2> strides = {1, 3};
  const auto t = tensor<double>::copy_of(lutra::tensor_view<int>(data.data(), {3, 2}, strides));
  CHECK(t == tensor<double>({3, 2}, {1, 4, 2, 5, 3, 6}));
  CHECK(tensor<float>::copy_of(std::array<float, 2>{7, 8}) == tensor<float>({2}, {7, 8}));
}

TEST_CASE("tensor: reshaped keeps the elements, and the count must fit") {
  tensor<int> t({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(t.reshaped({6}) == tensor<int>({6}, {1, 2, 3, 4, 5, 6}));
  CHECK(t.extents() == shape{2, 3});
  CHECK_ERROR(t.reshaped({4}), shape_mismatch, "got 6", "4");
  const int* before = t.data();
  const auto moved = std::move(t).reshaped({3, 2});
  CHECK(moved.data() == before);
}

TEST_CASE("tensor: equality looks at shape and elements") {
  const tensor<int> t({2, 2}, {1, 2, 3, 4});
  CHECK(t == tensor<int>({2, 2}, {1, 2, 3, 4}));
  CHECK(t != tensor<int>({4}, {1, 2, 3, 4}));
  CHECK(t != tensor<int>({2, 2}, {1, 2, 3, 5}));
}

}  // namespace
