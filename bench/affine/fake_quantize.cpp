// Quantize, dequantize and fake-quantize against memcpy, a streaming copy and a plain loop, same run, one
// thread. bytes_per_second counts what is read plus what is written. Answers are compared with element.hpp
// before anything is timed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <lutra/affine/quantize.hpp>
#include <lutra/core/random.hpp>
#include <lutra/observe/unit_range.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>

namespace {

using namespace lutra;

struct size_class {
  const char* name;
  shape extents;
};
const std::vector<size_class> sizes = {{"L2", {64, 1024}}, {"DRAM", {4096, 4096}}};

tensor<float> normal(const shape& extents) {
  random_stream random(1);
  tensor<float> t(extents);
  for (index_t i = 0; i < t.size(); ++i) {
    t[i] = i < 1 << 16 ? static_cast<float>(random.normal()) : t[i - (1 << 16)];
  }
  return t;
}
qparams params(const quantization_spec& s, const tensor<float>& x) {
  const auto r = ranges_of(view(x), grid_of(s.granularity, x.extents(), "bench"));
  return qparams_from_range(s, r.lo, r.hi);
}
bool right(const tensor<float>& x, const qparams& p, quotient q, const tensor<float>& got) {
  bool same = true;
  units_of(p, x.extents(), "bench").for_each_run([&](index_t first, index_t n, index_t at) {
    const unit_params u = unit_of(p, at);
    for (index_t i = first; i < first + n; ++i)
      same = same && got[i] == fake_quantize_one(x[i], u, q);
  });
  return same;
}
void count(benchmark::State& state, index_t elements, index_t bytes_each) {
  state.SetBytesProcessed(state.iterations() * elements * bytes_each);
  state.SetItemsProcessed(state.iterations() * elements);
}

void copy_by_memcpy(benchmark::State& state, const shape& extents) {
  const tensor<float> x = normal(extents);
  tensor<float> out(extents);
  for (auto _ : state) {
    std::memcpy(out.data(), x.data(), static_cast<std::size_t>(x.size()) * 4);
    benchmark::ClobberMemory();
  }
  count(state, x.size(), 8);
}
void copy_around_caches(benchmark::State& state, const shape& extents) {
  using V = simd::floats<simd::native>;
  constexpr index_t lanes = simd::lanes<V>;
  const tensor<float> x = normal(extents);
  std::vector<float> memory(static_cast<std::size_t>(x.size() + 16));
  float* out = memory.data();
  while (reinterpret_cast<std::uintptr_t>(out) % 64 != 0) ++out;
  for (auto _ : state) {
    for (index_t i = 0; i + lanes <= x.size(); i += lanes)
      simd::stream(out + i, simd::load<V>(x.data() + i));
    simd::stream_fence();
    benchmark::ClobberMemory();
  }
  count(state, x.size(), 8);
}
// What a user writes first (and what torch's scalar kernel does per element).
void plain_loop(benchmark::State& state, const shape& extents) {
  const tensor<float> x = normal(extents);
  tensor<float> out(extents);
  const qparams p = params({}, x);
  const float scale = p.scale[0];
  for (auto _ : state) {
    for (index_t i = 0; i < x.size(); ++i) {
      const float t = std::nearbyint(x[i] / scale);
      out[i] = std::fmin(std::fmax(t, p.quant_min), p.quant_max) * scale;
    }
    benchmark::ClobberMemory();
  }
  count(state, x.size(), 8);
}

void fake(benchmark::State& state, const shape& extents, const quantization_spec& s, quotient q) {
  const tensor<float> x = normal(extents);
  tensor<float> out(extents);
  const qparams p = params(s, x);
  fake_quantize(view(x), p, view(out), q);
  if (!right(x, p, q, out)) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    fake_quantize(view(x), p, view(out), q);
    benchmark::ClobberMemory();
  }
  count(state, x.size(), 8);
}
void to_bytes(benchmark::State& state, const shape& extents) {
  const tensor<float> x = normal(extents);
  tensor<std::int8_t> out(extents);
  const qparams p = params({}, x);
  for (auto _ : state) {
    quantize(view(x), p, view(out));
    benchmark::ClobberMemory();
  }
  for (index_t i = 0; i < x.size(); ++i) {
    if (out[i] != encode_one(x[i], unit_of(p, 0))) return state.SkipWithError("wrong answer");
  }
  count(state, x.size(), 5);
}
void from_bytes(benchmark::State& state, const shape& extents) {
  const tensor<float> x = normal(extents);
  tensor<std::int8_t> codes(extents);
  tensor<float> out(extents);
  const qparams p = params({}, x);
  quantize(view(x), p, view(codes));
  for (auto _ : state) {
    dequantize(view(codes), p, view(out));
    benchmark::ClobberMemory();
  }
  if (!right(x, p, quotient::exact, out)) return state.SkipWithError("wrong answer");
  count(state, x.size(), 5);
}
void range(benchmark::State& state, const shape& extents) {
  const tensor<float> x = normal(extents);
  for (auto _ : state) {
    benchmark::DoNotOptimize(range_of_span(x.data(), x.size()));
  }
  count(state, x.size(), 4);
}

const bool registered = [] {
  const quantization_spec int8{}, int4{.dtype = dtype::int4};
  const quantization_spec minval{.qscheme = qscheme::asymmetric,
                                 .qformulation = qformulation::minval};
  const auto with = [](quantization_spec s, const granularity& g) {
    s.granularity = g;
    return s;
  };
  for (const size_class& size : sizes) {
    const std::string end = std::string("/") + size.name;
    const std::string roofs = "vs roof/memcpy" + end + " roof/nt_copy" + end;
    const auto add = [&](const std::string& name, auto function, auto... arguments) {
      benchmark::RegisterBenchmark((name + end).c_str(), [=](benchmark::State& state) {
        if (!name.starts_with("roof") && !name.starts_with("peer")) state.SetLabel(roofs);
        function(state, size.extents, arguments...);
      });
    };
    add("roof/memcpy", copy_by_memcpy);
    add("roof/nt_copy", copy_around_caches);
    add("peer/plain_loop/fake_quantize/per_tensor/int8", plain_loop);
    add("fake_quantize/per_tensor/int8", fake, int8, quotient::exact);
    add("fake_quantize/per_tensor_reciprocal/int8", fake, int8, quotient::reciprocal);
    add("fake_quantize/per_tensor/int4", fake, int4, quotient::exact);
    add("fake_quantize/per_tensor_minval/int8", fake, minval, quotient::exact);
    add("fake_quantize/per_channel_0/int8", fake, with(int8, granularity::per_channel(0)),
        quotient::exact);
    add("fake_quantize/per_channel_1/int8", fake, with(int8, granularity::per_channel(1)),
        quotient::exact);
    add("fake_quantize/per_block_32/int4", fake, with(int4, granularity::per_block(32, 1)),
        quotient::exact);
    const granularity mx = granularity::per_block(32, 1);
    add("fake_quantize/per_block_32/e2m1", fake, with({.dtype = dtype::float4_e2m1fn}, mx),
        quotient::exact);
    add("fake_quantize/per_tensor/e4m3fn", fake, quantization_spec{.dtype = dtype::float8_e4m3fn},
        quotient::exact);
    add("quantize/per_tensor/int8", to_bytes);
    add("dequantize/per_tensor/int8", from_bytes);
    add("observe/min_max/f32", range);
  }
  return true;
}();

}  // namespace
