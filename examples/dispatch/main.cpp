// A palettized matrix times int8 activations at the best level of the CPU, or at the one that LUTRA_LEVEL or the first
// argument names; then at every other level that runs here: the same sums.
#include <cstdio>
#include <lutra/core/random.hpp>
#include <lutra/palette/pack.hpp>
#include <lutra/palette/palettize.hpp>
#include <lutra/tensor/tensor.hpp>
#include <matvec_levels.hpp>

#include "kernels.hpp"

namespace {

std::vector<std::int32_t> product(const kernels& k, const lutra::packed_palette& weight,
                                  const lutra::tensor<std::int8_t>& x) {
  std::vector<std::int32_t> y(64);
  k.multiply(k.load(weight), x.elements(), y);
  return y;
}

int run(std::string_view wanted) {
  lutra::tensor<float> weight({64, 256});
  lutra::tensor<std::int8_t> x({256});
  lutra::random_stream random(1);
  for (float& w : weight.elements()) w = static_cast<float>(0.02 * random.normal());
  for (std::int8_t& a : x.elements()) a = static_cast<std::int8_t>(random.below(256));
  const lutra::packed_palette packed = lutra::pack(
      lutra::palettize(weight, {.n_bits = 4, .lut_qspec = lutra::int8_symmetric_with_clipping}));

  const auto kernels_at = [](auto level) -> const kernels& {
    return kernels_of<decltype(level)>();
  };
  const kernels& best = lutra::simd::dispatch(matvec_levels{}, kernels_at, wanted);
  const auto y = product(best, packed, x);
  std::printf("%s:", best.load(packed).level().data());
  bool same = true;
  lutra::simd::for_each_runnable(matvec_levels{}, [&](auto level) {
    const bool equal = product(kernels_at(level), packed, x) == y;
    std::printf(" %s %s", level.name.data(), equal ? "agrees" : "DIFFERS");
    same &= equal;
  });
  std::printf("\n");
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  return run(argc > 1 ? argv[1] : "");
} catch (const lutra::error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 2;
}
