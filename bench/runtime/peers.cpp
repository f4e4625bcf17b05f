// What others do at the sizes of gemm.cpp, one thread: oneDNN, int8 weights times int8 activations to int32, and
// convolutions of both to int8, each tensor in the layout it likes best; OpenBLAS in float, and ggml (ggml.hpp). Weights
// are packed before the clock starts, as ours are; answers are checked before that.
// Built with what is installed (scripts/peers.sh); the rest says "not available".
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <type_traits>

#include "../buffers.hpp"
#include "ggml.hpp"

#if defined(LUTRA_BENCH_ONEDNN)
#include <omp.h>

#include <dnnl.hpp>
#endif
#if defined(LUTRA_BENCH_OPENBLAS)
#include <cblas.h>
#endif

namespace {

using lutra::index_t;
using lutra::shape;

// Sums of 64 rows spread over the matrix, w [rows, depth], x and got [m, ...].
template <class T, class Sum>
[[maybe_unused]] bool right(const lutra::tensor<T>& w, const bench::aligned_tensor<T>& x,
                            const bench::aligned_tensor<Sum>& got, double tolerance) {
  const index_t rows = w.extent(0), depth = w.extent(1);
  for (index_t sample = 0; sample < 64; ++sample) {
    const index_t row = sample * (rows - 1) / 63;
    for (index_t m = 0; m < x.extent(0); ++m) {
      double sum = 0;
      for (index_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(w[row * depth + k]) * static_cast<double>(x[m * depth + k]);
      }
      const double error = static_cast<double>(got[m * rows + row]) - sum;
      if (error > tolerance || error < -tolerance) return false;
    }
  }
  return true;
}
template <class T> [[maybe_unused]] lutra::tensor<T> random_matrix(const shape& s, int seed) {
  lutra::random_stream random(static_cast<std::uint64_t>(seed));
  lutra::tensor<T> t(s);
  for (T& x : t.elements()) {
    x = static_cast<T>(static_cast<std::int8_t>(random.next() >> 56));
    if constexpr (std::is_floating_point_v<T>) x /= T{128};
  }
  return t;
}

#if defined(LUTRA_BENCH_ONEDNN)
// What it takes this CPU for.
std::string isa_of_onednn() {
  const auto isa = dnnl::get_effective_cpu_isa();
  using dnnl::cpu_isa;
  if (isa == cpu_isa::avx512_core_amx) return "avx512_core_amx";
  if (isa == cpu_isa::avx512_core_bf16) return "avx512_core_bf16";
  if (isa == cpu_isa::avx512_core_vnni) return "avx512_core_vnni";
  if (isa == cpu_isa::avx2_vnni) return "avx2_vnni";
  if (isa == cpu_isa::avx2) return "avx2";
  return "dnnl::cpu_isa " + std::to_string(static_cast<int>(isa));
}
// Its sums pass through float on their way out (seen in 2.6): right up to 2^24, which random data do not reach.
void onednn(benchmark::State& state, const shape& s, index_t m) {
  using namespace dnnl;
  omp_set_num_threads(1);
  engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const auto w = random_matrix<std::int8_t>(s, 3);
  const bench::aligned_tensor<std::int8_t> x(random_matrix<std::int8_t>({m, s[1]}, 4));
  bench::aligned_tensor<std::int32_t> out(shape{m, s[0]});
  using type = memory::data_type;
  using tag = memory::format_tag;
  // oneDNN multiplies [m, depth] by [depth, rows]; our rows lie transposed.
  const memory::desc of_x({m, s[1]}, type::s8, tag::ab), of_out({m, s[0]}, type::s32, tag::ab);
  const memory::desc of_w({s[1], s[0]}, type::s8, tag::ba);
  const memory::desc packed({s[1], s[0]}, type::s8, tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const matmul::primitive_desc chosen(cpu, of_x, packed, of_out);
#else
  const matmul::primitive_desc chosen(matmul::desc(of_x, packed, of_out), cpu);
#endif
  memory plain(of_w, cpu, const_cast<std::int8_t*>(w.data()));
  memory weights(chosen.weights_desc(), cpu);
  reorder(plain, weights).execute(queue, plain, weights);
  memory input(of_x, cpu, const_cast<std::int8_t*>(x.data())), output(of_out, cpu, out.data());
  const matmul product(chosen);
  const auto run = [&] {
    product.execute(queue,
                    {{DNNL_ARG_SRC, input}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, output}});
    queue.wait();
  };
  run();
  if (!right(w, x, out, 0)) state.SkipWithError("wrong answer");
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
}

// A convolution [n, c, h, w] by [out, c / groups, kh, kw], or a transposed one (one group).
struct conv_case {
  shape image, weight;
  index_t pad = 1, groups = 1, stride = 1;
  bool transposed = false;
  index_t extent(int axis) const {
    const index_t in = image[axis], k = weight[axis];
    return transposed ? (in - 1) * stride + k - 2 * pad : (in + 2 * pad - k) / stride + 1;
  }
};
constexpr float conv_scale = 1e-4F;

// Outputs spread over the maps, against plain loops.
bool right(const conv_case& c, const lutra::tensor<std::int8_t>& x,
           const lutra::tensor<std::int8_t>& w, const lutra::tensor<std::int8_t>& got) {
  const index_t filters = c.weight[0], channels = c.weight[1];
  for (index_t at = 0; at < got.size(); at += got.size() / 61) {
    const index_t j = at % c.extent(3), i = at / c.extent(3) % c.extent(2);
    const index_t o = at / (c.extent(2) * c.extent(3)) % filters;
    const index_t n = at / (c.extent(2) * c.extent(3) * filters);
    std::int32_t sum = 0;
    for (index_t k = 0; k < channels; ++k) {
      const index_t channel = o / (filters / c.groups) * channels + k;
      for (index_t a = 0; a < c.weight[2]; ++a) {
        for (index_t b = 0; b < c.weight[3]; ++b) {
          index_t y = i * c.stride - c.pad + a, z = j * c.stride - c.pad + b;
          if (c.transposed) {
            if ((i + c.pad - a) % c.stride != 0 || (j + c.pad - b) % c.stride != 0) continue;
            y = (i + c.pad - a) / c.stride;
            z = (j + c.pad - b) / c.stride;
            if (i + c.pad < a || j + c.pad < b) continue;
          }
          if (y < 0 || z < 0 || y >= c.image[2] || z >= c.image[3]) continue;
          sum += x[((n * c.image[1] + channel) * c.image[2] + y) * c.image[3] + z] *
                 w[((o * channels + k) * c.weight[2] + a) * c.weight[3] + b];
        }
      }
    }
    const float exact = std::clamp(static_cast<float>(sum) * conv_scale, -128.0F, 127.0F);
    if (std::fabs(static_cast<float>(got[at]) - exact) > 0.51F) return false;
  }
  return true;
}

void onednn_conv(benchmark::State& state, const conv_case& c) {
  using namespace dnnl;
  omp_set_num_threads(1);
  engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const auto x = random_matrix<std::int8_t>(c.image, 3),
             w = random_matrix<std::int8_t>(c.weight, 4);
  const shape result{c.image[0], c.weight[0], c.extent(2), c.extent(3)};
  lutra::tensor<std::int8_t> out(result);
  const auto dims = [](const shape& s) { return memory::dims(s.begin(), s.end()); };
  memory::dims of_weight = dims(c.weight);
  if (c.groups > 1) {
    of_weight[0] /= c.groups;
    of_weight.insert(of_weight.begin(), c.groups);
  }
  using type = memory::data_type;
  using tag = memory::format_tag;
  const auto any = [](const memory::dims& d) { return memory::desc(d, type::s8, tag::any); };
  const memory::desc src = any(dims(c.image)), wei = any(of_weight), dst = any(dims(result));
  const memory::dims strides{c.stride, c.stride}, pads{c.pad, c.pad};
  primitive_attr scaled;
#if DNNL_VERSION_MAJOR >= 3
  scaled.set_scales_mask(DNNL_ARG_SRC, 0);
#else
  scaled.set_output_scales(0, {conv_scale});
#endif
  const auto time = [&](const auto& chosen, const auto& primitive) {
    const memory::desc plain_w(of_weight, type::s8, c.groups > 1 ? tag::goihw : tag::oihw);
    memory from_x({dims(c.image), type::s8, tag::nchw}, cpu, const_cast<std::int8_t*>(x.data()));
    memory from_w(plain_w, cpu, const_cast<std::int8_t*>(w.data()));
    memory to({dims(result), type::s8, tag::nchw}, cpu, out.data());
    memory input(chosen.src_desc(), cpu), weights(chosen.weights_desc(), cpu);
    memory output(chosen.dst_desc(), cpu);
    reorder(from_x, input).execute(queue, from_x, input);
    reorder(from_w, weights).execute(queue, from_w, weights);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, input}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, output}};
#if DNNL_VERSION_MAJOR >= 3
    float scale = conv_scale;
    arguments.insert(
        {DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, memory({{1}, type::f32, tag::x}, cpu, &scale)});
#endif
    const auto run = [&] {
      primitive.execute(queue, arguments);
      queue.wait();
    };
    run();
    reorder(output, to).execute(queue, output, to);
    queue.wait();
    if (!right(c, x, w, out)) state.SkipWithError("wrong answer");
    for (auto _ : state) {
      run();
      benchmark::ClobberMemory();
    }
  };
  const auto time_as = [&]<class Op>(std::type_identity<Op>, algorithm how) {
    constexpr auto kind = prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    const typename Op::primitive_desc chosen(cpu, kind, how, src, wei, dst, strides, pads, pads,
                                             scaled);
#else
    const typename Op::primitive_desc chosen(
        typename Op::desc(kind, how, src, wei, dst, strides, pads, pads), scaled, cpu);
#endif
    time(chosen, Op(chosen));
  };
  if (c.transposed) {
    time_as(std::type_identity<deconvolution_forward>{}, algorithm::deconvolution_direct);
  } else {
    time_as(std::type_identity<convolution_forward>{}, algorithm::convolution_direct);
  }
  const index_t positions = c.transposed ? x.size() / c.image[1] * c.weight[0] : out.size();
  state.SetItemsProcessed(state.iterations() * positions * c.weight.product(1, 4));
}
#else
void onednn(benchmark::State& state, const shape&, index_t) {
  state.SkipWithError("not available (libdnnl-dev)");
}
#endif

#if defined(LUTRA_BENCH_OPENBLAS)
void openblas(benchmark::State& state, const shape& s, index_t m) {
  openblas_set_num_threads(1);
  const auto w = random_matrix<float>(s, 3);
  const bench::aligned_tensor<float> x(random_matrix<float>({m, s[1]}, 4));
  bench::aligned_tensor<float> out(shape{m, s[0]});
  const auto rows = static_cast<int>(s[0]), depth = static_cast<int>(s[1]);
  const auto run = [&] {
    if (m == 1) {
      cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, depth, 1, w.data(), depth, x.data(), 1, 0,
                  out.data(), 1);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(m), rows, depth, 1,
                  x.data(), depth, w.data(), depth, 0, out.data(), rows);
    }
  };
  run();
  if (!right(w, x, out, 1e-3 * depth)) state.SkipWithError("wrong answer");
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
}
#else
void openblas(benchmark::State& state, const shape&, index_t) {
  state.SkipWithError("not available (libopenblas-dev)");
}
#endif

[[maybe_unused]] const bool registered = [] {
  const auto add = [](const shape& s, index_t m) {
    const std::string size = std::to_string(s[0]) + 'x' + std::to_string(s[1]);
    const std::string what = m == 1 ? "gemv/" + size : "gemm/" + size + "/m:" + std::to_string(m);
    benchmark::RegisterBenchmark(("peer/onednn/s8/" + what).c_str(),
                                 [=](benchmark::State& state) { onednn(state, s, m); });
    benchmark::RegisterBenchmark(("peer/openblas/f32/" + what).c_str(),
                                 [=](benchmark::State& state) { openblas(state, s, m); });
    using bench::ggml_blocks, bench::ggml_way;
    const auto add_ggml = [&](const char* name, ggml_blocks blocks, ggml_way way) {
      benchmark::RegisterBenchmark(
          ("peer/ggml/" + std::string(name) + '/' + what).c_str(),
          [=](benchmark::State& state) { bench::ggml_product(state, blocks, way, s, m); });
    };
    if (m != 1 && m % 4 != 0) return;  // which ggml multiplies one by one
    add_ggml("iq4_nl", ggml_blocks::iq4_nl, ggml_way::kernel);
    if (m == 1) add_ggml("iq4_nl_vec_dot", ggml_blocks::iq4_nl, ggml_way::vec_dot);
    add_ggml("iq4_nl_mul_mat", ggml_blocks::iq4_nl, ggml_way::product);
    add_ggml("q4_0_mul_mat", ggml_blocks::q4_0, ggml_way::product);
  };
#if defined(LUTRA_BENCH_OPENBLAS)
  benchmark::AddCustomContext("peer/openblas", openblas_get_corename());
#endif
#if defined(LUTRA_BENCH_ONEDNN)
  benchmark::AddCustomContext("peer/onednn", isa_of_onednn());
#endif
#if defined(LUTRA_BENCH_GGML)
  benchmark::AddCustomContext("peer/ggml", bench::isa_of_ggml());
#endif
#if defined(LUTRA_BENCH_ONEDNN)
  const auto add_conv = [](const char* name, const conv_case& c) {
    benchmark::RegisterBenchmark((std::string("peer/onednn/s8/") + name).c_str(),
                                 [=](benchmark::State& state) { onednn_conv(state, c); });
  };
  add_conv("conv2d/56x56x64x64/3x3", {{1, 64, 56, 56}, {64, 64, 3, 3}});
  add_conv("conv2d/28x28x1x32/3x3", {{16, 1, 28, 28}, {32, 1, 3, 3}});
  add_conv("conv2d/56x56x128/3x3/depthwise", {{1, 128, 56, 56}, {128, 1, 3, 3}, 1, 128});
  add_conv("conv_transpose2d/28x28x64x64/4x4/stride:2",
           {{1, 64, 28, 28}, {64, 64, 4, 4}, 1, 1, 2, true});
#endif
  for (const index_t n : {1024, 4096, 16384}) add({n, n}, 1);
  for (const index_t m : {2, 3, 4, 8}) {
    benchmark::RegisterBenchmark(("peer/onednn/s8/gemm/16384x16384/m:" + std::to_string(m)).c_str(),
                                 [=](benchmark::State& state) {
                                   onednn(state, {16384, 16384}, m);
                                 });
  }
  for (const index_t n : {1024, 4096}) {
    for (const index_t m : {2, 3, 4, 8, 64, 256}) add({n, n}, m);
  }
  return true;
}();

}  // namespace
