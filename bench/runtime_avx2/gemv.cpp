// The palette product as a CPU without AVX-512 runs it: this executable is built for the level avx2, on any x86-64.
// Figures beside those of bench/runtime, tables in [-127, 127] and with -128, and beside ggml built for AVX2.
#include "../runtime/ggml.hpp"
#include "../runtime/palette_gemm.hpp"

namespace {

using namespace bench;

[[maybe_unused]] const bool registered = [] {
  add_benchmark("roof/avx2/dot", dot_peak);
  add_benchmark("roof/avx2/lookup_dot", lookup_dot_peak<1>);
  const auto product = [](const std::string& name, const shape& s, index_t m, int lowest) {
    const bool usual = lowest == -127;
    const std::string peer = "peer/ggml_avx2/iq4_nl/" + name;
    add_benchmark("avx2/" + name, [=](benchmark::State& state) {
      palette_gemm(state, s, 4, m, lowest);
      const char* mix = m == 1 && usual ? "roof/avx2/lookup_dot " : "";
      state.SetLabel(std::string("vs ") + mix + "roof/avx2/dot" + (usual ? ' ' + peer : ""));
    });
    if (!usual) return;
    add_benchmark(peer, [=](benchmark::State& state) {
      ggml_product(state, ggml_blocks::iq4_nl, ggml_way::kernel, s, m);
    });
  };
  product("gemv/p4a8/1024x1024", {1024, 1024}, 1, -127);
  product("gemv/p4a8/1024x1024/table:-128", {1024, 1024}, 1, -128);
  product("gemv/p4a8/4096x4096", {4096, 4096}, 1, -127);
  product("gemm/p4a8/1024x1024/m:8", {1024, 1024}, 8, -127);
  return true;
}();

}  // namespace
