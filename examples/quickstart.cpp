// A float matrix becomes 4-bit indices into an int8 table and multiplies int8 activations, exactly.
#include <cstdio>
#include <lutra/core/random.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/runtime/gemm.hpp>
#include <lutra/tensor/tensor.hpp>

int main() {
  lutra::tensor<float> weight({64, 256});
  lutra::tensor<std::int8_t> x({256});
  lutra::random_stream random(1);
  for (float& w : weight.elements()) w = static_cast<float>(0.02 * random.normal());
  for (std::int8_t& a : x.elements()) a = static_cast<std::int8_t>(random.below(256));

  const auto palette =
      lutra::palettize(weight, {.n_bits = 4, .lut_qspec = lutra::int8_symmetric_with_clipping});
  const lutra::packed_palette packed = lutra::pack(palette);        // what a file holds
  const lutra::lut_matrix matrix = lutra::make_lut_matrix(packed);  // what the kernels read
  lutra::tensor<std::int32_t> y({64});
  lutra::gemv(matrix, x, y);

  double error = 0, power = 0;  // against the float weights
  for (lutra::index_t r = 0; r < 64; ++r) {
    double exact = 0;
    for (lutra::index_t k = 0; k < 256; ++k)
      exact += static_cast<double>(weight[256 * r + k]) * x[k];
    const double got = y[r] * static_cast<double>(matrix.row_scale(r));
    error += (got - exact) * (got - exact);
    power += exact * exact;
  }
  std::printf("%td bytes instead of %td, relative error %.4f\n", packed.bytes(), 4 * weight.size(),
              error / power);
  return error < 0.02 * power ? 0 : 1;
}
