#include <lutra/tensor/view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <numeric>

#include "errors.hpp"

namespace {

using lutra::index_t;
using lutra::shape;
using lutra::tensor_view;

std::vector<int> counted(index_t n) {
  std::vector<int> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return v;
}

TEST_CASE("view: dense row-major access") {
  auto data = counted(24);
  const tensor_view<int> v(data.data(), {2, 3, 4});
  CHECK(v.rank() == 3);
  CHECK(v.size() == 24);
  CHECK(v.extent(1) == 3);
  CHECK(v.stride(0) == 12);
  CHECK(v(1, 2, 3) == 23);
  CHECK(v.is_contiguous());
  CHECK(v.elements().size() == 24);
  v(0, 1, 0) = -1;
  CHECK(data[4] == -1);
  const tensor_view<const int> c = v;
  CHECK(c.data() == data.data());
  CHECK(c(1, 0, 0) == 12);
}

TEST_CASE("view: default-constructed is empty") {
  const tensor_view<float> v;
  CHECK(v.empty());
  CHECK(v.rank() == 1);
  CHECK(lutra::to_vector<float>(v).empty());
}

TEST_CASE("view: one stride per axis is needed") {
  auto data = counted(6);
  const std::array<index_t, 1> one = {1};
  CHECK_ERROR(tensor_view<int>(data.data(), {2, 3}, one), shape_mismatch, "stride", "got 1",
              "allowed: 2");
}

// The elements in row-major order by the definition, one index at a time.
template <class T> std::vector<T> by_definition(const tensor_view<T>& v) {
  std::vector<T> out;
  for (index_t flat = 0; flat < v.size(); ++flat) {
    index_t rest = flat;
    index_t offset = 0;
    for (int axis = v.rank() - 1; axis >= 0; --axis) {
      offset += rest % v.extent(axis) * v.stride(axis);
      rest /= v.extent(axis);
    }
    out.push_back(v.data()[offset]);
  }
  return out;
}

void check_order(const tensor_view<int>& v) { CHECK(lutra::to_vector<int>(v) == by_definition(v)); }

TEST_CASE("view: transposed, negative, zero and padded strides keep row-major element order") {
  auto data = counted(60);
  using strides = std::array<index_t, 3>;
  check_order({data.data(), {3, 4, 5}});
  check_order({data.data(), {5, 4, 3}, strides{1, 5, 20}});          // reversed axes
  check_order({data.data() + 59, {3, 4, 5}, strides{-20, -5, -1}});  // everything backwards
  check_order({data.data() + 4, {3, 4, 5}, strides{20, 5, -1}});
  check_order({data.data(), {3, 4, 5}, strides{0, 0, 1}});  // broadcast
  check_order({data.data(), {3, 4, 5}, strides{0, 0, 0}});
  check_order({data.data(), {3, 2, 2}, strides{20, 10, 3}});  // gaps
  check_order({data.data(), {1, 1, 1}, strides{99, -7, 0}});
  check_order({data.data(), {0, 4, 5}});
  check_order({data.data(), {3, 0, 5}});
}

TEST_CASE("view: a scalar has one element") {
  int x = 7;
  const tensor_view<int> v(&x, shape{});
  CHECK(v.size() == 1);
  CHECK(v() == 7);
  CHECK(v.is_contiguous());
  CHECK(lutra::to_vector<double>(v) == std::vector<double>{7.0});
}

TEST_CASE("view: is_contiguous looks at the strides that matter") {
  auto data = counted(60);
  using strides = std::array<index_t, 2>;
  CHECK(tensor_view<int>(data.data(), {4, 5}, strides{5, 1}).is_contiguous());
  CHECK_FALSE(tensor_view<int>(data.data(), {4, 5}, strides{6, 1}).is_contiguous());
  CHECK_FALSE(tensor_view<int>(data.data(), {4, 5}, strides{1, 4}).is_contiguous());
  CHECK_FALSE(tensor_view<int>(data.data() + 4, {4, 5}, strides{5, -1}).is_contiguous());
  CHECK_FALSE(tensor_view<int>(data.data(), {4, 5}, strides{0, 1}).is_contiguous());
  CHECK(tensor_view<int>(data.data(), {1, 5}, strides{99, 1}).is_contiguous());  // one row
  CHECK(tensor_view<int>(data.data(), {5, 1}, strides{1, 42}).is_contiguous());  // one column
  CHECK(tensor_view<int>(data.data(), {0, 5}, strides{99, 7}).is_contiguous());  // nothing
}

TEST_CASE("view: for_each_element can write through any strides") {
  auto data = counted(6);
  const std::array<index_t, 2> transposed = {1, 2};
  int next = 10;
  lutra::for_each_element(tensor_view<int>(data.data(), {2, 3}, transposed),
                          [&](int& e) { e = next++; });
  CHECK(data == std::vector<int>{10, 13, 11, 14, 12, 15});
}

}  // namespace
