// Palette GEMV, GEMM and convolution on int8 activations, one thread, against float GEMM and the roofs of the
// same run: the int8 multiply-add peak of the register file and the read bandwidth. Tables come from
// palettize on N(0, 0.02). items_per_second are multiply-adds, bytes_per_second the weights in memory.
// Answers are compared with the reference before anything is timed.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <cmath>
#include <lutra/runtime/conv.hpp>
#include <lutra/runtime/conv_transpose.hpp>
#include <lutra/runtime/float_gemm.hpp>
#include <lutra/runtime/float_matrix.hpp>
#include <lutra/runtime/layer_epilogue.hpp>

#include "../roof.hpp"
#include "palette_gemm.hpp"

namespace {

using namespace bench;

// Float in, float out; `multiply(w, x, out)` is the product, whose answers may be `tolerance` times
// |w| times |x| off. groups: columns per table, 0 for one table. make(palette) is the matrix.
template <class Make, class F>
void palette_floats(benchmark::State& state, const shape& s, index_t m, index_t groups,
                    double tolerance, const Make& make, const F& multiply) {
  packed_palette p = normal_palette(s, 4);
  if (groups > 0) {
    p.block = p.block.with(1, groups);
    const std::vector<std::uint8_t> table = p.lut_codes;
    for (index_t g = 1; g < p.groups().count(); ++g) {
      p.lut_codes.insert(p.lut_codes.end(), table.begin(), table.end());
      p.scale.push_back(p.scale[0]);
      p.zero_point.push_back(0);
    }
  }
  const auto w = make(p);
  random_stream random(3);
  tensor<float> x(shape{m, s[1]}), out(shape{m, s[0]});
  for (float& v : x.elements()) v = static_cast<float>(random.normal());
  multiply(w, x, out);
  for (index_t row = 0; row < s[0]; row += s[0] / 64) {
    double y = 0, norm = 0;
    for (index_t k = 0; k < s[1]; ++k) {
      const int code = reference::code_at(p.codes, p.n_bits, row * s[1] + k);
      const double v = static_cast<std::int8_t>(p.lut_codes[static_cast<std::size_t>(code)]) *
                       static_cast<double>(p.scale[0]) * static_cast<double>(x[k]);
      y += v;
      norm += std::fabs(v);
    }
    if (!(std::fabs(y - static_cast<double>(out[row])) <= tolerance * norm))
      state.SkipWithError("wrong answer");
  }
  for (auto _ : state) {
    multiply(w, x, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
  state.SetBytesProcessed(state.iterations() * w.bytes());
}

// Of a layer with a float bias, as networks have: with what an int32 bias loses.
requantize layer_epilogue(const lut_matrix& w) {
  std::vector<float> bias(static_cast<std::size_t>(w.rows()));
  random_stream r(3);
  for (float& b : bias) b = static_cast<float>(r.uniform() - 0.5);
  return requantize_of(w, {0.02F, 0}, {0.02F, 0}, bias);
}

// channels_last: of input and output in memory, as oneDNN has them.
void palette_conv(benchmark::State& state, const shape& image, const shape& weight, index_t pad,
                  index_t groups = 1, bool channels_last = false) {
  const packed_palette& p = normal_palette(weight, 4);
  const lut_matrix w = make_lut_matrix(p);
  const auto memory = random_activations(image);
  const auto laid_out = [&](auto& t, const shape& s) {
    const std::array<index_t, 4> last{s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
    using T = std::remove_reference_t<decltype(*t.data())>;
    return channels_last ? tensor_view<T>(t.data(), s, last) : tensor_view<T>(t.data(), s);
  };
  const auto x = laid_out(memory, image);
  const conv2d_options o{.window = window2d::symmetric({1, 1}, {pad, pad}), .groups = groups};
  const shape result = image.with(1, weight[0]);
  tensor<std::int32_t> sums(result), expected(result);
  const auto sums_view = laid_out(sums, result);
  conv2d(w, x, o, sums_view);
  const auto integers = reference::integer_weights(p);
  reference::conv2d<std::int8_t>(view(integers), x, o.window, groups, 0, view(expected));
  if (!(tensor<std::int32_t>::copy_of(sums_view) == expected)) state.SkipWithError("wrong answer");
  const requantize e = layer_epilogue(w);
  tensor<std::int8_t> out(result);
  const auto out_view = laid_out(out, result);
  for (auto _ : state) {
    conv2d(w, x, o, e, out_view);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * out.size() * w.depth());
}

// Stride 2, padding 1: twice the extents. Multiply-adds are those of weights and inputs, without the zeros in between.
void palette_transpose(benchmark::State& state, const shape& image, const shape& weight) {
  const packed_palette p = transposed_palette(normal_palette(weight, 4), 1);
  const lut_matrix w = make_lut_matrix(p);
  const auto x = random_activations(image);
  const conv_transpose2d_options o{.geometry = {window2d::symmetric({2, 2}, {1, 1}), {}}};
  const shape result{image[0], weight[1], 2 * image[2], 2 * image[3]};
  tensor<std::int32_t> sums(result), expected(result);
  conv_transpose2d(w, x, o, sums);
  tensor<std::int8_t> spread(shape{image[0], image[1], 2 * image[2] + 3, 2 * image[3] + 3});
  for (index_t i = 0; i < x.size(); ++i) {
    const index_t row = i / image[3] % image[2] * 2 + 2, plane = i / (image[2] * image[3]);
    spread[(plane * spread.extent(2) + row) * spread.extent(3) + i % image[3] * 2 + 2] = x[i];
  }
  const auto integers = reference::integer_weights(p);
  reference::conv2d<std::int8_t>(view(integers), view(spread), {}, 1, 0, view(expected));
  if (!(sums == expected)) state.SkipWithError("wrong answer");
  const requantize e = layer_epilogue(w);
  tensor<std::int8_t> out(result);
  for (auto _ : state) {
    conv_transpose2d(w, x, o, e, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * x.size() * weight.product(1, 4));
}

// From the packed form to the kernel layout; bytes are those of both.
void palette_pack(benchmark::State& state, const shape& s) {
  const packed_palette& p = normal_palette(s, 4);
  for (auto _ : state) {
    const lut_matrix w = make_lut_matrix(p);
    benchmark::DoNotOptimize(w.weights(0));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size());
  state.SetBytesProcessed(state.iterations() *
                          (static_cast<index_t>(p.codes.size()) + make_lut_matrix(p).bytes()));
}

// The same product in float with Eigen.
void eigen_gemm(benchmark::State& state, const shape& s, index_t m) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const matrix w = matrix::Random(s[0], s[1]);
  const matrix x = matrix::Random(m, s[1]);
  matrix out(m, s[0]);
  const Eigen::VectorXf vector = x.row(0);
  Eigen::VectorXf result(s[0]);
  for (auto _ : state) {
    if (m == 1) {
      result.noalias() = w * vector;
    } else {
      out.noalias() = x * w.transpose();
    }
    benchmark::DoNotOptimize(result.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
}

// Reading as fast as this machine was seen to: four places at a time.
void read_peak(benchmark::State& state, const std::uint8_t* from, index_t bytes) {
  using A = simd::native;
  constexpr index_t size = simd::vector_size<A>;
  const index_t part = bytes / (16 * size) * (4 * size);
  for (auto _ : state) {
    simd::ints_of<A> sum[4] = {splat_ints(0, A{}), splat_ints(0, A{}), splat_ints(0, A{}),
                               splat_ints(0, A{})};
    for (index_t i = 0; i < part; i += 4 * size) {
      simd::unroll<4>([&](auto place) __attribute__((always_inline)) {
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[v] = add(sum[v], load_ints(from + place * part + i + v * size, A{}), A{});
        });
      });
    }
    std::int32_t sink[static_cast<std::size_t>(simd::int_lanes<A>)];
    store_ints(sink, add(add(sum[0], sum[1], A{}), add(sum[2], sum[3], A{}), A{}), A{});
    benchmark::DoNotOptimize(sink);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 4 * part);
  state.SetItemsProcessed(state.iterations() * 4 * part);
}
// In large pages, as weights lie.
void read_bytes(benchmark::State& state, index_t bytes) {
  const std::vector<std::uint8_t, simd::large_page_allocator<std::uint8_t>> data(
      static_cast<std::size_t>(bytes), 1);
  read_peak(state, data.data(), bytes);
}
// The very bytes of a matrix: other memory of a shared machine may be faster or slower.
void read_matrix(benchmark::State& state, const shape& s) {
  const lut_matrix& w = normal_matrix(s, 4);
  read_peak(state, w.weights(0), w.steps() * w.step_bytes(0) * (w.strips() / panel_strips));
}

// Who computes the same: Eigen here, the others in peers.cpp.
std::string peers(const std::string& what) {
  const bool vector = what.starts_with("gemv");
  const bool few = what.ends_with("/m:2") || what.ends_with("/m:3");  // ggml's kernels take four
  std::string all =
      " peer/eigen/f32/" + what + " peer/openblas/f32/" + what + " peer/onednn/s8/" + what;
  if (!few) all += " peer/ggml/iq4_nl/" + what + " peer/ggml/q4_0_mul_mat/" + what;
  if (vector) all += " peer/ggml/iq4_nl_vec_dot/" + what;
  return all;
}

[[maybe_unused]] const bool registered = [] {
  add_benchmark("roof/dpbusd", dot_peak);
  add_benchmark("roof/amx_dot", tile_dot_peak<simd::native>);
  add_benchmark("roof/lookup_dot", lookup_dot_peak<1>);
  add_benchmark("roof/lookup_dot/m:4", lookup_dot_peak<4>);
  add_benchmark("roof/memcpy/8MiB", [](benchmark::State& s) { copy(s, medium.bytes); });
  add_benchmark("roof/read/1MiB", [](benchmark::State& s) { read_bytes(s, index_t{1} << 20); });
  add_benchmark("roof/read/8MiB", [](benchmark::State& s) { read_bytes(s, index_t{1} << 23); });
  add_benchmark("roof/read/128MiB", [](benchmark::State& s) { read_bytes(s, index_t{1} << 27); });
  const auto add_gemv = [](const shape& s, int bits, const std::string& roof, int lowest = -127) {
    const std::string name =
        "gemv/p" + std::to_string(bits) + "a8/" + size_of(s) + (lowest < -127 ? "/table:-128" : "");
    add_benchmark(name, [=](benchmark::State& state) {
      palette_gemm(state, s, bits, 1, lowest);
      state.SetLabel("vs " + roof + peers("gemv/" + size_of(s)));
    });
  };
  const auto eigen = [](const shape& s, index_t m) {
    const std::string name = "peer/eigen/f32/" + std::string(m == 1 ? "gemv/" : "gemm/") +
                             size_of(s) + (m == 1 ? "" : "/m:" + std::to_string(m));
    add_benchmark(name, [=](benchmark::State& state) { eigen_gemm(state, s, m); });
  };
  const shape square{1024, 1024}, wide{4096, 4096}, big{16384, 16384};
  add_gemv(square, 4, "roof/lookup_dot roof/dpbusd");
  add_gemv(square, 4, "roof/dpbusd", -128);
  eigen(square, 1);
  add_gemv(wide, 4, "roof/lookup_dot roof/dpbusd roof/read/8MiB");
  for (const int bits : {2, 3, 6, 8}) add_gemv(wide, bits, "roof/dpbusd");
  // Three bits as they are read from memory (lut_matrix_options), below that size and above it.
  add_benchmark("gemv/p3a8/4096x4096/as_three_bits", [=](benchmark::State& state) {
    const packed_palette& p = normal_palette(wide, 3);
    multiply_matrix(state, p, make_lut_matrix(p, simd::native{}, {.three_bits_from = 0}), 1);
    state.SetLabel("vs roof/dpbusd gemv/p3a8/4096x4096");
  });
  add_gemv({8192, 8192}, 3, "roof/dpbusd roof/read/128MiB");
  eigen(wide, 1);
  add_benchmark("roof/read/16384x16384", [=](benchmark::State& s) { read_matrix(s, big); });
  add_gemv(big, 4, "roof/read/16384x16384 roof/read/128MiB");
  eigen(big, 1);
  for (const shape& s : {square, wide}) {
    for (const index_t m : {2, 3, 4, 8, 64, 256}) {
      const std::string name = size_of(s) + "/m:" + std::to_string(m);
      add_benchmark("gemm/p4a8/" + name, [=](benchmark::State& state) {
        palette_gemm(state, s, 4, m);
        state.SetLabel(std::string("vs roof/dpbusd roof/amx_dot") +
                       (m == 4 ? " roof/lookup_dot/m:4" : "") + peers("gemm/" + name));
      });
      eigen(s, m);
    }
  }
  for (const index_t m : {2, 3, 4, 8}) {  // weights from memory
    const std::string name = size_of(big) + "/m:" + std::to_string(m);
    add_benchmark("gemm/p4a8/" + name, [=](benchmark::State& state) {
      palette_gemm(state, big, 4, m);
      state.SetLabel("vs roof/read/16384x16384 roof/read/128MiB roof/dpbusd peer/onednn/s8/gemm/" +
                     name);
    });
  }
  const auto floats = [&](const std::string& name, index_t m, index_t groups, double tolerance,
                          auto make, auto multiply) {
    const std::string size = size_of(wide) + (m == 1 ? "" : "/m:" + std::to_string(m));
    const bool one = m == 1 && name.starts_with("gemm");
    add_benchmark(
        name + size + (one ? "/m:1" : "") + (groups > 0 ? "/groups:" + std::to_string(groups) : ""),
        [=](benchmark::State& state) {
          palette_floats(state, wide, m, groups, tolerance, make, multiply);
          const std::string what = (m == 1 ? "gemv/" : "gemm/") + size;
          state.SetLabel("vs roof/dpbusd peer/eigen/f32/" + what + " peer/ggml/iq4_nl_mul_mat/" +
                         what);
        });
  };
  const auto weight_only = [](const auto& w, const auto& x, auto& out) { gemm_float(w, x, out); };
  const auto dynamic = [](const auto& w, const auto& x, auto& out) { gemm_dynamic(w, x, out); };
  const auto int8_tables = [](const packed_palette& p) { return make_grouped_lut_matrix(p); };
  const auto float_tables = [](const packed_palette& p) { return make_float_lut_matrix(p); };
  floats("gemv/p4f32/", 1, 0, 1e-6, int8_tables, weight_only);
  floats("gemv/p4f32/", 1, 128, 1e-6, int8_tables, weight_only);
  floats("gemm/p4f32/", 8, 0, 1e-6, int8_tables, weight_only);
  floats("gemv/p4f32_float_tables/", 1, 0, 1e-6, float_tables, weight_only);
  floats("gemm/p4f32_float_tables/", 8, 0, 1e-6, float_tables, weight_only);
  for (const index_t m : {1, 8}) {
    floats("gemm/p4a8_dynamic/", m, 0, 1e-2, int8_tables, dynamic);
    floats("gemm/p4a8_dynamic/", m, 128, 1e-2, int8_tables, dynamic);
  }
  floats("gemm/p4a8_dynamic/", 1, 32, 1e-2, int8_tables, dynamic);
  add_benchmark("lut_matrix/pack/4096x4096/bits:4", [=](benchmark::State& state) {
    palette_pack(state, wide);
    state.SetLabel("vs roof/memcpy/8MiB");
  });
  add_benchmark("conv2d/p4a8/56x56x64x64/3x3", [](benchmark::State& state) {
    palette_conv(state, {1, 64, 56, 56}, {64, 64, 3, 3}, 1);
    state.SetLabel("vs roof/dpbusd roof/amx_dot peer/onednn/s8/conv2d/56x56x64x64/3x3");
  });
  add_benchmark("conv2d/p4a8/56x56x64x64/3x3/channels_last", [](benchmark::State& state) {
    palette_conv(state, {1, 64, 56, 56}, {64, 64, 3, 3}, 1, 1, true);
    state.SetLabel("vs roof/dpbusd roof/amx_dot peer/onednn/s8/conv2d/56x56x64x64/3x3");
  });
  add_benchmark("conv2d/p4a8/28x28x1x32/3x3", [](benchmark::State& state) {
    palette_conv(state, {16, 1, 28, 28}, {32, 1, 3, 3}, 1);
    state.SetLabel("vs roof/dpbusd peer/onednn/s8/conv2d/28x28x1x32/3x3");
  });
  add_benchmark("conv2d/p4a8/56x56x128/3x3/depthwise", [](benchmark::State& state) {
    palette_conv(state, {1, 128, 56, 56}, {128, 1, 3, 3}, 1, 128);
    state.SetLabel("vs roof/dpbusd peer/onednn/s8/conv2d/56x56x128/3x3/depthwise");
  });
  add_benchmark("conv2d/p4a8/56x56x128/3x3/depthwise/channels_last", [](benchmark::State& state) {
    palette_conv(state, {1, 128, 56, 56}, {128, 1, 3, 3}, 1, 128, true);
    state.SetLabel("vs roof/dpbusd peer/onednn/s8/conv2d/56x56x128/3x3/depthwise");
  });
  add_benchmark("conv_transpose2d/p4a8/28x28x64x64/4x4/stride:2", [](benchmark::State& state) {
    palette_transpose(state, {1, 64, 28, 28}, {64, 64, 4, 4});
    state.SetLabel("vs roof/dpbusd peer/onednn/s8/conv_transpose2d/28x28x64x64/4x4/stride:2");
  });
  return true;
}();

}  // namespace
