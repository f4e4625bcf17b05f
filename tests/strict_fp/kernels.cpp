// Every kind of strict code that multiplies and then adds: compiled, disassembled and searched for fused
// operations by contraction.sh. (Quantization is not here: its correction step is a fused operation
// on purpose.)
#include <lutra/affine/quantize.hpp>
#include <lutra/cluster/exact_1d.hpp>
#include <lutra/observe/moving_average.hpp>
#include <lutra/palette/restore.hpp>

void dequantize(lutra::tensor_view<const std::int8_t> q, const lutra::qparams& p,
                lutra::tensor_view<float> out) {
  lutra::dequantize(q, p, out);
}
void average(lutra::moving_average& state, lutra::tensor_view<const float> x) { state.observe(x); }
lutra::tensor<float> restore(const lutra::packed_palette& p) { return lutra::restore(p); }
double cluster(std::span<const float> x) { return lutra::exact_1d(x, {}, 16).inertia; }
