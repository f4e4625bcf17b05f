#include <lutra/palette/reference_fast.hpp>

#include <doctest/doctest.h>

namespace {

using numbers = std::vector<double>;

TEST_CASE("reference_fast: values go through float16 and decimals") {
  CHECK(lutra::power_of_ten(2) == 100.0F);
  CHECK(lutra::reduced_value(1.123456F, 100.0F) == static_cast<double>(1.12F));
  CHECK(lutra::reduced_value(2.987654F, 100.0F) == static_cast<double>(2.99F));
  CHECK(lutra::reduced_value(0.00004F, 10000.0F) == 0.0);
  CHECK(lutra::reduced_value(-0.00016F, 10000.0F) == static_cast<double>(-0.0002F));
}

TEST_CASE(
    "reference_fast: equal rounded values share a cluster, the centroid is their rounded mean") {
  const auto r = lutra::reference_fast(numbers{1.00001, 1.00002, 2}, {}, 2, 4);
  CHECK(r.codes == std::vector<std::uint16_t>{0, 0, 1});
  CHECK(r.centroids == numbers{1, 2});
}

TEST_CASE("reference_fast: the sum of sensitivities weighs a rounded value") {
  const auto r = lutra::reference_fast(numbers{0, 1, 1, 5}, numbers{4, 1, 1, 1}, 2, 4);
  CHECK(r.codes == std::vector<std::uint16_t>{0, 0, 0, 1});
  CHECK(r.centroids[0] == doctest::Approx(2.0 / 6.0).epsilon(1e-15));
}

TEST_CASE("reference_fast: what does not fit float16 is clustered as it is") {
  const auto r = lutra::reference_fast(numbers{70000.123, 1, 2, 3, 1, 2, 3, -5}, {}, 4, 4);
  CHECK(r.centroids == numbers{-5, 1, 2.5, 70000.123});
}

TEST_CASE("reference_fast: without rounding, elements or the distinct values of float16 weights") {
  const numbers x = {-1, -2, -2, 1e-9};
  const auto plain = lutra::reference_exact(x, {}, 4, false);
  CHECK(plain.centroids == numbers{0, -2, -1, 1e-9});
  CHECK(plain.codes == std::vector<std::uint16_t>{2, 1, 1, 3});
  const auto narrow = lutra::reference_exact(x, {}, 4, true);
  CHECK(narrow.centroids == numbers{-2, -1, 1e-9});
  CHECK(narrow.codes == std::vector<std::uint16_t>{1, 0, 0, 2});
}

TEST_CASE("reference_fast: fewer distinct values than clusters give fewer clusters") {
  const auto r = lutra::reference_fast(numbers{1, 1, 2, 2, 1, 2}, {}, 4, 4);
  CHECK(r.centroids == numbers{1, 2});
}

}  // namespace
