#include <lutra/tensor/eigen.hpp>

#include <doctest/doctest.h>

#include <lutra/tensor/tensor.hpp>

namespace {

using lutra::shape;
using column_major_matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
using row_major_matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

static_assert(lutra::writable_tensor<column_major_matrix>);
static_assert(lutra::writable_tensor<row_major_matrix>);
static_assert(lutra::writable_tensor<Eigen::Matrix3f>);
static_assert(lutra::writable_tensor<Eigen::ArrayXXd>);
static_assert(lutra::writable_tensor<Eigen::VectorXf>);
static_assert(lutra::writable_tensor<Eigen::RowVector4f>);
static_assert(lutra::writable_tensor<Eigen::Map<row_major_matrix>>);
static_assert(lutra::writable_tensor<Eigen::Ref<column_major_matrix>>);
static_assert(lutra::readable_tensor<Eigen::Map<const row_major_matrix>>);
static_assert(!lutra::writable_tensor<Eigen::Map<const row_major_matrix>>);
static_assert(
    !lutra::readable_tensor<decltype(row_major_matrix() + row_major_matrix())>);  // no storage
static_assert(std::same_as<lutra::element_t<Eigen::MatrixXi>, int>);

// The view must hold m(i, j) at position (i, j).
template <class M> void check_matrix(const M& m) {
  const auto v = lutra::view(m);
  REQUIRE(v.extents() == shape{m.rows(), m.cols()});
  for (Eigen::Index i = 0; i < m.rows(); ++i) {
    for (Eigen::Index j = 0; j < m.cols(); ++j) CHECK(v(i, j) == m(i, j));
  }
}

template <class M> M counted(Eigen::Index rows, Eigen::Index cols) {
  M m(rows, cols);
  for (Eigen::Index i = 0; i < m.size(); ++i) m(i / cols, i % cols) = static_cast<float>(i);
  return m;
}

TEST_CASE("eigen: matrices of either storage order keep row and column") {
  check_matrix(counted<column_major_matrix>(3, 4));
  check_matrix(counted<row_major_matrix>(3, 4));
  check_matrix(counted<Eigen::ArrayXXf>(5, 2));
  check_matrix(counted<row_major_matrix>(0, 4));
  CHECK(lutra::view(counted<row_major_matrix>(3, 4)).is_contiguous());
  CHECK_FALSE(lutra::view(counted<column_major_matrix>(3, 4)).is_contiguous());
}

TEST_CASE("eigen: blocks, transposes, strided maps and refs are adapted in place") {
  column_major_matrix m = counted<column_major_matrix>(6, 5);
  check_matrix(m.block(1, 2, 3, 2));
  check_matrix(m.transpose());
  check_matrix(Eigen::Ref<const column_major_matrix>(m.leftCols(3)));
  const Eigen::Map<row_major_matrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> every_other(
      m.data(), 2, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(10, 2));
  check_matrix(every_other);
  auto block = m.block(1, 2, 3, 2);
  lutra::view(block)(0, 1) = -8;
  CHECK(m(1, 3) == -8);
}

TEST_CASE("eigen: vectors have rank 1, with their stride") {
  column_major_matrix m = counted<column_major_matrix>(3, 4);
  const Eigen::VectorXf v = m.col(1);
  CHECK(lutra::view(v).extents() == shape{3});
  CHECK(lutra::to_vector<float>(lutra::view(v)) == std::vector<float>{1, 5, 9});
  const auto row = m.row(1);
  CHECK(lutra::view(row).extents() == shape{4});
  CHECK(lutra::to_vector<float>(lutra::view(row)) == std::vector<float>{4, 5, 6, 7});
  Eigen::RowVector4f fixed = Eigen::RowVector4f::Zero();
  lutra::view(fixed)(2) = 3;
  CHECK(fixed(2) == 3);
}

TEST_CASE("eigen: writing goes to the matrix, const matrices give const views") {
  column_major_matrix m = counted<column_major_matrix>(2, 2);
  lutra::view(m)(0, 1) = 7;
  CHECK(m(0, 1) == 7);
  const column_major_matrix& c = m;
  static_assert(std::same_as<decltype(lutra::view(c)), lutra::tensor_view<const float>>);
  CHECK(lutra::tensor<float>::copy_of(m) == lutra::tensor<float>({2, 2}, {0, 7, 2, 3}));
}

// Through the view and through Eigen in turn: neither may see stale values.
template <class T, class Own> void check_small_floats() {
  Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> m(2, 3);
  static_assert(std::same_as<lutra::element_t<decltype(m)>, Own>);
  for (int i = 0; i < 6; ++i) m(i / 3, i % 3) = static_cast<T>(0.1F * static_cast<float>(i));
  const auto v = lutra::view(m);
  for (int i = 0; i < 6; ++i) {
    CHECK(static_cast<float>(v(i / 3, i % 3)) == static_cast<float>(m(i / 3, i % 3)));
  }
  v(1, 2) = Own(-2.5F);
  CHECK(static_cast<float>(m(1, 2)) == -2.5F);
  m(1, 2) = static_cast<T>(8.0F);
  CHECK(static_cast<float>(v(1, 2)) == 8.0F);
}

// The compiler may not assume that the two types never share an object.
template <class T, class Own> [[gnu::noinline]] float write_both(T& theirs, Own& own) {
  theirs = static_cast<T>(1.0F);
  own = Own(2.0F);
  return static_cast<float>(theirs);
}
template <class T> void check_aliasing() {
  Eigen::Matrix<T, 2, 2> m;
  CHECK(write_both(m(0, 0), lutra::view(m)(0, 0)) == 2.0F);
}

TEST_CASE("eigen: half and bfloat16 elements are ours, bit for bit") {
  check_small_floats<Eigen::half, lutra::half>();
  check_small_floats<Eigen::bfloat16, lutra::bfloat16>();
  check_aliasing<Eigen::half>();
  check_aliasing<Eigen::bfloat16>();
}

}  // namespace
