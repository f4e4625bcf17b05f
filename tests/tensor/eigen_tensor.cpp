#include <lutra/tensor/eigen_tensor.hpp>

#include <doctest/doctest.h>

namespace {

using lutra::shape;

template <class X> void check_tensor(X& x) {
  const auto v = lutra::view(x);
  REQUIRE(v.extents() == shape{2, 3, 4});
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k) {
        x(i, j, k) = static_cast<float>(100 * i + 10 * j + k);
        CHECK(v(i, j, k) == x(i, j, k));
      }
    }
  }
  v(1, 2, 3) = -1;
  CHECK(x(1, 2, 3) == -1);
  const X& c = x;
  static_assert(std::same_as<decltype(lutra::view(c)), lutra::tensor_view<const float>>);
  CHECK(lutra::view(c)(1, 2, 3) == -1);
}

TEST_CASE("eigen_tensor: both layouts, dynamic, fixed and mapped") {
  Eigen::Tensor<float, 3> column_major(2, 3, 4);
  check_tensor(column_major);
  CHECK_FALSE(lutra::view(column_major).is_contiguous());
  Eigen::Tensor<float, 3, Eigen::RowMajor> row_major(2, 3, 4);
  check_tensor(row_major);
  CHECK(lutra::view(row_major).is_contiguous());
  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 4>> fixed;
  check_tensor(fixed);
  std::vector<float> data(24);
  Eigen::TensorMap<Eigen::Tensor<float, 3, Eigen::RowMajor>> mapped(data.data(), 2, 3, 4);
  check_tensor(mapped);
  CHECK(data[23] == -1);
}

TEST_CASE("eigen_tensor: maps of constants are read only, scalars have rank 0") {
  const std::vector<float> data = {1, 2};
  using map = Eigen::TensorMap<Eigen::Tensor<const float, 1>>;
  static_assert(lutra::readable_tensor<map> && !lutra::writable_tensor<map>);
  CHECK(lutra::view(map(data.data(), 2))(1) == 2);
  Eigen::Tensor<float, 0> scalar;
  scalar() = 5;
  CHECK(lutra::view(scalar).extents() == shape{});
  CHECK(lutra::view(scalar)() == 5);
}

}  // namespace
