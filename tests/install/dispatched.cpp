// A user's program that holds one product for every level it was given.
#include <cstdio>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>
#include <product_levels.hpp>

#include "kernels.hpp"

int main() {
  const std::vector<float> row = {0.5F, -1.0F, 0.5F, 2.0F, -1.0F, 2.0F, 0.5F, 0.0F};
  lutra::tensor<float> weight({1, 8});
  std::copy(row.begin(), row.end(), weight.data());
  const auto palette =
      lutra::palettize(weight, {.n_bits = 2, .lut_qspec = lutra::int8_symmetric_with_clipping});
  const auto packed = lutra::pack(palette);
  const std::vector<std::int8_t> x = {1, 2, 3, 4, 5, 6, 7, -8};
  const auto best = lutra::simd::dispatch(product_levels{},
                                          [](auto level) { return product_at<decltype(level)>(); });
  const auto y = best(packed, x);
  const float value = static_cast<float>(y[0]) * packed.scale[0];
  int levels = 0;
  bool same = true;
  lutra::simd::for_each_runnable(product_levels{}, [&](auto level) {
    ++levels;
    same &= product_at<decltype(level)>()(packed, x) == y;
  });
  std::printf("dispatched: %s, %d levels run here, %.3f\n",
              lutra::simd::choose_level(product_levels{}).data(), levels,
              static_cast<double>(value));
  return same && levels > 0 && value > 18.4F && value < 18.6F ? 0 : 1;  // 18.5 in floats
}
