// A weight of normally distributed numbers, the same for the same seed.
#pragma once

#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>

namespace test {

inline lutra::tensor<float> normal_weight(const lutra::shape& extents, std::uint64_t seed,
                                          double deviation = 1.0) {
  lutra::tensor<float> w(extents);
  lutra::random_stream random(seed);
  for (float& x : w.elements()) x = static_cast<float>(deviation * random.normal());
  return w;
}

}  // namespace test
