#include <lutra/core/random.hpp>
#include <lutra/simd/doubles.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "levels.hpp"

namespace {

TEST_CASE("doubles: every lane is summed in double, in order") {
  lutra::random_stream r(1);
  std::vector<float> x(64 * 5);
  std::vector<float> y(64 * 5);
  for (float& v : x) v = static_cast<float>(r.normal());
  for (float& v : y) v = static_cast<float>(r.normal() * 1e10);
  for_each_level([&](auto level) {
    using V = lutra::simd::floats<decltype(level)>;
    constexpr auto lanes = static_cast<std::size_t>(lutra::simd::lanes<V>);
    lutra::simd::double_sums<V> sum;
    lutra::simd::double_sums<V> products;
    lutra::simd::masked_sums<V> both;
    for (std::size_t i = 0; i < 5; ++i) {
      sum.add(lutra::simd::load<V>(x.data() + 64 * i));
      products.add_product(lutra::simd::load<V>(x.data() + 64 * i),
                           lutra::simd::load<V>(y.data() + 64 * i));
      const V factor = lutra::simd::load<V>(y.data() + 64 * i);
      both.add(x.data() + 64 * i, factor, lutra::simd::above(factor, V(0.0F)));
    }
    double sums[lanes];
    double product_sums[lanes];
    sum.store(sums);
    products.store(product_sums);
    double both_products[lanes];
    double chosen[lanes];
    both.store(both_products, chosen);
    for (std::size_t l = 0; l < lanes; ++l) {
      double s = 0;
      double p = 0;
      double c = 0;
      for (std::size_t i = 0; i < 5; ++i) {
        s += static_cast<double>(x[64 * i + l]);
        p += static_cast<double>(x[64 * i + l]) * static_cast<double>(y[64 * i + l]);
        c += y[64 * i + l] > 0 ? static_cast<double>(x[64 * i + l]) : 0.0;
      }
      CHECK(sums[l] == s);
      CHECK(product_sums[l] == p);
      CHECK(both_products[l] == p);
      CHECK(chosen[l] == c);
    }
  });
}

}  // namespace
