// Quantization and fake-quantization, forward and backward, at the sizes and names of the performance goals;
// compared with the literal definitions (affine/element.hpp, fake_quant/saturation.hpp) before timing.
#include <lutra/affine/row_quantize.hpp>
#include <lutra/fake_quant/gradient.hpp>
#include <lutra/observe/unit_range.hpp>

#include "observe/data.hpp"

namespace {

using namespace lutra;
using bench::aligned;
using bench::size_class;

shape matrix(const size_class& size) { return {64, size.bytes / 4 / 64}; }

qparams params_of(const quantization_spec& spec, const aligned<float>& x, const shape& extents) {
  const auto r = ranges_of(bench::view_of(x, extents), grid_of(spec.granularity, extents, "bench"));
  return qparams_from_range(spec, r.lo, r.hi);
}

// What a pass over a tensor reads beside its elements; for blocks of 32 integers one byte in 33.
index_t bytes_of(const qparams& p) {
  const std::size_t offsets =
      p.qformulation == qformulation::minval ? p.minval.size() : p.zero_point.size();
  return static_cast<index_t>(4 * (p.scale.size() + offsets));
}

template <class F> bool every_element(const qparams& p, const shape& extents, F&& f) {
  bool right = true;
  units_of(p, extents, "bench").for_each_run([&](index_t first, index_t n, index_t at) {
    const unit_params u = unit_of(p, at);
    for (index_t i = first; i < first + n; ++i) right = right && f(i, u);
  });
  return right;
}

void forward(benchmark::State& state, const shape& extents, const quantization_spec& spec,
             quotient q, bool with_mask) {
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  const aligned<float>& x = inputs.first();
  aligned<float>& y = bench::output_of(extents.size());
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(extents.size())));
  const qparams p = params_of(spec, x, extents);
  const tensor_view<float> out(y.data(), extents);
  const auto run = [&](const aligned<float>& in) {
    with_mask ? fake_quantize_with_mask(bench::view_of(in, extents), p, out, mask, q)
              : fake_quantize(bench::view_of(in, extents), p, out, q);
  };
  run(x);
  const bool right = every_element(p, extents, [&](index_t i, const unit_params& u) {
    return y[i] == fake_quantize_one(x[i], u, q) &&
           (!with_mask || bit_at(mask, i) == quantized_one(x[i], u, q).inside);
  });
  if (!right) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    run(inputs.next());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * (8 * extents.size() + bytes_of(p)));
  state.SetItemsProcessed(state.iterations() * extents.size());
}

void straight(benchmark::State& state, const size_class& size) {
  const shape extents = matrix(size);
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  const aligned<float>& dy = inputs.first();
  aligned<float>& dx = bench::output_of(extents.size());
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(extents.size())), 0xD7);
  const auto run = [&](const aligned<float>& in) {
    straight_through(bench::view_of(in, extents), mask, tensor_view<float>(dx.data(), extents));
  };
  run(dy);
  for (index_t i = 0; i < extents.size(); ++i) {
    if (dx[i] != (bit_at(mask, i) ? dy[i] : 0.0F)) return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    run(inputs.next());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * size.bytes);
  state.SetItemsProcessed(state.iterations() * extents.size());
}

void learnable(benchmark::State& state, const size_class& size) {
  const shape extents = matrix(size);
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  bench::in_turn<float>& gradients = bench::normals_in_turn(extents.size(), 2);
  const aligned<float>& x = inputs.first();
  const aligned<float>& dy = gradients.first();
  aligned<float>& dx = bench::output_of(extents.size());
  qparams p = params_of({}, x, extents);
  p.scale[0] *= 0.5F;  // so that some saturate
  const auto run = [&](const aligned<float>& in, const aligned<float>& gradient) {
    return learnable_backward(bench::view_of(in, extents), bench::view_of(gradient, extents), p,
                              tensor_view<float>(dx.data(), extents));
  };
  const qparam_gradients g = run(x, dy);
  double scale = 0;
  const bool right = every_element(p, extents, [&](index_t i, const unit_params& u) {
    const quantized_element e = quantized_one(x[i], u, quotient::exact);
    scale += static_cast<double>(dy[i]) * static_cast<double>(e.slope);
    return dx[i] == (e.inside ? dy[i] : 0.0F);
  });
  if (!right || std::abs(g.scale[0] - scale) > 1e-6 * std::abs(scale) + 1e-6) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(run(inputs.next(), gradients.next()));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 3 * size.bytes);
  state.SetItemsProcessed(state.iterations() * extents.size());
}

// The roof of the backward pass: a sum of two that is written around the caches.
void add_two(benchmark::State& state, const size_class& size) {
  using V = simd::floats<simd::native>;
  constexpr index_t lanes = simd::lanes<V>;
  bench::in_turn<float>& left = bench::normals_in_turn(size.bytes / 4);
  bench::in_turn<float>& right = bench::normals_in_turn(size.bytes / 4, 2);
  aligned<float>& out = bench::output_of(size.bytes / 4);
  for (auto _ : state) {
    const aligned<float>& x = left.next();
    const aligned<float>& y = right.next();
    for (index_t i = 0; i + lanes <= x.size(); i += lanes) {
      simd::stream(out.data() + i, V(simd::load<V>(x.data() + i) + simd::load<V>(y.data() + i)));
    }
    simd::stream_fence();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 3 * size.bytes);
  state.SetItemsProcessed(state.iterations() * size.bytes);
}

void to_int8(benchmark::State& state, const size_class& size) {
  const shape extents = matrix(size);
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  const aligned<float>& x = inputs.first();
  aligned<std::int8_t> codes(extents.size());
  const qparams p = params_of({}, x, extents);
  const auto run = [&](const aligned<float>& in) {
    quantize(bench::view_of(in, extents), p, tensor_view<std::int8_t>(codes.data(), extents));
  };
  run(x);
  if (!every_element(p, extents, [&](index_t i, const unit_params& u) {
        return codes[i] == encode_one(x[i], u);
      })) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    run(inputs.next());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * (size.bytes + size.bytes / 4));
  state.SetItemsProcessed(state.iterations() * extents.size());
}

template <class Code>
void to_float(benchmark::State& state, const size_class& size, const quantization_spec& spec) {
  const shape extents = matrix(size);
  const aligned<float> x = bench::normal(extents.size());
  aligned<Code> codes(extents.size());
  aligned<float> y(extents.size());
  const qparams p = params_of(spec, x, extents);
  quantize(bench::view_of(x, extents), p, tensor_view<Code>(codes.data(), extents));
  bench::in_turn<Code> inputs(std::move(codes));
  const auto run = [&](const aligned<Code>& in) {
    dequantize(tensor_view<const Code>(in.data(), extents), p,
               tensor_view<float>(y.data(), extents));
  };
  run(inputs.first());
  if (!every_element(p, extents, [&](index_t i, const unit_params& u) {
        return y[i] == decode_one(inputs.first()[i], u);
      })) {
    return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    run(inputs.next());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * (size.bytes + size.bytes / 4));
  state.SetItemsProcessed(state.iterations() * extents.size());
  bench::count_written(state, size.bytes);
}

// Rows of 4096, as the integer kernels read their activations.
void rows_to_int8(benchmark::State& state, const size_class& size) {
  const shape extents{size.bytes / 4 / 4096, 4096};
  bench::in_turn<float>& inputs = bench::normals_in_turn(extents.size());
  const aligned<float>& x = inputs.first();
  aligned<std::int8_t> codes(extents.size());
  std::vector<quantized_row> rows(static_cast<std::size_t>(extents[0]));
  const auto run = [&](const aligned<float>& in) {
    quantize_rows(bench::view_of(in, extents), tensor_view<std::int8_t>(codes.data(), extents),
                  rows);
  };
  run(x);
  for (index_t r = 0; r < extents[0]; ++r) {
    std::int32_t sum = 0;
    const quantized_row& row = rows[static_cast<std::size_t>(r)];
    for (index_t i = r * 4096; i < (r + 1) * 4096; ++i) {
      sum += codes[i];
      if (codes[i] != round_half_even(x[i] / row.scale)) return state.SkipWithError("wrong answer");
    }
    if (sum != row.sum) return state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    run(inputs.next());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * (size.bytes + size.bytes / 4));
  state.SetItemsProcessed(state.iterations() * extents.size());
}

const bool registered = [] {
  const granularity block = granularity::per_block(32, 1);
  const quantization_spec int8{};
  const quantization_spec channel_int4{.dtype = dtype::int4,
                                       .granularity = granularity::per_channel(0)};
  const auto add_forward = [](const char* name, const size_class& size,
                              const quantization_spec& spec, quotient q = quotient::exact,
                              bool with_mask = false) {
    const std::string end = size.name;
    std::string references = "vs roof/nt_copy/" + end + " roof/memcpy/" + end;
    if (std::string_view(name) == "fake_quantize/f32/per_tensor/int8") {
      references += " fake_quantize_reciprocal/f32/per_tensor/int8/" + end;  // the cost of `exact`
    }
    bench::add(std::string(name) + '/' + end, references,
               [=](benchmark::State& s) { forward(s, matrix(size), spec, q, with_mask); });
  };
  for (const size_class& size : {bench::small, bench::large}) {
    add_forward("fake_quantize/f32/per_tensor/int8", size, int8);
    add_forward("fake_quantize_reciprocal/f32/per_tensor/int8", size, int8, quotient::reciprocal);
    add_forward("fake_quantize/f32/per_tensor_minval/int8", size,
                {.qscheme = qscheme::asymmetric, .qformulation = qformulation::minval});
    add_forward("fake_quantize/f32/per_tensor/e4m3", size, {.dtype = dtype::float8_e4m3fn});
    add_forward("fake_quantize_with_mask/f32/per_tensor/int8", size, int8, quotient::exact, true);
    const std::string end = size.name;
    bench::add("quantize/f32_to_i8/" + end, "vs roof/read/" + end,
               [=](benchmark::State& s) { to_int8(s, size); });
    bench::add("quantize_rows/f32_to_i8/" + end, "vs roof/read/" + end,
               [=](benchmark::State& s) { rows_to_int8(s, size); });
  }
  add_forward("fake_quantize/f32/per_channel/int4", bench::large, channel_int4);
  add_forward("fake_quantize/f32/per_block32/int4", bench::large,
              {.dtype = dtype::int4, .granularity = block});
  add_forward("fake_quantize/f32/per_block32/e2m1", bench::large,
              {.dtype = dtype::float4_e2m1fn, .granularity = block});
  add_forward("fake_quantize/f32/per_block32/e4m3", bench::large,
              {.dtype = dtype::float8_e4m3fn, .granularity = block});
  for (const index_t channels : {256, 4096}) {  // on the last axis
    const quantization_spec spec{.granularity = granularity::per_channel(1)};
    const shape extents{bench::large.bytes / 4 / channels, channels};
    bench::add("fake_quantize/f32/channels_last" + std::to_string(channels) + "/int8/64MiB",
               "vs roof/nt_copy/64MiB",
               [=](benchmark::State& s) { forward(s, extents, spec, quotient::exact, false); });
  }
  bench::add("dequantize/i8_to_f32/64MiB", "vs roof/memset_nonzero/64MiB",
             [](benchmark::State& s) { to_float<std::int8_t>(s, bench::large, {}); });
  for (const dtype d : {dtype::float8_e4m3fn, dtype::float8_e5m2, dtype::float4_e2m1fn}) {
    bench::add("dequantize/" + std::string(name_of(d)) + "_to_f32/64MiB",
               "vs roof/memset_nonzero/64MiB",
               [=](benchmark::State& s) { to_float<std::uint8_t>(s, bench::large, {.dtype = d}); });
  }
  bench::add("fake_quantize_backward/straight_through/f32/64MiB", "vs roof/nt_copy/64MiB",
             [](benchmark::State& s) { straight(s, bench::large); });
  bench::add("roof/nt_add/64MiB", "", [](benchmark::State& s) { add_two(s, bench::large); });
  bench::add("fake_quantize_backward/learnable/f32/64MiB", "vs roof/nt_add/64MiB",
             [](benchmark::State& s) { learnable(s, bench::large); });
  return true;
}();

}  // namespace
