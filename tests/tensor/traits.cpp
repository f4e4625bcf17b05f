#include <lutra/tensor/traits.hpp>

#include <doctest/doctest.h>

#include <array>
#include <list>
#include <string>
#include <vector>

namespace acme {
struct blob {  // a foreign tensor
  float* data;
  long rows, columns;
};
struct frozen {  // read only
  const double* data;
  long n;
};
struct wrong {};  // has traits, but not a view
}  // namespace acme

template <> struct lutra::tensor_traits<acme::blob> {
  static auto view(const acme::blob& b) {
    return tensor_view<const float>(b.data, {b.rows, b.columns});
  }
  static auto view(acme::blob& b) { return tensor_view<float>(b.data, {b.rows, b.columns}); }
};
template <> struct lutra::tensor_traits<acme::frozen> {
  static auto view(const acme::frozen& f) { return tensor_view<const double>(f.data, {f.n}); }
};
template <> struct lutra::tensor_traits<acme::wrong> {
  static const float* view(const acme::wrong&) { return nullptr; }
};

namespace {

static_assert(lutra::writable_tensor<acme::blob>);
static_assert(lutra::writable_tensor<const acme::blob&>);  // cv and references are looked through
static_assert(lutra::readable_tensor<acme::frozen>);
static_assert(!lutra::writable_tensor<acme::frozen>);
static_assert(!lutra::readable_tensor<acme::wrong>);
static_assert(!lutra::readable_tensor<std::string*>);
static_assert(!lutra::readable_tensor<std::list<float>>);  // not contiguous
static_assert(!lutra::readable_tensor<int>);

static_assert(lutra::writable_tensor<std::vector<float>>);
static_assert(lutra::writable_tensor<std::array<std::int8_t, 4>>);
static_assert(lutra::readable_tensor<std::span<const float>>);
static_assert(!lutra::writable_tensor<std::span<const float>>);
static_assert(lutra::writable_tensor<lutra::tensor_view<float>>);
static_assert(!lutra::writable_tensor<lutra::tensor_view<const float>>);
static_assert(std::same_as<lutra::element_t<std::vector<double>>, double>);
static_assert(std::same_as<lutra::element_t<std::span<const float>>, float>);
static_assert(std::same_as<lutra::element_t<acme::frozen>, double>);

TEST_CASE("traits: view goes through the user's specialisation, const to const") {
  std::array<float, 6> data = {1, 2, 3, 4, 5, 6};
  acme::blob b{data.data(), 2, 3};
  lutra::view(b)(1, 2) = 9;
  CHECK(data[5] == 9);
  const acme::blob& c = b;
  static_assert(std::same_as<decltype(lutra::view(c)), lutra::tensor_view<const float>>);
  CHECK(lutra::view(c).extents() == lutra::shape{2, 3});
}

TEST_CASE("traits: contiguous ranges are 1-D tensors, and constness is kept") {
  std::vector<float> v = {1, 2, 3};
  lutra::view(v)(0) = 5;
  CHECK(v[0] == 5);
  const std::vector<float>& c = v;
  static_assert(std::same_as<decltype(lutra::view(c)), lutra::tensor_view<const float>>);
  CHECK(lutra::view(c).extents() == lutra::shape{3});
  CHECK(lutra::view(std::span<const float>(v)).data() == v.data());
  CHECK(lutra::view(std::vector<float>()).empty());
}

TEST_CASE("traits: a view of a view is itself") {
  std::array<float, 4> data{};
  const lutra::tensor_view<float> v(data.data(), {2, 2});
  CHECK(lutra::view(v).data() == data.data());
  CHECK(lutra::view(v).extents() == v.extents());
}

}  // namespace
