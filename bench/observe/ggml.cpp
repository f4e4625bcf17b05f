// ggml quantizing rows, as it does to activations (q8_0: a scale per 32) and to fp4 weights (mxfp4, there and back),
// beside ours: quantize_rows (quantize.cpp), which finds a scale and the sum of each row, and the same from our parts.
#include <lutra/affine/quantize.hpp>
#include <lutra/observe/unit_range.hpp>

#include "observe/data.hpp"

#if defined(LUTRA_BENCH_GGML)
#include <ggml-cpu.h>
#include <ggml.h>
#endif

namespace {

using namespace lutra;
using bench::aligned;
using bench::size_class;

constexpr index_t depth = 4096;  // of a row

// Ranges, scales and fake-quantization of blocks of 32.
void mxfp4(benchmark::State& state, const size_class& size) {
  const shape extents{size.bytes / 4 / depth, depth};
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  aligned<float>& y = bench::output_of(extents.size());
  const quantization_spec spec{.dtype = dtype::float4_e2m1fn,
                               .granularity = granularity::per_block(32, 1)};
  const auto run = [&](const aligned<float>& x) {
    const auto in = bench::view_of(x, extents);
    const auto r = ranges_of(in, grid_of(spec.granularity, extents, "bench"));
    const qparams p = qparams_from_range(spec, r.lo, r.hi);
    fake_quantize(in, p, tensor_view<float>(y.data(), extents));
    return p;
  };
  const qparams p = run(inputs.first());
  for (index_t i = 0; i < extents.size(); ++i) {
    const unit_params u = unit_of(p, i / 32);
    if (y[i] != fake_quantize_one(inputs.first()[i], u, quotient::exact)) {
      return state.SkipWithError("wrong answer");
    }
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(run(inputs.next()).scale.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * size.bytes);
  state.SetItemsProcessed(state.iterations() * extents.size());
}

#if defined(LUTRA_BENCH_GGML)
// `back`: decoded too.
void ggml_rows(benchmark::State& state, const size_class& size, ggml_type type, bool back) {
  const index_t rows = size.bytes / 4 / depth;
  bench::in_turn<float>& inputs = bench::normals_in_turn(rows * depth);
  aligned<float>& y = bench::output_of(rows * depth);
  std::vector<char> codes(ggml_row_size(type, depth) * static_cast<std::size_t>(rows));
  ggml_cpu_init();
  const auto encode = ggml_get_type_traits_cpu(type)->from_float;
  const auto decode = ggml_get_type_traits(type)->to_float;
  const auto run = [&](const aligned<float>& x, bool decoded) {
    for (index_t r = 0; r < rows; ++r) {
      char* row = codes.data() + ggml_row_size(type, depth) * static_cast<std::size_t>(r);
      encode(x.data() + r * depth, row, depth);
      if (decoded) decode(row, y.data() + r * depth, depth);
    }
  };
  run(inputs.first(), true);
  double error = 0, power = 0;
  for (index_t i = 0; i < rows * depth; ++i) {
    const double x = inputs.first()[i];
    error += (y[i] - x) * (y[i] - x);
    power += x * x;
  }
  if (!(error < (back ? 0.03 : 1e-4) * power)) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    run(inputs.next(), back);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * size.bytes);
  state.SetItemsProcessed(state.iterations() * rows * depth);
}
#endif

const bool registered = [] {
  for (const size_class& size : {bench::small, bench::large}) {
    const std::string end = size.name;
    bench::add("fake_quantize_from_range/f32/mxfp4/" + end, "",
               [=](benchmark::State& s) { mxfp4(s, size); });
#if defined(LUTRA_BENCH_GGML)
    bench::add("peer/ggml_q8_0/quantize_rows/f32_to_i8/" + end, "",
               [=](benchmark::State& s) { ggml_rows(s, size, GGML_TYPE_Q8_0, false); });
    bench::add("peer/ggml_mxfp4/fake_quantize_from_range/f32/mxfp4/" + end, "",
               [=](benchmark::State& s) { ggml_rows(s, size, GGML_TYPE_MXFP4, true); });
#endif
  }
  return true;
}();

}  // namespace
