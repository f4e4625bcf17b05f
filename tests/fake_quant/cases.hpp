// Parameters of every form, and data that meets them everywhere: inside, on ties, at and beyond the bounds, zeros of
// both signs, NaN.
#pragma once

#include <lutra/affine/quantize.hpp>
#include <lutra/core/random.hpp>

#include <limits>
#include <vector>

inline std::vector<lutra::quantization_spec> specs_of_every_form() {
  using lutra::dtype;
  using lutra::qformulation;
  using lutra::qscheme;
  return {
      {.dtype = dtype::int8},
      {.dtype = dtype::int4, .qscheme = qscheme::symmetric_with_clipping},
      {.dtype = dtype::uint8, .qscheme = qscheme::asymmetric},
      {.dtype = dtype::int2, .qscheme = qscheme::asymmetric, .qformulation = qformulation::minval},
      {.dtype = dtype::int8, .qformulation = qformulation::minval},
      {.dtype = dtype::float8_e4m3fn},
      {.dtype = dtype::float8_e5m2},
      {.dtype = dtype::float4_e2m1fn}};
}

inline std::vector<float> mixed_data(lutra::index_t n, float scale, std::uint64_t seed) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  lutra::random_stream r(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) {
    switch (r.below(8)) {
      case 0:
        v = scale * (static_cast<float>(r.below(300)) - 150.0F);  // on the grid
        break;
      case 1:
        v = scale * (static_cast<float>(r.below(300)) - 149.5F);  // on a tie
        break;
      case 2:
        v = r.below(2) == 0 ? 1e30F : -1e30F;
        break;
      case 3:
        v = r.below(3) == 0 ? std::numeric_limits<float>::quiet_NaN()
                            : (r.below(2) == 0 ? infinity : -infinity);
        break;
      case 4:
        v = r.below(2) == 0 ? 0.0F : -0.0F;
        break;
      default:
        v = scale * static_cast<float>(80.0 * r.normal());
    }
  }
  return x;
}
